/** Entries of a 32-bit processor's hashed page table (The Programming Environments for 32-Bit Microprocessors, 7.6.1). */
import { type ClassicCpu, PTE, PTE_BYTES } from '../../processor/index.ts';
import type { HostTable } from '../book3s/host-table.ts';

const API_SHIFT = 10;

export class ClassicTable implements HostTable {
  readonly log2Groups: number;
  readonly #cpu: ClassicCpu;
  readonly #words: Int32Array;
  readonly #base: number;

  constructor(cpu: ClassicCpu) {
    this.#cpu = cpu;
    this.#words = cpu.memory.i32;
    this.#base = cpu.hashTable.address;
    this.log2Groups = cpu.hashTable.log2Groups;
  }

  address(slot: number): number {
    return this.#base + slot * PTE_BYTES;
  }

  /** What is not executable is guarded: these processors know it by segments only, and fetch nothing from guarded storage. */
  write(
    slot: number,
    vsid: number,
    page: number,
    secondary: boolean,
    hostPage: number,
    writable: boolean,
    executable: boolean,
  ): void {
    const words = this.#words;
    const at = this.address(slot) >>> 2;
    words[at + 1] =
      (hostPage << 12) | PTE.R | (writable ? PTE.C | PTE.PP_READ_WRITE : PTE.PP_READ_ONLY) | (executable ? 0 : PTE.G);
    words[at] = PTE.V | (vsid << PTE.VSID_SHIFT) | (secondary ? PTE.H : 0) | (page >>> API_SHIFT);
  }

  takeReferenced(slot: number): boolean {
    const words = this.#words;
    const at = (this.address(slot) >>> 2) + 1;
    const low = words[at] as number;
    words[at] = low & ~PTE.R;
    return (low & PTE.R) !== 0;
  }

  clear(slot: number, vsid: number, page: number): void {
    this.#words[this.address(slot) >>> 2] = 0;
    this.#cpu.tlbInvalidate(vsid, page);
  }
}
