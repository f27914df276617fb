/**
 * Watched pages: what a debug facility's comparators need of the hardware. A watched page is never in the soft TLB, so that
 * each access to it comes to the refill, which asks; all other pages cost nothing.
 */
import { EXIT_ADDRESS, WATCHED } from './layout.ts';
import type { HostMemory } from './memory.ts';

/** The comparators, as KVM has loaded them. Addresses are effective ones, low and high word. */
export interface Watch {
  /** Whether accesses to the page (4 KB) of an address are to be shown to `stops`. */
  coversData(low: number, high: number): boolean;
  /** Whether code in the page of an address may only be stepped. */
  coversCode(low: number, high: number): boolean;
  /**
   * Whether an access that is about to be made, and permitted, ends the run with the watch vector instead. `bytes` is
   * negative for what an access across a page boundary does in its second page.
   */
  stops(low: number, high: number, bytes: number, store: boolean): boolean;
}

/** What the refill is told: to go on as usual, to keep the page out of the soft TLB, to end with the family's watch vector. */
export const WATCH_ANSWER = { none: 0, passing: 1, stop: 2 } as const;

/** Access bits of the refill (backend/runtime.ts). */
const WRITE = 2;
const EXECUTE = 4;

/** A processor's watch, and its answers to refills. */
export class WatchUnit {
  readonly #i32: Int32Array;
  readonly #word: number;
  readonly #address: number;
  #watch: Watch | null = null;
  /** Set while an instruction is stepped: code in watched pages then runs. */
  stepping = false;

  constructor(memory: HostMemory, base: number) {
    this.#i32 = memory.i32;
    this.#word = (base + WATCHED) >> 2;
    this.#address = (base + EXIT_ADDRESS) >> 2;
    this.#i32[this.#word] = 0;
  }

  set(watch: Watch | null): void {
    this.#watch = watch;
    this.#i32[this.#word] = watch === null ? 0 : 1;
  }

  /** The refill's question about an access to EXIT_ADDRESS that the page permits. `wide`: addresses have 64 bits. */
  answer(access: number, bytes: number, wide: boolean): number {
    const watch = this.#watch;
    if (watch === null) return WATCH_ANSWER.none;
    const low = this.#i32[this.#address] as number;
    const high = wide ? (this.#i32[this.#address + 1] as number) : 0;
    if (access === EXECUTE) {
      if (!watch.coversCode(low, high)) return WATCH_ANSWER.none;
      return this.stepping ? WATCH_ANSWER.passing : WATCH_ANSWER.stop;
    }
    if (!watch.coversData(low, high)) return WATCH_ANSWER.none;
    return watch.stops(low, high, bytes, access === WRITE) ? WATCH_ANSWER.stop : WATCH_ANSWER.passing;
  }
}
