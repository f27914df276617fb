/** The guest's address translation, as all of Book3S has it: what it answers, whatever stands behind. */

/** What a translation says. */
export const TRANSLATION = {
  OK: 0,
  /** No segment. */
  NO_SEGMENT: 1,
  /** No entry in the hashed page table. */
  NO_ENTRY: 2,
  /** The entry does not allow the access. */
  PROTECTED: 3,
  /** The entry's page or segment may not be executed. */
  NO_EXECUTE: 4,
} as const;

export const ACCESS = { READ: 0, WRITE: 1, FETCH: 2 } as const;

/** Page sizes, as binary logarithms. */
export const PAGE_4K = 12;
export const PAGE_64K = 16;
export const PAGE_16M = 24;

/** Addresses come as two words (a 32-bit processor's high one is 0); page numbers are doubles, exact. */
export interface GuestMmu {
  /** Real page number (4 KB) of the address that was translated last. */
  readonly page: number;
  /** Whether the page may be written (which may still have to set C), and executed. */
  readonly writable: boolean;
  readonly executable: boolean;
  /** C is set. */
  readonly changed: boolean;
  /** Binary logarithm of the page's size. */
  readonly pageShift: number;
  /** Virtual page number (4 KB) modulo 2^52: what tlbie can say of it. */
  readonly vpnLow: number;
  readonly vpnHigh: number;
  /**
   * Translates. `access` is one of ACCESS, `user` problem state. With `update`, R and C are set as the access would.
   * The answer is one of TRANSLATION; the results are in the fields.
   */
  translate(low: number, high: number, user: boolean, access: number, update: boolean): number;
}
