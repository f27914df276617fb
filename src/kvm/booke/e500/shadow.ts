/**
 * Shadow TLB entries: the guest's translations, as entries of the host's TLBs.
 *
 * The host's PIDs carry the guest's address space, PID and privilege (shadow-pids.ts), so that neither a system call nor a
 * new process invalidates anything. A guest entry has up to two *views*, kernel and user, in each of them as many pieces as
 * its memory slot's placement asks for: pages of 4 KB stand in the host's TLB0, larger ones in its TLB1. What of a large
 * guest page cannot be mapped large is mapped by pages of 4 KB. A shadow lives until its guest entry is overwritten or its
 * place is needed.
 */
import {
  E500_TLB0_ENTRIES,
  E500_TLB0_SETS,
  E500_TLB0_WAYS,
  E500_TLB1_ENTRIES,
  type HostE500Cpu,
  MAS1,
  MAS2,
  MAS3,
  SHARED,
} from '../../../processor/index.ts';
import { type MemorySlot, PAGE_FRAMES } from '../../slots.ts';
import { COUNTER, type VcpuCounters } from '../../stats.ts';
import { E500_GUEST_TLB_ENTRIES } from '../layout.ts';
import { LOGGED_SIZE, NO_PIECE, PERMIT, type ShadowTlb, USE } from '../mmu.ts';
import { type GuestTlbE500, maskOfSize } from './mmu.ts';

const HOST_ENTRIES = E500_TLB0_ENTRIES + E500_TLB1_ENTRIES;
/** log4 of a page's size in KB: of TLB0's, and of the largest. */
const SMALL = 1;
const LARGEST = 10;

/** Stands in the place of a guest index for the magic page. */
const MAGIC = E500_GUEST_TLB_ENTRIES;

/** What the shadow asks of the context: the host's PID of a guest entry's in one view. */
export interface ShadowIds {
  idOf(tid: number, space: number, view: 0 | 1): number;
}

export class ShadowE500 implements ShadowTlb {
  readonly #cpu: HostE500Cpu;
  readonly #tlb: GuestTlbE500;
  readonly #counters: VcpuCounters;
  /** Set when the context is complete. */
  ids!: ShadowIds;
  /** By host index: guest index (-1: free), view (0 user, 1 kernel), page address and size, use, neighbours of the guest's list. */
  readonly #guest = new Int16Array(HOST_ENTRIES).fill(-1);
  readonly #view = new Int8Array(HOST_ENTRIES);
  readonly #page = new Int32Array(HOST_ENTRIES);
  readonly #size = new Int8Array(HOST_ENTRIES);
  readonly #use = new Int8Array(HOST_ENTRIES);
  /** The first store is to come to KVM, which logs it. */
  readonly #isLogged = new Int8Array(HOST_ENTRIES);
  readonly #next = new Int16Array(HOST_ENTRIES);
  readonly #previous = new Int16Array(HOST_ENTRIES);
  /** By guest index: its first shadow. */
  readonly #first = new Int16Array(E500_GUEST_TLB_ENTRIES + 1).fill(-1);
  /** Next victim of each set of the host's TLB0, and of its TLB1. */
  readonly #victims = new Uint8Array(E500_TLB0_SETS);
  #victim1 = 0;
  #live = 0;

  constructor(cpu: HostE500Cpu, tlb: GuestTlbE500, counters: VcpuCounters) {
    this.#cpu = cpu;
    this.#tlb = tlb;
    this.#counters = counters;
  }

  pieceMask(guestIndex: number, frame: number, slot: MemorySlot): number {
    const size = this.#pieceSize(guestIndex, frame, slot);
    return size < 0 ? NO_PIECE : maskOfSize(size);
  }

  /** The largest host page around a frame that lies in both the guest entry and the slot, properly aligned in host memory. */
  #pieceSize(guestIndex: number, frame: number, slot: MemorySlot): number {
    const largest = Math.min(this.#tlb.size(guestIndex), slot.logged ? LOGGED_SIZE : LARGEST);
    for (let size = largest; size >= SMALL; size--) {
      const frames = 1 << (2 * size);
      const first = frame - (frame % frames);
      if (first < slot.firstFrame || first + frames > slot.endFrame) continue;
      if (((first + slot.delta) & (frames - 1)) === 0) return size;
    }
    return -1;
  }

  map(
    guestIndex: number,
    address: number,
    frame: number,
    slot: MemorySlot,
    view: 0 | 1,
    use: number,
    store: boolean,
  ): boolean {
    const tlb = this.#tlb;
    const size = this.#pieceSize(guestIndex, frame, slot);
    if (size < 0) return false;
    const page = address & maskOfSize(size);
    if (use !== USE.ALL && !this.#makeRoom(page, size, view, use)) return false;
    // A shadow of this very page did not satisfy the access: another entry overlaps it, or it was made for less.
    for (let i = this.#first[guestIndex] as number; i >= 0; i = this.#next[i] as number) {
      if (this.#view[i] === view && this.#page[i] === page && this.#size[i] === size) {
        if (store && this.#isLogged[i] === 1) this.#release(i);
        else this.dropAll();
        break;
      }
    }
    const mas1 = tlb.mas1(guestIndex);
    const id = this.ids.idOf((mas1 & MAS1.TID) >>> MAS1.TID_SHIFT, (mas1 & MAS1.TS) !== 0 ? 1 : 0, view);
    let permit = tlb.permissions(guestIndex, view === 0);
    if (use === USE.FETCH) permit &= PERMIT.EXECUTE;
    else if (use === USE.DATA) permit &= ~PERMIT.EXECUTE;
    const isLogged = slot.logged && !store;
    if (slot.readonly || isLogged) permit &= ~PERMIT.WRITE;
    if (store) slot.markDirty(Math.floor(frame / PAGE_FRAMES));
    const index = size === SMALL ? this.#takeSmall(page) : this.#takeLarge();
    this.#guest[index] = guestIndex;
    this.#view[index] = view;
    this.#page[index] = page;
    this.#size[index] = size;
    this.#use[index] = use;
    this.#isLogged[index] = isLogged ? 1 : 0;
    this.#link(index, guestIndex);
    this.#live++;
    const hostFrame = frame - (frame % (1 << (2 * size))) + slot.delta;
    this.#cpu.tlbWrite(
      index,
      MAS1.VALID | MAS1.TS | (id << MAS1.TID_SHIFT) | (size << MAS1.TSIZE_SHIFT),
      page | (tlb.mas2(guestIndex) & MAS2.ATTRIBUTES),
      ((hostFrame << 10) & MAS3.RPN) |
        ((permit & PERMIT.READ) !== 0 ? MAS3.UR : 0) |
        ((permit & PERMIT.WRITE) !== 0 ? MAS3.UW : 0) |
        ((permit & PERMIT.EXECUTE) !== 0 ? MAS3.UX : 0),
    );
    return true;
  }

  /** Maps the struct that KVM shares with the guest's kernel, whatever its TLB has there: to read and to write. */
  mapMagic(page: number, space: number): void {
    this.drop(MAGIC);
    const index = this.#takeSmall(page);
    this.#guest[index] = MAGIC;
    this.#view[index] = 1;
    this.#page[index] = page;
    this.#size[index] = SMALL;
    this.#use[index] = USE.ALL;
    this.#link(index, MAGIC);
    this.#live++;
    const id = this.ids.idOf(0, space, 1);
    const real = this.#cpu.base + SHARED;
    const mas1 = MAS1.VALID | MAS1.TS | (id << MAS1.TID_SHIFT) | (SMALL << MAS1.TSIZE_SHIFT);
    this.#cpu.tlbWrite(index, mas1, page, real | MAS3.UR | MAS3.UW);
  }

  /** Drops the shadows of a guest entry. */
  drop(guestIndex: number): void {
    let i = this.#first[guestIndex] as number;
    if (i < 0) return;
    this.#first[guestIndex] = -1;
    while (i >= 0) {
      this.#guest[i] = -1;
      this.#live--;
      this.#cpu.tlbInvalidate(i);
      i = this.#next[i] as number;
    }
  }

  dropAll(): void {
    (this.#counters.counts[COUNTER.shadow_flushes] as number)++;
    if (this.#live === 0) return;
    this.#live = 0;
    this.#cpu.tlbInvalidateAll();
    this.#guest.fill(-1);
    this.#first.fill(-1);
  }

  /** The shadows by host index, for who looks inside. */
  *list(): Generator<{
    readonly index: number;
    readonly guest: number;
    readonly view: number;
    readonly page: number;
    readonly size: number;
  }> {
    for (let index = 0; index < HOST_ENTRIES; index++) {
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

  /** Host indexes that shadow a guest entry. */
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
    for (let i = 0; i < HOST_ENTRIES; i++) {
      if (this.#guest[i] === -1 || this.#view[i] !== view || this.#use[i] === use || this.#use[i] === USE.ALL) continue;
      const mask = maskOfSize(Math.max(size, this.#size[i] as number));
      if (((page ^ (this.#page[i] as number)) & mask) !== 0) continue;
      if (use === USE.DATA) return false;
      this.#release(i);
    }
    return true;
  }

  #release(index: number): void {
    this.#unlink(index);
    this.#cpu.tlbInvalidate(index);
  }

  #takeSmall(page: number): number {
    const set = (page >>> 12) & (E500_TLB0_SETS - 1);
    const first = set * E500_TLB0_WAYS;
    for (let i = first; i < first + E500_TLB0_WAYS; i++) if (this.#guest[i] === -1) return i;
    const victim = this.#victims[set] as number;
    this.#victims[set] = (victim + 1) & (E500_TLB0_WAYS - 1);
    this.#unlink(first + victim);
    return first + victim;
  }

  #takeLarge(): number {
    for (let i = E500_TLB0_ENTRIES; i < HOST_ENTRIES; i++) if (this.#guest[i] === -1) return i;
    const index = E500_TLB0_ENTRIES + this.#victim1;
    this.#victim1 = (this.#victim1 + 1) % E500_TLB1_ENTRIES;
    this.#unlink(index);
    return index;
  }

  #link(index: number, guestIndex: number): void {
    const first = this.#first[guestIndex] as number;
    this.#next[index] = first;
    this.#previous[index] = -1;
    if (first >= 0) this.#previous[first] = index;
    this.#first[guestIndex] = index;
  }

  /** Takes a shadow off its guest entry's list. */
  #unlink(index: number): void {
    const next = this.#next[index] as number;
    const previous = this.#previous[index] as number;
    if (next >= 0) this.#previous[next] = previous;
    if (previous >= 0) this.#next[previous] = next;
    else this.#first[this.#guest[index] as number] = next;
    this.#guest[index] = -1;
    this.#live--;
  }
}
