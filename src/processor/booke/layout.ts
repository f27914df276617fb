/** What a vCPU's block has on an e500 beside layout.ts: SPE's state, and the hardware's TLBs. Offsets are bytes from its start. */

/** MSR[SPE], not zero for 1; SPEFSCR; the branch buffer's entry and target address; the accumulator, 64 bits. */
export const SPE_AVAILABLE = 0x2d0;
export const SPEFSCR = 0x2d4;
export const BBEAR = 0x2d8;
export const BBTAR = 0x2dc;
export const ACCUMULATOR = 0x2e0;
/** Flags of the last floating-point result, between a routine and the instruction that invoked it. */
export const SPE_FLAGS = 0x2e8;

/**
 * TLB0: sets of four ways that hold pages of 4 KB. An entry has 16 bytes: what EA, PID and V are compared with (the page's
 * effective address, TID in the low byte, `TLB0_VALID`; 0 where there is none), addend, permissions.
 */
export const E500_TLB0 = 0x8000;
export const E500_TLB0_ENTRIES = 512;
export const E500_TLB0_WAYS = 4;
export const E500_TLB0_ENTRY_BYTES = 16;
export const E500_TLB0_SETS = E500_TLB0_ENTRIES / E500_TLB0_WAYS;
export const TLB0_VALID = 0x100;
export const TLB0_ADDEND = 4;
export const TLB0_ACCESS = 8;

/** TLB1: entries of 32 bytes {page mask, page, TID, addend, permissions}; one that is not valid has page 1 under mask 0. */
export const E500_TLB1 = 0x5000;
export const E500_TLB1_ENTRIES = 16;
export const E500_TLB1_ENTRY_BYTES = 32;
export const TLB1_PAGE = 4;
export const TLB1_TID = 8;
export const TLB1_ADDEND = 12;
export const TLB1_ACCESS = 16;

/** PID0 and, in the next byte, PID1 of the context in use; in the place of the 440's address space. */
export { ADDRESS_SPACE as E500_PIDS } from '../layout.ts';
