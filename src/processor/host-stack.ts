/**
 * The host's stack. Calls of the guest's code are calls of regions, so a guest can go as deep as it likes, and engines
 * differ in what they have and in what a frame takes. So frames are counted in bytes: a region calls another only while
 * its own frame fits what is left, and else leaves to the interpreter, which begins anew at the bottom.
 */
import { PROBE_DOUBLEWORDS } from './backend/runtime-functions.ts';
import { STACK_BYTES } from './layout.ts';
import type { HostMemory } from './memory.ts';

/** What the frames of regions may take. The same for all hosts that have it, so that counted time repeats exactly. */
const REGION_STACK = 320 * 1024;
/** What there must be beside: one more region, the runtime, and what JavaScript does at a tick. */
const RESERVE = 96 * 1024;

/** The core's function: calls itself so many times over. */
export type StackProbe = (levels: number) => number;

/** Whether an error is an engine's way to say that its stack is spent. */
export const isStackOverflow = (error: unknown): boolean =>
  error instanceof RangeError || (error instanceof Error && error.name === 'InternalError');

/** What generated code may take of the host's stack. */
export class HostStack {
  readonly #words: Int32Array;
  readonly #probe: StackProbe;
  #isMeasured = false;
  /** How often there was less than was thought. */
  overflows = 0;

  constructor(memory: HostMemory, base: number, probe: StackProbe) {
    this.#words = new Int32Array(memory.wasm.buffer, base + STACK_BYTES, 1);
    this.#probe = probe;
  }

  /** Finds out, once, how much there is where the processor runs. */
  measure(): void {
    if (this.#isMeasured) return;
    this.#isMeasured = true;
    let bytes = REGION_STACK;
    while (bytes > 0 && !this.#has(bytes + RESERVE)) bytes = bytes > RESERVE / 8 ? bytes >> 1 : 0;
    this.#words[0] = bytes;
  }

  #has(bytes: number): boolean {
    try {
      this.#probe(Math.ceil(bytes / (PROBE_DOUBLEWORDS * 8)));
      return true;
    } catch (error) {
      if (!isStackOverflow(error)) throw error;
      return false;
    }
  }

  /**
   * There was less than was thought. Answers whether the run can go on at PC: it can when a region found no room for its
   * frame, since all state is in the block then. Where anything else did, what regions have in locals is lost.
   */
  recover(error: unknown): boolean {
    this.overflows++;
    const bytes = this.#words[0] as number;
    this.#words[0] = bytes >> 1;
    const frames = String((error as Error).stack).split('\n');
    const innermost = frames.find((line) => /^\s+at |@/.test(line)) ?? '';
    return bytes > 0 && /\bregion [0-9a-f]+/.test(innermost);
  }
}
