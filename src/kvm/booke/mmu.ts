/** What the members of Book E have of the guest's TLB and its shadow in common. An entry is known by its index. */
import type { MemorySlot } from '../slots.ts';

/** Which accesses an entry allows. */
export const PERMIT = { EXECUTE: 4, WRITE: 2, READ: 1 } as const;

/** What a shadow is for: all accesses; or, while MSR[IS] ≠ MSR[DS], only fetches or only data. */
export const USE = { ALL: 0, FETCH: 1, DATA: 2 } as const;

/** `pieceMask` says with this that there is no piece: no page's mask is odd. */
export const NO_PIECE = 1;

/** log4 of the size in KB of the pages that a dirty log tells apart. */
export const LOGGED_SIZE = 1;

/** The TLB that the guest has written. */
export interface GuestTlb {
  /** Index of the entry that matches in address space 0 or 1, or -1. */
  search(address: number, pid: number, space: number): number;
  /** Bits of PERMIT for one privilege. */
  permissions(index: number, problemState: boolean): number;
  /** Guest frame (1 KB) that an effective address inside the entry's page maps to. */
  frame(index: number, address: number): number;
  /** Address mask of the entry's page. */
  pageMask(index: number): number;
  /** The page's E bit. */
  isLittleEndian(index: number): boolean;
}

/** The guest's translations as the host's TLB has them. */
export interface ShadowTlb {
  /** Mask of the largest host page around a frame of a guest entry that a slot's memory can be mapped by, or NO_PIECE. */
  pieceMask(index: number, frame: number, slot: MemorySlot): number;
  /**
   * Maps the page of a guest entry around an address for one privilege (1: supervisor), for a store or for whatever else. Where
   * a dirty log is kept a page of 4 KB at most is mapped, and can be written once a store has come. False: it cannot be mapped.
   */
  map(
    index: number,
    address: number,
    frame: number,
    slot: MemorySlot,
    view: 0 | 1,
    use: number,
    store: boolean,
  ): boolean;
  dropAll(): void;
}
