/**
 * What a vCPU's block has on 64-bit processors beside layout.ts: 64-bit state, floating-point and vector registers. Offsets
 * are bytes from the start of the block.
 */

/** Reservation: effective address (1: none) and the value that was loaded, with its high doubleword for quadwords. */
export const WIDE_RESERVE_ADDRESS = 0x280;
export const WIDE_RESERVE_VALUE = 0x288;
export const WIDE_RESERVE_VALUE_HIGH = 0x290;
export const TAR = 0x298;

/** FPSCR, and MSR[FP] and MSR[FE0] | MSR[FE1] of the mode in use, not zero for 1. */
export const FPSCR = 0x2a0;
export const FLOAT_AVAILABLE = 0x2a4;
export const FLOAT_INTERRUPTS = 0x2a8;
/** The same of MSR[VEC] and MSR[VSX], and VSCR. */
export const VECTOR_AVAILABLE = 0x2ac;
export const VSX_AVAILABLE = 0x2b0;
export const VSCR = 0x2b4;
/** FPSCR[DRN], and the right half of what a routine for decimal numbers answers. */
export const DECIMAL_ROUNDING = 0x278;
export const DECIMAL_LOW = 0x270;
export const PPR = 0x2b8;
/** FSCR of the mode in use: the facilities that there are, by its bits. */
export const FACILITIES = 0x2f8;

/**
 * VSRs 0–63, 16 bytes each, the manual's doubleword 0 behind doubleword 1: a VSR is a v128 whose lanes are numbered from
 * the right. FPR n is doubleword 0 of VSR n, VR n is VSR 32+n.
 */
export const VSR = 0x400;
export const vsrOffset = (n: number): number => VSR + n * 16;
export const FPR = VSR + 8;
export const fprOffset = (n: number): number => FPR + n * 16;

/** Real address of doubleword 0 (left) or 1 of a VSR, from the block. */
export const vsrHalfOffset = (n: number, half: 0 | 1): number => vsrOffset(n) + 8 * (1 - half);

/** Real address of the SLB of the context in use. */
export const SLB_BASE = 0x2c0;
/** Number of the context in use. */
export const CONTEXT = 0x2c4;
/** CFAR: effective address of the last branch that was taken, or of the last return from an interrupt. */
export const CFAR = 0x2c8;

/**
 * What vector code copies when it switches contexts, 16 bytes each: TLB_BASE, MODE, CODE_PAGES and SLB_BASE of the
 * context.
 */
export const SERVER_CONTEXT_WORDS = 0x300;
export const SERVER_CONTEXT_BYTES = 0x10;

/**
 * SLBs, one for each context. An entry has 16 bytes: ESID + 1 (0: not valid) and VSID as i64; the flags of slbmte in the
 * VSID's top 16 bits. */
export const SERVER_SLBS = 0x8000;
export const SERVER_SLB_ENTRY_BYTES = 16;
export const SERVER_SLB_BYTES = 64 * SERVER_SLB_ENTRY_BYTES;

/**
 * Logs of refills, one for each context and as far behind its SLB: how many there were, then real addresses of soft-TLB
 * entries that were filled for effective addresses below 2^LOGGED_BELOW, where programs are. When such segments go, as they
 * do whenever the guest changes its process, only these entries go with them.
 */
export const REFILL_LOGS = SERVER_SLBS + 8 * SERVER_SLB_BYTES;
export const REFILL_LOG_ENTRIES = SERVER_SLB_BYTES / 4 - 1;
export const LOGGED_BELOW = 60;

/**
 * Soft-TLB sets of a 64-bit processor, one for each context: entries for data of 32 bytes, {read tag i64, addend i32, -,
 * write tag i64, addend i32, -}, then entries for code of 16 bytes, {tag i64, addend i32, -}. A tag is the page's effective
 * address, -1 for none; the real address is the low word of the effective address plus the addend.
 */
export const WIDE_TLB = 0x20000;
export const WIDE_TLB_ENTRIES = 2048;
export const WIDE_TLB_ENTRY_BYTES = 32;
export const WIDE_CODE_TLB = WIDE_TLB_ENTRIES * WIDE_TLB_ENTRY_BYTES;
export const WIDE_CODE_TLB_ENTRIES = 512;
export const WIDE_CODE_TLB_ENTRY_BYTES = 16;
export const WIDE_TLB_SET_BYTES = WIDE_CODE_TLB + WIDE_CODE_TLB_ENTRIES * WIDE_CODE_TLB_ENTRY_BYTES;
/** Offset of an address's entry in its set: (address >>> SHIFT) & MASK, of the low word. */
export const WIDE_TLB_SHIFT = 7;
export const WIDE_TLB_MASK = (WIDE_TLB_ENTRIES - 1) * WIDE_TLB_ENTRY_BYTES;
export const WIDE_CODE_TLB_SHIFT = 8;
export const WIDE_CODE_TLB_MASK = (WIDE_CODE_TLB_ENTRIES - 1) * WIDE_CODE_TLB_ENTRY_BYTES;
export const WIDE_READ_TAG = 0;
export const WIDE_READ_ADDEND = 8;
export const WIDE_WRITE_TAG = 16;
export const WIDE_WRITE_ADDEND = 24;
export const WIDE_CODE_TAG = 0;
export const WIDE_CODE_ADDEND = 8;

/** The host's hashed page table, by real address: 2^15 groups of 128 bytes at most. */
export const HOST_HTAB = 0x0e200000;
export const HOST_HTAB_LOG2_GROUPS = 15;
