/** The guest's BATs (The Programming Environments for 32-Bit Microprocessors, 7.4): blocks of 128 KB to 256 MB. */
import { ACCESS } from '../book3s/mmu.ts';
import { BAT, HID0 } from './bits.ts';
import { BATS, W_DBAT, W_IBAT, wordOf } from './layout.ts';

const LOW_BATS = 4;
const W_HID0 = wordOf('hid0');

export class GuestBats {
  readonly #words: Int32Array;
  readonly #hasHighBats: boolean;
  /** By ESID: a block of either kind is in the segment, for the kernel (1) and for problem state (2). */
  readonly #segments = new Uint8Array(16);

  constructor(words: Int32Array, hasHighBats: boolean) {
    this.#words = words;
    this.#hasHighBats = hasHighBats;
  }

  /** How many of each kind there are now. */
  get #count(): number {
    return this.#hasHighBats && ((this.#words[W_HID0] as number) & HID0.HIGH_BAT_EN) !== 0 ? BATS : LOW_BATS;
  }

  /** A BAT, or their number, may have changed. */
  changed(): void {
    this.#segments.fill(0);
    const words = this.#words;
    const count = this.#count;
    for (const first of [W_IBAT, W_DBAT])
      for (let n = 0; n < count; n++) {
        const upper = words[first + 2 * n] as number;
        const states = ((upper & BAT.VS) !== 0 ? 1 : 0) | ((upper & BAT.VP) !== 0 ? 2 : 0);
        this.#segments[upper >>> 28] = (this.#segments[upper >>> 28] as number) | states;
      }
  }

  /** Whether some of a segment may be a block's. */
  coversSome(esid: number, user: boolean): boolean {
    return ((this.#segments[esid] as number) & (user ? 2 : 1)) !== 0;
  }

  /** Index of the upper word of the BAT that translates an address, or -1; the lower word is behind it. */
  find(address: number, access: number, user: boolean): number {
    if (!this.coversSome(address >>> 28, user)) return -1;
    const words = this.#words;
    const first = access === ACCESS.FETCH ? W_IBAT : W_DBAT;
    const valid = user ? BAT.VP : BAT.VS;
    const end = first + 2 * this.#count;
    for (let at = first; at < end; at += 2) {
      const upper = words[at] as number;
      if ((upper & valid) !== 0 && ((address ^ upper) & ~offsetMask(upper)) === 0) return at;
    }
    return -1;
  }

  /** Real address of what a BAT translates. */
  realAddress(at: number, address: number): number {
    const mask = offsetMask(this.#words[at] as number);
    return (((this.#words[at + 1] as number) & ~mask) | (address & mask)) >>> 0;
  }
}

/** The offset in a BAT's block: what of an address is not compared. */
const offsetMask = (upper: number): number => ((upper & BAT.BL) << BAT.BL_SHIFT) | BAT.OFFSET;
