/** The command's entry: checks Node, turns its compile cache on, and loads the built command or else the sources. */
import module from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isCurrent } from './current.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(
    `powervisor: Node.js 24 or newer is needed, this is ${process.versions.node}; npm's package 'node' brings one`,
  );
  process.exit(1);
}
module.enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'powervisor', 'compiled'));
await import(isCurrent(root) ? '../dist/powervisor.mjs' : '../src/cli/main.ts');
