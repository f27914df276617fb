/** The translation thread: takes the set-up, then jobs, and posts a result for each. */

import v8 from 'node:v8';
import { type MessagePort, workerData } from 'node:worker_threads';
import { createTranslationServer, type TranslationJob, type TranslationSetup } from '../kvm/index.ts';
import { CoreFiles } from './core-files.ts';

/**
 * Only what is hot comes to this thread, so it is compiled by V8's optimising compiler at once. The baseline code that
 * V8 would begin with is little faster than the interpreter where much of it is in use, and costs a second compilation
 * on further threads. V8 gives this to its own tests only; where it does not, its tiers do their work.
 */
function optimizer(): ((region: (page: number, depth: number) => number) => void) | undefined {
  try {
    v8.setFlagsFromString('--allow-natives-syntax');
    return new Function('region', '%WasmTierUpFunction(region)') as (region: unknown) => void;
  } catch {
    return undefined;
  }
}

const port = workerData as MessagePort;
port.once('message', (setup: TranslationSetup) => {
  const server = createTranslationServer(setup, optimizer(), new CoreFiles());
  port.on('message', (job: TranslationJob) => port.postMessage(server.translate(job)));
});
