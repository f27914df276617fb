/** Entries of a server's hashed page table (Power ISA 2.07 Book III-S, 5.7.7). */
import { HPTE, HPTE_BYTES, type ServerCpu } from '../../processor/index.ts';
import type { HostTable } from '../book3s/host-table.ts';

export class ServerTable implements HostTable {
  readonly log2Groups: number;
  readonly #cpu: ServerCpu;
  readonly #words: Int32Array;
  readonly #base: number;

  constructor(cpu: ServerCpu) {
    this.#cpu = cpu;
    this.#words = cpu.memory.i32;
    this.#base = cpu.hashTable.address;
    this.log2Groups = cpu.hashTable.log2Groups;
  }

  address(slot: number): number {
    return this.#base + slot * HPTE_BYTES;
  }

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
    words[at + 2] =
      (hostPage << 12) |
      HPTE.R |
      (writable ? HPTE.C | HPTE.PP_READ_WRITE : HPTE.PP_READ_ONLY) |
      (executable ? 0 : HPTE.N);
    words[at + 3] = hostPage >>> 20;
    words[at + 1] = Math.floor(vsid / 2 ** 20);
    words[at] = (vsid << 12) | ((page >> 4) & ~0x7f) | (secondary ? HPTE.H : 0) | HPTE.V;
  }

  takeReferenced(slot: number): boolean {
    const words = this.#words;
    const at = (this.address(slot) >>> 2) + 2;
    const low = words[at] as number;
    words[at] = low & ~HPTE.R;
    return (low & HPTE.R) !== 0;
  }

  clear(slot: number, vsid: number, page: number): void {
    this.#words[this.address(slot) >>> 2] = 0;
    this.#cpu.tlbInvalidate(vsid, page);
  }
}
