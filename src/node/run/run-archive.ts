/**
 * What `powervisor run` puts before an image's own files: busybox and the kernel's modules for the devices of its machine, all
 * in a folder of their own. What uses them comes with the command (agent.ts).
 */

import { decompress, readBytes, readEntries } from '../packages/archive.ts';
import { PackageError } from '../packages/error.ts';
import { directory, type Entry, file, packCpio } from './cpio.ts';

const FOLDER = '.powervisor';

/** The kernel takes either sign in a module's name. */
const plainName = (name: string): string => name.replaceAll('-', '_');

/** The names of modules that one says it needs, in the section .modinfo of its file. */
function dependenciesOf(module: Uint8Array): string[] {
  const text = Buffer.from(module.buffer, module.byteOffset, module.byteLength).toString('latin1');
  return /\0depends=([^\0]*)\0/.exec(text)?.[1]?.split(',').filter(Boolean) ?? [];
}

/** The named modules of a kernel's package and all that they need, each behind those; what is built in is left out. */
export async function modulesOf(image: Uint8Array, names: readonly string[]): Promise<Map<string, Uint8Array>> {
  const held = new Map<string, { path: string; data: Uint8Array }>();
  const builtIn = new Set<string>();
  for await (const { path, type, data } of readEntries(image)) {
    const name = /\/([^/]+)\.ko(\.xz|\.zst|\.gz)?$/.exec(path)?.[1];
    if (type === 'file' && name !== undefined) held.set(plainName(name), { path, data });
    if (/\/modules\.builtin$/.test(path))
      for (const [, one = ''] of Buffer.from(data)
        .toString()
        .matchAll(/([^/\n]+)\.ko$/gm))
        builtIn.add(plainName(one));
  }
  const found = new Map<string, Uint8Array>();
  const take = async (name: string): Promise<void> => {
    if (found.has(name) || builtIn.has(name)) return;
    const packed = held.get(name);
    if (packed === undefined) throw new PackageError(`the kernel's package has no module ${name}`);
    const module = await readBytes(decompress(packed.path, packed.data));
    for (const one of dependenciesOf(module)) await take(plainName(one));
    found.set(name, module);
  };
  for (const name of names) await take(plainName(name));
  return found;
}

/** The archive, not compressed, with modules in the order in which they can be loaded. */
export function packModules(modules: ReadonlyMap<string, Uint8Array>, busybox: Uint8Array): Buffer {
  const entries: Entry[] = [
    directory(FOLDER),
    file(`${FOLDER}/busybox`, busybox, 0o755),
    file(`${FOLDER}/modules`, Buffer.from([...modules.keys()].map((name) => `${name}\n`).join(''))),
    ...[...modules].map(([name, data]) => file(`${FOLDER}/${name}.ko`, data)),
  ];
  return packCpio(entries);
}

/** What the devices of a run need of Debian's kernel. */
const RUN_MODULES = ['virtio_pci', 'virtio_console', 'virtio_net', 'virtio-rng', '9pnet_virtio', '9p', 'overlay'];

/** That archive with modules out of a kernel's package. */
export const packRunArchive = async (image: Uint8Array, busybox: Uint8Array): Promise<Buffer> =>
  packModules(await modulesOf(image, RUN_MODULES), busybox);
