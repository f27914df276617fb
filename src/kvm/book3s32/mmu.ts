/**
 * The guest's address translation as a 32-bit Book3S processor does it: BATs, segment registers and the hashed page table in
 * the guest's memory (The Programming Environments for 32-Bit Microprocessors, chapter 7).
 */
import { DSISR, type HostMemory, PTE, PTE_BYTES, PTEG_BYTES, PTES_PER_GROUP, SR } from '../../processor/index.ts';
import { ACCESS, type GuestMmu, PAGE_4K, TRANSLATION } from '../book3s/mmu.ts';
import { FRAME_SHIFT, type MemorySlot, type MemorySlots } from '../slots.ts';
import type { GuestBats } from './bats.ts';
import { BAT, SDR1 } from './bits.ts';
import { W_SDR1, W_SR } from './layout.ts';

/** Of what tlbie does not reach. */
const NO_VPN = -1;
const GROUP_SHIFT = 6;
const API_SHIFT = 10;
/** What the hash has of the VSID. */
const HASH_VSID = 0x7_ffff;
/** The part of a hash that counts in the smallest table, as an offset. */
const LOW_OFFSET = 0xffc0;

/** PP with the key as bit 2: nothing, read, write. */
const NONE = 0;
const READABLE = 1;
const WRITABLE = 2;
const PERMISSIONS = [WRITABLE, WRITABLE, WRITABLE, READABLE, NONE, READABLE, WRITABLE, READABLE];
/** PP of a BAT. */
const BLOCK_PERMISSIONS = [NONE, READABLE, WRITABLE, READABLE];

export class GuestMmu32 implements GuestMmu {
  readonly #words: Int32Array;
  readonly #memory: Int32Array;
  readonly #slots: MemorySlots;
  readonly #bats: GuestBats;
  /** Hears of a word in guest memory that was changed. */
  readonly #onWrite: (address: number) => void;
  page = 0;
  writable = false;
  executable = false;
  changed = false;
  readonly pageShift = PAGE_4K;
  /** The page in its segment, by which tlbie names it; -1: a block's. */
  vpnLow = 0;
  readonly vpnHigh = 0;

  constructor(
    words: Int32Array,
    memory: HostMemory,
    slots: MemorySlots,
    bats: GuestBats,
    onWrite: (address: number) => void,
  ) {
    this.#words = words;
    this.#memory = memory.i32;
    this.#slots = slots;
    this.#bats = bats;
    this.#onWrite = onWrite;
  }

  translate(address: number, _high: number, user: boolean, access: number, update: boolean): number {
    const block = this.#bats.find(address, access, user);
    if (block >= 0) return this.#permitBlock(block, address, access);
    const segment = this.#words[W_SR[address >>> 28] as number] as number;
    if ((segment & SR.T) !== 0) return TRANSLATION.NO_SEGMENT;
    if (access === ACCESS.FETCH && (segment & SR.N) !== 0) return TRANSLATION.NO_EXECUTE;
    const vsid = segment & SR.VSID;
    const page = (address >>> 12) & 0xffff;
    const hash = (vsid & HASH_VSID) ^ page;
    const wanted = PTE.V | (vsid << PTE.VSID_SHIFT) | (page >>> API_SHIFT);
    let entry = this.#find(hash, wanted);
    if (entry < 0) entry = this.#find(~hash, wanted | PTE.H);
    if (entry < 0) return TRANSLATION.NO_ENTRY;
    this.vpnLow = page;
    const key = (segment & (user ? SR.KP : SR.KS)) !== 0 ? 4 : 0;
    return this.#permit(entry, key, access, update, (segment & SR.N) !== 0);
  }

  #slot: MemorySlot | null = null;
  #group = 0;

  /** Host real address of the matching entry in the group of a hash, or -1. */
  #find(hash: number, wanted: number): number {
    const sdr1 = this.#words[W_SDR1] as number;
    const mask = ((sdr1 & SDR1.HTABMASK) << 16) | LOW_OFFSET;
    const group = ((sdr1 & SDR1.HTABORG) | ((hash << GROUP_SHIFT) & mask)) >>> 0;
    this.#slot = this.#slots.find(group >>> FRAME_SHIFT);
    this.#group = group;
    const host = this.#slots.hostAddress(group, PTEG_BYTES);
    if (host < 0) return -1;
    for (let i = 0; i < PTES_PER_GROUP; i++)
      if (this.#read(host + i * PTE_BYTES) === wanted) return host + i * PTE_BYTES;
    return -1;
  }

  #read(address: number): number {
    return this.#memory[(address ^ 4) >>> 2] as number;
  }

  #permit(entry: number, key: number, access: number, update: boolean, noExecute: boolean): number {
    const low = this.#read(entry + 4);
    const permission = PERMISSIONS[key | (low & PTE.PP)] as number;
    this.writable = permission === WRITABLE;
    this.executable = !noExecute && permission >= READABLE && (low & PTE.G) === 0;
    if (permission < READABLE) return TRANSLATION.PROTECTED;
    if (access === ACCESS.WRITE && !this.writable) return TRANSLATION.PROTECTED;
    if (access === ACCESS.FETCH && !this.executable) return TRANSLATION.NO_EXECUTE;
    this.changed = (low & PTE.C) !== 0 || (access === ACCESS.WRITE && update);
    this.page = low >>> 12;
    if (!update) return TRANSLATION.OK;
    const now = low | PTE.R | (access === ACCESS.WRITE ? PTE.C : 0);
    const slot = this.#slot;
    // A table in read-only memory stays as it is.
    if (now === low || slot === null || slot.readonly) return TRANSLATION.OK;
    this.#memory[((entry + 4) ^ 4) >>> 2] = now;
    slot.markDirty(this.#group >>> 12);
    this.#onWrite(entry + 4);
    return TRANSLATION.OK;
  }

  #permitBlock(at: number, address: number, access: number): number {
    const permission = BLOCK_PERMISSIONS[(this.#words[at + 1] as number) & BAT.PP] as number;
    this.writable = permission === WRITABLE;
    this.executable = true;
    this.changed = true;
    this.vpnLow = NO_VPN;
    this.page = this.#bats.realAddress(at, address) >>> 12;
    if (permission < READABLE || (access === ACCESS.WRITE && !this.writable)) return TRANSLATION.PROTECTED;
    return TRANSLATION.OK;
  }
}

/** SRR1 and DSISR bits of a translation that failed, but for NO_SEGMENT and what only fetches have. */
export const failure = (result: number): number => (result === TRANSLATION.NO_ENTRY ? DSISR.NOHPTE : DSISR.PROTFAULT);
