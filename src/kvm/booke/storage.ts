/**
 * Loads and stores that KVM carries out itself: MMIO, which goes on to user space, and the rare data access that the
 * host cannot map (44x/shadow.ts). What the instruction does is read off its `access` in the instruction table.
 */
import { Decoder } from '../../isa/decoder.ts';
import type { Access, Level } from '../../isa/define.ts';
import { BOOKE_VECTOR, type Host440Cpu, type HostMemory } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { RESUME_GUEST } from '../family.ts';
import type { MemorySlot } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { CACHE, cacheKindById, extend, IO, reverse } from '../storage.ts';
import { type GuestTlb440, pageMask } from './44x/mmu.ts';
import type { BookeContext } from './context.ts';
import type { BookeDebug } from './debug.ts';
import type { BookeInterrupts } from './interrupts.ts';
import { W_GPR, W_IO_KIND, W_IO_REGISTER, W_PC } from './layout.ts';

const LEVELS_440: readonly Level[] = ['base', 'string', 'booke', '44x', '4xx', 'float'];
/** The E bit of TLB word 2: the page is little-endian. */
const LITTLE_ENDIAN_PAGE = 0x80;

let decoder440: Decoder | null = null;

/** The 440's decoder: one for all vCPUs, made when the first one is. */
function decoder(): Decoder {
  return (decoder440 ??= new Decoder(new Set(LEVELS_440)));
}

export class StorageEmulation {
  readonly #words: Int32Array;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  readonly #tlb: GuestTlb440;
  readonly #cpu: Host440Cpu;
  readonly #memory: HostMemory;
  readonly #counters: VcpuCounters;
  readonly #run: KvmRun;
  readonly #debug: BookeDebug;
  readonly #decoder = decoder();
  readonly #cacheKind = cacheKindById();

  constructor(
    context: BookeContext,
    interrupts: BookeInterrupts,
    tlb: GuestTlb440,
    cpu: Host440Cpu,
    memory: HostMemory,
    counters: VcpuCounters,
    run: KvmRun,
    debug: BookeDebug,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#tlb = tlb;
    this.#cpu = cpu;
    this.#memory = memory;
    this.#counters = counters;
    this.#run = run;
    this.#debug = debug;
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
    const access = instruction?.access;
    if (access === undefined) {
      const kind = instruction === undefined ? 0 : this.#cacheKind[instruction.id];
      if (kind === CACHE.HINT) {
        context.step();
        return RESUME_GUEST;
      }
      if (kind === CACHE.ZERO) return this.#alignment(address, 0);
      return this.#cannot(instruction?.mnemonic ?? `instruction 0x${(word >>> 0).toString(16)}`, address);
    }
    const ra = (word >>> 16) & 31;
    const base = ra === 0 && access.update !== true ? 0 : (words[W_GPR + 2 * ra] as number);
    const offset = access.indexed === true ? (words[W_GPR + 2 * ((word >>> 11) & 31)] as number) : (word << 16) >> 16;
    const effective = (base + offset) | 0;
    const { bytes } = access;
    // An access across a page boundary with a device on either side: a cache-inhibited unaligned access interrupts.
    if (effective !== address || ((effective ^ (effective + bytes - 1)) & pageMask(this.#tlb.size(index))) !== 0)
      return this.#alignment(effective, 0);
    const store = access.kind === 'store';
    if (this.#debug.watches && this.#debug.coversData(address) && this.#debug.stops(address, 0, bytes, store))
      return this.#debug.watchpoint();
    const littleEndian = (this.#tlb.word(index, 2) & LITTLE_ENDIAN_PAGE) !== 0;
    const reversed = (access.reversed === true) !== littleEndian;
    const register = (word >>> 21) & 31;
    const goesToMemory = slot !== null && !(slot.readonly && store);
    context.step();
    if (goesToMemory) this.#memoryAccess(access, register, reversed, ((frame + slot.delta) << 10) | (address & 1023));
    else this.#mmio(access, register, reversed, frame * 1024 + (address & 1023));
    if (access.update === true) words[W_GPR + 2 * ra] = effective;
    return goesToMemory ? RESUME_GUEST : KVM_EXIT.MMIO;
  }

  /** Finishes a read from MMIO or a DCR with the data that user space gave. */
  complete(): void {
    const words = this.#words;
    const io = words[W_IO_KIND] as number;
    if (io === IO.NONE) return;
    words[W_IO_KIND] = IO.NONE;
    const register = words[W_IO_REGISTER] as number;
    if ((io & IO.KIND) === IO.DCR) {
      words[W_GPR + 2 * register] = this.#run.dcr.data;
      return;
    }
    const bytes = (io >>> IO.BYTES_SHIFT) & 7;
    const data = this.#run.mmio.data;
    const value = (io & IO.REVERSED) !== 0 ? reverse(data, bytes) : data;
    words[W_GPR + 2 * register] = extend(value, bytes, (io & IO.SIGNED) !== 0);
  }

  #mmio(access: Access, register: number, reversed: boolean, physAddr: number): void {
    const words = this.#words;
    const { mmio } = this.#run;
    const { bytes } = access;
    (this.#counters.counts[COUNTER.mmio_exits] as number)++;
    mmio.physAddr = physAddr;
    mmio.len = bytes;
    if (access.kind === 'store') {
      mmio.isWrite = true;
      const value = words[W_GPR + 2 * register] as number;
      mmio.data = extend(reversed ? reverse(value, bytes) : value, bytes, false);
      return;
    }
    mmio.isWrite = false;
    mmio.data = 0;
    words[W_IO_REGISTER] = register;
    words[W_IO_KIND] =
      IO.MMIO | (bytes << IO.BYTES_SHIFT) | (access.signed === true ? IO.SIGNED : 0) | (reversed ? IO.REVERSED : 0);
  }

  #memoryAccess(access: Access, register: number, reversed: boolean, hostAddress: number): void {
    const words = this.#words;
    const memory = this.#memory;
    const { bytes } = access;
    const host = hostAddress >>> 0;
    (this.#counters.counts[COUNTER.emulated_accesses] as number)++;
    if (access.kind === 'load') {
      const data = bytes === 4 ? memory.read32(host) : bytes === 2 ? memory.read16(host) : memory.read8(host);
      words[W_GPR + 2 * register] = extend(reversed ? reverse(data, bytes) : data, bytes, access.signed === true);
      return;
    }
    const value = words[W_GPR + 2 * register] as number;
    const data = reversed ? reverse(value, bytes) : value;
    if (bytes === 4) memory.write32(host, data);
    else if (bytes === 2) memory.write16(host, data);
    else memory.write8(host, data);
    this.#cpu.codeWritten(host, bytes);
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
