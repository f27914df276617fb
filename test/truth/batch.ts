/** Code under test, laid out in memory, and the executions of it. */
import { CODE, CODE_BYTES, type State, WINDOW_BYTES } from './machine-state.ts';
import type { Random } from './random.ts';

/** `tw 31,0,0`: always taken; what stands around every case. */
export const TRAP = 0x7fe00008;
/** No instruction: keeps what is behind a case out of its translation. */
const ILLEGAL = 0;

export interface Execution {
  /** Of `seededState`, from which the state came. */
  readonly seed: number;
  /** With PC. */
  readonly state: State;
  /** Which of the batch's images the window has before. */
  readonly window: number;
  /** Which of the batch's cases this is. */
  readonly subject: number;
}

/** A place in the code area. */
export interface Room {
  /** Address of the first instruction. */
  readonly address: number;
  /** Traps before the first instruction and behind the last. */
  readonly before: number;
  readonly behind: number;
}

/** A piece of code: one instruction or a block of them. */
export interface Case extends Room {
  /** The instruction's form, or `block`. */
  readonly name: string;
  readonly words: readonly number[];
  /** Of a single instruction: its name in the table. */
  readonly mnemonic?: string;
}

/** What one process of the oracle runs. */
export class Batch {
  readonly code = new Uint32Array(CODE_BYTES / 4).fill(ILLEGAL);
  readonly readOnly = new Uint32Array(1024);
  readonly windows: Uint32Array[] = [];
  readonly cases: Case[] = [];
  executions: Execution[] = [];
  #used = 0;

  constructor(random: Random, windows = 64) {
    for (let i = 0; i < windows; i++)
      this.windows.push(Uint32Array.from({ length: WINDOW_BYTES / 4 }, () => random.word()));
    for (let i = 0; i < this.readOnly.length; i++) this.readOnly[i] = random.word();
  }

  get bytesLeft(): number {
    return CODE_BYTES - this.#used;
  }

  /** Room for `words` instructions, with traps before and behind. */
  reserve(words: number, before = 1, behind = 1): Room {
    const start = this.#used / 4;
    const address = CODE + this.#used + before * 4;
    this.#used += (before + words + behind + 1) * 4;
    this.code.fill(TRAP, start, this.#used / 4 - 1);
    return { address, before, behind };
  }

  /** Puts words where room was reserved; answers the case's number. */
  add(name: string, room: Room, words: readonly number[], mnemonic?: string): number {
    this.code.set(
      words.map((word) => word >>> 0),
      (room.address - CODE) >> 2,
    );
    this.cases.push({ ...room, name, words, ...(mnemonic !== undefined && { mnemonic }) });
    return this.cases.length - 1;
  }
}
