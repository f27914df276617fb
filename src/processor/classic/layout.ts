/** What a vCPU's block has on a 32-bit Book3S processor beside layout.ts and book3s/layout.ts. Offsets are bytes from its start. */

/** Real address of the segment registers of the context in use; in the place of the 440's address space. */
export { ADDRESS_SPACE as SEGMENT_BASE } from '../layout.ts';

/** What vector code copies when it switches contexts: TLB_BASE, MODE, CODE_PAGES and SEGMENT_BASE of each. */
export const CLASSIC_CONTEXT_WORDS = 0x300;
export const CLASSIC_CONTEXT_BYTES = 0x10;

/** Segment registers, sixteen words for each context. */
export const CLASSIC_SEGMENTS = 0x8000;
export const CLASSIC_SEGMENTS_BYTES = 64;
