/**
 * Checks that imports go one way, `cli → node, web → machine → kvm → processor → isa`, that a layer sees only the public files
 * of the one below, that the core knows neither Node nor packages made for it, and that no files import each other in a
 * ring (types count). Prints each breach; exits 1 if any.
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
const machineFiles = ['index.ts', 'error.ts', 'cores.ts', 'loaders/index.ts', 'ninep/index.ts', 'disks/index.ts'];
const layers: Readonly<Record<string, Layer>> = {
  isa: { uses: {}, packages: [] },
  processor: { uses: { isa: anyFile }, packages: [] },
  kvm: { uses: { processor: ['index.ts', 'interface.ts'], isa: anyFile }, packages: [] },
  machine: { uses: { kvm: ['index.ts', 'api.ts'] }, packages: ['fflate'] },
  node: {
    uses: { machine: machineFiles, kvm: ['index.ts', 'api.ts'], isa: ['index.ts'] },
    packages: ['node:*', 'modern-tar', 'xz-decompress'],
  },
  cli: {
    uses: {
      node: ['index.ts', 'problems.ts', 'disks/index.ts', 'run/index.ts'],
      machine: machineFiles,
      kvm: ['index.ts', 'api.ts'],
      isa: anyFile,
    },
    packages: ['node:*', 'commander'],
  },
  web: { uses: { machine: machineFiles, kvm: ['index.ts', 'api.ts'] }, packages: [] },
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

/** The groups of files each of which reaches all others of its group (Tarjan's strongly connected components). */
function rings(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): number => {
    const own = order.size;
    order.set(file, own);
    open.push(file);
    let low = own;
    for (const target of graph.get(file) ?? []) {
      if (target === file) found.push([file]);
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (open.includes(target)) low = Math.min(low, order.get(target) ?? low);
    }
    if (low === own) {
      const group = open.splice(open.indexOf(file));
      if (group.length > 1) found.push(group.sort());
    }
    return low;
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found;
}

let breaches = 0;
/** By file: the files that it imports. */
const imports = new Map<string, string[]>();
for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
  const file = join(entry.parentPath, entry.name);
  const layerName = relative(source, file).split('/')[0] ?? '';
  const layer = layers[layerName];
  const text = readFileSync(file, 'utf8');
  const targets: string[] = [];
  imports.set(file, targets);
  for (const match of text.matchAll(importPattern)) {
    const target = match[1] ?? match[2] ?? match[3] ?? '';
    if (target.startsWith('.')) targets.push(resolve(dirname(file), target));
    const wrong = layer ? breach(layerName, layer, file, target) : undefined;
    if (wrong === undefined) continue;
    breaches++;
    console.error(`${relative(process.cwd(), file)}:${text.slice(0, match.index).split('\n').length}: ${wrong}`);
  }
}
for (const ring of rings(imports)) {
  breaches++;
  console.error(`a ring of ${ring.length} files: ${ring.map((file) => relative(source, file)).join(', ')}`);
}
process.exit(breaches === 0 ? 0 : 1);
