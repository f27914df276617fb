import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { TranslationJob, TranslationPort, TranslationResult, TranslationSetup } from '../kvm/index.ts';

/** What the thread runs: beside this module in the sources, beside the bundle when it was built. */
const THREAD = import.meta.url.endsWith('.ts')
  ? new URL('./translation-thread.ts', import.meta.url)
  : new URL('./translation-thread.js', import.meta.url);

/** A thread of Node's that translates. It does not keep the process alive. */
export class NodeTranslationPort implements TranslationPort {
  #worker: Worker | undefined;
  readonly #port: MessagePort;
  readonly #threadEnd: MessagePort;
  lost = false;

  /** `waits`: the thread is not started before there is something for it to do. */
  constructor({ waits = false } = {}) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#threadEnd = port2;
    port1.unref();
    if (!waits) this.#start();
  }

  #start(): void {
    const port2 = this.#threadEnd;
    this.#worker = new Worker(THREAD, {
      workerData: port2,
      transferList: [port2],
      // The program's own flags (loaders, --eval) are not for this thread.
      execArgv: [],
      // Much is made and thrown away for each region.
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    });
    // Without its script (a bundle that lacks it) or without memory there is no thread; the machine does without.
    this.#worker.on('error', () => {
      this.lost = true;
    });
    this.#worker.unref();
  }

  start(setup: TranslationSetup): void {
    this.#port.postMessage(setup);
  }

  post(job: TranslationJob): void {
    if (this.#worker === undefined) this.#start();
    this.#port.postMessage(job);
  }

  poll(): TranslationResult | undefined {
    return receiveMessageOnPort(this.#port)?.message as TranslationResult | undefined;
  }

  close(): void {
    this.#port.close();
    void this.#worker?.terminate();
  }
}
