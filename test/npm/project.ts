/** The package as npm publishes it, installed into an empty project; and the Nodes to run that with. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Ended, run as runToEnd } from './children.ts';

export const root = resolve(import.meta.dirname, '../..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

const TIMEOUT_MS = 300_000;

function run(program: string, words: readonly string[], cwd: string): Promise<Ended> {
  // npm's settings of the run that we are in are not the project's.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$/i.test(name)));
  return runToEnd(program, words, { cwd, env, timeoutMs: TIMEOUT_MS });
}

async function must(program: string, words: readonly string[], cwd: string): Promise<string> {
  const { status, stdout, stderr, error } = await run(program, words, cwd);
  assert.equal(status, 0, `${program} ${words.join(' ')}: ${error ?? ''}\n${stdout}${stderr}`);
  return stdout;
}

/** The files of the package, and the folder of an empty project that has it installed. */
export async function packAndInstall(): Promise<{ readonly files: readonly string[]; readonly folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-npm-'));
  await must(process.execPath, [join(root, 'tools/build.mjs'), '--package'], root);
  const [packed] = JSON.parse(
    await must('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], root),
  ) as [{ filename: string; files: { path: string }[] }];
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  // Nothing but the tarball is needed, so it works without a network.
  await must('npm', ['install', '--offline', '--no-audit', '--no-fund', join(folder, packed.filename)], folder);
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types'])
    if (existsSync(join(root, 'node_modules', name)))
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  return { files: packed.files.map(({ path }) => path), folder };
}

/** The README's programs of a language after a heading, in order. */
export function readmePrograms(language: string): string[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  return [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, found, text = '']) =>
    found === language ? [text] : [],
  );
}

/** Compiles files of the project, as strictly as a user may, and answers what the compiler has to say. */
export async function compile(
  folder: string,
  resolution: 'nodenext' | 'bundler',
  files: readonly string[],
  dom: boolean,
): Promise<string> {
  const config = `tsconfig.${resolution}${dom ? '.dom' : ''}.json`;
  const compilerOptions = {
    target: 'es2024',
    module: resolution === 'nodenext' ? 'nodenext' : 'esnext',
    moduleResolution: resolution,
    lib: dom ? ['es2024', 'dom', 'dom.iterable'] : ['es2024'],
    types: dom ? [] : ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
    skipLibCheck: false,
    outDir: `out-${resolution}`,
  };
  writeFileSync(join(folder, config), JSON.stringify({ compilerOptions, files }));
  const { status, stdout, stderr } = await run(process.execPath, [tsc, '-p', config], folder);
  return status === 0 ? '' : `${stdout}${stderr}`;
}

/** Runs a program of the project. */
export function runProgram(folder: string, node: string, words: readonly string[]): Promise<Ended> {
  return run(node, words, folder);
}

const OLDEST = '24.9.0';

/** The oldest Node that the package runs on, out of npm; kept in the cache. Undefined: it is not to be had. */
export async function oldestNode(): Promise<string | undefined> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'powervisor', `node-${OLDEST}`);
  const node = join(cache, 'node_modules/node/bin/node');
  const isThere = async (): Promise<boolean> => (await run(node, ['--version'], root)).stdout.trim() === `v${OLDEST}`;
  if (await isThere()) return node;
  mkdirSync(cache, { recursive: true });
  const words = ['install', '--prefix', cache, '--no-audit', '--no-fund', '--prefer-offline', `node@${OLDEST}`];
  await run('npm', words, cache);
  // Where npm does not run install scripts, the binary has not come yet.
  if (!(await isThere()) && existsSync(join(cache, 'node_modules/node')))
    await run(process.execPath, ['installArchSpecificPackage.js'], join(cache, 'node_modules/node'));
  return (await isThere()) ? node : undefined;
}
