import type { HostCpuOptions } from '../interface.ts';
import { BookeHost } from './host.ts';
import type { HostE500Cpu } from './interface.ts';
import { RUNTIME_E500 } from './refill-e500.ts';
import { TlbE500 } from './tlb-e500.ts';

/** An e500v2 in software. */
export class HostE500 extends BookeHost<TlbE500> implements HostE500Cpu {
  constructor(options: HostCpuOptions) {
    super('e500v2', RUNTIME_E500, new TlbE500(options.memory, options.base), options);
  }

  setContext(pid0: number, pid1: number, mode: 0 | 1): void {
    this.tlb.setContext(pid0, pid1, mode);
  }

  prepareContext(which: 0 | 1, pid0: number, pid1: number, mode: 0 | 1): void {
    this.tlb.prepareContext(which, pid0, pid1, mode);
  }

  tlbWrite(index: number, mas1: number, mas2: number, mas3: number): void {
    this.tlb.write(index, mas1, mas2, mas3);
  }

  tlbInvalidate(index: number): void {
    this.tlb.invalidate(index);
  }

  tlbInvalidateAll(): void {
    this.tlb.invalidateAll();
  }
}
