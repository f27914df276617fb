/**
 * The guest's TLBs: TLB0, sets of pages of 4 KB, and TLB1, pages of any size, each entry as its MAS registers (EREF,
 * "Storage Model"). An index is that of an entry in the vCPU's block: those of TLB1 begin at E500_TLB0_MOST.
 */
import { MAS1, MAS2, MAS3 } from '../../../processor/index.ts';
import {
  E500_GUEST_TLB,
  E500_GUEST_TLB_ENTRIES,
  E500_TLB0_MOST,
  E500_TLB1_MOST,
  W_PID1,
  W_PID2,
  W_TLB0_SETS,
  W_TLB0_WAYS,
  W_TLB1_ENTRIES,
} from '../layout.ts';
import type { GuestTlb } from '../mmu.ts';

const WORDS = 4;
export const TLB0_SIZE = 1 << MAS1.TSIZE_SHIFT;
/** From 4^11 KB on, an entry is for all of the address space. */
const WHOLE_SPACE = 11;
/** What stands in the words of MAS1 and MAS7 that an entry has. */
export const MAS1_ENTRY = MAS1.VALID | MAS1.IPROT | MAS1.TID | MAS1.TS | MAS1.TSIZE;
export const MAS2_ENTRY = MAS2.EPN | MAS2.ATTRIBUTES;
export const MAS3_ENTRY = MAS3.RPN | MAS3.USER | 0x3f;
export const MAS7_ENTRY = 0xf;

/** Mask of a page of 4^size KB. */
export const maskOfSize = (size: number): number => (size >= WHOLE_SPACE ? 0 : -(1024 << (2 * size)));

export class GuestTlbE500 implements GuestTlb {
  /** Entry i is at 4i: MAS1, MAS2, MAS3, MAS7. */
  readonly entries: Int32Array;
  readonly #words: Int32Array;

  constructor(buffer: ArrayBufferLike, base: number) {
    this.entries = new Int32Array(buffer, base + E500_GUEST_TLB, E500_GUEST_TLB_ENTRIES * WORDS);
    this.#words = new Int32Array(buffer, base);
  }

  get sets(): number {
    return this.#words[W_TLB0_SETS] as number;
  }

  get ways(): number {
    return this.#words[W_TLB0_WAYS] as number;
  }

  /** Entries of TLB1. */
  get size1(): number {
    return this.#words[W_TLB1_ENTRIES] as number;
  }

  clear(): void {
    this.entries.fill(0);
  }

  /** Index of the entry that MAS0's TLB and ESEL and an address name. */
  indexOf(tlb: number, esel: number, address: number): number {
    if (tlb !== 0) return E500_TLB0_MOST + ((esel & (E500_TLB1_MOST - 1)) % this.size1);
    return this.#setOf(address) + (esel & (this.ways - 1));
  }

  /** MAS0[ESEL] of an index. */
  eselOf(index: number): number {
    return index >= E500_TLB0_MOST ? index - E500_TLB0_MOST : index & (this.ways - 1);
  }

  #setOf(address: number): number {
    return ((address >>> 12) & (this.sets - 1)) * this.ways;
  }

  mas1(index: number): number {
    return this.entries[index * WORDS] as number;
  }

  mas2(index: number): number {
    return this.entries[index * WORDS + 1] as number;
  }

  mas3(index: number): number {
    return this.entries[index * WORDS + 2] as number;
  }

  mas7(index: number): number {
    return this.entries[index * WORDS + 3] as number;
  }

  isValid(index: number): boolean {
    return (this.mas1(index) & MAS1.VALID) !== 0;
  }

  /** Writes an entry as tlbwe does: in TLB0 all pages have 4 KB, and nothing is protected. */
  write(index: number, mas1: number, mas2: number, mas3: number, mas7: number): void {
    const { entries } = this;
    const at = index * WORDS;
    const isSmall = index < E500_TLB0_MOST;
    entries[at] = isSmall ? (mas1 & MAS1_ENTRY & ~(MAS1.TSIZE | MAS1.IPROT)) | TLB0_SIZE : mas1 & MAS1_ENTRY;
    entries[at + 1] = mas2 & MAS2_ENTRY;
    entries[at + 2] = mas3 & MAS3_ENTRY;
    entries[at + 3] = mas7 & MAS7_ENTRY;
  }

  /** The entries were replaced by what somebody says they were. */
  restored(): void {
    for (let i = 0; i < E500_GUEST_TLB_ENTRIES; i++) {
      const [mas1, mas2, mas3, mas7] = [this.mas1(i), this.mas2(i), this.mas3(i), this.mas7(i)];
      // One that was never written is all zero, and stays so.
      if ((mas1 | mas2 | mas3 | mas7) !== 0) this.write(i, mas1, mas2, mas3, mas7);
    }
  }

  invalidate(index: number): void {
    this.entries[index * WORDS] = (this.entries[index * WORDS] as number) & ~MAS1.VALID;
  }

  search(address: number, pid: number, space: number): number {
    const found = this.searchOf(0, address, pid, space);
    return found >= 0 ? found : this.searchOf(1, address, pid, space);
  }

  /** The same in one TLB. All of PID0 (`pid`), PID1, PID2 and 0 match. */
  searchOf(tlb: number, address: number, pid: number, space: number): number {
    const words = this.#words;
    const pid1 = words[W_PID1] as number;
    const pid2 = words[W_PID2] as number;
    const first = tlb === 0 ? this.#setOf(address) : E500_TLB0_MOST;
    const end = first + (tlb === 0 ? this.ways : this.size1);
    const wanted = space === 0 ? MAS1.VALID : MAS1.VALID | MAS1.TS;
    const { entries } = this;
    for (let i = first; i < end; i++) {
      const mas1 = entries[i * WORDS] as number;
      if ((mas1 & (MAS1.VALID | MAS1.TS)) !== wanted) continue;
      if ((((entries[i * WORDS + 1] as number) ^ address) & maskOfSize((mas1 & MAS1.TSIZE) >>> MAS1.TSIZE_SHIFT)) !== 0)
        continue;
      const tid = (mas1 & MAS1.TID) >>> MAS1.TID_SHIFT;
      if (tid === 0 || tid === pid || tid === pid1 || tid === pid2) return i;
    }
    return -1;
  }

  permissions(index: number, problemState: boolean): number {
    const mas3 = this.mas3(index) >>> (problemState ? 1 : 0);
    // MAS3 has UX SX UW SW UR SR.
    return (mas3 & MAS3.SR) | ((mas3 & MAS3.SW) >>> 1) | ((mas3 & MAS3.SX) >>> 2);
  }

  /** log4 of the page's size in KB. */
  size(index: number): number {
    return (this.mas1(index) & MAS1.TSIZE) >>> MAS1.TSIZE_SHIFT;
  }

  pageMask(index: number): number {
    return maskOfSize(this.size(index));
  }

  isLittleEndian(index: number): boolean {
    return (this.mas2(index) & MAS2.E) !== 0;
  }

  frame(index: number, address: number): number {
    const mask = this.pageMask(index);
    const low = ((this.mas3(index) & MAS3.RPN & mask) | (address & ~mask)) >>> 10;
    return this.mas7(index) * 0x40_0000 + low;
  }
}
