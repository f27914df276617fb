import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { TranslationJob, TranslationPort, TranslationResult, TranslationSetup } from '../kvm/index.ts';

/** A thread of Node's that translates. It does not keep the process alive. */
export class NodeTranslationPort implements TranslationPort {
  readonly #worker: Worker;
  readonly #port: MessagePort;

  /** `thread` is the module that the thread runs: `translation-thread.ts`, or what it was built into. */
  constructor(thread: URL) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(thread, {
      workerData: port2,
      transferList: [port2],
      // Much is made and thrown away for each region.
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    });
    this.#worker.unref();
    port1.unref();
  }

  start(setup: TranslationSetup): void {
    this.#port.postMessage(setup);
  }

  post(job: TranslationJob): void {
    this.#port.postMessage(job);
  }

  poll(): TranslationResult | undefined {
    return receiveMessageOnPort(this.#port)?.message as TranslationResult | undefined;
  }
}
