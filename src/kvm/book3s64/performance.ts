/**
 * The performance monitor of a server (Power ISA 2.07 Book III-S, chapter 9), and what it is the only source of here: event-based
 * branches. It counts instructions and cycles; a cycle is time that the guest's processor had. Nothing ticks: counters follow
 * when they are looked at, and where that makes a difference, as the state changes.
 */
import { registersOf } from '../../isa/registers/index.ts';
import { LEVELS_OF, type ServerModelName } from '../../processor/index.ts';
import type { Book3sContext } from '../book3s/context.ts';
import { type Book3sInterrupts, PRIORITY } from '../book3s/interrupts.ts';
import {
  D_MONITOR_CYCLES,
  D_MONITOR_INSTRUCTIONS,
  DOUBLE_COUNT,
  DOUBLES,
  W_BESCR,
  W_CFAR,
  W_CTRL,
  W_FSCR,
  W_MONITORED,
  W_PC,
  W_SIAR,
  W_SRR0,
  wordOf,
} from '../book3s/layout.ts';
import type { VirtualTime } from '../book3s/virtual-time.ts';
import type { GuestTime } from '../time.ts';
import { EVENT, EVENTS_OF, type MonitorEvents } from './monitor-events.ts';

/** MMCR0, low word (9.4.4). */
const MMCR0 = {
  FC: 0x8000_0000 | 0,
  FCS: 0x4000_0000,
  FCP: 0x2000_0000,
  FCM1: 0x1000_0000,
  FCM0: 0x0800_0000,
  PMAE: 0x0400_0000,
  FCECE: 0x0200_0000,
  TBSEL_SHIFT: 23,
  TBEE: 0x0040_0000,
  EBE: 0x0010_0000,
  PMC1CE: 0x8000,
  PMCJCE: 0x4000,
  PMAO: 0x80,
} as const;
/** The time base's bits that MMCR0[TBSEL] selects. */
const TIME_BITS: readonly number[] = [1, 2 ** 8, 2 ** 12, 2 ** 16];
/** A counter's bits of MMCR2, its four that freeze it, those of PMC1 in the leftmost bits, nine for each. */
const MMCR2 = { FCS: 8, FCP: 4, FCM1: 2, FCM0: 1 } as const;
/** BESCR, high and low word (2.07 Book II, 7.2). */
const BESCR_HIGH = { GE: 0x8000_0000 | 0, PME: 1 } as const;
const BESCR_PMEO = 1;
const CTRL_RUN = 1;
const FSCR_EBB = 1 << 7;
/** SIER on POWER8: SIAR is of the instruction, which was a program's. */
const SIER = { PROBLEM: 0x200_0000, VALID: 0x40_0000 } as const;

/** What instructions may be carried out in a nanosecond: a counter's overflow is looked for no sooner. */
const INSTRUCTIONS_PER_NS = 3;
/** MMCR0[PMCC] of 2 or 3. */
const PMCC_WRITES = 0x8_0000;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;

const W_MMCR0 = wordOf('mmcr0');
const W_MMCR1 = wordOf('mmcr1');
const W_MMCR2 = wordOf('mmcr2');
const W_MMCRA = wordOf('mmcra');
const W_SIER = wordOf('sier');
const W_SDAR = wordOf('sdar');
const W_EBBHR = wordOf('ebbhr');
const W_EBBRR = wordOf('ebbrr');
const W_PMC: readonly number[] = ([1, 2, 3, 4, 5, 6, 7, 8] as const).map((n) => wordOf(`pmc${n}`));

export class PerformanceMonitor {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #time: GuestTime;
  readonly #virtualTime: VirtualTime;
  readonly #retired: () => number;
  readonly #cyclesPerTick: number;
  readonly #events: MonitorEvents;
  /** The model has MMCR2, SIER and event-based branches. */
  readonly #isLater: boolean;
  /** By counter: what it counts in problem state and in the operating system. */
  readonly #problem: Int8Array;
  readonly #privileged: Int8Array;
  #counts = false;
  /** It counts something else in problem state than in the operating system. */
  #differs = false;
  /** Nanosecond from which on something is to be looked for. */
  deadline = Number.POSITIVE_INFINITY;
  /** Time base at which its selected bit is set next. */
  #timeEvent = Number.POSITIVE_INFINITY;
  /** Where the address stands of what was carried out last: PC, but where the state is just being changed. */
  #wAddress = W_PC;
  readonly #beforeState = (): void => {
    this.#wAddress = this.#context.user ? W_SRR0 : W_CFAR;
    this.sync();
    this.#wAddress = W_PC;
  };

  constructor(
    name: ServerModelName,
    context: Book3sContext,
    interrupts: Book3sInterrupts,
    time: GuestTime,
    virtualTime: VirtualTime,
    buffer: ArrayBufferLike,
    base: number,
    retired: () => number,
  ) {
    this.#words = context.words;
    this.#doubles = new Float64Array(buffer, base + DOUBLES, DOUBLE_COUNT);
    this.#context = context;
    this.#interrupts = interrupts;
    this.#time = time;
    this.#virtualTime = virtualTime;
    this.#retired = retired;
    this.#events = EVENTS_OF[name];
    this.#cyclesPerTick = this.#events.cyclesPerNanosecond / time.ticksPerNanosecond;
    this.#problem = new Int8Array(this.#events.counters);
    this.#privileged = new Int8Array(this.#events.counters);
    this.#isLater = registersOf(LEVELS_OF[name]).has(785);
  }

  /** The registers were set to their first values, or to others. */
  changed(): void {
    const words = this.#words;
    const mmcr0 = words[W_MMCR0] as number;
    let differs = false;
    this.#counts = false;
    for (let i = 0; i < this.#events.counters; i++) {
      const problem = this.#eventOf(i, true);
      const privileged = this.#eventOf(i, false);
      this.#problem[i] = problem;
      this.#privileged[i] = privileged;
      if (problem !== privileged) differs = true;
      if (problem !== EVENT.NONE || privileged !== EVENT.NONE) this.#counts = true;
    }
    this.#differs = differs;
    this.#context.beforeState = differs ? this.#beforeState : null;
    if (this.#counts) this.#look();
    const timed = (mmcr0 & MMCR0.TBEE) !== 0 && (mmcr0 & MMCR0.PMAE) !== 0 && (mmcr0 & MMCR0.FC) === 0;
    this.#timeEvent = timed ? this.#nextTimeEvent(this.#time.timebase()) : Number.POSITIVE_INFINITY;
    this.#check();
    this.#signal();
  }

  /** Brings the counters up to date. */
  sync(): void {
    if (!this.#counts) return;
    const doubles = this.#doubles;
    const instructions = doubles[D_MONITOR_INSTRUCTIONS] as number;
    const cycles = doubles[D_MONITOR_CYCLES] as number;
    this.#look();
    const done = (doubles[D_MONITOR_INSTRUCTIONS] as number) - instructions;
    const passed = (doubles[D_MONITOR_CYCLES] as number) - cycles;
    const words = this.#words;
    const events = this.#context.user ? this.#problem : this.#privileged;
    const runs = ((words[W_CTRL] as number) & CTRL_RUN) !== 0;
    for (let i = 0; i < this.#events.counters; i++) {
      const event = events[i];
      if (event === EVENT.NONE || (!runs && (event === EVENT.RUN_INSTRUCTIONS || event === EVENT.RUN_CYCLES))) continue;
      const more = event === EVENT.CYCLES || event === EVENT.RUN_CYCLES ? passed : done;
      const at = W_PMC[i] as number;
      words[at] = (((words[at] as number) >>> 0) + (more % TWO_32)) | 0;
    }
    this.#check();
  }

  /** Nanosecond at which it wakes a guest that waits. */
  get wakeAt(): number {
    return this.#timeEvent === Number.POSITIVE_INFINITY ? this.#timeEvent : this.#time.nanosecondsAt(this.#timeEvent);
  }

  /** What a slice's end calls. */
  poll(): void {
    if (this.#time.now() >= this.deadline) {
      const now = this.#time.timebase();
      if (now >= this.#timeEvent) {
        this.#timeEvent = this.#nextTimeEvent(now);
        this.sync();
        this.#alert();
      }
      this.sync();
      this.#plan();
    }
  }

  /** An event-based branch that is due is taken (Book II, 7.3). */
  branch(): void {
    const words = this.#words;
    if (!this.#branchWaits || !this.#context.user || ((words[W_FSCR] as number) & FSCR_EBB) === 0) return;
    words[W_BESCR + 1] = (words[W_BESCR + 1] as number) & ~BESCR_HIGH.GE;
    words[W_EBBRR] = words[W_PC] as number;
    words[W_EBBRR + 1] = words[W_PC + 1] as number;
    words[W_PC] = (words[W_EBBHR] as number) & ~3;
    words[W_PC + 1] = words[W_EBBHR + 1] as number;
    this.#plan();
  }

  /** An event-based branch is due, once there is problem state. */
  get #branchWaits(): boolean {
    const high = this.#words[W_BESCR + 1] as number;
    if (((this.#words[W_BESCR] as number) & BESCR_PMEO) === 0) return false;
    return (high & BESCR_HIGH.GE) !== 0 && (high & BESCR_HIGH.PME) !== 0;
  }

  /** The model has event-based branches, with them rfebb, and a branch history. */
  get branches(): boolean {
    return this.#isLater;
  }

  /** Problem state has the branch history, and may clear it. */
  get opensHistory(): boolean {
    return ((this.#words[W_MMCR0] as number) & PMCC_WRITES) !== 0;
  }

  /** rfebb: to EBBRR, with BESCR[GE] as the instruction says. */
  returnFromBranch(enable: boolean): void {
    const words = this.#words;
    words[W_CFAR] = words[W_PC] as number;
    words[W_CFAR + 1] = words[W_PC + 1] as number;
    const high = words[W_BESCR + 1] as number;
    words[W_BESCR + 1] = enable ? high | BESCR_HIGH.GE : high & ~BESCR_HIGH.GE;
    words[W_PC] = (words[W_EBBRR] as number) & ~3;
    words[W_PC + 1] = words[W_EBBRR + 1] as number;
    this.#plan();
  }

  /** What a counter counts in a state, as the control registers say. */
  #eventOf(index: number, problem: boolean): number {
    const words = this.#words;
    const mmcr0 = words[W_MMCR0] as number;
    // MSR[PMM] marks processes; nobody here has it set, and where it is not, FCM0 freezes.
    if ((mmcr0 & ((problem ? MMCR0.FCP : MMCR0.FCS) | MMCR0.FC | MMCR0.FCM0)) !== 0) return EVENT.NONE;
    if (this.#isLater && (this.#freezing(index) & ((problem ? MMCR2.FCP : MMCR2.FCS) | MMCR2.FCM0)) !== 0)
      return EVENT.NONE;
    return this.#events.select(index, mmcr0, words[W_MMCR1] as number);
  }

  /** MMCR2's first four bits for a counter. */
  #freezing(index: number): number {
    const wide =
      (BigInt((this.#words[W_MMCR2 + 1] as number) >>> 0) << 32n) | BigInt((this.#words[W_MMCR2] as number) >>> 0);
    return Number((wide >> BigInt(60 - 9 * index)) & 15n);
  }

  /** Notes how much there has been of either. */
  #look(): void {
    const doubles = this.#doubles;
    doubles[D_MONITOR_INSTRUCTIONS] = this.#retired();
    doubles[D_MONITOR_CYCLES] = Math.floor(this.#virtualTime.read() * this.#cyclesPerTick);
  }

  /** Whether a counter that has become negative is to be told of. */
  #overflows(index: number, mmcr0: number): boolean {
    return (mmcr0 & (index === 0 ? MMCR0.PMC1CE : MMCR0.PMCJCE)) !== 0;
  }

  #check(): void {
    const words = this.#words;
    const mmcr0 = words[W_MMCR0] as number;
    if ((mmcr0 & MMCR0.PMAE) !== 0)
      for (let i = 0; i < this.#events.counters; i++)
        if ((words[W_PMC[i] as number] as number) < 0 && this.#overflows(i, mmcr0)) {
          this.#alert();
          break;
        }
    this.#plan();
  }

  /** A performance monitor alert (9.2). */
  #alert(): void {
    const words = this.#words;
    const mmcr0 = words[W_MMCR0] as number;
    if ((mmcr0 & MMCR0.PMAE) === 0) return;
    const { user } = this.#context;
    words[W_MMCR0] = (mmcr0 & ~MMCR0.PMAE) | MMCR0.PMAO | ((mmcr0 & MMCR0.FCECE) !== 0 ? MMCR0.FC : 0);
    words[W_SIAR] = words[this.#wAddress] as number;
    words[W_SIAR + 1] = words[this.#wAddress + 1] as number;
    words[W_SDAR] = 0;
    words[W_SDAR + 1] = 0;
    if (this.#isLater) {
      words[W_SIER] = SIER.VALID | (user ? SIER.PROBLEM : 0);
      words[W_SIER + 1] = 0;
    } else {
      const { low, high } = this.#events.problem;
      words[W_MMCRA] = ((words[W_MMCRA] as number) & ~low) | (user ? low : 0);
      words[W_MMCRA + 1] = ((words[W_MMCRA + 1] as number) & ~high) | (user ? high : 0);
    }
    if (this.#isLater && (mmcr0 & MMCR0.EBE) !== 0 && ((words[W_BESCR + 1] as number) & BESCR_HIGH.PME) !== 0)
      words[W_BESCR] = (words[W_BESCR] as number) | BESCR_PMEO;
    this.changed();
  }

  /** The interrupt is there as long as MMCR0[PMAO], unless alerts are for event-based branches. */
  #signal(): void {
    const mmcr0 = this.#words[W_MMCR0] as number;
    const forBranches = this.#isLater && (mmcr0 & MMCR0.EBE) !== 0;
    this.#interrupts.set(PRIORITY.PERFORMANCE_MONITOR, (mmcr0 & MMCR0.PMAO) !== 0 && !forBranches);
  }

  #nextTimeEvent(now: number): number {
    const bit = TIME_BITS[((this.#words[W_MMCR0] as number) >>> MMCR0.TBSEL_SHIFT) & 3] as number;
    return (Math.floor((now - bit) / (2 * bit)) + 1) * 2 * bit + bit;
  }

  /** When something is to be looked for next. */
  #plan(): void {
    const words = this.#words;
    const time = this.#time;
    const mmcr0 = words[W_MMCR0] as number;
    // System calls and returns are served in vector code, unless it matters how much is done on either side of them, or a
    // branch is taken in problem state.
    words[W_MONITORED] = this.#differs || this.#branchWaits ? 1 : 0;
    this.deadline = Number.POSITIVE_INFINITY;
    if ((mmcr0 & MMCR0.PMAE) === 0 || (mmcr0 & MMCR0.FC) !== 0) return;
    let nanoseconds = Number.POSITIVE_INFINITY;
    if (this.#counts)
      for (let i = 0; i < this.#events.counters; i++) {
        const event = this.#problem[i] || this.#privileged[i];
        const left = TWO_31 - ((words[W_PMC[i] as number] as number) >>> 0);
        if (event === EVENT.NONE || left <= 0 || !this.#overflows(i, mmcr0)) continue;
        const cycles = event === EVENT.CYCLES || event === EVENT.RUN_CYCLES;
        const each = cycles ? 1 / this.#events.cyclesPerNanosecond : time.icount || 1 / INSTRUCTIONS_PER_NS;
        nanoseconds = Math.min(nanoseconds, left * each);
      }
    if (nanoseconds !== Number.POSITIVE_INFINITY) nanoseconds += time.now();
    this.deadline = Math.min(nanoseconds, this.wakeAt);
  }
}
