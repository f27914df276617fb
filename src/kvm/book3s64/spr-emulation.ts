/** mfspr and mtspr of a Book3S 64 guest. */

import { FACILITY } from '../../isa/registers/index.ts';
import type { Book3sContext } from '../book3s/context.ts';
import type { Decrementer } from '../book3s/decrementer.ts';
import {
  D_IC_START,
  DOUBLE_COUNT,
  DOUBLES,
  readXer,
  W_BESCR,
  W_FSCR,
  W_PAPR,
  W_PPR,
  W_SDR1,
  wordOf,
  writeXer,
} from '../book3s/layout.ts';
import type { VirtualTime } from '../book3s/virtual-time.ts';
import type { VcpuCounters } from '../stats.ts';
import type { GuestTime } from '../time.ts';
import type { PerformanceMonitor } from './performance.ts';
import { NO_FACILITY, RIGHT, SPECIAL, type SprTable } from './sprs.ts';

const TWO_32 = 2 ** 32;
const W_MMCR0 = wordOf('mmcr0');
const W_MMCR2 = wordOf('mmcr2');
/** MMCR0[PMCC]: what problem state may do to group A (Book III-S, 9.4.4). */
const PMCC_SHIFT = 18;
const PMCC = { READ: 0, NOTHING: 1 } as const;
/** The bits of MMCR0 (FC, PMAE, PMAO) and MMCR2 (FC1P … FC6P) that problem state writes. */
const MMCR0_USER = { LOW: 0x8400_0080 | 0, HIGH: 0 } as const;
const MMCR2_USER = { LOW: 0x0402_0000, HIGH: 0x4020_1008 } as const;

/** What `read` and `write` say. */
export const SPR_MOVE = {
  DONE: 0,
  /** No such register. */
  UNKNOWN: 1,
  /** Only a hypervisor may. */
  FORBIDDEN: 2,
  /** Problem state may not have its facility. */
  FACILITY: 3,
} as const;

export class SprEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #decrementer: Decrementer;
  readonly #virtualTime: VirtualTime;
  readonly #monitor: PerformanceMonitor;
  readonly #time: GuestTime;
  readonly #counters: VcpuCounters;
  readonly #retired: () => number;
  readonly #onSdr1: () => void;
  /** A register of the debug facilities was written. */
  readonly #onDebug: () => void;
  readonly #table: SprTable;
  /** The facility that was not available. */
  facility = 0;
  readonly #doubles: Float64Array;

  constructor(
    context: Book3sContext,
    table: SprTable,
    decrementer: Decrementer,
    virtualTime: VirtualTime,
    monitor: PerformanceMonitor,
    time: GuestTime,
    counters: VcpuCounters,
    retired: () => number,
    onSdr1: () => void,
    onDebug: () => void,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#table = table;
    this.#decrementer = decrementer;
    this.#virtualTime = virtualTime;
    this.#monitor = monitor;
    this.#time = time;
    this.#counters = counters;
    this.#retired = retired;
    this.#doubles = new Float64Array(this.#words.buffer, this.#words.byteOffset + DOUBLES, DOUBLE_COUNT);
    this.#onSdr1 = onSdr1;
    this.#onDebug = onDebug;
  }

  /** IC: how many instructions were carried out. */
  get instructions(): number {
    return this.#retired() - (this.#doubles[D_IC_START] as number);
  }

  set instructions(count: number) {
    this.#doubles[D_IC_START] = this.#retired() - count;
  }

  /** mfspr into the register at `target`. */
  read(spr: number, target: number): number {
    const words = this.#words;
    const permission = this.#permit(spr, RIGHT.READ, RIGHT.USER_READ);
    if (permission !== SPR_MOVE.DONE) return permission;
    (this.#counters.sprs[spr] as number)++;
    const word = this.#table.word[spr] as number;
    switch (this.#table.special[spr]) {
      case SPECIAL.MONITOR:
        this.#monitor.sync();
        this.#set(target, words[word] as number, words[word + 1] as number);
        break;
      case SPECIAL.MONITOR_WORD:
        this.#monitor.sync();
        this.#set(target, words[word] as number, 0);
        break;
      case SPECIAL.WORD:
      case SPECIAL.DEBUG_WORD:
        this.#set(target, words[word] as number, 0);
        break;
      case SPECIAL.IGNORED:
        this.#set(target, 0, 0);
        break;
      case SPECIAL.RESERVED:
        break;
      case SPECIAL.XER:
        this.#set(target, readXer(words), 0);
        break;
      case SPECIAL.DEC:
        this.#set(target, this.#decrementer.read(), 0);
        break;
      case SPECIAL.DSISR:
        this.#set(target, words[this.#context.wDsisr] as number, 0);
        break;
      case SPECIAL.SDR1:
        if (words[W_PAPR] !== 0) return SPR_MOVE.FORBIDDEN;
        this.#set(target, words[W_SDR1] as number, words[W_SDR1 + 1] as number);
        break;
      case SPECIAL.TIME:
      case SPECIAL.TB:
        this.#setNumber(target, this.#time.timebase());
        break;
      case SPECIAL.TBU:
        this.#set(target, Math.floor(this.#time.timebase() / TWO_32), 0);
        break;
      case SPECIAL.VTB:
        this.#setNumber(target, this.#virtualTime.read());
        break;
      case SPECIAL.IC:
        this.#setNumber(target, this.instructions);
        break;
      case SPECIAL.BESCR_SET_UPPER:
      case SPECIAL.BESCR_RESET_UPPER:
        this.#set(target, words[W_BESCR + 1] as number, 0);
        break;
      case SPECIAL.PPR32:
        this.#set(target, words[W_PPR + 1] as number, 0);
        break;
      default:
        this.#set(target, words[word] as number, words[word + 1] as number);
    }
    return SPR_MOVE.DONE;
  }

  /** mtspr. */
  write(spr: number, low: number, high: number): number {
    const words = this.#words;
    const permission = this.#permit(spr, RIGHT.WRITE, RIGHT.USER_WRITE);
    if (permission !== SPR_MOVE.DONE) return permission;
    (this.#counters.sprs[1024 + spr] as number)++;
    const word = this.#table.word[spr] as number;
    switch (this.#table.special[spr]) {
      case SPECIAL.WIDE:
        this.#set(word, low & (this.#table.maskLow[spr] as number), high & (this.#table.maskHigh[spr] as number));
        break;
      case SPECIAL.BESCR:
        this.#set(word, low, high);
        this.#monitor.changed();
        break;
      case SPECIAL.MONITOR:
        this.#monitor.sync();
        this.#writeMonitor(word, low, high);
        this.#monitor.changed();
        break;
      case SPECIAL.MONITOR_WORD:
        this.#monitor.sync();
        words[word] = low;
        this.#monitor.changed();
        break;
      case SPECIAL.WORD:
        words[word] = low;
        break;
      case SPECIAL.DEBUG:
        this.#set(word, low, high);
        this.#onDebug();
        break;
      case SPECIAL.DEBUG_WORD:
        words[word] = low;
        this.#onDebug();
        break;
      case SPECIAL.XER:
        writeXer(words, low);
        break;
      case SPECIAL.DEC:
        this.#decrementer.write(low);
        break;
      case SPECIAL.DSISR:
        words[this.#context.wDsisr] = low;
        break;
      case SPECIAL.SDR1:
        if (words[W_PAPR] !== 0) return SPR_MOVE.FORBIDDEN;
        this.#set(W_SDR1, low, high);
        this.#onSdr1();
        break;
      case SPECIAL.BESCR_SET:
        words[W_BESCR] = (words[W_BESCR] as number) | low;
        words[W_BESCR + 1] = (words[W_BESCR + 1] as number) | high;
        this.#monitor.changed();
        break;
      case SPECIAL.BESCR_SET_UPPER:
        words[W_BESCR + 1] = (words[W_BESCR + 1] as number) | low;
        this.#monitor.changed();
        break;
      case SPECIAL.BESCR_RESET:
        words[W_BESCR] = (words[W_BESCR] as number) & ~low;
        words[W_BESCR + 1] = (words[W_BESCR + 1] as number) & ~high;
        this.#monitor.changed();
        break;
      case SPECIAL.BESCR_RESET_UPPER:
        words[W_BESCR + 1] = (words[W_BESCR + 1] as number) & ~low;
        this.#monitor.changed();
        break;
      case SPECIAL.PPR32:
        words[W_PPR + 1] = low;
        break;
      default: // read-only, ignored, and what the time base says
    }
    return SPR_MOVE.DONE;
  }

  /** The monitor's control registers: problem state, where MMCR0[PMCC] lets it, writes some bits of them. */
  #writeMonitor(word: number, low: number, high: number): void {
    const words = this.#words;
    const mask = !this.#context.user ? null : word === W_MMCR0 ? MMCR0_USER : word === W_MMCR2 ? MMCR2_USER : null;
    const keptLow = mask === null ? 0 : ~mask.LOW;
    const keptHigh = mask === null ? 0 : ~mask.HIGH;
    const newLow = ((words[word] as number) & keptLow) | (low & ~keptLow);
    this.#set(word, newLow, ((words[word + 1] as number) & keptHigh) | (high & ~keptHigh));
  }

  /** Whether there is the register, and the mode may: in problem state its facility has a say, which is noted. */
  #permit(spr: number, right: number, userRight: number): number {
    const rights = this.#table.rights[spr] as number;
    if (!this.#context.user) return (rights & right) === 0 ? SPR_MOVE.UNKNOWN : SPR_MOVE.DONE;
    if ((rights & userRight) === 0) return SPR_MOVE.UNKNOWN;
    const facility = this.#table.facility[spr] as number;
    if (facility === NO_FACILITY) return SPR_MOVE.DONE;
    if (facility === FACILITY.performanceMonitor) {
      const pmcc = ((this.#words[W_MMCR0] as number) >>> PMCC_SHIFT) & 3;
      if (pmcc > PMCC.NOTHING || (pmcc === PMCC.READ && userRight === RIGHT.USER_READ)) return SPR_MOVE.DONE;
      if (pmcc === PMCC.READ) return SPR_MOVE.UNKNOWN;
    } else if (((this.#words[W_FSCR] as number) & (1 << facility)) !== 0) return SPR_MOVE.DONE;
    this.facility = facility;
    return SPR_MOVE.FACILITY;
  }

  #set(word: number, low: number, high: number): void {
    this.#words[word] = low;
    this.#words[word + 1] = high;
  }

  #setNumber(word: number, value: number): void {
    this.#words[word] = value;
    this.#words[word + 1] = Math.floor(value / TWO_32);
  }
}
