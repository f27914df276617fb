/** The guest's context: MSR with its side effects, PID, and what KVM itself reads of the guest's code. */
import type { Host440Cpu, HostMemory } from '../../processor/index.ts';
import type { MemorySlots } from '../slots.ts';
import { type GuestTlb440, PERMIT, pageMask, permissions } from './44x/mmu.ts';
import type { Shadow440 } from './44x/shadow.ts';
import {
  CCR0_DAPUIB,
  DBCR0_IDM,
  DEBUG_EVENT,
  FPSCR_FEX,
  MSR,
  MSR_CONTEXT,
  MSR_FLOAT,
  MSR_FLOAT_INTERRUPTS,
  MSR_MASK,
} from './bits.ts';
import {
  BOOKE_STATE_END,
  W_CCR0,
  W_DBCR0,
  W_FLOAT_AVAILABLE,
  W_FLOAT_INTERRUPTS,
  W_FPSCR,
  W_MSR,
  W_PC,
  W_PID,
} from './layout.ts';

/** With assist: translation mode of the guest's user (host space 0) and kernel (1). */
const CONTEXT_MODES = [0, 1] as const;

/** Why instructions are run one by one: debug events of the guest, steps of user space, a breakpoint in the page. */
export const STEPPING = { GUEST: 1, HOST: 2, PAGE: 4 } as const;
/** Events that vector code would miss. Those of the first two only happen with MSR[DE]. */
const ALWAYS_STEPPED = DEBUG_EVENT.IRPT | DEBUG_EVENT.RET;
const STEPPED = DEBUG_EVENT.ICMP | DEBUG_EVENT.BRT | ALWAYS_STEPPED;

export class BookeContext {
  /** The vCPU's block as 32-bit words, indexed by the W_ constants. */
  readonly words: Int32Array;
  readonly #cpu: Host440Cpu;
  readonly #memory: HostMemory;
  readonly #slots: MemorySlots;
  readonly #tlb: GuestTlb440;
  readonly #shadow: Shadow440;
  readonly #kernelMode: 0 | 1;
  /** The PID that the processor has both contexts of, for the vector code. */
  #preparedPid = -1;
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
    cpu: Host440Cpu,
    memory: HostMemory,
    slots: MemorySlots,
    tlb: GuestTlb440,
    shadow: Shadow440,
    assist: boolean,
  ) {
    this.#cpu = cpu;
    this.#memory = memory;
    this.#slots = slots;
    this.#tlb = tlb;
    this.#shadow = shadow;
    this.#kernelMode = assist ? 1 : 0;
    this.words = new Int32Array(memory.wasm.buffer, cpu.base, BOOKE_STATE_END >> 2);
  }

  /** Writes MSR. A change of IS or DS ends the life of all shadows; one of PR only selects another host space. */
  setMsr(value: number): void {
    const words = this.words;
    const changed = (words[W_MSR] as number) ^ value;
    words[W_MSR] = value & MSR_MASK;
    if ((changed & MSR_FLOAT) !== 0) this.refreshFloat();
    if ((changed & MSR.DE) !== 0) this.followDebug();
    if ((changed & MSR_CONTEXT) === 0) return;
    if ((changed & (MSR.IS | MSR.DS)) !== 0) {
      this.#shadow.dropAll();
      this.#fetchIndex = -1;
    }
    this.select();
  }

  /** Makes the processor follow MSR[FP,FE0,FE1] and CCR0[DAPUIB]; `setFloat` of assist.ts does the same. */
  refreshFloat(): void {
    const words = this.words;
    const msr = words[W_MSR] as number;
    words[W_FLOAT_AVAILABLE] = ((words[W_CCR0] as number) & CCR0_DAPUIB) !== 0 ? 0 : msr & MSR.FP;
    words[W_FLOAT_INTERRUPTS] = msr & MSR_FLOAT_INTERRUPTS;
  }

  /** An exception of the unit is enabled, and MSR does not ignore it. */
  get floatEnabled(): boolean {
    const words = this.words;
    return words[W_FLOAT_INTERRUPTS] !== 0 && ((words[W_FPSCR] as number) & FPSCR_FEX) !== 0;
  }

  /** MSR[DE] or DBCR0 have changed: instructions are run one by one for events that no other way tells of. */
  followDebug(): void {
    const dbcr0 = this.words[W_DBCR0] as number;
    const enabled = ((this.words[W_MSR] as number) & MSR.DE) === 0 ? ALWAYS_STEPPED : STEPPED;
    const wanted = (dbcr0 & DBCR0_IDM) !== 0 && (dbcr0 & enabled) !== 0;
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

  /** Selects the host context that belongs to MSR[PR] and PID. */
  select(): void {
    const user = ((this.words[W_MSR] as number) & MSR.PR) !== 0;
    const pid = this.words[W_PID] as number;
    if (this.#kernelMode === 1 && this.#preparedPid !== pid) {
      this.#preparedPid = pid;
      this.#cpu.setContexts(pid, CONTEXT_MODES);
    }
    this.#cpu.setContext(user ? 0 : 1, pid, user ? 0 : this.#kernelMode);
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
    if ((permissions(this.#tlb.word(index, 2), (msr & MSR.PR) !== 0) & PERMIT.EXECUTE) === 0) return false;
    const frame = this.#tlb.frame(index, pc);
    const slot = this.#slots.find(frame);
    if (slot === null) return false;
    const size = this.#shadow.pieceSize(index, frame, slot);
    if (size < 0) return false;
    this.#fetchIndex = index;
    this.#fetchMask = pageMask(size);
    this.#fetchPage = pc & this.#fetchMask;
    this.#fetchAddend = (((frame + slot.delta) << 10) - (pc & ~1023)) | 0;
    return true;
  }
}
