/** The 440 family: wires the guest's MMU, shadow TLB, timers, interrupts and emulation together for one vCPU. */
import { fprOffset, type Host440Cpu, TLB44X } from '../../../processor/index.ts';
import {
  KVM_EXIT,
  KVM_INTERRUPT,
  type KvmGuestDebug,
  type KvmRegs,
  type KvmSregs,
  type KvmState,
  type KvmStats,
  type KvmTranslation,
} from '../../api.ts';
import { GuestDebug } from '../../debug.ts';
import { type FamilyParts, RESUME_GUEST, type VcpuFamily } from '../../family.ts';
import { readWords, savedBoolean, savedNumber, saveWords } from '../../state.ts';
import { COUNTER } from '../../stats.ts';
import { type GuestTime, TIMEBASE_LIMIT } from '../../time.ts';
import { MSR } from '../bits.ts';
import { BookeContext } from '../context.ts';
import { BookeDebug } from '../debug.ts';
import { BookeEmulation } from '../emulate.ts';
import { BookeExits } from '../exits.ts';
import { BookeInterrupts, PRIORITY } from '../interrupts.ts';
import {
  ASSISTED,
  ASSISTED_NAMES,
  BOOKE_STATE,
  DOUBLES,
  GUEST_TLB_ENTRIES,
  SAVED_WORDS,
  W_CCR0,
  W_CR,
  W_FPSCR,
  W_GPR,
  W_HALTED,
  W_INT_PENDING,
  W_MSR,
  W_PC,
  W_PENDING,
  W_PID,
  W_PIR,
  W_PVR,
  W_RESERVE_ADDRESS,
} from '../layout.ts';
import { BookeRegisters } from '../registers.ts';
import { SprEmulation } from '../spr-emulation.ts';
import { StorageEmulation } from '../storage.ts';
import { BookeTimers } from '../timers.ts';
import { GuestTlb440, PERMIT, permissions } from './mmu.ts';
import { Shadow440 } from './shadow.ts';

/** PVR of a 440EP, revision B, as QEMU's bamboo has it. */
export const PVR_440EP = 0x422218d3;
/** The FPRs' words in the block. */
const FPR_WORDS = fprOffset(0) >> 2;
const FPR_COUNT = 32;
const FPR_STRIDE = (fprOffset(1) - fprOffset(0)) >> 2;
/** Not a valid reservation address (layout.ts, RESERVE_ADDRESS). */
const NO_RESERVATION = 1;

export class Booke440 implements VcpuFamily {
  readonly #parts: FamilyParts<Host440Cpu>;
  readonly #words: Int32Array;
  readonly #time: GuestTime;
  readonly #counts: Float64Array;
  readonly #tlb: GuestTlb440;
  readonly #shadow: Shadow440;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  readonly #timers: BookeTimers;
  readonly #storage: StorageEmulation;
  readonly #emulation: BookeEmulation;
  readonly #exits: BookeExits;
  readonly #registers: BookeRegisters;
  readonly #debug: BookeDebug;

  constructor(parts: FamilyParts<Host440Cpu>) {
    const { cpu, memory, slots, time, counters, run } = parts;
    const { buffer } = memory.wasm;
    this.#parts = parts;
    this.#time = time;
    this.#counts = counters.counts;
    const tlb = new GuestTlb440(buffer, cpu.base);
    const shadow = new Shadow440(cpu, tlb, counters);
    const context = new BookeContext(cpu, memory, slots, tlb, shadow, parts.accel === 'assist');
    const interrupts = new BookeInterrupts(context, counters);
    const timers = new BookeTimers(context.words, buffer, cpu.base, time, () => interrupts.refreshTimers());
    const debug = new BookeDebug(new GuestDebug(counters, run), cpu, context, interrupts);
    const sprs = new SprEmulation(context, timers, time, counters, run, () => debug.registersChanged());
    const emulation = new BookeEmulation(context, interrupts, sprs, tlb, shadow, slots, counters, run);
    this.#storage = new StorageEmulation(context, interrupts, tlb, cpu, memory, counters, run, debug);
    this.#exits = new BookeExits(
      context,
      interrupts,
      emulation,
      this.#storage,
      tlb,
      shadow,
      slots,
      counters,
      run,
      debug,
    );
    this.#emulation = emulation;
    this.#registers = new BookeRegisters(context, interrupts, timers, () => debug.registersChanged());
    this.#debug = debug;
    this.#words = context.words;
    this.#tlb = tlb;
    this.#shadow = shadow;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#timers = timers;
  }

  reset(): void {
    const words = this.#words;
    words.fill(0, W_GPR, W_GPR + 64);
    words.fill(0, W_CR, W_CR + 8);
    words.fill(0, BOOKE_STATE >> 2, DOUBLES >> 2);
    words[W_RESERVE_ADDRESS] = NO_RESERVATION;
    words[W_PVR] = PVR_440EP;
    words[W_PIR] = this.#parts.id;
    words[W_CCR0] = 0;
    words[W_PC] = 0xfffffffc;
    words[W_INT_PENDING] = 0;
    this.#tlb.clear();
    this.#shadow.dropAll();
    this.#context.invalidate();
    words[W_MSR] = 0;
    words[W_FPSCR] = 0;
    words.fill(0, FPR_WORDS, FPR_WORDS + FPR_COUNT * FPR_STRIDE);
    this.#context.refreshFloat();
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
    return deadline === Number.POSITIVE_INFINITY ? deadline : this.#time.nanosecondsAt(deadline);
  }

  enter(): number {
    const words = this.#words;
    const rest = this.#storage.rest();
    if (rest !== RESUME_GUEST) return rest;
    this.#emulation.applyTlbWrites();
    const stepping = this.#context.stepping !== 0;
    if (stepping && this.#debug.host.due) return this.#debug.report();
    const blocked = stepping && this.#debug.host.blocksInterrupts;
    if (words[W_PENDING] !== 0 && !blocked && this.#interrupts.deliver() && words[W_HALTED] !== 0) {
      words[W_HALTED] = 0;
      (this.#counts[COUNTER.halt_wakeup] as number)++;
    }
    if (((words[W_MSR] as number) & MSR.WE) !== 0) return this.#halt();
    return this.#context.stepping === 0 ? RESUME_GUEST : this.#debug.begin();
  }

  handleExit(vector: number): number {
    const reason = this.#exits.handle(vector);
    return this.#debug.begun ? this.#debug.end(vector, reason) : reason;
  }

  interrupt(kind: number): void {
    const interrupts = this.#interrupts;
    switch (kind >>> 0) {
      case KVM_INTERRUPT.SET:
        interrupts.set(PRIORITY.EXTERNAL, true);
        break;
      case KVM_INTERRUPT.SET_LEVEL:
        interrupts.set(PRIORITY.EXTERNAL_LEVEL, true);
        break;
      default:
        interrupts.set(PRIORITY.EXTERNAL, false);
        interrupts.set(PRIORITY.EXTERNAL_LEVEL, false);
    }
  }

  criticalInterrupt(kind: number): void {
    const interrupts = this.#interrupts;
    switch (kind >>> 0) {
      case KVM_INTERRUPT.SET:
        interrupts.set(PRIORITY.CRITICAL, true);
        break;
      case KVM_INTERRUPT.SET_LEVEL:
        interrupts.set(PRIORITY.CRITICAL_LEVEL, true);
        break;
      default:
        interrupts.set(PRIORITY.CRITICAL, false);
        interrupts.set(PRIORITY.CRITICAL_LEVEL, false);
    }
  }

  setGuestDebug(debug: KvmGuestDebug): void {
    this.#debug.set(debug);
  }

  enableCap(): boolean {
    return false;
  }

  /** No dirty log is kept of a 440's memory. */
  protectPages(): void {}

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
      ASSISTED_NAMES.map((name, i) => [name, (this.#words[(ASSISTED >> 2) + i] as number) >>> 0]),
    );
  }

  translate(low: number): KvmTranslation {
    this.#emulation.applyTlbWrites();
    const address = low | 0;
    const words = this.#words;
    const msr = words[W_MSR] as number;
    const index = this.#tlb.search(address, words[W_PID] as number, (msr & MSR.DS) !== 0 ? 1 : 0);
    if (index < 0) return { physicalAddress: 0, valid: false, writeable: false, usermode: false };
    const word2 = this.#tlb.word(index, 2);
    return {
      physicalAddress: this.#tlb.frame(index, address) * 1024 + (address & 1023),
      valid: true,
      writeable: (permissions(word2, (msr & MSR.PR) !== 0) & PERMIT.WRITE) !== 0,
      usermode: permissions(word2, true) !== 0,
    };
  }

  saveState(): KvmState {
    this.#emulation.applyTlbWrites();
    return { ...saveWords(this.#words, SAVED_WORDS), ...this.#timers.save() };
  }

  restoreState(state: KvmState): void {
    const put = readWords(state, SAVED_WORDS);
    const timers = {
      decStart: savedNumber(state, 'decStart', -TIMEBASE_LIMIT, TIMEBASE_LIMIT),
      timersSeen: savedNumber(state, 'timersSeen', -TIMEBASE_LIMIT, TIMEBASE_LIMIT),
      watchdogReset: savedBoolean(state, 'watchdogReset'),
    };
    const words = this.#words;
    this.#emulation.applyTlbWrites();
    put(words);
    this.#tlb.restored();
    this.#shadow.dropAll();
    this.#context.invalidate();
    const msr = words[W_MSR] as number;
    words[W_MSR] = 0;
    this.#context.setMsr(msr);
    this.#context.refreshFloat();
    this.#context.select();
    words[W_INT_PENDING] = words[W_PENDING] === 0 ? 0 : 1;
    this.#timers.restore(timers);
    this.#debug.reset();
  }

  readonly tlbEntries = GUEST_TLB_ENTRIES;

  setTlbEntry(index: number, entry: { word0: number; word1: number; word2: number; tid: number }): void {
    this.#emulation.applyTlbWrites();
    this.#shadow.drop(index);
    this.#context.entryChanged(index);
    this.#tlb.write(index, 0, entry.word0 & ~TLB44X.ERPN_MASK, entry.tid & 0xff);
    this.#tlb.write(index, 1, entry.word1 | 0, 0);
    this.#tlb.write(index, 2, entry.word2 | 0, 0);
  }

  /** MSR[WE]: the guest waits until an interrupt that it lets through clears it. */
  #halt(): number {
    const words = this.#words;
    words[W_HALTED] = 1;
    const wakes = ((words[W_MSR] as number) & (MSR.EE | MSR.CE)) !== 0;
    this.#parts.run.hlt.wakeAt = wakes ? this.nextTimer() : Number.POSITIVE_INFINITY;
    (this.#counts[COUNTER.halt_exits] as number)++;
    return KVM_EXIT.HLT;
  }
}
