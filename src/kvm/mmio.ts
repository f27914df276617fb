/** MMIO of one vCPU: a load or store of a device, which user space is asked for piece by piece. */
import { KVM_EXIT, type KvmRun } from './api.ts';
import { RESUME_GUEST } from './family.ts';
import { type Move, PIECE, Pieces } from './moves.ts';
import { putDouble, singleOf } from './single.ts';
import { COUNTER, type VcpuCounters } from './stats.ts';
import { extend, IO, reverse } from './storage.ts';
import { W_XER_BYTE_COUNT } from './words.ts';

const TWO_32 = 2 ** 32;
/** More of the ioKind word: storage is accessed in little-endian order; how many pieces user space was asked for. */
const LITTLE = 0x400;
const NEXT_SHIFT = 16;

/** Where a family keeps the state of a move under way, as indexes of words: one for ioKind, the instruction, two for the address. */
export interface MmioWords {
  readonly kind: number;
  readonly instruction: number;
  readonly address: number;
}

export class Mmio {
  readonly #words: Int32Array;
  readonly #at: MmioWords;
  readonly #moveOf: (word: number) => Move | undefined;
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  readonly #pieces = new Pieces();
  /** What `#pieces` are of, and what the move is. */
  #instruction = 0;
  #address = -1;
  #move: Move | undefined;

  constructor(
    words: Int32Array,
    at: MmioWords,
    moveOf: (word: number) => Move | undefined,
    counters: VcpuCounters,
    run: KvmRun,
  ) {
    this.#words = words;
    this.#at = at;
    this.#moveOf = moveOf;
    this.#counts = counters.counts;
    this.#run = run;
  }

  /** The pieces of a move at a real address, whose bytes come in one order or the other. */
  take(move: Move, word: number, address: number, littleEndian: boolean): Pieces {
    this.#instruction = word;
    this.#address = address;
    this.#move = move;
    this.#pieces.take(move, word, address % 16, this.#words[W_XER_BYTE_COUNT] as number, littleEndian);
    return this.#pieces;
  }

  /** Asks user space for the first of the pieces that were taken last. `turned`: in the order that storage is not kept in. */
  begin(littleEndian: boolean, turned: boolean): number {
    const words = this.#words;
    const at = this.#at;
    words[at.instruction] = this.#instruction;
    words[at.address] = this.#address;
    words[at.address + 1] = Math.floor(this.#address / TWO_32);
    words[at.kind] = IO.MMIO | (turned ? IO.REVERSED : 0) | (littleEndian ? LITTLE : 0);
    (this.#counts[COUNTER.mmio_exits] as number)++;
    return this.rest();
  }

  /** `run` begins: what was read goes where it belongs. */
  complete(): void {
    const words = this.#words;
    const { kind } = this.#at;
    const io = words[kind] as number;
    if ((io & IO.KIND) !== IO.MMIO || (io & IO.READING) === 0) return;
    words[kind] = io & ~IO.READING;
    const i = (io >>> NEXT_SHIFT) - 1;
    // A restored state may say anything.
    if (!this.#known() || i < 0 || i >= this.#pieces.count) return;
    this.put(i, this.#run.mmio.data, (io & IO.REVERSED) !== 0);
  }

  /** The next piece that user space is to be asked for: an exit reason, or RESUME_GUEST when there is none. */
  rest(): number {
    const words = this.#words;
    const { kind } = this.#at;
    const io = words[kind] as number;
    if ((io & IO.KIND) !== IO.MMIO) return RESUME_GUEST;
    const i = io >>> NEXT_SHIFT;
    if (!this.#known() || i >= this.#pieces.count) {
      words[kind] = IO.NONE;
      return RESUME_GUEST;
    }
    const store = (this.#move as Move).store;
    words[kind] = (io & 0xffff) | ((i + 1) << NEXT_SHIFT) | (store ? 0 : IO.READING);
    const { mmio } = this.#run;
    mmio.physAddr = this.#address + (this.#pieces.offset[i] as number);
    mmio.len = this.#pieces.bytes[i] as number;
    mmio.isWrite = store;
    mmio.data = store ? this.get(i, (io & IO.REVERSED) !== 0) : 0;
    return KVM_EXIT.MMIO;
  }

  /** The value of a piece that is stored. */
  get(i: number, turned: boolean): number {
    const words = this.#words;
    const pieces = this.#pieces;
    const word = pieces.word[i] as number;
    const bytes = pieces.bytes[i] as number;
    const low = words[word] as number;
    const single = ((pieces.flags[i] as number) & PIECE.SINGLE) !== 0;
    const value = single ? singleOf(low, words[word + 1] as number) : low >>> (pieces.shift[i] as number);
    return extend(turned ? reverse(value, bytes) : value, bytes, false);
  }

  /** Puts a piece that was loaded into its register. */
  put(i: number, data: number, turned: boolean): void {
    const words = this.#words;
    const pieces = this.#pieces;
    const word = pieces.word[i] as number;
    const bytes = pieces.bytes[i] as number;
    const flags = pieces.flags[i] as number;
    const shift = pieces.shift[i] as number;
    const value = extend(turned ? reverse(data, bytes) : data, bytes, (flags & PIECE.SIGN_HIGH) !== 0);
    if ((flags & PIECE.SINGLE) !== 0) {
      putDouble(words, word, value);
      return;
    }
    const others = (flags & PIECE.CLEAR) !== 0 ? 0 : ~(extend(-1, bytes, false) << shift);
    words[word] = ((words[word] as number) & others) | (value << shift);
    if ((flags & PIECE.ZERO_HIGH) !== 0) words[word + 1] = 0;
    if ((flags & PIECE.SIGN_HIGH) !== 0) words[word + 1] = value >> 31;
    if ((flags & PIECE.SPLAT) === 0) return;
    const left = word & ~1;
    words[left - 2] = words[left] as number;
    words[left - 1] = words[left + 1] as number;
  }

  /** Takes the move under way apart again, where another was taken since, or the state is a restored one. */
  #known(): boolean {
    const words = this.#words;
    const at = this.#at;
    const instruction = words[at.instruction] as number;
    const address = ((words[at.address + 1] as number) >>> 0) * TWO_32 + ((words[at.address] as number) >>> 0);
    if (this.#move !== undefined && this.#instruction === instruction && this.#address === address) return true;
    const move = this.#moveOf(instruction);
    if (move === undefined) return false;
    this.take(move, instruction, address, ((words[at.kind] as number) & LITTLE) !== 0);
    return true;
  }
}
