/** Loads and stores to where no memory is, or to read-only memory: MMIO, which goes on to user space. */
import { Decoder } from '../../isa/decoder.ts';
import type { Access, Level } from '../../isa/define.ts';
import { fprOffset, SERVER_VECTOR } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { alignmentDsisr } from '../book3s/alignment.ts';
import { MSR } from '../book3s/bits.ts';
import type { Book3sContext } from '../book3s/context.ts';
import type { Book3sDebug } from '../book3s/debug.ts';
import type { Book3sInterrupts } from '../book3s/interrupts.ts';
import { W_GPR, W_IO_KIND, W_IO_REGISTER, W_IO_REST, W_MSR } from '../book3s/layout.ts';
import { putDouble, singleOf } from '../book3s/single.ts';
import { RESUME_GUEST } from '../family.ts';
import type { MemorySlot } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { CACHE, cacheKindById, extend, IO, reverse } from '../storage.ts';

const LEVELS: readonly Level[] = [
  'base',
  'string',
  'isel',
  'float',
  '64-bit',
  'server',
  '2.02',
  '2.05',
  '2.06',
  '2.07',
];

/** DSISR: an access that cannot be made to storage of this kind (the reference's answer to what it cannot decode). */
const DSISR_BADACCESS = 0x0400_0000;
/** More of the ioKind and ioRest words: one word of a doubleword, its high one, to be written. */
const HALF = { WORD: 0x400, HIGH: 0x800, STORE: 0x1000 } as const;
/** More of the ioKind word: becomes a double. */
const SINGLE = 0x2000;

let decoder: Decoder | null = null;

export class StorageEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #littleEndian: boolean;
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  readonly #debug: Book3sDebug;
  readonly #decoder: Decoder;
  readonly #cacheKind = cacheKindById();
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
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#littleEndian = littleEndian;
    this.#counts = counters.counts;
    this.#run = run;
    this.#debug = debug;
    this.#decoder = decoder ??= new Decoder(new Set(LEVELS));
  }

  /** Carries out the instruction at PC, whose access to an effective address goes to a real page (4 KB) without memory. */
  emulate(low: number, high: number, page: number, slot: MemorySlot | null): number {
    const context = this.#context;
    if (!context.fetch()) return RESUME_GUEST;
    const words = this.#words;
    const word = context.instruction;
    const instruction = this.#decoder.decode(word);
    const access = instruction?.access;
    if (access === undefined) {
      const kind = instruction === undefined ? 0 : this.#cacheKind[instruction.id];
      if (kind === CACHE.HINT || (slot !== null && kind === CACHE.ZERO)) {
        this.#step();
        return RESUME_GUEST;
      }
      if (kind === CACHE.ZERO) return this.#alignment(word, low, high);
      this.#interrupts.takeWithAddress(SERVER_VECTOR.dataStorage, low, high, DSISR_BADACCESS);
      return RESUME_GUEST;
    }
    // An access across a page boundary faults with the address of its second page: such a one to a device interrupts.
    if (!this.#begins(access, word, low, high) || (low & 0xfff) + access.bytes > 0x1000)
      return this.#alignment(word, low, high);
    const store = access.kind === 'store';
    if (this.#debug.watches && this.#debug.coversData(low, high) && this.#debug.stops(low, high, access.bytes, store))
      return this.#debug.watchpoint(store);
    const n = (word >>> 21) & 31;
    const register = access.float === undefined ? W_GPR + 2 * n : fprOffset(n) >> 2;
    this.#mmio(access, register, page * 4096 + (low & 0xfff));
    if (access.update === true) {
      const base = W_GPR + 2 * ((word >>> 16) & 31);
      words[base] = low;
      // All of the sum, in 32-bit mode too (Book I, 1.10.3).
      words[base + 1] = this.#sumHigh;
    }
    this.#step();
    return KVM_EXIT.MMIO;
  }

  /** Finishes a read from MMIO with the data that user space gave. */
  complete(): void {
    const words = this.#words;
    const io = words[W_IO_KIND] as number;
    if (io === IO.NONE) return;
    words[W_IO_KIND] = IO.NONE;
    const register = words[W_IO_REGISTER] as number;
    const bytes = (io >>> IO.BYTES_SHIFT) & 7;
    const { data } = this.#run.mmio;
    const value = extend((io & IO.REVERSED) !== 0 ? reverse(data, bytes) : data, bytes, (io & IO.SIGNED) !== 0);
    if ((io & HALF.WORD) !== 0) {
      words[register + ((io & HALF.HIGH) !== 0 ? 1 : 0)] = value;
      return;
    }
    if ((io & SINGLE) !== 0) {
      putDouble(words, register, value);
      return;
    }
    words[register] = value;
    words[register + 1] = (io & IO.SIGNED) !== 0 && value < 0 ? -1 : 0;
  }

  /** The second word of a doubleword that user space was asked for: an exit reason, or RESUME_GUEST when there is none. */
  rest(): number {
    const words = this.#words;
    const io = words[W_IO_REST] as number;
    if (io === IO.NONE) return RESUME_GUEST;
    words[W_IO_REST] = IO.NONE;
    this.#half(io, this.#run.mmio.physAddr + 4);
    return KVM_EXIT.MMIO;
  }

  /** Whether the access of the instruction begins at the address that faulted. */
  #begins(access: Access, word: number, low: number, high: number): boolean {
    const words = this.#words;
    const ra = (word >>> 16) & 31;
    const hasBase = ra !== 0 || access.update === true;
    const base = W_GPR + 2 * ra;
    const baseLow = hasBase ? (words[base] as number) : 0;
    const baseHigh = hasBase ? (words[base + 1] as number) : 0;
    let offsetLow = (word << 16) >> 16;
    if (access.scaled === true) offsetLow &= ~3;
    let offsetHigh = offsetLow >> 31;
    if (access.indexed === true) {
      const index = W_GPR + 2 * ((word >>> 11) & 31);
      offsetLow = words[index] as number;
      offsetHigh = words[index + 1] as number;
    }
    const sumLow = (baseLow + offsetLow) | 0;
    const carry = sumLow >>> 0 < baseLow >>> 0 ? 1 : 0;
    this.#sumHigh = (baseHigh + offsetHigh + carry) | 0;
    return sumLow === low && high === ((words[W_MSR + 1] as number) === 0 ? 0 : this.#sumHigh);
  }

  #mmio(access: Access, register: number, physAddr: number): void {
    const words = this.#words;
    const { mmio } = this.#run;
    const { bytes } = access;
    (this.#counts[COUNTER.mmio_exits] as number)++;
    const littleEndian = (((words[W_MSR] as number) & MSR.LE) !== 0) !== (access.reversed === true);
    const reversed = littleEndian === this.#littleEndian ? 0 : IO.REVERSED;
    const store = access.kind === 'store';
    words[W_IO_REGISTER] = register;
    if (bytes === 8) {
      // Two words, that of the lower address first.
      const io = IO.MMIO | HALF.WORD | (store ? HALF.STORE : 0) | reversed | (4 << IO.BYTES_SHIFT);
      words[W_IO_REST] = io | (littleEndian ? HALF.HIGH : 0);
      this.#half(io | (littleEndian ? 0 : HALF.HIGH), physAddr);
      return;
    }
    mmio.physAddr = physAddr;
    mmio.len = bytes;
    mmio.isWrite = store;
    if (store) {
      const low = words[register] as number;
      const value = access.float === 'single' ? singleOf(low, words[register + 1] as number) : low;
      mmio.data = extend(reversed !== 0 ? reverse(value, bytes) : value, bytes, false);
      return;
    }
    mmio.data = 0;
    const result = access.float === 'single' ? SINGLE : access.signed === true ? IO.SIGNED : 0;
    words[W_IO_KIND] = IO.MMIO | (bytes << IO.BYTES_SHIFT) | result | reversed;
  }

  /** Asks user space for one word of a doubleword. */
  #half(io: number, physAddr: number): void {
    const words = this.#words;
    const { mmio } = this.#run;
    mmio.physAddr = physAddr;
    mmio.len = 4;
    mmio.isWrite = (io & HALF.STORE) !== 0;
    mmio.data = 0;
    if (!mmio.isWrite) {
      words[W_IO_KIND] = io;
      return;
    }
    const value = words[(words[W_IO_REGISTER] as number) + ((io & HALF.HIGH) !== 0 ? 1 : 0)] as number;
    mmio.data = ((io & IO.REVERSED) !== 0 ? reverse(value, 4) : value) >>> 0;
  }

  #step(): void {
    this.#context.step();
  }

  #alignment(word: number, low: number, high: number): number {
    (this.#counts[COUNTER.alignment_exits] as number)++;
    this.#interrupts.takeWithAddress(SERVER_VECTOR.alignment, low, high, alignmentDsisr(word));
    return RESUME_GUEST;
  }
}
