import { readFileSync } from 'node:fs';
import type { CoreImage, CoreImages } from '../kvm/index.ts';

/** Names of the two files of a core: the module, and how records are packed. */
export const coreFileNames = (name: string): { module: string; packings: string } => ({
  module: `${name}.wasm`,
  packings: `${name}.json`,
});

/** The cores that were built with the command. Where the sources run, there are none. */
export class CoreFiles implements CoreImages {
  find(name: string): CoreImage | undefined {
    const { module, packings } = coreFileNames(name);
    const read = (file: string): Buffer => readFileSync(new URL(`./cores/${file}`, import.meta.url));
    try {
      return { bytes: read(module), packings: JSON.parse(read(packings).toString()) as CoreImage['packings'] };
    } catch {
      return undefined;
    }
  }
}
