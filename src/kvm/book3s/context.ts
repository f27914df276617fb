/** The guest's context: MSR with its side effects, and what KVM itself reads of the guest's code and data. */
import type { HostCpu, HostMemory } from '../../processor/index.ts';
import { SHARED } from '../../processor/index.ts';
import { FRAME_SHIFT, type MemorySlots, PAGE_FRAMES } from '../slots.ts';
import { MSR, MSR_CONTEXT, MSR_FACILITIES, MSR_TRACE, PREFIX } from './bits.ts';
import { type HostContexts, MODE, modeOf } from './host-contexts.ts';
import {
  BOOK3S_STATE_END,
  W_CRITICAL,
  W_FACILITIES,
  W_FLOAT_AVAILABLE,
  W_FLOAT_INTERRUPTS,
  W_FSCR,
  W_GPR,
  W_HIOR,
  W_MAGIC_EFFECTIVE,
  W_MAGIC_MAPPED,
  W_MAGIC_REAL,
  W_MSR,
  W_PAPR,
  W_PC,
  W_VECTOR_AVAILABLE,
  W_VSX_AVAILABLE,
  wordOfDsisr,
  wordOfIntPending,
} from './layout.ts';
import { ACCESS, type GuestMmu, TRANSLATION } from './mmu.ts';
import type { Book3sModel } from './model.ts';
import type { VsidMap } from './vsid-map.ts';

const TWO_20 = 2 ** 20;

const FETCH_ENTRIES = 64;

export class Book3sContext {
  /** The vCPU's block as 32-bit words, indexed by the W_ constants. */
  readonly words: Int32Array;
  readonly model: Book3sModel;
  /** The bits of a real address' high word that the model implements. */
  readonly realHigh: number;
  /** Where the shared struct has DSISR and int_pending. */
  readonly wDsisr: number;
  readonly wIntPending: number;
  /** Host page of the shared struct: what the magic page is mapped to. */
  readonly sharedPage: number;
  readonly #memory: HostMemory;
  readonly #slots: MemorySlots;
  readonly #mmu: GuestMmu;
  readonly #hosts: HostContexts;
  readonly #vsids: VsidMap;
  /** The guest instruction at the address that was given, after `fetch` said true. */
  instruction = 0;
  /** Not zero: the guest's instructions are run one by one (debug.ts), for MSR's reasons (MSR_TRACE) or others'. */
  stepping = 0;
  /** Called before problem state is entered or left, where that makes a difference (performance.ts). */
  beforeState: (() => void) | null = null;
  /** Set when an instruction has been emulated. */
  completed = false;
  /** Pages that were fetched from: page (address >>> 12, low and high), mode, generation, what to add to the offset in the page. */
  readonly #fetchLow = new Int32Array(FETCH_ENTRIES);
  readonly #fetchHigh = new Int32Array(FETCH_ENTRIES);
  readonly #fetchMode = new Int8Array(FETCH_ENTRIES).fill(-1);
  readonly #fetchGeneration = new Float64Array(FETCH_ENTRIES);
  readonly #fetchBase = new Float64Array(FETCH_ENTRIES);
  #generation = 0;

  constructor(
    cpu: HostCpu,
    model: Book3sModel,
    memory: HostMemory,
    slots: MemorySlots,
    mmu: GuestMmu,
    hosts: HostContexts,
    vsids: VsidMap,
  ) {
    this.model = model;
    this.realHigh = 2 ** (model.realBits - 32) - 1;
    this.#memory = memory;
    this.#slots = slots;
    this.#mmu = mmu;
    this.#hosts = hosts;
    this.#vsids = vsids;
    this.words = new Int32Array(memory.wasm.buffer, cpu.base, BOOK3S_STATE_END >> 2);
    this.wDsisr = wordOfDsisr(memory.order);
    this.wIntPending = wordOfIntPending(memory.order);
    this.sharedPage = (cpu.base + SHARED) >>> 12;
  }

  /** Problem state. */
  get user(): boolean {
    return ((this.words[W_MSR] as number) & MSR.PR) !== 0;
  }

  /** Writes MSR. What changes of the mode selects another host context, and no more. */
  setMsr(low: number, high: number): void {
    const words = this.words;
    let value = low & this.model.msrMask & ~MSR.POW;
    if ((value & MSR.PR) !== 0) value |= this.model.problemState;
    if (words[W_PAPR] !== 0) value |= MSR.ME;
    const changed = (words[W_MSR] as number) ^ value;
    const sixtyFour = high & this.model.msrMaskHigh;
    if (this.beforeState !== null && (changed & MSR.PR) !== 0) this.beforeState();
    words[W_MSR] = value;
    if (this.model.hasPrefix) words[W_HIOR] = (value & MSR.IP) !== 0 ? PREFIX : 0;
    const wide = words[W_MSR + 1] !== sixtyFour;
    words[W_MSR + 1] = sixtyFour;
    if ((changed & (MSR_FACILITIES | MSR.PR)) !== 0) this.#setFacilities(value);
    if ((changed & MSR_CONTEXT) !== 0 || wide) this.select();
  }

  /** Makes the processor follow MSR. */
  select(): void {
    const words = this.words;
    const mode = modeOf(words[W_MSR] as number, words[W_MSR + 1] as number);
    const translation = mode & (MODE.IR | MODE.DR);
    // In split modes segments stand for what the guest's SLB says now.
    if (translation === MODE.IR || translation === MODE.DR) this.#vsids.releaseSplit();
    this.#hosts.select(mode);
  }

  /** The vector code may have changed the mode, and selected the processor's context by itself. */
  follow(): void {
    this.#hosts.follow(modeOf(this.words[W_MSR] as number, this.words[W_MSR + 1] as number));
  }

  /** After all registers were replaced. */
  refresh(): void {
    this.#setFacilities(this.words[W_MSR] as number);
    this.select();
    this.invalidate();
  }

  /** The guest's translations have changed: forgets where code is. */
  invalidate(): void {
    this.#generation++;
  }

  /** Whether an address is in the magic page, as the guest's kernel in a mode with translation has it. */
  isMagic(low: number, high: number): boolean {
    const words = this.words;
    if (words[W_MAGIC_MAPPED] === 0 || this.user) return false;
    if (((low ^ (words[W_MAGIC_EFFECTIVE] as number)) & ~0xfff) !== 0) return false;
    return (words[W_MSR + 1] as number) === 0 || high === words[W_MAGIC_EFFECTIVE + 1];
  }

  /** Whether a real page (4 KB) is the magic page's, for the guest's kernel. */
  isMagicReal(page: number): boolean {
    const words = this.words;
    if (words[W_MAGIC_MAPPED] === 0 || this.user) return false;
    const low = (words[W_MAGIC_REAL] as number) >>> 12;
    if ((words[W_MSR + 1] as number) === 0) return page % TWO_20 === low;
    return page === ((words[W_MAGIC_REAL + 1] as number) & this.realHigh) * TWO_20 + low;
  }

  /** The guest's kernel is inside a patched instruction's template: no interrupts (the reference's critical section). */
  get critical(): boolean {
    const words = this.words;
    if (words[W_MAGIC_MAPPED] === 0 || this.user || words[W_CRITICAL] !== words[W_GPR + 2]) return false;
    return (words[W_MSR + 1] as number) === 0 || words[W_CRITICAL + 1] === words[W_GPR + 3];
  }

  /** Goes on to the next instruction. */
  step(): void {
    const words = this.words;
    const pc = ((words[W_PC] as number) + 4) | 0;
    this.completed = true;
    words[W_PC] = pc;
    if (pc === 0) words[W_PC + 1] = words[W_MSR + 1] === 0 ? 0 : ((words[W_PC + 1] as number) + 1) | 0;
  }

  /** Reads the instruction at PC + `offset` through the guest's translation. False: it cannot be fetched; the guest will see why. */
  fetch(offset = 0): boolean {
    const words = this.words;
    const pc = words[W_PC] as number;
    const low = (pc + offset) | 0;
    const high = ((words[W_PC + 1] as number) - (offset < 0 && pc >>> 0 < -offset ? 1 : 0)) | 0;
    const page = low >>> 12;
    const slot = (page ^ (page >>> 6)) & (FETCH_ENTRIES - 1);
    const mode = this.#hosts.mode;
    if (
      this.#fetchLow[slot] !== page ||
      this.#fetchHigh[slot] !== high ||
      this.#fetchMode[slot] !== mode ||
      this.#fetchGeneration[slot] !== this.#generation
    ) {
      const base = this.#findCode(low, high);
      if (base < 0) return false;
      this.#fetchLow[slot] = page;
      this.#fetchHigh[slot] = high;
      this.#fetchMode[slot] = mode;
      this.#fetchGeneration[slot] = this.#generation;
      this.#fetchBase[slot] = base;
    }
    const word = this.#memory.read32((this.#fetchBase[slot] as number) + (low & 0xffc)) | 0;
    const littleEndian = ((words[W_MSR] as number) & MSR.LE) !== 0;
    this.instruction = littleEndian === this.#memory.littleEndian ? word : reverse(word);
    return true;
  }

  /** Host real address of the page of code that an effective address is in, or -1. */
  #findCode(low: number, high: number): number {
    const words = this.words;
    let page = (high & this.realHigh) * TWO_20 + (low >>> 12);
    if (((words[W_MSR] as number) & MSR.IR) !== 0) {
      const mmu = this.#mmu;
      if (mmu.translate(low, high, this.user, ACCESS.FETCH, false) !== TRANSLATION.OK) return -1;
      page = mmu.page;
    }
    const slot = this.#slots.find(page * PAGE_FRAMES);
    return slot === null ? -1 : (page * PAGE_FRAMES + slot.delta) * (1 << FRAME_SHIFT);
  }

  #setFacilities(msr: number): void {
    const words = this.words;
    words[W_FLOAT_AVAILABLE] = msr & MSR.FP;
    words[W_FLOAT_INTERRUPTS] = msr & (MSR.FE0 | MSR.FE1);
    words[W_VECTOR_AVAILABLE] = msr & MSR.VEC;
    words[W_VSX_AVAILABLE] = msr & MSR.VSX;
    words[W_FACILITIES] = (msr & MSR.PR) !== 0 ? (words[W_FSCR] as number) : -1;
    this.stepping = (this.stepping & ~MSR_TRACE) | (msr & MSR_TRACE);
  }
}

function reverse(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}
