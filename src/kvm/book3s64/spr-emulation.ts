/** mfspr and mtspr of a Book3S 64 guest. */

import type { Book3sContext } from '../book3s/context.ts';
import type { Decrementer } from '../book3s/decrementer.ts';
import { readXer, W_PAPR, W_PPR, W_SDR1, wordOf, writeXer } from '../book3s/layout.ts';
import type { VcpuCounters } from '../stats.ts';
import type { GuestTime } from '../time.ts';
import { FACILITY, SPECIAL, SPR_FACILITY, SPR_ON, SPR_SPECIAL, SPR_USER, SPR_WORD, USER } from './sprs.ts';

const TWO_32 = 2 ** 32;
const W_BESCR = wordOf('bescr');
const W_FSCR = wordOf('fscr');

/** What `read` and `write` say. */
export const SPR_MOVE = {
  DONE: 0,
  /** No such register. */
  UNKNOWN: 1,
  /** Only a hypervisor may. */
  FORBIDDEN: 2,
  /** FSCR does not let problem state have it. */
  FACILITY: 3,
} as const;

export class SprEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #decrementer: Decrementer;
  readonly #time: GuestTime;
  readonly #counters: VcpuCounters;
  readonly #onSdr1: () => void;

  constructor(
    context: Book3sContext,
    decrementer: Decrementer,
    time: GuestTime,
    counters: VcpuCounters,
    onSdr1: () => void,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#decrementer = decrementer;
    this.#time = time;
    this.#counters = counters;
    this.#onSdr1 = onSdr1;
  }

  /** mfspr into the register at `target`. */
  read(spr: number, target: number): number {
    const words = this.#words;
    if (((SPR_ON[spr] as number) & this.#context.model.on) === 0) return SPR_MOVE.UNKNOWN;
    const permission = this.#permit(spr, USER.READ);
    if (permission !== SPR_MOVE.DONE) return permission;
    (this.#counters.sprs[spr] as number)++;
    const word = SPR_WORD[spr] as number;
    switch (SPR_SPECIAL[spr]) {
      case SPECIAL.WORD:
        this.#set(target, words[word] as number, 0);
        break;
      case SPECIAL.IGNORED:
        this.#set(target, 0, 0);
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
        this.#setNumber(target, this.#decrementer.virtualTime());
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
    if (((SPR_ON[spr] as number) & this.#context.model.on) === 0) return SPR_MOVE.UNKNOWN;
    const permission = this.#permit(spr, USER.WRITE);
    if (permission !== SPR_MOVE.DONE) return permission;
    (this.#counters.sprs[1024 + spr] as number)++;
    const word = SPR_WORD[spr] as number;
    switch (SPR_SPECIAL[spr]) {
      case SPECIAL.WIDE:
        this.#set(word, low, high);
        break;
      case SPECIAL.WORD:
        words[word] = low;
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
        break;
      case SPECIAL.BESCR_SET_UPPER:
        words[W_BESCR + 1] = (words[W_BESCR + 1] as number) | low;
        break;
      case SPECIAL.BESCR_RESET:
        words[W_BESCR] = (words[W_BESCR] as number) & ~low;
        words[W_BESCR + 1] = (words[W_BESCR + 1] as number) & ~high;
        break;
      case SPECIAL.BESCR_RESET_UPPER:
        words[W_BESCR + 1] = (words[W_BESCR + 1] as number) & ~low;
        break;
      case SPECIAL.PPR32:
        words[W_PPR + 1] = low;
        break;
      default: // read-only, ignored, and what the time base says
    }
    return SPR_MOVE.DONE;
  }

  /** Whether the mode may: in problem state FSCR has a say, and notes which facility was wanted. */
  #permit(spr: number, access: number): number {
    if (!this.#context.user) return SPR_MOVE.DONE;
    if (((SPR_USER[spr] as number) & access) === 0) return SPR_MOVE.UNKNOWN;
    const facility = SPR_FACILITY[spr] as number;
    if (facility === FACILITY.NONE || SPR_ON[spr] !== this.#context.model.on) return SPR_MOVE.DONE;
    const words = this.#words;
    if (((words[W_FSCR] as number) & (1 << facility)) !== 0) return SPR_MOVE.DONE;
    words[W_FSCR + 1] = ((words[W_FSCR + 1] as number) & 0x00ff_ffff) | (facility << 24);
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
