/**
 * Shadow faults, as the talk draws them: a guest address that the host has no translation of goes through the guest's SLB
 * and hashed page table to a guest real address, through the memory slots to a host real address, and with the host's
 * VSID for its segment into the host's hashed page table.
 */
import { DSISR, SERVER_VECTOR, SRR1_NOEXEC } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { MSR } from '../book3s/bits.ts';
import type { Book3sContext } from '../book3s/context.ts';
import { type HostContexts, MODE } from '../book3s/host-contexts.ts';
import type { Book3sInterrupts } from '../book3s/interrupts.ts';
import { W_MAGIC_EFFECTIVE, W_MAGIC_MAPPED, W_MSR, W_PC } from '../book3s/layout.ts';
import { ACCESS, type GuestMmu, PAGE_4K, TRANSLATION } from '../book3s/mmu.ts';
import type { ShadowPages } from '../book3s/shadow.ts';
import type { StorageEmulation } from '../book3s/storage.ts';
import { SEGMENT, type VsidMap } from '../book3s/vsid-map.ts';
import { RESUME_GUEST, RETRY_DATA, RETRY_FETCH } from '../family.ts';
import { type MemorySlot, type MemorySlots, PAGE_FRAMES } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import type { HostSegments } from './host-segments.ts';
import { esidOf, type GuestSlb, SEGMENTS_PER_1T } from './slb.ts';

const TWO_20 = 2 ** 20;
/** The virtual page of what tlbie does not reach: real mode's pages, the magic page. */
const NO_VPN = -1;
/** Of a guest page larger than the host's, so many pages behind the one that faulted are mapped with it. */
const AHEAD = 7;

export class ShadowFaults {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #storage: StorageEmulation;
  readonly #slb: GuestSlb;
  readonly #mmu: GuestMmu;
  readonly #vsids: VsidMap;
  readonly #hosts: HostContexts;
  readonly #segments: HostSegments;
  readonly #shadow: ShadowPages;
  readonly #slots: MemorySlots;
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  /** Answers of `#segment`. */
  #value = 0;
  #kind = 0;

  constructor(
    context: Book3sContext,
    interrupts: Book3sInterrupts,
    storage: StorageEmulation,
    slb: GuestSlb,
    mmu: GuestMmu,
    vsids: VsidMap,
    hosts: HostContexts,
    segments: HostSegments,
    shadow: ShadowPages,
    slots: MemorySlots,
    counters: VcpuCounters,
    run: KvmRun,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#storage = storage;
    this.#slb = slb;
    this.#mmu = mmu;
    this.#vsids = vsids;
    this.#hosts = hosts;
    this.#segments = segments;
    this.#shadow = shadow;
    this.#slots = slots;
    this.#counts = counters.counts;
    this.#run = run;
  }

  /** The host has no segment for a data access, or a fetch. */
  segment(low: number, high: number, fetch: boolean): number {
    if (!this.#segment(low, high)) return this.#noSegment(low, high, fetch);
    const retry = fetch ? RETRY_FETCH : RETRY_DATA;
    const n = this.#number();
    this.#segments.map(this.#hosts.current, esidOf(low, high), n, this.#vsids.hostVsid(n));
    // Most often the host has no page there either: the access that comes is known to be coming.
    const access = fetch ? ACCESS.FETCH : ACCESS.READ;
    if (this.#shadow.has(n, (low >>> 12) & 0xffff)) return retry;
    if (this.#translate(low, high, access) === TRANSLATION.OK) {
      const slot = this.#slots.find(this.#page * PAGE_FRAMES);
      if (slot !== null || this.#magic) this.#map(n, low, slot, false, fetch);
    }
    return retry;
  }

  /** The host has no page, or none that allows the data access. */
  data(low: number, high: number, store: boolean): number {
    this.#count(COUNTER.pf_storage);
    const result = this.#translate(low, high, store ? ACCESS.WRITE : ACCESS.READ);
    switch (result) {
      case TRANSLATION.OK:
        break;
      case TRANSLATION.NO_SEGMENT:
        return this.#noSegment(low, high, false);
      default: {
        const reason = result === TRANSLATION.NO_ENTRY ? DSISR.NOHPTE : DSISR.PROTFAULT;
        this.#interrupts.takeWithAddress(SERVER_VECTOR.dataStorage, low, high, reason | (store ? DSISR.ISSTORE : 0));
        return RESUME_GUEST;
      }
    }
    const slot = this.#slots.find(this.#page * PAGE_FRAMES);
    if (!this.#magic && (slot === null || (store && slot.readonly)))
      return this.#storage.emulate(low, high, this.#page, slot);
    this.#count(COUNTER.sp_storage);
    if (!this.#segment(low, high)) return this.#noSegment(low, high, false);
    this.#map(this.#number(), low, slot, store, false);
    return RETRY_DATA;
  }

  /** The host has no page to fetch from at PC, or none that may be executed. */
  instruction(): number {
    this.#count(COUNTER.pf_instruc);
    const low = this.#words[W_PC] as number;
    const high = this.#words[W_PC + 1] as number;
    const result = this.#translate(low, high, ACCESS.FETCH);
    switch (result) {
      case TRANSLATION.OK:
        break;
      case TRANSLATION.NO_SEGMENT:
        return this.#noSegment(low, high, true);
      default: {
        const { NO_ENTRY, PROTECTED } = TRANSLATION;
        const reason = result === NO_ENTRY ? DSISR.NOHPTE : result === PROTECTED ? DSISR.PROTFAULT : SRR1_NOEXEC;
        this.#interrupts.take(SERVER_VECTOR.instructionStorage, reason);
        return RESUME_GUEST;
      }
    }
    const slot = this.#slots.find(this.#page * PAGE_FRAMES);
    if (slot === null || this.#magic) return this.#fetchFromNowhere();
    this.#count(COUNTER.sp_instruc);
    if (!this.#segment(low, high)) return this.#noSegment(low, high, true);
    this.#map(this.#number(), low, slot, false, true);
    return RETRY_FETCH;
  }

  /** Results of `#translate`: the real page, whether it is the magic page, and what may be done there. */
  #page = 0;
  #magic = false;
  #virtual = false;

  #translate(low: number, high: number, access: number): number {
    const context = this.#context;
    const translated = ((this.#words[W_MSR] as number) & (access === ACCESS.FETCH ? MSR.IR : MSR.DR)) !== 0;
    this.#virtual = translated;
    this.#magic = false;
    if (!translated) {
      this.#page = (high & context.realHigh) * TWO_20 + (low >>> 12);
      this.#magic = context.isMagicReal(this.#page);
      return TRANSLATION.OK;
    }
    if (access !== ACCESS.FETCH && context.isMagic(low, high)) {
      this.#magic = true;
      return TRANSLATION.OK;
    }
    const mmu = this.#mmu;
    const result = mmu.translate(low, high, context.user, access, true);
    this.#page = mmu.page;
    if (result === TRANSLATION.OK) this.#magic = context.isMagicReal(mmu.page);
    return result;
  }

  /** The host's virtual page of an address as the guest is now, its shadow's address (-1: there is none); undefined: no segment. */
  shadowOf(low: number, high: number): { readonly vsid: number; readonly entry: number } | undefined {
    if (!this.#segment(low, high)) return undefined;
    const n = this.#vsids.find(this.#value, this.#kind);
    if (n < 0) return { vsid: -1, entry: -1 };
    return { vsid: this.#vsids.hostVsid(n), entry: this.#shadow.entryAddress(n, (low >>> 12) & 0xffff) };
  }

  /** Key of the segment that an address is in, in `#value` and `#kind`. False: the guest has none there. */
  #segment(low: number, high: number): boolean {
    const { mode } = this.#hosts;
    const esid = esidOf(low, high);
    const translation = mode & (MODE.IR | MODE.DR);
    if (translation !== (MODE.IR | MODE.DR)) {
      this.#value = esid;
      // One segment for fetches and data: a page of both has the translation that was asked for last.
      this.#kind =
        translation === 0 ? SEGMENT.REAL : translation === MODE.IR ? SEGMENT.FETCH_VIRTUAL : SEGMENT.DATA_VIRTUAL;
      return true;
    }
    const user = (mode & MODE.PR) !== 0;
    const slb = this.#slb;
    const index = slb.search(esid);
    const magic = !user && this.#words[W_MAGIC_MAPPED] !== 0 && this.#magicSegment(esid);
    if (index < 0) {
      if (!magic) return false;
      this.#value = esid;
      this.#kind = SEGMENT.REAL | SEGMENT.MAGIC;
      return true;
    }
    const vsid = slb.vsid(index);
    const large = slb.isLarge(index);
    this.#value = large ? vsid * SEGMENTS_PER_1T + (esid % SEGMENTS_PER_1T) : vsid;
    this.#kind = (large ? SEGMENT.PIECE : SEGMENT.VIRTUAL) | (user ? SEGMENT.USER : 0) | (magic ? SEGMENT.MAGIC : 0);
    return true;
  }

  #magicSegment(esid: number): boolean {
    const words = this.#words;
    const high = (words[W_MSR + 1] as number) === 0 ? 0 : (words[W_MAGIC_EFFECTIVE + 1] as number);
    return esidOf(words[W_MAGIC_EFFECTIVE] as number, high) === esid;
  }

  #number(): number {
    return this.#vsids.get(this.#value, this.#kind);
  }

  /** Maps the page that was translated last, and what follows in a large guest page. */
  #map(n: number, low: number, slot: MemorySlot | null, store: boolean, fetch: boolean): void {
    const shadow = this.#shadow;
    const page = (low >>> 12) & 0xffff;
    if (this.#magic || slot === null) {
      shadow.map(n, page, this.#context.sharedPage, true, false, NO_VPN, NO_VPN);
      return;
    }
    const hostPage = this.#page + slot.delta / PAGE_FRAMES;
    const split = (this.#kind & SEGMENT.KIND) >= SEGMENT.FETCH_VIRTUAL;
    if (!this.#virtual) {
      if (store) slot.markDirty(this.#page);
      const writable = !slot.readonly && (store || !slot.logged) && !(split && fetch);
      shadow.map(n, page, hostPage, writable, split ? fetch : true, NO_VPN, NO_VPN);
      return;
    }
    const mmu = this.#mmu;
    if (store) slot.markDirty(this.#page);
    const writable = mmu.writable && mmu.changed && !slot.readonly && !(split && fetch);
    const executable = split ? fetch : mmu.executable;
    const { vpnLow, vpnHigh } = mmu;
    shadow.map(n, page, hostPage, writable && (store || !slot.logged), executable, vpnLow, vpnHigh);
    if (mmu.pageShift === PAGE_4K || split) return;
    const pages = (1 << (mmu.pageShift - PAGE_4K)) - 1;
    const last = Math.min(page | pages, page + AHEAD);
    for (let i = page + 1; i <= last; i++) {
      const behind = i - page;
      if (this.#slots.find((this.#page + behind) * PAGE_FRAMES) !== slot || shadow.has(n, i)) break;
      shadow.map(n, i, hostPage + behind, writable && !slot.logged, executable, vpnLow + behind, vpnHigh);
    }
  }

  #noSegment(low: number, high: number, fetch: boolean): number {
    if (fetch) this.#interrupts.take(SERVER_VECTOR.instructionSegment, 0);
    else this.#interrupts.takeDataSegment(SERVER_VECTOR.dataSegment, low, high);
    return RESUME_GUEST;
  }

  /** The guest jumped to where no memory is: a machine check, or the checkstop that a machine check without MSR[ME] is. */
  #fetchFromNowhere(): number {
    const words = this.#words;
    if (((words[W_MSR] as number) & MSR.ME) === 0) {
      const { internal } = this.#run;
      internal.pc = ((words[W_PC + 1] as number) >>> 0) * 2 ** 32 + ((words[W_PC] as number) >>> 0);
      internal.message = `instruction fetch from where no memory is, with MSR[ME] = 0 (pc 0x${internal.pc.toString(16)})`;
      return KVM_EXIT.INTERNAL_ERROR;
    }
    this.#interrupts.take(SERVER_VECTOR.machineCheck, 0);
    return RESUME_GUEST;
  }

  #count(counter: number): void {
    (this.#counts[counter] as number)++;
  }
}
