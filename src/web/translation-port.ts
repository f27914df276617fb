import type { TranslationJob, TranslationPort, TranslationResult, TranslationSetup } from '../kvm/api.ts';

/** A worker that translates, beside the one with the machine. Its results come between the guest's slices. */
export class WorkerTranslationPort implements TranslationPort {
  // Bundlers find a worker by this very form.
  readonly #worker = new Worker(new URL('./translation-worker.js', import.meta.url), { type: 'module' });
  readonly #results: TranslationResult[] = [];
  lost = false;

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<TranslationResult>) => this.#results.push(data);
    const lose = (): void => {
      this.lost = true;
    };
    // Its script does not load, it has no memory left, or a module cannot be sent.
    this.#worker.onerror = lose;
    this.#worker.onmessageerror = lose;
  }

  start(setup: TranslationSetup): void {
    this.#worker.postMessage(setup);
  }

  post(job: TranslationJob): void {
    this.#worker.postMessage(job);
  }

  poll(): TranslationResult | undefined {
    return this.#results.shift();
  }

  close(): void {
    this.#worker.terminate();
  }
}

/** Whether the machine's memory can be sent to another worker: the page is isolated (COOP and COEP). */
export function canShareMemory(): boolean {
  return globalThis.crossOriginIsolated === true;
}
