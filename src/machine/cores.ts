import type { CoreImage } from '../kvm/api.ts';

/** Names of the two files of a built core: the module, and the tables that go with it. */
export const coreFileNames = (name: string): { module: string; tables: string } => ({
  module: `${name}.wasm`,
  tables: `${name}.tables`,
});

/** The tables as a file: the number of words of the first, then both, in words of the host. */
export function writeTables({ packings, handlers }: CoreImage): Uint8Array {
  return new Uint8Array(Int32Array.from([packings.length, ...packings, ...handlers]).buffer);
}

function readTables(bytes: Uint8Array): Pick<CoreImage, 'packings' | 'handlers'> {
  const words = new Int32Array(bytes.slice().buffer);
  const handlersAt = 1 + (words[0] as number);
  return { packings: words.slice(1, handlersAt), handlers: words.slice(handlersAt) };
}

/** A built core out of its files; undefined where `read` throws, because there are none. */
export function readCore(name: string, read: (file: string) => Uint8Array): CoreImage | undefined {
  const files = coreFileNames(name);
  try {
    return { bytes: read(files.module), ...readTables(read(files.tables)) };
  } catch {
    return undefined;
  }
}
