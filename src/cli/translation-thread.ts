/** The translation thread: takes the set-up, then jobs, and posts a result for each. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { createTranslationServer, type TranslationJob, type TranslationSetup } from '../kvm/index.ts';

const port = workerData as MessagePort;
port.once('message', (setup: TranslationSetup) => {
  const server = createTranslationServer(setup);
  port.on('message', (job: TranslationJob) => port.postMessage(server.translate(job)));
});
