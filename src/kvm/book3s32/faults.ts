/**
 * Shadow faults: a guest address that the host has no translation of goes through the guest's BATs or its segment registers
 * and hashed page table to a guest real address, through the memory slots to a host real address, and with the host's VSID
 * for its segment into the host's hashed page table.
 */
import { DSISR, SERVER_VECTOR, SRR1_NOEXEC } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { MSR } from '../book3s/bits.ts';
import type { Book3sContext } from '../book3s/context.ts';
import { type HostContexts, MODE } from '../book3s/host-contexts.ts';
import type { Book3sInterrupts } from '../book3s/interrupts.ts';
import { W_MSR, W_PC } from '../book3s/layout.ts';
import { ACCESS, TRANSLATION } from '../book3s/mmu.ts';
import type { ShadowPages } from '../book3s/shadow.ts';
import type { StorageEmulation } from '../book3s/storage.ts';
import { RESUME_GUEST, RETRY_DATA, RETRY_FETCH } from '../family.ts';
import { type MemorySlot, type MemorySlots, PAGE_FRAMES } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { failure, type GuestMmu32 } from './mmu.ts';
import type { HostSegments } from './segments.ts';

/** DSISR of a data access in a segment that is none of memory's (SR[T]): direct-store segments are not there. */
const DSISR_BADACCESS = 0x0400_0000;
/** The virtual page of what tlbie does not reach: real mode's pages, the magic page. */
const NO_VPN = -1;

export class ClassicFaults {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #storage: StorageEmulation;
  readonly #mmu: GuestMmu32;
  readonly #hosts: HostContexts;
  readonly #segments: HostSegments;
  readonly #shadow: ShadowPages;
  readonly #slots: MemorySlots;
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  /** Results of `#translate`: the real page, whether it is the magic page, and whether it is the guest's translation's. */
  #page = 0;
  #magic = false;
  #virtual = false;

  constructor(
    context: Book3sContext,
    interrupts: Book3sInterrupts,
    storage: StorageEmulation,
    mmu: GuestMmu32,
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
    this.#mmu = mmu;
    this.#hosts = hosts;
    this.#segments = segments;
    this.#shadow = shadow;
    this.#slots = slots;
    this.#counts = counters.counts;
    this.#run = run;
  }

  /** The processor has no interrupts for segments. */
  segment(low: number, high: number, fetch: boolean): number {
    return fetch ? this.instruction() : this.data(low, high, false);
  }

  /** The host has no page, or none that allows the data access. */
  data(low: number, _high: number, store: boolean): number {
    this.#count(COUNTER.pf_storage);
    const result = this.#translate(low, store ? ACCESS.WRITE : ACCESS.READ);
    if (result !== TRANSLATION.OK) {
      const reason = result === TRANSLATION.NO_SEGMENT ? DSISR_BADACCESS : failure(result);
      this.#interrupts.takeWithAddress(SERVER_VECTOR.dataStorage, low, 0, reason | (store ? DSISR.ISSTORE : 0));
      return RESUME_GUEST;
    }
    const slot = this.#slots.find(this.#page * PAGE_FRAMES);
    if (!this.#magic && (slot === null || (store && slot.readonly)))
      return this.#storage.emulate(low, 0, this.#page, slot);
    this.#count(COUNTER.sp_storage);
    this.#map(low, slot, store, false);
    return RETRY_DATA;
  }

  /** The host has no page to fetch from at PC, or none that may be executed. */
  instruction(): number {
    this.#count(COUNTER.pf_instruc);
    const low = this.#words[W_PC] as number;
    const result = this.#translate(low, ACCESS.FETCH);
    if (result !== TRANSLATION.OK) {
      const isForbidden = result === TRANSLATION.NO_SEGMENT || result === TRANSLATION.NO_EXECUTE;
      this.#interrupts.take(SERVER_VECTOR.instructionStorage, isForbidden ? SRR1_NOEXEC : failure(result));
      return RESUME_GUEST;
    }
    const slot = this.#slots.find(this.#page * PAGE_FRAMES);
    if (slot === null || this.#magic) return this.#fetchFromNowhere();
    this.#count(COUNTER.sp_instruc);
    this.#map(low, slot, false, true);
    return RETRY_FETCH;
  }

  #translate(address: number, access: number): number {
    const context = this.#context;
    this.#virtual = ((this.#words[W_MSR] as number) & (access === ACCESS.FETCH ? MSR.IR : MSR.DR)) !== 0;
    this.#magic = false;
    if (!this.#virtual) {
      this.#page = address >>> 12;
      this.#magic = context.isMagicReal(this.#page);
      return TRANSLATION.OK;
    }
    if (access !== ACCESS.FETCH && context.isMagic(address, 0)) {
      this.#magic = true;
      return TRANSLATION.OK;
    }
    const mmu = this.#mmu;
    const result = mmu.translate(address, 0, context.user, access, true);
    this.#page = mmu.page;
    if (result === TRANSLATION.OK) this.#magic = context.isMagicReal(mmu.page);
    return result;
  }

  /** Maps the page that was translated last. */
  #map(address: number, slot: MemorySlot | null, store: boolean, fetch: boolean): void {
    const shadow = this.#shadow;
    const hosts = this.#hosts;
    const n = this.#segments.numberAt(hosts.current, address);
    // Its segment has just been given to another: the access comes again with a segment of its own.
    if (n === 0) {
      this.#segments.isStale = true;
      return;
    }
    const page = (address >>> 12) & 0xffff;
    if (this.#magic || slot === null) {
      shadow.map(n, page, this.#context.sharedPage, true, false, NO_VPN, 0);
      return;
    }
    const hostPage = this.#page + slot.delta / PAGE_FRAMES;
    const translation = hosts.mode & (MODE.IR | MODE.DR);
    const split = translation === MODE.IR || translation === MODE.DR;
    if (store) slot.markDirty(this.#page);
    let writable = !slot.readonly && (store || !slot.logged) && !(split && fetch);
    let executable = split ? fetch : true;
    if (this.#virtual) {
      const mmu = this.#mmu;
      writable = writable && mmu.writable && mmu.changed;
      executable = split ? fetch : mmu.executable;
    }
    shadow.map(n, page, hostPage, writable, executable, this.#virtual ? this.#mmu.vpnLow : NO_VPN, 0);
  }

  /** The guest jumped to where no memory is: a machine check, or the checkstop that a machine check without MSR[ME] is. */
  #fetchFromNowhere(): number {
    const words = this.#words;
    if (((words[W_MSR] as number) & MSR.ME) === 0) {
      const { internal } = this.#run;
      internal.pc = (words[W_PC] as number) >>> 0;
      internal.message = `instruction fetch from where no memory is, with MSR[ME] = 0 (pc 0x${internal.pc.toString(16)})`;
      return KVM_EXIT.INTERNAL_ERROR;
    }
    this.#interrupts.take(SERVER_VECTOR.machineCheck, 0);
    // The handler has to set MSR[ME] again.
    this.#context.setMsr((words[W_MSR] as number) & ~MSR.ME, 0);
    return RESUME_GUEST;
  }

  #count(counter: number): void {
    (this.#counts[counter] as number)++;
  }
}
