/**
 * A 32-bit Book3S processor as KVM sees it (604, 750, 74xx): segment registers and a hashed page table (The Programming
 * Environments for 32-Bit Microprocessors, chapter 7). Its BATs are not there: KVM leaves a host's own empty while a guest runs.
 * Vectors and syndromes are those of Book III-S (book3s/interface.ts).
 *
 * Like a server it has a few *translation contexts*, each with segment registers of its own, so that a guest's interrupts
 * and system calls only select another one.
 */
import type { HostCpu } from '../interface.ts';

export const CLASSIC_CONTEXTS = 8;
export const SEGMENT_REGISTERS = 16;

/** Bits of a segment register. */
export const SR = { T: 0x8000_0000 | 0, KS: 0x4000_0000, KP: 0x2000_0000, N: 0x1000_0000, VSID: 0x00ff_ffff } as const;

/** DSISR: the segment is no ordinary one (SR[T]); of a fetch, SRR1 has what it has for SR[N]: SRR1_NOEXEC. */
export const DSISR_DIRECT_STORE = 0x8000_0000 | 0;

/** Page table entries, two words (7.6.1.1). */
export const PTE = {
  /** Word 0: V, VSID << 7, H, API. */
  V: 0x8000_0000 | 0,
  VSID_SHIFT: 7,
  H: 0x40,
  API: 0x3f,
  /** Word 1: RPN, R, C, WIMG, PP. */
  RPN: 0xffff_f000 | 0,
  R: 0x100,
  C: 0x80,
  /** Guarded: no instruction is fetched from it. */
  G: 0x8,
  PP: 0x3,
  PP_READ_WRITE: 2,
  PP_READ_ONLY: 3,
} as const;
export const PTE_BYTES = 8;
export const PTES_PER_GROUP = 8;
export const PTEG_BYTES = PTE_BYTES * PTES_PER_GROUP;

export interface ClassicCpu extends HostCpu {
  /** Real address of the hashed page table in host memory, and the binary logarithm of its groups (SDR1). */
  readonly hashTable: { readonly address: number; readonly log2Groups: number };
  /** Selects the translation context for what runs next. */
  selectContext(context: number): void;
  /** Says whether code in a context runs with KVM's assist meanings, from the next `selectContext` on. */
  configureContext(context: number, mode: { readonly assist: boolean }): void;
  /** mtsr in a context: T, Ks, Kp, N and 24 bits of VSID. What was known of the old segment is not forgotten. */
  setSegment(context: number, register: number, value: number): void;
  /**
   * tlbie of one page, after KVM has changed its entry in the hashed page table: drops what is cached of it.
   * `page`: (effective address >> 12) & 0xffff.
   */
  tlbInvalidate(vsid: number, page: number): void;
}
