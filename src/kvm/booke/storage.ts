/**
 * Loads and stores that KVM carries out itself: MMIO, which goes on to user space, and the rare data access that the
 * host cannot map (ShadowTlb). What the instruction does, `moves.ts` says.
 */
import type { Decoder } from '../../isa/decoder.ts';
import { BOOKE_VECTOR, type HostCpu, type HostMemory } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { RESUME_GUEST } from '../family.ts';
import { Mmio } from '../mmio.ts';
import { FORM, type Move, moveById, type Pieces, storeOf } from '../moves.ts';
import { type MemorySlot, type MemorySlots, PAGE_FRAMES } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { CACHE, cacheKindById, IO } from '../storage.ts';
import { MSR } from './bits.ts';
import type { BookeContext } from './context.ts';
import type { AccessReader, BookeDebug } from './debug.ts';
import type { BookeInterrupts } from './interrupts.ts';
import { W_GPR, W_IO_ADDRESS, W_IO_INSTRUCTION, W_IO_KIND, W_IO_REGISTER, W_MSR, W_PC, W_PID } from './layout.ts';
import type { GuestTlb } from './mmu.ts';

const WORDS = { kind: W_IO_KIND, instruction: W_IO_INSTRUCTION, address: W_IO_ADDRESS } as const;

/** stwcx., which is no move that KVM would carry out, and others whose operands are like its. */
const INDEXED = storeOf(4);

export class StorageEmulation implements AccessReader {
  readonly #words: Int32Array;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  readonly #tlb: GuestTlb;
  readonly #slots: MemorySlots;
  readonly #cpu: HostCpu;
  readonly #memory: HostMemory;
  readonly #counters: VcpuCounters;
  readonly #run: KvmRun;
  readonly #debug: BookeDebug;
  readonly #decoder: Decoder;
  readonly #cacheKind = cacheKindById();
  readonly #moves = moveById();
  readonly #mmio: Mmio;

  constructor(
    context: BookeContext,
    interrupts: BookeInterrupts,
    tlb: GuestTlb,
    slots: MemorySlots,
    cpu: HostCpu,
    memory: HostMemory,
    counters: VcpuCounters,
    run: KvmRun,
    debug: BookeDebug,
    decoder: Decoder,
  ) {
    this.#decoder = decoder;
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#tlb = tlb;
    this.#slots = slots;
    this.#cpu = cpu;
    this.#memory = memory;
    this.#counters = counters;
    this.#run = run;
    this.#debug = debug;
    this.#mmio = new Mmio(context.words, WORDS, (word) => this.#moveOf(word), counters, run);
    debug.reader = this;
  }

  /**
   * Carries out the instruction at PC, whose access to `address` hit guest TLB entry `index` and real frame `frame`;
   * `slot` is null, or the memory that it goes to.
   */
  emulate(index: number, address: number, frame: number, slot: MemorySlot | null): number {
    const context = this.#context;
    if (!context.fetch()) return RESUME_GUEST;
    const words = this.#words;
    const word = context.instruction;
    const instruction = this.#decoder.decode(word);
    const move = instruction === undefined ? undefined : this.#moves[instruction.id];
    if (move === undefined) {
      const kind = instruction === undefined ? 0 : this.#cacheKind[instruction.id];
      if (kind === CACHE.HINT) {
        context.step();
        return RESUME_GUEST;
      }
      if (kind === CACHE.ZERO) return this.#alignment(address, 0);
      return this.#cannot(instruction?.mnemonic ?? `instruction 0x${(word >>> 0).toString(16)}`, address);
    }
    const littleEndian = this.#tlb.isLittleEndian(index) !== move.reversed;
    const goesToMemory = slot !== null && !(slot.readonly && move.store);
    const frameOfIt = frame + (goesToMemory ? slot.delta : 0);
    const pieces = this.#mmio.take(move, word, frameOfIt * 1024 + (address & 1023), littleEndian);
    const ra = (word >>> 16) & 31;
    const effective = this.#effective(move, word);
    // An access across a page boundary with a device on either side: a cache-inhibited unaligned access interrupts.
    const last = effective + Math.max(pieces.length, 1) - 1;
    if (effective !== address || ((effective ^ last) & this.#tlb.pageMask(index)) !== 0)
      return this.#alignment(effective, 0);
    const debug = this.#debug;
    if (debug.watches && debug.coversData(address) && debug.stops(address, 0, pieces.length, move.store))
      return debug.watchpoint();
    if (move.update) words[W_GPR + 2 * ra] = effective;
    context.step();
    const turned = littleEndian && !pieces.isString;
    if (!goesToMemory) return this.#mmio.begin(littleEndian, turned);
    if (move.store) slot.markDirty(Math.floor(frame / PAGE_FRAMES));
    this.#memoryAccess(move, pieces, turned, frameOfIt * 1024 + (address & 1023));
    return RESUME_GUEST;
  }

  /** To the comparators, what writes a block back to memory is a store (PPC440x5 CPU Core User's Manual, 8.3.2.4). */
  cacheAccess(): { readonly address: number; readonly store: boolean } | undefined {
    const context = this.#context;
    if (!context.fetch()) return undefined;
    const word = context.instruction;
    const instruction = this.#decoder.decode(word);
    if (instruction === undefined || this.#cacheKind[instruction.id] === 0) return undefined;
    return { address: this.#effective(INDEXED, word), store: instruction.mnemonic !== 'icbi' };
  }

  peek(address: number, store: boolean, bytes: Uint8Array, count: number): boolean {
    return store ? this.#stored(address, bytes, count) : this.#inMemory(address, bytes, count);
  }

  #inMemory(address: number, bytes: Uint8Array, count: number): boolean {
    const msr = this.#words[W_MSR] as number;
    const tlb = this.#tlb;
    for (let i = 0; i < count; i++) {
      const at = (address + i) | 0;
      const index = tlb.search(at, this.#words[W_PID] as number, (msr & MSR.DS) !== 0 ? 1 : 0);
      if (index < 0) return false;
      const frame = tlb.frame(index, at);
      const slot = this.#slots.find(frame);
      if (slot === null) return false;
      bytes[i] = this.#memory.read8((frame + slot.delta) * 1024 + (at & 1023));
    }
    return true;
  }

  #stored(address: number, bytes: Uint8Array, count: number): boolean {
    const context = this.#context;
    if (!context.fetch()) return false;
    const word = context.instruction;
    const instruction = this.#decoder.decode(word);
    if (instruction === undefined) return false;
    if (this.#cacheKind[instruction.id] === CACHE.ZERO) {
      bytes.fill(0, 0, count);
      return true;
    }
    const move = this.#moves[instruction.id] ?? (instruction.mnemonic === 'stwcx.' ? INDEXED : undefined);
    if (move === undefined) return false;
    const effective = this.#effective(move, word);
    const index = this.#tlb.search(
      address,
      this.#words[W_PID] as number,
      ((this.#words[W_MSR] as number) & MSR.DS) !== 0 ? 1 : 0,
    );
    const littleEndian = index >= 0 && this.#tlb.isLittleEndian(index) !== move.reversed;
    const pieces = this.#mmio.take(move, word, effective >>> 0, littleEndian);
    const turned = littleEndian && !pieces.isString;
    let found = 0;
    for (let i = 0; i < pieces.count; i++) {
      const data = this.#mmio.get(i, turned);
      const length = pieces.bytes[i] as number;
      for (let k = 0; k < length; k++) {
        const at = (effective + (pieces.offset[i] as number) + k - address) | 0;
        if (at < 0 || at >= count) continue;
        bytes[at] = data >>> (8 * (length - 1 - k));
        found++;
      }
    }
    return found === count;
  }

  /** Finishes a read from MMIO or a DCR with the data that user space gave. */
  complete(): void {
    const words = this.#words;
    const io = words[W_IO_KIND] as number;
    if ((io & IO.KIND) === IO.DCR) {
      words[W_IO_KIND] = IO.NONE;
      words[W_GPR + 2 * (words[W_IO_REGISTER] as number)] = this.#run.dcr.data;
    } else this.#mmio.complete();
  }

  /** What is left of the access that user space was asked for: an exit reason, or RESUME_GUEST when there is nothing. */
  rest(): number {
    return this.#mmio.rest();
  }

  #moveOf(word: number): Move | undefined {
    const instruction = this.#decoder.decode(word);
    return instruction === undefined ? undefined : this.#moves[instruction.id];
  }

  #effective(move: Move, word: number): number {
    const words = this.#words;
    const ra = (word >>> 16) & 31;
    const base = ra === 0 && !move.update ? 0 : (words[W_GPR + 2 * ra] as number);
    if (move.form === FORM.BASE) return base;
    const offset =
      move.form === FORM.INDEXED ? (words[W_GPR + 2 * ((word >>> 11) & 31)] as number) : (word << 16) >> 16;
    return (base + offset) | 0;
  }

  #memoryAccess(move: Move, pieces: Pieces, turned: boolean, hostAddress: number): void {
    const memory = this.#memory;
    (this.#counters.counts[COUNTER.emulated_accesses] as number)++;
    for (let i = 0; i < pieces.count; i++) {
      const host = hostAddress + (pieces.offset[i] as number);
      const bytes = pieces.bytes[i] as number;
      if (!move.store) {
        const data = bytes === 4 ? memory.read32(host) : bytes === 2 ? memory.read16(host) : memory.read8(host);
        this.#mmio.put(i, data, turned);
        continue;
      }
      const data = this.#mmio.get(i, turned);
      if (bytes === 4) memory.write32(host, data);
      else if (bytes === 2) memory.write16(host, data);
      else memory.write8(host, data);
    }
    if (move.store) this.#cpu.codeWritten(hostAddress, pieces.length);
  }

  #alignment(address: number, esr: number): number {
    (this.#counters.counts[COUNTER.alignment_exits] as number)++;
    this.#interrupts.takeWithAddress(BOOKE_VECTOR.alignment, address, esr);
    return RESUME_GUEST;
  }

  #cannot(what: string, address: number): number {
    const { internal } = this.#run;
    internal.pc = (this.#words[W_PC] as number) >>> 0;
    internal.message = `cannot emulate ${what} at pc 0x${internal.pc.toString(16)}: its operand at 0x${(address >>> 0).toString(16)} is not memory`;
    return KVM_EXIT.INTERNAL_ERROR;
  }
}
