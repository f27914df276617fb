import { HOST_HTAB, HOST_HTAB_LOG2_GROUPS, WIDE_RESERVE_ADDRESS } from '../book3s/layout.ts';
import { BookeHost } from '../booke/host.ts';
import type { HostCpuOptions } from '../interface.ts';
import { modelOf } from '../model.ts';
import type { ClassicCpu } from './interface.ts';
import { classicRuntime } from './refill.ts';
import { ClassicTlb } from './tlb.ts';

export type ClassicModelName = '604' | '750' | '7400' | '7450' | '7455';

export interface ClassicCpuOptions extends HostCpuOptions {
  readonly model: ClassicModelName;
  /**
   * Binary logarithm of the groups of the host's hashed page table: from 10, hardware's smallest, to HOST_HTAB_LOG2_GROUPS, the
   * default.
   */
  readonly log2Groups?: number;
}

/** A 604, 750 or 74xx in software. */
export class HostClassic extends BookeHost<ClassicTlb> implements ClassicCpu {
  readonly hashTable: { readonly address: number; readonly log2Groups: number };

  constructor(options: ClassicCpuOptions) {
    const { model, memory, base, log2Groups = HOST_HTAB_LOG2_GROUPS } = options;
    const { cores, ...others } = options;
    const usual = log2Groups === HOST_HTAB_LOG2_GROUPS && cores ? { ...others, cores } : others;
    super(model, classicRuntime(modelOf(model, memory.order), log2Groups), new ClassicTlb(memory, base), usual);
    this.hashTable = { address: HOST_HTAB, log2Groups };
    memory.i32[(base + WIDE_RESERVE_ADDRESS) >> 2] = 1;
  }

  override run(budget: number): number {
    this.tlb.refresh();
    return super.run(budget);
  }

  override step(budget: number): number {
    this.tlb.refresh();
    return super.step(budget);
  }

  selectContext(context: number): void {
    this.tlb.select(context);
  }

  configureContext(context: number, { assist }: { readonly assist: boolean }): void {
    this.tlb.configure(context, assist ? 1 : 0);
  }

  setSegment(context: number, register: number, value: number): void {
    this.tlb.setSegment(context, register, value);
  }

  tlbInvalidate(vsid: number, page: number): void {
    this.tlb.invalidatePage(vsid, page);
  }
}
