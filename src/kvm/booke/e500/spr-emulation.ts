/** The special registers of an e500 that do something. */

import { wordOf } from '../layout.ts';
import { SprEmulation } from '../spr-emulation.ts';

const W_EPR = wordOf('epr');

export class SprEmulationE500 extends SprEmulation {
  /** Hears of MMUCSR0's flash invalidations. */
  onFlush: (which: number) => void = () => {};

  protected override readEpr(): number {
    return this.words[W_EPR] as number;
  }

  protected override flushTlbs(which: number): void {
    this.onFlush(which);
  }
}
