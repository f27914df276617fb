/**
 * Checks that imports go one way, `cli, web → machine → kvm → processor → isa`, that a layer sees only the public files
 * of the one below, and that the core knows neither Node nor packages made for it. Prints each breach; exits 1 if any.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

interface Layer {
  /** Layer below to the files of it that may be imported; '*' is any. */
  readonly uses: Readonly<Record<string, readonly string[]>>;
  /** Packages; 'node:*' is Node's own modules. */
  readonly packages: readonly string[];
}

const anyFile = ['*'];
const machineFiles = ['index.ts', 'error.ts', 'loaders/index.ts'];
const layers: Readonly<Record<string, Layer>> = {
  isa: { uses: {}, packages: [] },
  processor: { uses: { isa: anyFile }, packages: [] },
  kvm: { uses: { processor: ['index.ts', 'interface.ts'], isa: anyFile }, packages: [] },
  machine: { uses: { kvm: ['index.ts', 'api.ts'] }, packages: ['fflate'] },
  cli: {
    uses: { machine: machineFiles, kvm: ['index.ts', 'api.ts'], isa: anyFile },
    packages: ['node:*', 'commander'],
  },
  web: { uses: { machine: machineFiles, kvm: ['index.ts', 'api.ts'], isa: anyFile }, packages: [] },
};

const source = resolve(import.meta.dirname, '../src');
const importPattern =
  /^\s*(?:import|export)\b[^'";]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

/** What is wrong with one import, or undefined. */
function breach(layerName: string, layer: Layer, file: string, target: string): string | undefined {
  if (!target.startsWith('.')) {
    const fits = layer.packages.some((one) =>
      one.endsWith('*') ? target.startsWith(one.slice(0, -1)) : target === one,
    );
    return fits ? undefined : `${layerName} may not use the package '${target}'`;
  }
  const [toLayer = '', ...rest] = relative(source, resolve(dirname(file), target)).split('/');
  if (toLayer === layerName) return undefined;
  const files = layer.uses[toLayer];
  if (files === undefined) return `${layerName} may not use ${toLayer}`;
  const path = rest.join('/');
  return files.includes('*') || files.includes(path)
    ? undefined
    : `${layerName} may use only ${files.join(', ')} of ${toLayer}, not ${path}`;
}

let breaches = 0;
for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
  const file = join(entry.parentPath, entry.name);
  const layerName = relative(source, file).split('/')[0] ?? '';
  const layer = layers[layerName];
  const text = readFileSync(file, 'utf8');
  for (const match of text.matchAll(importPattern)) {
    const target = match[1] ?? match[2] ?? match[3] ?? '';
    const wrong = layer ? breach(layerName, layer, file, target) : undefined;
    if (wrong === undefined) continue;
    breaches++;
    console.error(`${relative(process.cwd(), file)}:${text.slice(0, match.index).split('\n').length}: ${wrong}`);
  }
}
process.exit(breaches === 0 ? 0 : 1);
