import type { CoreImage } from '../kvm/api.ts';

/** Names of the two files of a built core: the module, and how records are packed. */
export const coreFileNames = (name: string): { module: string; packings: string } => ({
  module: `${name}.wasm`,
  packings: `${name}.json`,
});

/** A built core out of its files; undefined where `read` throws, because there are none. */
export function readCore(name: string, read: (file: string) => Uint8Array): CoreImage | undefined {
  const files = coreFileNames(name);
  try {
    const packings = JSON.parse(new TextDecoder().decode(read(files.packings) as Uint8Array<ArrayBuffer>));
    return { bytes: read(files.module), packings: packings as CoreImage['packings'] };
  } catch {
    return undefined;
  }
}
