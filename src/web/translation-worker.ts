/** The translation worker: takes the set-up, then jobs, and posts a result for each. */
import { createTranslationServer, type TranslationJob, type TranslationSetup } from '../kvm/index.ts';
import { workerPort } from './protocol.ts';

const port = workerPort();
port.onmessage = ({ data: setup }: MessageEvent<TranslationSetup>) => {
  const server = createTranslationServer(setup);
  port.onmessage = ({ data: job }: MessageEvent<TranslationJob>) => port.postMessage(server.translate(job));
};
