import { BUDGET, EVENT, gprOffset, type HostCpu, PC, VECTOR_HOST_STACK } from '../processor/index.ts';
import {
  KVM_EXIT,
  KVM_INTERRUPT,
  type KvmChainStep,
  type KvmConfigTlb,
  KvmError,
  type KvmExitReason,
  type KvmGuestDebug,
  type KvmRegs,
  type KvmRun,
  type KvmSregs,
  type KvmState,
  type KvmStats,
  type KvmTable,
  type KvmTracer,
  type KvmTranslation,
  type TlbEntry,
  type Vcpu,
  type VcpuCapability,
} from './api.ts';
import {
  checkBits,
  checkInteger,
  checkObject,
  checkOneOf,
  checkRegister,
  checkRegisters,
  checkWord,
} from './checks.ts';
import { RESUME_GUEST, RETRY_DATA, RETRY_FETCH, STEP_GUEST, type VcpuFamily } from './family.ts';
import { readRun, saveRun } from './run-state.ts';
import { savedPart } from './state.ts';
import { COUNTER, type VcpuCounters } from './stats.ts';
import type { GuestTime } from './time.ts';

/**
 * Instructions between two looks at the clock: at most so many, and when a timer is near as many as even slow code runs
 * until then, but not fewer than pay for the look. The slowest (sums of decimal numbers, while a browser has not compiled them
 * well yet) take 4 µs each, and come without warning: the most of them is what keeps the event loop waiting for 0.2 s. A
 * look costs 200 ns, a hundredth of what the fastest code takes for so many.
 */
const MIN_SLICE = 20_000;
const MAX_SLICE = 40_000;
const SLOW_INSTRUCTIONS_PER_NS = 0.25;
/** What takes longer than this between two looks is looked at twice as often; what takes less than a fourth, half as often. */
const LONG_LOOK_NS = 8e6;
/** What an exit is worth in instructions, so that a guest that only traps is looked at as often. */
const EXIT_COST = 64;

/** An instruction that makes more of the host's own misses on end does not get on: it has few operands. */
const MOST_RETRIES = 1000;

/** Word of the block: r3, in which hypercalls have their number. */
const HYPERCALL_NUMBER = gprOffset(3) >> 2;

const INTERRUPTS = Object.values(KVM_INTERRUPT);
/** The registers of `KvmRegs` that are one. */
const REGISTERS = ['pc', 'cr', 'ctr', 'lr', 'xer', 'msr', 'srr0', 'srr1', 'pid'] as const;

const CAPABILITIES: readonly string[] = ['papr', 'osi', 'epr', 'booke-watchdog', 'sw-tlb'] satisfies VcpuCapability[];

function checkTlbs(config: unknown): void {
  checkObject('the sizes of TLBs', config);
  const { tlbSizes, tlbWays } = config as KvmConfigTlb;
  for (const list of [tlbSizes, tlbWays])
    if (!(Array.isArray(list) && list.length <= 4 && list.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 16)))
      throw new KvmError('the sizes of TLBs are tlbSizes and tlbWays, up to four whole numbers each');
}

/** Nanoseconds: any number. */
function checkTime(name: string, value: unknown): void {
  if (typeof value !== 'number' || Number.isNaN(value))
    throw new KvmError(`${name} is a number of nanoseconds, not ${String(value)}`);
}

/** The shared area, every field in its place from the start. */
export function createKvmRun(): KvmRun {
  return {
    exitReason: KVM_EXIT.UNKNOWN,
    immediateExit: false,
    mmio: { physAddr: 0, data: 0, len: 0, isWrite: false },
    dcr: { dcrn: 0, data: 0, isWrite: false },
    hlt: { wakeAt: 0 },
    osi: { gprs: new BigUint64Array(32) },
    paprHcall: { nr: 0, ret: 0n, args: new BigUint64Array(9) },
    epr: { epr: 0 },
    systemEvent: { type: 0 },
    internal: { message: '', pc: 0 },
    debug: { arch: { address: 0n, status: 0 } },
  };
}

/** A vCPU: the run loop, the same for all families. The world switch is a call, since all registers live in the block. */
export class VirtualCpu implements Vcpu {
  readonly id: number;
  readonly kvmRun: KvmRun;
  readonly #cpu: HostCpu;
  readonly #family: VcpuFamily;
  readonly #time: GuestTime;
  readonly #counters: VcpuCounters;
  readonly #words: Int32Array;
  /** When the present `run` has to return, clock nanoseconds. */
  #end = 0;
  /** Instructions between two looks at the clock, and when it was looked at last: some take a microsecond each. */
  #pace = MAX_SLICE;
  #lookedAt = 0;
  /** Exits on end at one instruction of which the guest noticed nothing (icount). */
  #retries = 0;
  #tracer: KvmTracer | null = null;
  /** Interrupts that the tracer was told of. */
  #taken = 0;

  constructor(id: number, cpu: HostCpu, family: VcpuFamily, time: GuestTime, counters: VcpuCounters, run: KvmRun) {
    this.id = id;
    this.kvmRun = run;
    this.#cpu = cpu;
    this.#family = family;
    this.#time = time;
    this.#counters = counters;
    this.#words = new Int32Array(cpu.memory.wasm.buffer, cpu.base, (EVENT >> 2) + 1);
    family.reset();
    cpu.onTick = () => this.#tick();
  }

  /** A budget is spent while guest code runs: goes on at once unless a timer, an interrupt or user space is due. */
  #tick(): number {
    const now = this.#time.now();
    if (this.#words[EVENT >> 2] !== 0 || this.kvmRun.immediateExit) return 0;
    // Nothing is less than a clock that has gone wrong says.
    if (!(now < this.#end) || now >= this.#family.nextTimer()) return 0;
    (this.#counters.counts[COUNTER.tick_exits] as number)++;
    this.#adaptPace(now);
    const budget = this.#budget(now, this.#end);
    if (this.#time.icount !== 0) {
      this.#time.finish();
      this.#time.begin(budget);
    }
    return budget;
  }

  run(maxNanoseconds: number): KvmExitReason {
    checkTime('the time of a run', maxNanoseconds);
    const family = this.#family;
    const cpu = this.#cpu;
    const time = this.#time;
    const words = this.#words;
    const { counts } = this.#counters;
    const run = this.kvmRun;
    family.begin();
    // With icount nothing but the guest itself makes time pass: one that waits for its timer is taken there at once.
    if (time.icount !== 0 && run.exitReason === KVM_EXIT.HLT && run.hlt.wakeAt !== Number.POSITIVE_INFINITY)
      time.idle += Math.max(0, run.hlt.wakeAt - time.now());
    let now = time.now();
    if (Number.isNaN(now)) {
      family.end();
      throw new KvmError('the clock says NaN');
    }
    const end = now + maxNanoseconds;
    this.#end = end;
    let reason = family.updateTimers();
    if (reason !== RESUME_GUEST) return this.#leave(reason);
    if (run.immediateExit) return this.#interrupted();
    let budget = this.#budget(now, end);
    for (;;) {
      const entry = family.enter();
      if (this.#tracer !== null) this.#traceInterrupts(this.#tracer);
      if (entry >= 0) return this.#leave(entry);
      words[EVENT >> 2] = 0;
      if (time.icount !== 0) {
        words[BUDGET >> 2] = budget;
        time.begin(budget);
      }
      const vector = entry === STEP_GUEST ? cpu.step(budget) : cpu.run(budget);
      if (time.icount !== 0) time.finish();
      if (vector >= 0) {
        (counts[COUNTER.sum_exits] as number)++;
        time.exits++;
        reason = this.#tracer === null ? family.handleExit(vector) : this.#traceExit(this.#tracer, vector);
        let cost = time.icount === 0 ? EXIT_COST : 1;
        if (reason === RETRY_DATA || reason === RETRY_FETCH) {
          (counts[COUNTER.retry_exits] as number)++;
          if (time.icount !== 0 && this.#isUncounted(budget)) {
            time.exits--;
            cost = 0;
            // The block was begun with a budget: it is looked at again where it ends.
            if (reason === RETRY_DATA && (words[BUDGET >> 2] as number) <= 0) {
              (counts[COUNTER.light_exits] as number)++;
              budget = 1;
              continue;
            }
          }
        } else if (reason !== RESUME_GUEST) return this.#leave(reason);
        (counts[COUNTER.light_exits] as number)++;
        budget = (words[BUDGET >> 2] as number) - cost;
        if (budget > 0) continue;
      } else if (vector === VECTOR_HOST_STACK) return this.#hostStackSpent();
      else (counts[COUNTER.tick_exits] as number)++;
      now = time.now();
      this.#adaptPace(now);
      reason = family.updateTimers();
      if (reason !== RESUME_GUEST) return this.#leave(reason);
      if (!(now < end) || run.immediateExit) return this.#interrupted();
      budget = this.#budget(now, end);
    }
  }

  setTracer(tracer: KvmTracer | null): void {
    if (tracer !== null) checkObject('a tracer', tracer);
    this.#tracer = tracer;
    this.#taken = this.#family.traced?.taken() ?? 0;
  }

  vectorName(vector: number): string {
    return this.#family.traced?.vectors.get(vector) ?? `vector 0x${vector.toString(16)}`;
  }

  hypercallName(number: number): string | undefined {
    return this.#family.traced?.hypercalls?.get(number);
  }

  /** `VcpuFamily.handleExit`, told of. */
  #traceExit(tracer: KvmTracer, vector: number): number {
    const words = this.#words;
    const { traced } = this.#family;
    const { counts } = this.#counters;
    const word = traced !== undefined && vector === traced.program ? traced.word() : 0;
    tracer.exit(vector, words[PC >> 2] as number, words[(PC >> 2) + 1] as number, word);
    const number = words[HYPERCALL_NUMBER] as number;
    const hypercalls = counts[COUNTER.hcall_exits] as number;
    const reason = this.#family.handleExit(vector);
    const isHypercall = (counts[COUNTER.hcall_exits] as number) !== hypercalls;
    tracer.handled(reason === RETRY_DATA || reason === RETRY_FETCH, isHypercall ? number : -1, Math.max(reason, -1));
    this.#traceInterrupts(tracer);
    return reason;
  }

  #traceInterrupts(tracer: KvmTracer): void {
    const taken = this.#family.traced?.taken() ?? 0;
    if (taken === this.#taken) return;
    this.#taken = taken;
    tracer.interrupt(this.#words[PC >> 2] as number, this.#words[(PC >> 2) + 1] as number);
  }

  setGuestDebug(debug: KvmGuestDebug): void {
    this.#family.setGuestDebug(debug);
  }

  enableCap(capability: VcpuCapability, argument: number | KvmConfigTlb = 1): boolean {
    if (!CAPABILITIES.includes(capability)) return false;
    if (capability === 'sw-tlb') checkTlbs(argument);
    else checkWord('the argument of a capability', argument);
    return this.#family.enableCap(capability, argument);
  }

  interrupt(kind: number): void {
    checkOneOf('a kind of interrupt', kind, INTERRUPTS);
    this.#family.interrupt(kind);
    this.#words[EVENT >> 2] = 1;
  }

  criticalInterrupt(kind: number): void {
    checkOneOf('a kind of interrupt', kind, INTERRUPTS);
    this.#family.criticalInterrupt(kind);
    this.#words[EVENT >> 2] = 1;
  }

  getRegs(): KvmRegs {
    return this.#family.getRegs();
  }

  setRegs(regs: KvmRegs): void {
    checkObject('regs', regs);
    for (const name of REGISTERS) checkBits(name, regs[name], 64);
    checkRegisters('sprg', regs.sprg, 8);
    checkRegisters('gpr', regs.gpr, 32);
    this.#family.setRegs(regs);
  }

  getSregs(): KvmSregs {
    return this.#family.getSregs();
  }

  setSregs(sregs: Partial<KvmSregs>): void {
    checkObject('sregs', sregs);
    const known = this.#family.getSregs();
    for (const [name, value] of Object.entries(sregs)) {
      if (!Object.hasOwn(known, name)) throw new KvmError(`there is no special register '${name.slice(0, 40)}'`);
      if (value === undefined) continue;
      if (typeof known[name] === 'bigint') checkRegister(name, value);
      else checkWord(name, typeof value === 'bigint' ? Number(value) : value);
    }
    this.#family.setSregs(sregs);
  }

  getOneReg(id: bigint): bigint | undefined {
    checkBits('the id of a register', id, 64);
    return this.#family.getOneReg(id);
  }

  setOneReg(id: bigint, value: bigint): boolean {
    checkBits('the id of a register', id, 64);
    checkBits('the value of a register', value, 128);
    return this.#family.setOneReg(id, value);
  }

  translate(effectiveAddress: number | bigint): KvmTranslation {
    if (typeof effectiveAddress === 'bigint') checkBits('an effective address', effectiveAddress, 64);
    else checkInteger('an effective address', effectiveAddress, 0, 2 ** 64 - 1);
    const address = BigInt(effectiveAddress);
    return this.#family.translate(Number(BigInt.asUintN(32, address)), Number(BigInt.asUintN(32, address >> 32n)));
  }

  setTlbEntry(index: number, entry: TlbEntry): void {
    const { tlbEntries } = this.#family;
    if (tlbEntries === 0) throw new KvmError('this processor has no TLB that is set entry by entry');
    checkInteger('the index of a TLB entry', index, 0, tlbEntries - 1);
    checkObject('a TLB entry', entry);
    if ('mas1' in entry) for (const name of ['mas1', 'mas2', 'mas3', 'mas7'] as const) checkWord(name, entry[name]);
    else {
      for (const name of ['word0', 'word1', 'word2'] as const) checkWord(name, entry[name]);
      checkInteger('tid', entry.tid, 0, 255);
    }
    this.#family.setTlbEntry(index, entry);
  }

  tables(limit: number): readonly KvmTable[] {
    checkInteger('the limit of rows', limit, 0, 2 ** 32);
    return this.#family.tables?.(limit) ?? [];
  }

  chain(effectiveAddress: bigint): readonly KvmChainStep[] {
    checkBits('an effective address', effectiveAddress, 64);
    const low = Number(BigInt.asUintN(32, effectiveAddress));
    const high = Number(BigInt.asUintN(32, effectiveAddress >> 32n));
    const steps = this.#family.chain?.(low, high);
    if (steps !== undefined) return steps;
    // Where it comes from the family does not say.
    const { valid, physicalAddress } = this.#family.translate(low, high);
    return [
      { what: 'effective address', address: BigInt.asUintN(64, effectiveAddress), by: '' },
      { what: 'guest real address', address: valid ? BigInt(physicalAddress) : undefined, by: 'KVM_TRANSLATE' },
    ];
  }

  /** For `Vm.save`. */
  save(): KvmState {
    return { id: this.id, guest: this.#family.saveState(), run: saveRun(this.kvmRun) };
  }

  /** @throws KvmError when it is no vCPU's state. */
  restore(state: KvmState): void {
    const put = readRun(savedPart(state, 'run'));
    this.#family.restoreState(savedPart(state, 'guest'));
    put(this.kvmRun);
    this.#words[EVENT >> 2] = 1;
  }

  reset(): void {
    this.#family.reset();
    this.kvmRun.exitReason = KVM_EXIT.UNKNOWN;
  }

  get stats(): KvmStats {
    return { ...this.#counters.toObject(), ...this.#family.stats };
  }

  /**
   * Whether an exit of which the guest notices nothing is left out of counted time: but for one that comes again and again
   * at the same instruction, so that time passes whatever a guest does.
   */
  #isUncounted(budget: number): boolean {
    this.#retries = this.#words[BUDGET >> 2] === budget ? this.#retries + 1 : 0;
    return this.#retries < MOST_RETRIES;
  }

  /** A look at the clock tells how long the one before is ago. With icount it does not. */
  #adaptPace(now: number): void {
    const took = now - this.#lookedAt;
    if (took > LONG_LOOK_NS) this.#pace = Math.max(MIN_SLICE, this.#pace >> 1);
    else if (took < LONG_LOOK_NS / 4 && this.#pace < MAX_SLICE) this.#pace = Math.min(MAX_SLICE, this.#pace << 1);
  }

  /** Instructions until the clock must be looked at. With icount timers fire on the very instruction. */
  #budget(now: number, end: number): number {
    const { icount } = this.#time;
    const until = Math.min(end, this.#family.nextTimer());
    if (icount === 0) {
      this.#lookedAt = now;
      const safe = Math.floor((until - now) * SLOW_INSTRUCTIONS_PER_NS);
      return Math.max(MIN_SLICE, Math.min(this.#pace, safe));
    }
    const instructions = Math.ceil((until - now) / icount);
    return Math.max(1, Math.min(MIN_SLICE, instructions));
  }

  #leave(reason: number): KvmExitReason {
    this.#family.end();
    this.kvmRun.exitReason = reason as KvmExitReason;
    return reason as KvmExitReason;
  }

  #hostStackSpent(): KvmExitReason {
    this.kvmRun.internal.message = "the host's stack has no room for what the guest needs";
    this.kvmRun.internal.pc = this.#words[PC >> 2] as number;
    return this.#leave(KVM_EXIT.INTERNAL_ERROR);
  }

  #interrupted(): KvmExitReason {
    (this.#counters.counts[COUNTER.signal_exits] as number)++;
    return this.#leave(KVM_EXIT.INTR);
  }
}
