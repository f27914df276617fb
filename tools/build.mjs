/**
 * Compiles the command into dist/powervisor.mjs, which starts faster than the sources; does nothing when it is newer
 * than all of them. `node tools/build.mjs --package` also makes what npm publishes: dist/lib with type declarations.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isCurrent } from '../bin/current.mjs';
import { fail, root, setUp } from './setup.mjs';

/** Bundles the command if it is old; without it the sources run, so a failure is only said. */
export async function buildCommand() {
  if (isCurrent(root)) return;
  try {
    const { build } = await import('esbuild');
    await build({
      entryPoints: {
        powervisor: join(root, 'src/cli/main.ts'),
        'translation-thread': join(root, 'src/cli/translation-thread.ts'),
      },
      outdir: join(root, 'dist'),
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      logLevel: 'error',
      banner: {
        js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);",
      },
    });
  } catch {
    rmSync(join(root, 'dist/powervisor.mjs'), { force: true });
    console.error('powervisor: the build failed; running the sources as they are');
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const node = setUp();
  if (process.argv.includes('--package')) {
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    const tsc = spawnSync(
      node,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json')],
      {
        stdio: 'inherit',
      },
    );
    if (tsc.status !== 0) fail('the sources do not compile');
  }
  await buildCommand();
}
