import { EXECUTE, READ, WRITE } from '../backend/runtime.ts';
import {
  CODE_PAGES,
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  MODE,
  SOFT_TLB,
  SOFT_TLB_SET_BYTES,
  SOFT_TLB_SETS,
  TLB_BASE,
} from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import { MAS1, MAS3 } from './interface.ts';
import {
  E500_PIDS,
  E500_TLB0,
  E500_TLB0_ENTRIES,
  E500_TLB0_ENTRY_BYTES,
  E500_TLB1,
  E500_TLB1_ENTRIES,
  E500_TLB1_ENTRY_BYTES,
  TLB0_ACCESS,
  TLB0_ADDEND,
  TLB0_VALID,
  TLB1_ACCESS,
  TLB1_ADDEND,
  TLB1_PAGE,
  TLB1_TID,
} from './layout.ts';
import { SoftTlb } from './soft-tlb.ts';

const PAGE = -4096;

/** Permissions of problem state. */
function permissions(mas3: number): number {
  return (mas3 & MAS3.UR ? READ : 0) | (mas3 & MAS3.UW ? WRITE : 0) | (mas3 & MAS3.UX ? EXECUTE : 0);
}

/** The e500's TLBs, of which problem state in address space 1 is all that is ever asked for. A context is PID0 and PID1. */
export class TlbE500 extends SoftTlb {
  constructor(memory: HostMemory, base: number) {
    super(memory, base, 0x10000);
    for (let i = 0; i < E500_TLB0_ENTRIES; i++) this.#clear0(i);
    for (let i = 0; i < E500_TLB1_ENTRIES; i++) this.#clear1(i);
    this.setContext(0, 0, 0);
  }

  #entry0(index: number): number {
    return this.at(E500_TLB0 + index * E500_TLB0_ENTRY_BYTES);
  }

  #entry1(index: number): number {
    return this.at(E500_TLB1 + index * E500_TLB1_ENTRY_BYTES);
  }

  #clear0(index: number): void {
    this.i32[this.#entry0(index)] = 0;
  }

  #clear1(index: number): void {
    const entry = this.#entry1(index);
    this.i32[entry] = 0;
    this.i32[entry + TLB1_PAGE / 4] = 1;
  }

  prepareContext(which: 0 | 1, pid0: number, pid1: number, mode: number): void {
    const pids = pid0 | (pid1 << 8);
    this.prepare(which, pids, mode, pids);
  }

  setContext(pid0: number, pid1: number, mode: number): void {
    const pids = pid0 | (pid1 << 8);
    const { i32 } = this;
    i32[this.at(TLB_BASE)] = this.base + SOFT_TLB + this.setFor(pids) * SOFT_TLB_SET_BYTES;
    i32[this.at(MODE)] = mode;
    i32[this.at(CODE_PAGES)] = CODE_PAGES_TABLE + mode * CODE_PAGES_TABLE_BYTES;
    i32[this.at(E500_PIDS)] = pids;
  }

  /** Writes an entry, numbered through both TLBs, as tlbwe does; the caller has chosen its set by its address. */
  write(index: number, mas1: number, mas2: number, mas3: number): void {
    this.invalidate(index);
    if ((mas1 & MAS1.VALID) === 0) return;
    const { i32 } = this;
    const tid = (mas1 >>> MAS1.TID_SHIFT) & 0xff;
    if (index < E500_TLB0_ENTRIES) {
      const entry = this.#entry0(index);
      const page = mas2 & PAGE;
      i32[entry] = page | TLB0_VALID | tid;
      i32[entry + TLB0_ADDEND / 4] = ((mas3 & PAGE) - page) | 0;
      i32[entry + TLB0_ACCESS / 4] = permissions(mas3);
      return;
    }
    const size = (mas1 >>> MAS1.TSIZE_SHIFT) & 15;
    const mask = size >= 11 ? 0 : -(1024 << (2 * size));
    const page = mas2 & mask;
    const entry = this.#entry1(index - E500_TLB0_ENTRIES);
    i32[entry] = mask;
    i32[entry + TLB1_PAGE / 4] = page;
    i32[entry + TLB1_TID / 4] = tid;
    i32[entry + TLB1_ADDEND / 4] = ((mas3 & mask) - page) | 0;
    i32[entry + TLB1_ACCESS / 4] = permissions(mas3);
  }

  invalidate(index: number): void {
    const { i32 } = this;
    if (index < E500_TLB0_ENTRIES) {
      const tag = i32[this.#entry0(index)] as number;
      if (tag === 0) return;
      this.#clear0(index);
      this.#drop(tag & 0xff, tag & PAGE, 1);
      return;
    }
    const entry = this.#entry1(index - E500_TLB0_ENTRIES);
    const mask = i32[entry] as number;
    const page = i32[entry + TLB1_PAGE / 4] as number;
    if (page === 1) return;
    this.#clear1(index - E500_TLB0_ENTRIES);
    this.#drop(i32[entry + TLB1_TID / 4] as number, page, mask === 0 ? 1 << 20 : -mask >>> 12);
  }

  /** An entry's pages are in the sets of contexts that have its TID as one of their PIDs. */
  #drop(tid: number, page: number, pages: number): void {
    for (let set = 0; set < SOFT_TLB_SETS; set++) {
      const key = this.keyOf[set] as number;
      if (key >= 0 && (tid === 0 || (key & 0xff) === tid || key >> 8 === tid)) this.dropPages(set, page, pages);
    }
  }

  /** All entries go, which costs less than one after another. */
  invalidateAll(): void {
    for (let i = 0; i < E500_TLB0_ENTRIES; i++) this.#clear0(i);
    for (let i = 0; i < E500_TLB1_ENTRIES; i++) this.#clear1(i);
    this.clearSets();
  }
}
