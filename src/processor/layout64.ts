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

/**
 * VSRs 0–63, 16 bytes each, the manual's doubleword 0 behind doubleword 1: a VSR is a v128 whose lanes are numbered from
 * the right. FPR n is doubleword 0 of VSR n, VR n is VSR 32+n.
 */
export const VSR = 0x400;
export const vsrOffset = (n: number): number => VSR + n * 16;
export const FPR = VSR + 8;
export const fprOffset = (n: number): number => FPR + n * 16;
