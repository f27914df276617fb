/** The command's entry: checks Node, turns its compile cache on, and loads the built command or else the sources. */
import { isCurrent } from './current.mjs';

if (Number.parseInt(process.versions.node, 10) < 24) {
  console.error(
    `powervisor: Node.js 24 or newer is needed, this is ${process.versions.node}; npm's package 'node' brings one`,
  );
  process.exit(1);
}
// An import would have Node load all that stands behind its modules.
const { dirname, join } = process.getBuiltinModule('node:path');
const root = dirname(dirname(process.getBuiltinModule('node:url').fileURLToPath(import.meta.url)));
const home = process.getBuiltinModule('node:os').homedir();
const cache = join(process.env.XDG_CACHE_HOME || join(home, '.cache'), 'powervisor', 'compiled');
process.getBuiltinModule('node:module').enableCompileCache(cache);
await import(isCurrent(root) ? '../dist/powervisor.mjs' : '../src/cli/main.ts');
