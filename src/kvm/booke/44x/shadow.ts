/**
 * Shadow TLB entries: the guest's translations, as entries of the host's TLB.
 *
 * The host's address space carries the guest's privilege: guest kernel in host space 1, guest user in space 0; PIDs and
 * TIDs are the guest's own. So neither a system call nor a new process invalidates anything. A guest entry has up to
 * two *views*, kernel and user, in each of them as many pieces as its memory slot's placement asks for (nearly always
 * one). A shadow lives until its guest entry is overwritten, its place is needed, or the guest changes MSR[IS] or [DS].
 */
import { type Host440Cpu, TLB44X } from '../../../processor/index.ts';
import { type MemorySlot, PAGE_FRAMES } from '../../slots.ts';
import { COUNTER, type VcpuCounters } from '../../stats.ts';
import { GUEST_TLB_ENTRIES } from '../layout.ts';
import { LOGGED_SIZE, NO_PIECE, PERMIT, type ShadowTlb, USE } from '../mmu.ts';
import { type GuestTlb440, pageMask, permissions } from './mmu.ts';

/** Page sizes of the host's TLB, as codes (4^n KB), largest first. */
const HOST_SIZES = [9, 7, 5, 4, 3, 2, 1, 0] as const;
/** From 1 MB on a page is large: it gets a place above the water mark, out of the way of the round robin. */
const LARGE_SIZE = 5;
/** At most this part of the host's TLB holds large pages. */
const LARGE_SHARE = 4;

export class Shadow440 implements ShadowTlb {
  readonly #cpu: Host440Cpu;
  readonly #tlb: GuestTlb440;
  readonly #counters: VcpuCounters;
  readonly #count: number;
  /** By host index: guest index (-1: free), view (0 user, 1 kernel), page address and size code, use, neighbours of the guest's list. */
  readonly #guest: Int16Array;
  readonly #view: Int8Array;
  readonly #page: Int32Array;
  readonly #size: Int8Array;
  readonly #use: Int8Array;
  /** The first store is to come to KVM, which logs it. */
  readonly #isLogged: Int8Array;
  readonly #next: Int16Array;
  readonly #previous: Int16Array;
  /** By guest index: its first shadow. */
  readonly #first = new Int16Array(GUEST_TLB_ENTRIES).fill(-1);
  /** Entries from here on are for large pages. */
  #waterMark: number;
  readonly #lowestWaterMark: number;
  #smallCursor = 0;
  #largeCursor: number;
  #lastFreed = -1;

  constructor(cpu: Host440Cpu, tlb: GuestTlb440, counters: VcpuCounters) {
    this.#cpu = cpu;
    this.#tlb = tlb;
    this.#counters = counters;
    const count = cpu.tlbEntries;
    this.#count = count;
    this.#guest = new Int16Array(count).fill(-1);
    this.#view = new Int8Array(count);
    this.#page = new Int32Array(count);
    this.#size = new Int8Array(count);
    this.#use = new Int8Array(count);
    this.#isLogged = new Int8Array(count);
    this.#next = new Int16Array(count);
    this.#previous = new Int16Array(count);
    this.#waterMark = count;
    this.#lowestWaterMark = count - Math.floor(count / LARGE_SHARE);
    this.#largeCursor = count;
  }

  /**
   * Size code of the largest host page around a frame that lies in both the guest entry and the slot, properly aligned
   * in host memory; -1: none.
   */
  pieceSize(guestIndex: number, frame: number, slot: MemorySlot): number {
    const size = this.#tlb.size(guestIndex);
    const largest = slot.logged ? Math.min(size, LOGGED_SIZE) : size;
    for (let i = 0; i < HOST_SIZES.length; i++) {
      const size = HOST_SIZES[i] as number;
      if (size > largest) continue;
      const frames = 1 << (2 * size);
      const first = frame & -frames;
      if (first < slot.firstFrame || first + frames > slot.endFrame) continue;
      if (((first + slot.delta) & (frames - 1)) === 0) return size;
    }
    return -1;
  }

  pieceMask(guestIndex: number, frame: number, slot: MemorySlot): number {
    const size = this.pieceSize(guestIndex, frame, slot);
    return size < 0 ? NO_PIECE : pageMask(size);
  }

  /**
   * Maps the page of a guest entry around an address for one view. False: a page that is being fetched from with
   * another translation is in the way (MSR[IS] ≠ MSR[DS] only).
   */
  map(
    guestIndex: number,
    address: number,
    frame: number,
    slot: MemorySlot,
    view: 0 | 1,
    use: number,
    store: boolean,
  ): boolean {
    const size = this.pieceSize(guestIndex, frame, slot);
    if (size < 0) return false;
    const mask = pageMask(size);
    const page = address & mask;
    if (use !== USE.ALL && !this.#makeRoom(page, size, view, use)) return false;
    // A shadow of this very page did not satisfy the access: another entry overlaps it, or it was made for less.
    for (let i = this.#first[guestIndex] as number; i >= 0; i = this.#next[i] as number) {
      if (this.#view[i] === view && this.#page[i] === page) {
        if (store && this.#isLogged[i] === 1) this.#release(i);
        else this.dropAll();
        break;
      }
    }
    const word2 = this.#tlb.word(guestIndex, 2);
    let permit = permissions(word2, view === 0);
    if (use === USE.FETCH) permit &= PERMIT.EXECUTE;
    else if (use === USE.DATA) permit &= ~PERMIT.EXECUTE;
    const isLogged = slot.logged && !store;
    if (slot.readonly || isLogged) permit &= ~PERMIT.WRITE;
    if (store) slot.markDirty(Math.floor(frame / PAGE_FRAMES));
    const index = size >= LARGE_SIZE ? this.#takeLarge() : this.#takeSmall();
    this.#guest[index] = guestIndex;
    this.#view[index] = view;
    this.#page[index] = page;
    this.#size[index] = size;
    this.#use[index] = use;
    this.#isLogged[index] = isLogged ? 1 : 0;
    this.#link(index, guestIndex);
    const hostFrame = (frame & -(1 << (2 * size))) + slot.delta;
    this.#cpu.tlbWrite(
      index,
      page | TLB44X.VALID | (view === 1 ? TLB44X.TS : 0) | (size << TLB44X.SIZE_SHIFT),
      hostFrame << 10,
      (word2 & 0xff80) | (permit << 3),
      this.#tlb.word(guestIndex, 3),
    );
    return true;
  }

  /** Drops the shadows of a guest entry. */
  drop(guestIndex: number): void {
    let i = this.#first[guestIndex] as number;
    if (i < 0) return;
    this.#first[guestIndex] = -1;
    while (i >= 0) {
      this.#guest[i] = -1;
      this.#lastFreed = i;
      this.#cpu.tlbInvalidate(i);
      i = this.#next[i] as number;
    }
    this.#raiseWaterMark();
  }

  dropAll(): void {
    (this.#counters.counts[COUNTER.shadow_flushes] as number)++;
    if (this.#hasShadows()) this.#cpu.tlbInvalidateAll();
    this.#guest.fill(-1);
    this.#first.fill(-1);
    this.#waterMark = this.#count;
    this.#smallCursor = 0;
    this.#largeCursor = this.#count;
  }

  #hasShadows(): boolean {
    for (let i = 0; i < GUEST_TLB_ENTRIES; i++) if ((this.#first[i] as number) >= 0) return true;
    return false;
  }

  /** The shadows by host index, for who looks inside. */
  *list(): Generator<{
    readonly index: number;
    readonly guest: number;
    readonly view: number;
    readonly page: number;
    readonly size: number;
  }> {
    for (let index = 0; index < this.#count; index++) {
      const guest = this.#guest[index] as number;
      if (guest < 0) continue;
      yield {
        index,
        guest,
        view: this.#view[index] as number,
        page: this.#page[index] as number,
        size: this.#size[index] as number,
      };
    }
  }

  /** Host indexes that shadow a guest entry, for tests. */
  shadowsOf(guestIndex: number): number[] {
    const indexes: number[] = [];
    for (let i = this.#first[guestIndex] as number; i >= 0; i = this.#next[i] as number) indexes.push(i);
    return indexes;
  }

  /**
   * While MSR[IS] ≠ MSR[DS], the same address can have one translation for fetches and another for data, which the host
   * cannot hold at once. The fetch wins, so that the guest makes progress; data accesses to such a page are emulated.
   */
  #makeRoom(page: number, size: number, view: number, use: number): boolean {
    for (let i = 0; i < this.#count; i++) {
      if (this.#guest[i] === -1 || this.#view[i] !== view || this.#use[i] === use) continue;
      const mask = pageMask(Math.max(size, this.#size[i] as number));
      if (((page ^ (this.#page[i] as number)) & mask) !== 0) continue;
      if (use === USE.DATA) return false;
      this.#release(i);
    }
    return true;
  }

  #takeSmall(): number {
    // The place that the guest's own tlbwe has just freed, so that as many shadows live as entries do.
    let index = this.#lastFreed;
    this.#lastFreed = -1;
    if (index >= 0 && index < this.#waterMark && this.#guest[index] === -1) return index;
    index = this.#smallCursor;
    if (index >= this.#waterMark) index = 0;
    this.#smallCursor = index + 1;
    if (this.#guest[index] !== -1) this.#unlink(index);
    return index;
  }

  #takeLarge(): number {
    for (let i = this.#waterMark; i < this.#count; i++) if (this.#guest[i] === -1) return i;
    if (this.#waterMark > this.#lowestWaterMark) {
      const index = --this.#waterMark;
      if (this.#guest[index] !== -1) this.#unlink(index);
      return index;
    }
    let index = this.#largeCursor;
    if (index >= this.#count) index = this.#waterMark;
    this.#largeCursor = index + 1;
    this.#unlink(index);
    return index;
  }

  #raiseWaterMark(): void {
    while (this.#waterMark < this.#count && this.#guest[this.#waterMark] === -1) this.#waterMark++;
  }

  #link(index: number, guestIndex: number): void {
    const first = this.#first[guestIndex] as number;
    this.#next[index] = first;
    this.#previous[index] = -1;
    if (first >= 0) this.#previous[first] = index;
    this.#first[guestIndex] = index;
  }

  /** Takes a shadow off its guest entry's list; its place is about to be written anew. */
  #unlink(index: number): void {
    const next = this.#next[index] as number;
    const previous = this.#previous[index] as number;
    if (next >= 0) this.#previous[next] = previous;
    if (previous >= 0) this.#next[previous] = next;
    else this.#first[this.#guest[index] as number] = next;
    this.#guest[index] = -1;
  }

  #release(index: number): void {
    this.#unlink(index);
    this.#cpu.tlbInvalidate(index);
    this.#raiseWaterMark();
  }
}
