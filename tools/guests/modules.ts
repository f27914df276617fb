/** Modules of Debian's kernel that an initial RAM disk needs before it has a file system to find them in. */
import { type PackedEntry, readEntries } from '../packages/archive.ts';

/** Where those may be that disks, networks and file systems are made of; the package holds thousands of others. */
const PLACES =
  /^(?:usr\/)?lib\/modules\/[^/]+\/kernel\/(?:(?:arch|crypto|lib)\/|drivers\/(?:virtio|block|char\/hw_random|net)\/[^/]+$|fs\/(?:ext4|jbd2|9p|netfs|fscache|overlayfs|squashfs|isofs)\/|fs\/[^/]+$|net\/(?:9p|core)\/)/;

export interface KernelModule {
  /** `ext4.ko` */
  readonly file: string;
  readonly data: Uint8Array;
}

/** The words behind a key of a module's `.modinfo` section, which is text that ends with zeroes. */
function information(data: Uint8Array, key: string): string[] {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const at = bytes.indexOf(`\0${key}=`, 0, 'latin1');
  if (at < 0) return [];
  const from = at + key.length + 2;
  return bytes
    .toString('latin1', from, bytes.indexOf(0, from))
    .split(',')
    .filter((word) => word !== '');
}

/** The modules of those names, and before each what it needs. `deb`: the package of the kernel's image. */
export async function kernelModules(deb: Uint8Array, names: readonly string[]): Promise<KernelModule[]> {
  const found = new Map<string, Uint8Array>();
  for await (const entry of readEntries(deb) as AsyncIterable<PackedEntry>) {
    if (entry.type !== 'file' || !entry.path.endsWith('.ko') || !PLACES.test(entry.path)) continue;
    // Names of modules have no '-', files of theirs may.
    const name = entry.path.replace(/^.*\//, '').slice(0, -'.ko'.length);
    found.set(name.replaceAll('-', '_'), entry.data);
  }
  const order = new Map<string, KernelModule>();
  const add = (name: string): void => {
    if (order.has(name)) return;
    const data = found.get(name);
    if (data === undefined) throw new Error(`the kernel's package has no module ${name}`);
    for (const one of information(data, 'depends')) add(one.replaceAll('-', '_'));
    order.set(name, { file: `${name}.ko`, data });
  };
  for (const name of names) add(name);
  return [...order.values()];
}
