/** The host's hashed page table as shadow pages are written into it: how an entry stands is each processor's. */
export interface HostTable {
  /** Binary logarithm of its groups, of HPTES_PER_GROUP slots each. */
  readonly log2Groups: number;
  /** Writes a slot's entry: of a page (0–65535) in the segment of a VSID; `secondary`: it stands in the secondary group. */
  write(
    slot: number,
    vsid: number,
    page: number,
    secondary: boolean,
    hostPage: number,
    writable: boolean,
    executable: boolean,
  ): void;
  /** Whether the entry was used since this was asked last. */
  takeReferenced(slot: number): boolean;
  /** Clears the entry, and drops what the processor has cached of its page. */
  clear(slot: number, vsid: number, page: number): void;
  /** Host real address of a slot, for tests. */
  address(slot: number): number;
}
