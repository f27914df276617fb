/** Bits of what only 64-bit processors have (Power ISA 2.07 Book III-S, chapter 5). */

/** The guest's hashed page table entries, low words (Book III-S, 5.7.7.1). */
export const GUEST_HPTE = {
  V: 0x1,
  H: 0x2,
  L: 0x4,
  BOLTED: 0x10,
  R: 0x100,
  C: 0x80,
  G: 0x8,
  N: 0x4,
  PP: 0x3,
  /** Doubleword 1, high word. */
  PP0: 0x8000_0000 | 0,
} as const;

/** SLB entries: RB (low word) and RS (low and high words) of slbmte. */
export const SLB = {
  V: 0x0800_0000,
  INDEX: 0xfff,
  /** High word of RS: segments of 1 TB. */
  B: 0xc000_0000 | 0,
  B_1T: 0x4000_0000,
  KS: 0x800,
  KP: 0x400,
  N: 0x200,
  L: 0x100,
  LP: 0x30,
  LP_64K: 0x10,
} as const;
