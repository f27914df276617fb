/** The guest's context: MSR with its side effects, PID, and what KVM itself reads of the guest's code. */
import type { HostMemory } from '../../processor/index.ts';
import type { MemorySlots } from '../slots.ts';
import { DBCR0_IDM, DEBUG_EVENT, MSR, MSR_CONTEXT } from './bits.ts';
import { BOOKE_STATE_END, W_DBCR0, W_DBSR, W_MSR, W_PC, W_PID } from './layout.ts';
import { type GuestTlb, NO_PIECE, PERMIT, type ShadowTlb } from './mmu.ts';

/**
 * Why instructions are run one by one: debug events of the guest, steps of user space, a breakpoint in the page, an access that
 * was stopped and may be made.
 */
export const STEPPING = { GUEST: 1, HOST: 2, PAGE: 4, PASS: 8 } as const;
/** Events that vector code would miss. In internal debug mode those of the first two only happen with MSR[DE]. */
const ALWAYS_STEPPED = DEBUG_EVENT.IRPT | DEBUG_EVENT.RET;
const STEPPED = DEBUG_EVENT.ICMP | DEBUG_EVENT.BRT | ALWAYS_STEPPED;
/** In trace mode no completion is an event (PPC440x5 CPU Core User's Manual, 8.3.7). */
const TRACED = ~DEBUG_EVENT.ICMP;

export abstract class BookeContext {
  /** The vCPU's block as 32-bit words, indexed by the W_ constants. */
  readonly words: Int32Array;
  readonly #memory: HostMemory;
  readonly #slots: MemorySlots;
  readonly #tlb: GuestTlb;
  protected readonly shadow: ShadowTlb;
  /** The bits of MSR that exist, and those of them that say what units the guest has. */
  readonly #msrMask: number;
  readonly #units: number;
  /** The guest instruction at PC, after `fetch` said true. */
  instruction = 0;
  /** Not zero: the guest's instructions are run one by one (debug.ts), for the reasons of STEPPING. */
  stepping = 0;
  /** Set when an instruction has been emulated. */
  completed = false;
  /** The page that was fetched from last: guest TLB index (-1: none), effective page, mask and what to add to an address. */
  #fetchIndex = -1;
  #fetchPage = 0;
  #fetchMask = 0;
  #fetchAddend = 0;

  constructor(
    base: number,
    memory: HostMemory,
    slots: MemorySlots,
    tlb: GuestTlb,
    shadow: ShadowTlb,
    msr: { readonly mask: number; readonly units: number },
  ) {
    this.#memory = memory;
    this.#slots = slots;
    this.#tlb = tlb;
    this.shadow = shadow;
    this.#msrMask = msr.mask;
    this.#units = msr.units;
    this.words = new Int32Array(memory.wasm.buffer, base, BOOKE_STATE_END >> 2);
  }

  /** Makes the processor follow MSR's bits that say what units the guest has. */
  abstract refreshUnits(): void;
  /** Selects the host context that belongs to MSR[PR] and PID. */
  abstract select(): void;
  /** PID1 or PID2 were written, where there are any. */
  pidsChanged(): void {}
  /** An exception of the floating-point unit is enabled, and MSR does not ignore it. */
  abstract readonly floatEnabled: boolean;

  /** Writes MSR. A change of PR only selects another host context. */
  setMsr(value: number): void {
    const words = this.words;
    const changed = (words[W_MSR] as number) ^ value;
    words[W_MSR] = value & this.#msrMask;
    if ((changed & this.#units) !== 0) this.refreshUnits();
    if ((changed & MSR.DE) !== 0) this.followDebug();
    if ((changed & MSR_CONTEXT) === 0) return;
    if ((changed & (MSR.IS | MSR.DS)) !== 0) this.spacesChanged();
    this.select();
  }

  /** MSR[IS] or [DS] has changed: what is fetched and accessed is in another address space. */
  protected spacesChanged(): void {
    this.shadow.dropAll();
    this.#fetchIndex = -1;
  }

  /** Debug events become interrupts: internal debug mode. Else they are only recorded, in trace mode. */
  get debugsInternally(): boolean {
    return ((this.words[W_DBCR0] as number) & DBCR0_IDM) !== 0;
  }

  /** The debug events out of `events` that DBCR0 enables. Those that are recorded cannot be so again. */
  enabledEvents(events: number): number {
    const { words } = this;
    const enabled = (words[W_DBCR0] as number) & events;
    return this.debugsInternally ? enabled : enabled & ~(words[W_DBSR] as number) & TRACED;
  }

  /** MSR[DE], DBCR0 or DBSR have changed: instructions are run one by one for events that no other way tells of. */
  followDebug(): void {
    const isAll = ((this.words[W_MSR] as number) & MSR.DE) !== 0 || !this.debugsInternally;
    const wanted = this.enabledEvents(isAll ? STEPPED : ALWAYS_STEPPED) !== 0;
    this.stepping = (this.stepping & ~STEPPING.GUEST) | (wanted ? STEPPING.GUEST : 0);
  }

  /** Goes on to the next instruction. */
  step(): void {
    this.completed = true;
    this.words[W_PC] = ((this.words[W_PC] as number) + 4) | 0;
  }

  setPid(value: number): void {
    const pid = value & 0xff;
    if (this.words[W_PID] === pid) return;
    this.words[W_PID] = pid;
    this.#fetchIndex = -1;
    this.select();
  }

  /** Hears that a guest TLB entry changes. */
  entryChanged(guestIndex: number): void {
    if (this.#fetchIndex === guestIndex) this.#fetchIndex = -1;
  }

  /** Forgets what was derived from guest state that is being replaced. */
  invalidate(): void {
    this.#fetchIndex = -1;
  }

  /** Reads the instruction at PC through the guest's TLB. False: it cannot be fetched; the guest will see why. */
  fetch(): boolean {
    const pc = this.words[W_PC] as number;
    if (this.#fetchIndex < 0 || (pc & this.#fetchMask) !== this.#fetchPage) {
      if (!this.#findCode(pc)) return false;
    }
    this.instruction = this.#memory.read32((pc + this.#fetchAddend) >>> 0) | 0;
    return true;
  }

  #findCode(pc: number): boolean {
    const msr = this.words[W_MSR] as number;
    const index = this.#tlb.search(pc, this.words[W_PID] as number, (msr & MSR.IS) !== 0 ? 1 : 0);
    if (index < 0) return false;
    if ((this.#tlb.permissions(index, (msr & MSR.PR) !== 0) & PERMIT.EXECUTE) === 0) return false;
    const frame = this.#tlb.frame(index, pc);
    const slot = this.#slots.find(frame);
    if (slot === null) return false;
    const mask = this.shadow.pieceMask(index, frame, slot);
    if (mask === NO_PIECE) return false;
    this.#fetchIndex = index;
    this.#fetchMask = mask;
    this.#fetchPage = pc & this.#fetchMask;
    this.#fetchAddend = (((frame + slot.delta) << 10) - (pc & ~1023)) | 0;
    return true;
  }
}
