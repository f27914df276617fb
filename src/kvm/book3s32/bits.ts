/** Register bits of 32-bit Book3S processors (The Programming Environments for 32-Bit Microprocessors, chapters 2 and 7). */

/** BATs: BEPI, BL, Vs and Vp of the upper word, BRPN and PP of the lower one. */
export const BAT = {
  BEPI: 0xfffe_0000 | 0,
  BL: 0x1ffc,
  /** What BL is shifted by to stand below BEPI, and the offset in the smallest block. */
  BL_SHIFT: 15,
  OFFSET: 0x1_ffff,
  VS: 0x2,
  VP: 0x1,
  BRPN: 0xfffe_0000 | 0,
  PP: 0x3,
} as const;

/** SDR1. */
export const SDR1 = { HTABORG: 0xffff_0000 | 0, HTABMASK: 0x1ff } as const;

/** HID0: what has MSR[POW] wait; the flash invalidations, which end at once; the 745x's. */
export const HID0 = {
  DOZE: 0x0080_0000,
  NAP: 0x0040_0000,
  SLEEP: 0x0020_0000,
  /** The 604 has no such bits, and waits for MSR[POW]. */
  POWER: 0x00e0_0000,
  INVALIDATE: 0xc00,
  /** 745x: eight BATs; page tables searched by software; 36-bit addresses, which are not there. */
  HIGH_BAT_EN: 0x0080_0000,
  STEN: 0x0100_0000,
  XAEN: 0x0002_0000,
  XBSEN: 0x100,
} as const;
