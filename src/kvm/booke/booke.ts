/** A Book E vCPU's guest half: what all members do with the parts that each of them makes. */
import { BOOKE_VECTOR, type HostCpu } from '../../processor/index.ts';
import {
  KVM_EXIT,
  KVM_INTERRUPT,
  type KvmChainStep,
  type KvmConfigTlb,
  type KvmGuestDebug,
  type KvmRegs,
  type KvmSregs,
  type KvmState,
  type KvmStats,
  type KvmTable,
  type KvmTranslation,
  type TlbEntry,
  type VcpuCapability,
} from '../api.ts';
import { type FamilyParts, type FamilyTrace, RESUME_GUEST, type VcpuFamily, vectorNames } from '../family.ts';
import type { MemorySlot } from '../slots.ts';
import { readWords, type SavedWords, savedBoolean, savedNumber, saveWords } from '../state.ts';
import { COUNTER } from '../stats.ts';
import { TIMEBASE_LIMIT } from '../time.ts';
import { MSR } from './bits.ts';
import type { BookeContext } from './context.ts';
import type { BookeDebug } from './debug.ts';
import type { BookeEmulation } from './emulate.ts';
import type { BookeExits } from './exits.ts';
import { type BookeInterrupts, PRIORITY } from './interrupts.ts';
import {
  ASSISTED,
  ASSISTED_NAMES,
  BOOKE_STATE,
  DOUBLES,
  W_CR,
  W_GPR,
  W_HALTED,
  W_INT_PENDING,
  W_MSR,
  W_PC,
  W_PENDING,
  W_PID,
  W_PIR,
  W_RESERVE_ADDRESS,
} from './layout.ts';
import { type GuestTlb, PERMIT, type ShadowTlb } from './mmu.ts';
import type { BookeRegisters } from './registers.ts';
import type { StorageEmulation } from './storage.ts';
import type { BookeTimers } from './timers.ts';

/** Not a valid reservation address (layout.ts, RESERVE_ADDRESS). */
const NO_RESERVATION = 1;

const VECTOR_NAMES = vectorNames(BOOKE_VECTOR);

/** What a member makes. */
export interface BookeParts {
  readonly tlb: GuestTlb;
  readonly shadow: ShadowTlb;
  readonly context: BookeContext;
  readonly interrupts: BookeInterrupts;
  readonly timers: BookeTimers;
  readonly storage: StorageEmulation;
  readonly emulation: BookeEmulation;
  readonly exits: BookeExits;
  readonly registers: BookeRegisters;
  readonly debug: BookeDebug;
}

export abstract class BookeFamily<Own extends BookeParts> implements VcpuFamily {
  protected readonly parts: FamilyParts<HostCpu>;
  protected readonly own: Own;
  protected readonly words: Int32Array;
  readonly #counts: Float64Array;
  readonly #storage: StorageEmulation;
  readonly #emulation: BookeEmulation;
  readonly #exits: BookeExits;
  readonly #registers: BookeRegisters;
  readonly #debug: BookeDebug;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  readonly #timers: BookeTimers;

  constructor(parts: FamilyParts<HostCpu>, own: Own) {
    this.parts = parts;
    this.own = own;
    this.words = own.context.words;
    this.#counts = parts.counters.counts;
    this.#storage = own.storage;
    this.#emulation = own.emulation;
    this.#exits = own.exits;
    this.#registers = own.registers;
    this.#debug = own.debug;
    this.#context = own.context;
    this.#interrupts = own.interrupts;
    this.#timers = own.timers;
  }

  /** The member's registers and TLB at power-on; all words are zero. */
  protected abstract resetOwn(): void;
  /** What a state has of the member's words. */
  protected abstract readonly savedWords: readonly SavedWords[];
  /** The words were replaced by what somebody says they were. */
  protected abstract restoredOwn(): void;
  abstract readonly tlbEntries: number;
  abstract setTlbEntry(index: number, entry: TlbEntry): void;

  reset(): void {
    const { words } = this;
    words.fill(0, W_GPR, W_GPR + 64);
    words.fill(0, W_CR, W_CR + 8);
    words.fill(0, BOOKE_STATE >> 2, DOUBLES >> 2);
    words[W_RESERVE_ADDRESS] = NO_RESERVATION;
    words[W_PIR] = this.parts.id;
    words[W_PC] = 0xfffffffc;
    words[W_INT_PENDING] = 0;
    words[W_MSR] = 0;
    this.resetOwn();
    this.own.shadow.dropAll();
    this.#context.invalidate();
    this.#context.refreshUnits();
    this.#context.pidsChanged();
    this.#context.select();
    this.#timers.reset();
    this.#debug.reset();
  }

  begin(): void {
    this.#storage.complete();
  }

  end(): void {}

  updateTimers(): number {
    this.#timers.poll();
    if (!this.#timers.watchdogReset) return RESUME_GUEST;
    this.#timers.watchdogReset = false;
    return KVM_EXIT.WATCHDOG;
  }

  nextTimer(): number {
    const { deadline } = this.#timers;
    return deadline === Number.POSITIVE_INFINITY ? deadline : this.parts.time.nanosecondsAt(deadline);
  }

  enter(): number {
    const { words } = this;
    const rest = this.#storage.rest();
    if (rest !== RESUME_GUEST) return rest;
    this.#emulation.applyTlbWrites();
    const stepping = this.#context.stepping !== 0;
    if (stepping && this.#debug.host.due) return this.#debug.report();
    // What waits for an interrupt would be stepped for ever without one.
    const blocked = stepping && this.#debug.host.blocksInterrupts && ((words[W_MSR] as number) & MSR.WE) === 0;
    if (words[W_PENDING] !== 0 && !blocked && this.#interrupts.deliver() && words[W_HALTED] !== 0) {
      words[W_HALTED] = 0;
      (this.#counts[COUNTER.halt_wakeup] as number)++;
    }
    if (((words[W_MSR] as number) & MSR.WE) !== 0) return this.halt();
    return this.#context.stepping === 0 ? RESUME_GUEST : this.#debug.begin();
  }

  handleExit(vector: number): number {
    const reason = this.#exits.handle(vector);
    return this.#debug.begun ? this.#debug.end(vector, reason) : reason;
  }

  interrupt(kind: number): void {
    this.#drive(kind, PRIORITY.EXTERNAL, PRIORITY.EXTERNAL_LEVEL);
  }

  criticalInterrupt(kind: number): void {
    this.#drive(kind, PRIORITY.CRITICAL, PRIORITY.CRITICAL_LEVEL);
  }

  #drive(kind: number, once: number, level: number): void {
    const interrupts = this.#interrupts;
    switch (kind >>> 0) {
      case KVM_INTERRUPT.SET:
        interrupts.set(once, true);
        break;
      case KVM_INTERRUPT.SET_LEVEL:
        interrupts.set(level, true);
        break;
      default:
        interrupts.set(once, false);
        interrupts.set(level, false);
    }
  }

  readonly traced: FamilyTrace = {
    vectors: VECTOR_NAMES,
    program: BOOKE_VECTOR.program,
    word: () => (this.#context.fetch() ? this.#context.instruction : 0),
    taken: () => this.#interrupts.taken,
  };

  setGuestDebug(debug: KvmGuestDebug): void {
    this.#debug.set(debug);
  }

  enableCap(_capability: VcpuCapability, _argument: number | KvmConfigTlb): boolean {
    return false;
  }

  /** Stores come with a fault again, if anything is to be protected. */
  protectPages(_slot: MemorySlot, dirty: Uint8Array): void {
    if (dirty.some((bits) => bits !== 0)) this.own.shadow.dropAll();
  }

  slotsChanged(): void {
    this.own.shadow.dropAll();
    this.#context.invalidate();
  }

  hashTableChanged(): void {}

  getRegs(): KvmRegs {
    return this.#registers.getRegs();
  }

  setRegs(regs: KvmRegs): void {
    this.#registers.setRegs(regs);
    this.#context.invalidate();
  }

  getSregs(): KvmSregs {
    return this.#registers.getSregs();
  }

  setSregs(sregs: Partial<KvmSregs>): void {
    this.#registers.setSregs(sregs);
  }

  getOneReg(id: bigint): bigint | undefined {
    return this.#registers.getOneReg(id);
  }

  setOneReg(id: bigint, value: bigint): boolean {
    return this.#registers.setOneReg(id, value);
  }

  get stats(): KvmStats {
    return Object.fromEntries(
      ASSISTED_NAMES.map((name, i) => [name, (this.words[(ASSISTED >> 2) + i] as number) >>> 0]),
    );
  }

  translate(low: number): KvmTranslation {
    this.#emulation.applyTlbWrites();
    const { tlb } = this.own;
    const address = low | 0;
    const { words } = this;
    const msr = words[W_MSR] as number;
    const index = tlb.search(address, words[W_PID] as number, (msr & MSR.DS) !== 0 ? 1 : 0);
    if (index < 0) return { physicalAddress: 0, valid: false, writeable: false, usermode: false };
    return {
      physicalAddress: tlb.frame(index, address) * 1024 + (address & 1023),
      valid: true,
      writeable: (tlb.permissions(index, (msr & MSR.PR) !== 0) & PERMIT.WRITE) !== 0,
      usermode: tlb.permissions(index, true) !== 0,
    };
  }

  /** Rows of `Vcpu.tables`, where the member shows them. */
  tables(_limit: number): readonly KvmTable[] {
    return [];
  }

  chain(low: number): readonly KvmChainStep[] {
    this.#emulation.applyTlbWrites();
    const { tlb } = this.own;
    const { words } = this;
    const msr = words[W_MSR] as number;
    const space = (msr & MSR.DS) !== 0 ? 1 : 0;
    const by = `address space ${space}, PID ${words[W_PID]}, ${(msr & MSR.PR) !== 0 ? 'user' : 'kernel'}`;
    const steps: KvmChainStep[] = [{ what: 'effective address', address: BigInt(low), by }];
    const index = tlb.search(low | 0, words[W_PID] as number, space);
    if (index < 0) return [...steps, { what: 'guest real address', address: undefined, by: 'no entry of the TLB' }];
    const permit = tlb.permissions(index, (msr & MSR.PR) !== 0);
    const access = `${permit & PERMIT.READ ? 'r' : '-'}${permit & PERMIT.WRITE ? 'w' : '-'}${permit & PERMIT.EXECUTE ? 'x' : '-'}`;
    const size = -(tlb.pageMask(index) | 0) / 1024;
    const frame = tlb.frame(index, low | 0);
    const real = BigInt(frame) * 1024n + BigInt(low & 1023);
    steps.push({ what: 'guest real address', address: real, by: `TLB ${index}: page of ${size} KB, ${access}` });
    const slot = this.parts.slots.find(frame);
    if (slot === null)
      return [...steps, { what: 'host real address', address: undefined, by: 'no memory slot: a device, or nothing' }];
    const address = BigInt(frame + slot.delta) * 1024n + BigInt(low & 1023);
    const shadows = this.shadowsOf(index);
    steps.push({ what: 'host real address', address, by: `slot ${slot.slot}; ${shadows}` });
    return steps;
  }

  /** Which entries of the host's TLB shadow one of the guest's, in words. */
  protected shadowsOf(_index: number): string {
    return 'mapped on demand';
  }

  saveState(): KvmState {
    this.#emulation.applyTlbWrites();
    return { ...saveWords(this.words, this.savedWords), ...this.#timers.save() };
  }

  restoreState(state: KvmState): void {
    const put = readWords(state, this.savedWords);
    const timers = {
      decStart: savedNumber(state, 'decStart', -TIMEBASE_LIMIT, TIMEBASE_LIMIT),
      timersSeen: savedNumber(state, 'timersSeen', -TIMEBASE_LIMIT, TIMEBASE_LIMIT),
      watchdogReset: savedBoolean(state, 'watchdogReset'),
    };
    const { words } = this;
    this.#emulation.applyTlbWrites();
    put(words);
    this.restoredOwn();
    this.own.shadow.dropAll();
    this.#context.invalidate();
    const msr = words[W_MSR] as number;
    words[W_MSR] = 0;
    this.#context.setMsr(msr);
    this.#context.refreshUnits();
    this.#context.pidsChanged();
    this.#context.select();
    words[W_INT_PENDING] = words[W_PENDING] === 0 ? 0 : 1;
    this.#timers.restore(timers);
    this.#debug.reset();
  }

  /** MSR[WE]: the guest waits until an interrupt that it lets through clears it. */
  protected halt(): number {
    const { words } = this;
    words[W_HALTED] = 1;
    const wakes = ((words[W_MSR] as number) & (MSR.EE | MSR.CE)) !== 0;
    this.parts.run.hlt.wakeAt = wakes ? this.nextTimer() : Number.POSITIVE_INFINITY;
    (this.#counts[COUNTER.halt_exits] as number)++;
    return KVM_EXIT.HLT;
  }
}
