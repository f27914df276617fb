/**
 * Where everything stands that a running guest depends on: one layout for generated code and TypeScript alike.
 * All offsets are bytes from the start of the vCPU's block (`HostCpu.base`), little-endian as WebAssembly stores them,
 * except the shared struct, which has the guest's byte order and is reached through offsets of its own.
 */

/** Size and alignment of a vCPU's block. */
export const VCPU_BLOCK_BYTES = 0x200000;

/** Registers have 64-bit slots; a 32-bit processor uses the low word and leaves the high word alone. */
export const GPR = 0x000;
/** Slot of general register n, n = 32 being always zero: what (RA|0) reads when RA = 0. */
export const gprOffset = (n: number): number => GPR + n * 8;
export const ZERO_REGISTER = 32;
export const PC = 0x110;
export const LR = 0x118;
export const CTR = 0x120;

/** XER's parts, an i32 each: 0 or 1, and the byte count of lswx/stswx. */
export const XER_SO = 0x128;
export const XER_OV = 0x12c;
export const XER_CA = 0x130;
export const XER_BYTE_COUNT = 0x134;
/** CR fields 0–7, an i32 each: LT 8, GT 4, EQ 2, SO 1. */
export const CR = 0x138;
export const crOffset = (field: number): number => CR + field * 4;

/** Reservation of lwarx: effective address (odd: none) and the value loaded. */
export const RESERVE_ADDRESS = 0x158;
export const RESERVE_VALUE = 0x15c;
export const NO_RESERVATION = 1;
export const USPRG0 = 0x160;

/** Why `run` returned: an interrupt vector of the family, and its syndrome. */
export const EXIT_VECTOR = 0x168;
/** DEAR/DAR of a storage interrupt, 64-bit slot. */
export const EXIT_ADDRESS = 0x170;
/** ESR/DSISR/SRR1 bits as hardware sets them for this interrupt. */
export const EXIT_SYNDROME = 0x178;

/** Instructions that may still retire before `run` must return (i32; below zero after it has). */
export const BUDGET = 0x17c;
/** Not zero: something wants `run` to return soon (set by any thread). Polled with the budget. */
export const EVENT = 0x180;

/** Real address of the soft-TLB set in use. */
export const TLB_BASE = 0x184;
/** Translation mode in use: index of the set of assist meanings (0: none, every privileged instruction traps). */
export const MODE = 0x188;
/** Real address of the table of code pages of the mode in use. */
export const CODE_PAGES = 0x18c;
/** Host MSR[IS]=MSR[DS] and PID, as the TLB search of generated code reads them. */
export const ADDRESS_SPACE = 0x190;
export const PID = 0x194;

/** Not zero: code that was translated has changed, and regions that are running may be old. */
export const CODE_CHANGED = 0x198;

/** Not zero: there is a watch (watch.ts), which refills of the soft TLB ask. */
export const WATCHED = 0x19c;

/** TLB_BASE, MODE, CODE_PAGES and ADDRESS_SPACE of the two contexts that vector code switches between, by address space. */
export const CONTEXTS = 0x1a0;
export const CONTEXT_BYTES = 0x10;

/** Bytes of the host's stack that the frames of regions may take (host-stack.ts). */
export const STACK_BYTES = 0x1e0;

/**
 * The last reading of the time base: what remained of the budget (i32; `NO_READING`: there is none), and the ticks (f64).
 * From it on, the time base counts instructions: so many ticks each (f64), for so many of them (i32), then it is read again.
 */
export const TIME_BUDGET = 0x1e4;
export const NO_READING = -0x8000_0000;
export const TIME_TICKS = 0x1e8;
export const TIME_STEP = 0x210;
export const TIME_SPAN = 0x218;

/** Sixteen bytes through which unaligned and page-crossing accesses pass. */
export const BOUNCE = 0x1f0;
/** Counters that generated code keeps, an i32 each (wrapping): see `COUNTERS`. */
export const COUNTER_BASE = 0x200;
export const COUNTERS = ['soft_tlb_refills', 'region_entries', 'region_instructions'] as const;

/** Words in the guest's byte order: the struct that KVM shares with the guest; the magic page is this page. */
export const SHARED = 0x1000;
/** Offsets in the shared struct (facts: KVM's ABI, `struct kvm_vcpu_arch_shared`). 64-bit fields unless noted. */
export const SHARED_FIELDS = {
  scratch1: 0x00,
  scratch2: 0x08,
  scratch3: 0x10,
  critical: 0x18,
  sprg0: 0x20,
  sprg1: 0x28,
  sprg2: 0x30,
  sprg3: 0x38,
  srr0: 0x40,
  srr1: 0x48,
  dar: 0x50,
  msr: 0x58,
  /** 32 bits. */
  dsisr: 0x60,
  /** 32 bits. */
  intPending: 0x64,
  /** 32 bits. */
  mas0: 0xa8,
  /** 32 bits. */
  mas1: 0xac,
  /** The two halves of mas7_3, 32 bits each. */
  mas7: 0xb0,
  mas3: 0xb4,
  mas2: 0xb8,
  /** 32 bits. */
  mas4: 0xc0,
  /** 32 bits. */
  mas6: 0xc4,
  /** 32 bits. */
  esr: 0xc8,
  /** 32 bits. */
  pir: 0xcc,
  sprg4: 0xd0,
  sprg5: 0xd8,
  sprg6: 0xe0,
  sprg7: 0xe8,
} as const;
export type SharedField = keyof typeof SHARED_FIELDS;
/** Fields of 32 bits; all others have 64. */
export const SHARED_WORDS: ReadonlySet<string> = new Set([
  'dsisr',
  'intPending',
  'mas0',
  'mas1',
  'mas7',
  'mas3',
  'mas4',
  'mas6',
  'esr',
  'pir',
]);

/**
 * Offset from the block at which a native i32 access reads or writes a shared field, of a 64-bit one its low word. The
 * struct has the guest's byte order, and the guest's memory is kept in `order` (memory.ts).
 */
export function sharedWordOffset(field: SharedField, order: 0 | 3 | 7 = 3): number {
  const offset = SHARED + SHARED_FIELDS[field];
  if (SHARED_WORDS.has(field)) return order === 7 ? offset ^ 4 : offset;
  return order === 3 ? offset + 4 : offset;
}

/** The hardware's TLB: entries of 16 bytes {word0, word1, word2, TID}. */
export const HARDWARE_TLB = 0x2000;
export const HARDWARE_TLB_ENTRY_BYTES = 16;

/**
 * Soft-TLB sets. A set has entries for data, {read tag, addend, write tag, addend}, then entries for code, {tag, addend},
 * an i32 each. A tag is the page's effective address, -1 for none; the addend makes a real address of an effective one.
 * A tag and its addend are read by one 64-bit load.
 */
export const SOFT_TLB = 0x20000;
export const SOFT_TLB_ENTRIES = 4096;
export const SOFT_TLB_ENTRY_BYTES = 16;
export const CODE_TLB = SOFT_TLB_ENTRIES * SOFT_TLB_ENTRY_BYTES;
export const CODE_TLB_ENTRIES = 256;
export const CODE_TLB_ENTRY_BYTES = 8;
export const SOFT_TLB_SET_BYTES = CODE_TLB + CODE_TLB_ENTRIES * CODE_TLB_ENTRY_BYTES;
export const SOFT_TLB_SETS = 16;
/** Offset of an address's entry in its set: (address >>> SHIFT) & MASK. */
export const SOFT_TLB_SHIFT = 8;
export const SOFT_TLB_MASK = (SOFT_TLB_ENTRIES - 1) * SOFT_TLB_ENTRY_BYTES;
export const CODE_TLB_SHIFT = 9;
export const CODE_TLB_MASK = (CODE_TLB_ENTRIES - 1) * CODE_TLB_ENTRY_BYTES;

/** The masks of rlwinm, an i32 each, at MB * 32 + ME. */
export const MASK_TABLE = 0x4000;

/** How often the interpreter came to a block: an u16 each, by a hash of the record's address. */
export const PROFILE = 0x10000;
export const PROFILE_ENTRIES = 0x8000;

/** The search arrays of the hardware TLB, an i32 an entry each: page mask, page address, key (TS<<8|TID, or -1), all made by tlbWrite. */
export const TLB_SEARCH_MASK = 0x5000;
export const TLB_SEARCH_PAGE = 0x5400;
export const TLB_SEARCH_KEY = 0x5800;
/** Host real address minus effective address of the page. */
export const TLB_SEARCH_ADDEND = 0x5c00;
/** Permissions: 1 read, 2 write, 4 execute; 8: smaller than 4 KB, never cached. */
export const TLB_SEARCH_ACCESS = 0x6000;

/** Offset in the search arrays of the hardware TLB entry that matched last in each eighth of the address space: tried first. */
export const TLB_HINTS = 0x1c0;
export const TLB_HINT_SHIFT = 29;
export const TLB_SEARCH_ENTRIES = 64;

/** Where the host keeps what is not RAM, by real address; guest RAM begins at RAM_BASE. */
export const VCPU_BLOCKS = 0x02000000;
export const MAX_VCPUS = 8;
/** One byte a 4-KB page of host memory: not zero when the page holds code that was decoded. */
export const CODE_FLAGS_TABLE = 0x00600000;
/** One i32 a 4-KB page of host memory and translation mode: real address of the page's records, 0 when it has none. */
export const CODE_PAGES_TABLE = 0x00800000;
export const CODE_PAGES_TABLE_BYTES = 0x00400000;
/** Modes that are translated: problem state, and with assist meanings inlined. */
export const TRANSLATION_MODES = 2;
/** All modes that there are tables for: processors have modes of their own that are only interpreted. */
export const MAX_MODES = 6;
/** A vCPU block that no vCPU has: new translations are called on it once, to have them compiled. */
export const TOUCH_BLOCK = 0x00200000;
/** Interpreter records of code pages. */
export const RECORD_ARENA = 0x03000000;
export const RECORD_ARENA_END = 0x0e000000;
/**
 * Call sites of translated code remember where they went: the real address of the target, and its region's slot.
 * Cleared when any region goes. The first word counts them.
 */
export const LINK_CELLS = 0x0e000000;
export const LINK_CELL = { real: 0, slot: 4 } as const;
export const LINK_CELL_BYTES = 8;
export const MAX_LINK_CELLS = 0x20000;
export const RAM_BASE = 0x10000000;
