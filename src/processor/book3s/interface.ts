/**
 * A Book III-S processor as KVM sees it (970, POWER7, POWER8): SLB, hashed page table, vectors. Power ISA 2.07 Book III-S.
 *
 * It has a few *translation contexts*, each with an SLB and a soft TLB of its own, as a core has for its threads. KVM
 * gives each of the guest's modes (user, kernel, real …) a context, so that a guest's interrupts and system calls only
 * select another one and flush nothing. All contexts share one hashed page table.
 *
 * Numbers are doubles, exact up to 2^53: a VSID here has at most 36 bits, an ESID is an effective address / 2^28.
 */
import type { HostCpu } from '../interface.ts';

/** Interrupt vectors: the offsets at which hardware would begin. Negative numbers are the host's own events. */
export const SERVER_VECTOR = {
  machineCheck: 0x200,
  dataStorage: 0x300,
  dataSegment: 0x380,
  instructionStorage: 0x400,
  instructionSegment: 0x480,
  externalInput: 0x500,
  alignment: 0x600,
  program: 0x700,
  floatingPointUnavailable: 0x800,
  decrementer: 0x900,
  systemCall: 0xc00,
  trace: 0xd00,
  vectorUnavailable: 0xf20,
  vsxUnavailable: 0xf40,
  facilityUnavailable: 0xf60,
  /** None of the hardware's: an assist meaning hands over to the vector code. */
  assist: 1,
  /** Nor these: an access that a watch stops, and a fetch from a page that it covers. */
  watch: 2,
  codeWatch: 3,
} as const;

/** DSISR bits of a data storage interrupt; NOHPTE, PROTFAULT also in SRR1 of an instruction storage interrupt. */
export const DSISR = { NOHPTE: 0x4000_0000, PROTFAULT: 0x0800_0000, ISSTORE: 0x0200_0000, WATCH: 0x0040_0000 } as const;
/** SRR1 of an instruction storage interrupt for code in a page that is not executable, or guarded. */
export const SRR1_NOEXEC = 0x1000_0000;
/** SRR1 bits of a program interrupt. */
export const SRR1_PROGRAM = {
  FP: 0x0010_0000,
  ILL: 0x0008_0000,
  PRIV: 0x0004_0000,
  TRAP: 0x0002_0000,
  /** SRR0 is not the instruction that caused it, but one behind. */
  BEHIND: 0x0001_0000,
} as const;

/** Number of translation contexts. */
export const SERVER_CONTEXTS = 8;
/** Entries of each context's SLB. */
export const SERVER_SLB_ENTRIES = 64;

/** What code in a context runs as. */
export interface ContextMode {
  /** KVM's assist meanings stand in place of traps. */
  readonly assist: boolean;
  /** MSR[SF]. */
  readonly sixtyFour: boolean;
  /** MSR[LE]. */
  readonly littleEndian: boolean;
}

/** Flags of `slbWrite`, as in slbmte's RS. */
export const SLB_VSID = { KS: 0x800, KP: 0x400, N: 0x200, L: 0x100, C: 0x80, LP: 0x30 } as const;

/**
 * The host's hashed page table entries, two doublewords in WebAssembly's own byte order (no guest sees them): the fields
 * of Power ISA 2.07 Book III-S, 5.7.7.1. Segments have 256 MB and base pages of 4 KB, so AVPN is VSID << 12 | … as
 * there; RPN is a host real address.
 */
export const HPTE = {
  /** Doubleword 0, low word. */
  V: 0x1,
  H: 0x2,
  L: 0x4,
  /** Doubleword 0 is (VSID << 12 | page >> 4 & ~0x7f | …): AVPN without its low bits stands from bit 7 (value 0x80) on. */
  AVPN_SHIFT: 7,
  /** Doubleword 1, low word. */
  R: 0x100,
  C: 0x80,
  N: 0x4,
  PP: 0x3,
  /** PP of problem state with Kp = 1 … as KVM writes them: read and write, read only. */
  PP_READ_WRITE: 2,
  PP_READ_ONLY: 3,
} as const;
export const HPTE_BYTES = 16;
export const HPTES_PER_GROUP = 8;
export const HPTEG_BYTES = HPTE_BYTES * HPTES_PER_GROUP;

export interface ServerCpu extends HostCpu {
  /** Real address of the hashed page table in host memory, and the binary logarithm of its groups (SDR1). */
  readonly hashTable: { readonly address: number; readonly log2Groups: number };
  /** Selects the translation context for what runs next. Flushes nothing. */
  selectContext(context: number): void;
  /** Says what code in a context runs as, from the next `selectContext` on. Cheap, but not for every exit. */
  configureContext(context: number, mode: ContextMode): void;
  /** slbmte: ESID = effective address / 2^28 (a double), flags of SLB_VSID. Replaces the entry's old segment. */
  slbWrite(context: number, index: number, esid: number, vsid: number, flags: number): void;
  /** Invalidates an entry of a context's SLB, and what the soft TLB has of its segment. */
  slbInvalidate(context: number, index: number): void;
  /** slbia: invalidates all of a context. */
  slbInvalidateAll(context: number): void;
  /**
   * tlbie of one 4-KB page, after KVM has changed its entry in the hashed page table: drops what any context's soft TLB
   * has of it. `page`: (effective address >> 12) & 0xffff.
   */
  tlbInvalidate(vsid: number, page: number): void;
}
