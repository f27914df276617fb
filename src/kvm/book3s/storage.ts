/** Loads and stores to where no memory is, or to read-only memory: MMIO, which goes on to user space. */
import { Decoder } from '../../isa/decoder.ts';
import { LEVELS_OF, SERVER_VECTOR } from '../../processor/index.ts';
import type { KvmRun } from '../api.ts';
import { RESUME_GUEST } from '../family.ts';
import { Mmio } from '../mmio.ts';
import { FORM, type Move, moveById } from '../moves.ts';
import type { MemorySlot } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { CACHE, cacheKindById } from '../storage.ts';
import { alignmentDsisr } from './alignment.ts';
import { MSR } from './bits.ts';
import type { Book3sContext } from './context.ts';
import type { Book3sDebug } from './debug.ts';
import type { Book3sInterrupts } from './interrupts.ts';
import { W_GPR, W_IO_ADDRESS, W_IO_INSTRUCTION, W_IO_KIND, W_MSR } from './layout.ts';

/** DSISR: an access that cannot be made to storage of this kind, as reservations are. */
const DSISR_BADACCESS = 0x0400_0000;
const WORDS = { kind: W_IO_KIND, instruction: W_IO_INSTRUCTION, address: W_IO_ADDRESS } as const;

/** One for the vCPUs of each model. */
const decoders = new Map<string, Decoder>();

export class StorageEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #littleEndian: boolean;
  readonly #counts: Float64Array;
  readonly #debug: Book3sDebug;
  readonly #decoder: Decoder;
  readonly #mmio: Mmio;
  readonly #cacheKind = cacheKindById();
  readonly #moves = moveById();
  /** The high word of the sum that is the address of the present access. */
  #sumHigh = 0;

  constructor(
    context: Book3sContext,
    interrupts: Book3sInterrupts,
    littleEndian: boolean,
    counters: VcpuCounters,
    run: KvmRun,
    debug: Book3sDebug,
  ) {
    const { name } = context.model;
    const decoder = decoders.get(name) ?? new Decoder(LEVELS_OF[name]);
    decoders.set(name, decoder);
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#littleEndian = littleEndian;
    this.#counts = counters.counts;
    this.#debug = debug;
    this.#decoder = decoder;
    this.#mmio = new Mmio(context.words, WORDS, (word) => this.#moveOf(word), counters, run);
  }

  /** Carries out the instruction at PC, whose access to an effective address goes to a real page (4 KB) without memory. */
  emulate(low: number, high: number, page: number, slot: MemorySlot | null): number {
    const context = this.#context;
    if (!context.fetch()) return RESUME_GUEST;
    const words = this.#words;
    const word = context.instruction;
    const instruction = this.#decoder.decode(word);
    const move = instruction === undefined ? undefined : this.#moves[instruction.id];
    if (move === undefined) {
      const kind = instruction === undefined ? 0 : this.#cacheKind[instruction.id];
      if (kind === CACHE.HINT || (slot !== null && kind === CACHE.ZERO)) {
        context.step();
        return RESUME_GUEST;
      }
      if (kind === CACHE.ZERO) return this.#alignment(word, low, high);
      this.#interrupts.takeWithAddress(SERVER_VECTOR.dataStorage, low, high, DSISR_BADACCESS);
      return RESUME_GUEST;
    }
    const littleEndian = (((words[W_MSR] as number) & MSR.LE) !== 0) !== move.reversed;
    const { length } = this.#mmio.take(move, word, page * 4096 + (low & 0xfff), littleEndian);
    // An access across a page boundary faults with the address of its second page: such a one to a device interrupts.
    if (!this.#begins(move, word, low, high) || (low & 0xfff) + length > 0x1000)
      return this.#alignment(word, low, high);
    const debug = this.#debug;
    if (debug.watches && debug.coversData(low, high) && debug.stops(low, high, length, move.store))
      return debug.watchpoint(move.store);
    if (move.update) {
      const base = W_GPR + 2 * ((word >>> 16) & 31);
      words[base] = low;
      // All of the sum, in 32-bit mode too (Book I, 1.10.3); a 32-bit processor has no more.
      words[base + 1] = context.model.msrMaskHigh === 0 ? 0 : this.#sumHigh;
    }
    context.step();
    return this.#mmio.begin(littleEndian, littleEndian !== this.#littleEndian);
  }

  /** Finishes a read from MMIO with the data that user space gave. */
  complete(): void {
    this.#mmio.complete();
  }

  /** What is left of the access that user space was asked for: an exit reason, or RESUME_GUEST when there is nothing. */
  rest(): number {
    return this.#mmio.rest();
  }

  #moveOf(word: number): Move | undefined {
    const instruction = this.#decoder.decode(word);
    return instruction === undefined ? undefined : this.#moves[instruction.id];
  }

  /** Whether the access of the instruction begins at the address that faulted. */
  #begins(move: Move, word: number, low: number, high: number): boolean {
    const words = this.#words;
    const ra = (word >>> 16) & 31;
    const base = W_GPR + 2 * ra;
    const hasBase = ra !== 0 || move.update;
    const baseLow = hasBase ? (words[base] as number) : 0;
    const baseHigh = hasBase ? (words[base + 1] as number) : 0;
    let offsetLow = 0;
    let offsetHigh = 0;
    if (move.form === FORM.INDEXED) {
      const index = W_GPR + 2 * ((word >>> 11) & 31);
      offsetLow = words[index] as number;
      offsetHigh = words[index + 1] as number;
    } else if (move.form !== FORM.BASE) {
      const unused = move.form === FORM.DS ? 3 : move.form === FORM.DQ ? 15 : 0;
      offsetLow = ((word << 16) >> 16) & ~unused;
      offsetHigh = offsetLow >> 31;
    }
    const sumLow = (baseLow + offsetLow) | 0;
    const carry = sumLow >>> 0 < baseLow >>> 0 ? 1 : 0;
    this.#sumHigh = (baseHigh + offsetHigh + carry) | 0;
    const addressHigh = (words[W_MSR + 1] as number) === 0 ? 0 : this.#sumHigh;
    return (sumLow & -move.alignment) === low && addressHigh === high;
  }

  #alignment(word: number, low: number, high: number): number {
    (this.#counts[COUNTER.alignment_exits] as number)++;
    this.#interrupts.takeWithAddress(SERVER_VECTOR.alignment, low, high, alignmentDsisr(word));
    return RESUME_GUEST;
  }
}
