import type { HostCpuOptions } from '../interface.ts';
import { TLB_SEARCH_ENTRIES } from '../layout.ts';
import { BookeHost } from './host.ts';
import type { Host440Cpu } from './interface.ts';
import { RUNTIME_440 } from './refill440.ts';
import { Tlb440 } from './tlb440.ts';

/** A 440 in software. */
export class Host440 extends BookeHost<Tlb440> implements Host440Cpu {
  readonly tlbEntries = TLB_SEARCH_ENTRIES;

  constructor(options: HostCpuOptions) {
    super('440', RUNTIME_440, new Tlb440(options.memory, options.base), options);
  }

  setContext(space: 0 | 1, pid: number, mode: 0 | 1): void {
    this.tlb.setContext(space, pid, mode);
  }

  setContexts(pid: number, modes: readonly [number, number]): void {
    this.tlb.prepareContext(0, pid, modes[0]);
    this.tlb.prepareContext(1, pid, modes[1]);
  }

  tlbWrite(index: number, word0: number, word1: number, word2: number, tid: number): void {
    this.tlb.write(index, word0, word1, word2, tid);
  }

  tlbInvalidate(index: number): void {
    this.tlb.invalidate(index);
  }

  tlbInvalidateAll(): void {
    this.tlb.invalidateAll();
  }
}
