import { readFileSync } from 'node:fs';
import type { CoreImage, CoreImages } from '../kvm/index.ts';
import { readCore } from '../machine/cores.ts';

/** The cores that were built with the package. Where the sources run, there are none. */
export class CoreFiles implements CoreImages {
  find(name: string): CoreImage | undefined {
    return readCore(name, (file) => readFileSync(new URL(`./cores/${file}`, import.meta.url)));
  }
}
