/** `node tools/run.mjs FILE [WORDS]`: runs a TypeScript file of the repo under Node 26, after set-up if need be. */
import { run, setUp } from './setup.mjs';

process.exit(await run(setUp(), process.argv.slice(2)));
