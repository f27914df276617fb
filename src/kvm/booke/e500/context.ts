/**
 * The context of an e500 guest. The host's PID0 is the id of (MSR[IS,DS], PID, MSR[PR]), its PID1 that of the entries whose
 * TID is 0. While PID1 or PID2 is in use or MSR[IS] ≠ MSR[DS] one id stands for all, and every change empties the shadow.
 */
import type { HostE500Cpu, HostMemory } from '../../../processor/index.ts';
import type { MemorySlots } from '../../slots.ts';
import { MSR } from '../bits.ts';
import { BookeContext } from '../context.ts';
import { W_MSR, W_PID, W_PID1, W_PID2, W_SPE_AVAILABLE } from '../layout.ts';
import type { GuestTlb } from '../mmu.ts';
import { MSR_E500 } from './bits.ts';
import type { ShadowE500, ShadowIds } from './shadow.ts';
import { ShadowPids } from './shadow-pids.ts';

const SPACES = MSR.IS | MSR.DS;
/** Ids of both privileges, each with that of TID 0. */
const IDS_OF_CONTEXT = 4;

export class ContextE500 extends BookeContext implements ShadowIds {
  readonly #cpu: HostE500Cpu;
  readonly #shadowTlb: ShadowE500;
  readonly #kernelMode: 0 | 1;
  readonly #pids = new ShadowPids();
  /** Whether one id stands for all PIDs and both address spaces. */
  #isMixed = false;
  /** What the processor has both contexts of, for the vector code; -1: nothing. */
  #prepared = -1;

  constructor(
    cpu: HostE500Cpu,
    memory: HostMemory,
    slots: MemorySlots,
    tlb: GuestTlb,
    shadow: ShadowE500,
    assist: boolean,
  ) {
    super(cpu.base, memory, slots, tlb, shadow, { mask: MSR_E500.MASK, units: MSR_E500.SPE });
    this.#cpu = cpu;
    this.#shadowTlb = shadow;
    this.#kernelMode = assist ? 1 : 0;
    shadow.ids = this;
  }

  refreshUnits(): void {
    this.words[W_SPE_AVAILABLE] = (this.words[W_MSR] as number) & MSR_E500.SPE;
  }

  readonly floatEnabled = false;

  idOf(tid: number, space: number, view: 0 | 1): number {
    const pids = this.#pids;
    return pids.idOf(this.#isMixed ? pids.mixedKey(view) : pids.keyOf(space, tid, view));
  }

  /** IS or DS has changed: nothing has to be flushed as long as they are the same. */
  protected override spacesChanged(): void {
    this.pidsChanged();
  }

  override pidsChanged(): void {
    const { words } = this;
    const spaces = (words[W_MSR] as number) & SPACES;
    const isMixed =
      ((words[W_PID1] as number) | (words[W_PID2] as number)) !== 0 || (spaces !== 0 && spaces !== SPACES);
    this.invalidate();
    if (isMixed || this.#isMixed) this.#forget();
    this.#isMixed = isMixed;
    this.select();
  }

  override setPid(value: number): void {
    if (this.#isMixed) this.#forget();
    super.setPid(value);
  }

  #forget(): void {
    this.#shadowTlb.dropAll();
    this.#pids.forget();
    this.#prepared = -1;
  }

  select(): void {
    const { words } = this;
    const msr = words[W_MSR] as number;
    const pid = words[W_PID] as number;
    const space = (msr & MSR.DS) !== 0 ? 1 : 0;
    // Ids of what the shadow may be asked for in this context are given out before it is in use.
    if (!this.#pids.hasRoom(IDS_OF_CONTEXT)) this.#forget();
    const context = this.#isMixed ? -2 : (space << 8) | pid;
    const kernel0 = this.idOf(pid, space, 1);
    const kernel1 = this.idOf(0, space, 1);
    const user0 = this.idOf(pid, space, 0);
    const user1 = this.idOf(0, space, 0);
    const cpu = this.#cpu;
    if (this.#kernelMode === 1 && this.#prepared !== context) {
      this.#prepared = context;
      cpu.prepareContext(0, user0, user1, 0);
      cpu.prepareContext(1, kernel0, kernel1, 1);
    }
    if ((msr & MSR.PR) !== 0) cpu.setContext(user0, user1, 0);
    else cpu.setContext(kernel0, kernel1, this.#kernelMode);
  }
}
