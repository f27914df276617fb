/**
 * Where a BookE guest's privileged state stands in the vCPU's block, so that assist meanings reach it and a snapshot is
 * a copy of memory. What the shared struct has (SPRG0-7, SRR0/1, DEAR, ESR, MSR, PIR) is kept there and nowhere else;
 * the rest is in words from BOOKE_STATE on. All constants here are indexes of 32-bit words in the block.
 */
import {
  ACCUMULATOR,
  BBEAR,
  BBTAR,
  fprOffset,
  RESERVE_ADDRESS,
  RESERVE_VALUE,
  type SharedField,
  SPE_AVAILABLE,
  SPEFSCR,
  sharedWordOffset,
} from '../../processor/index.ts';
import type { SavedWords } from '../state.ts';
import { SAVED_REGISTERS } from '../words.ts';

export * from '../words.ts';

/** Byte offset in the block of the words below, and of the end of this range. */
export const BOOKE_STATE = 0x3000;

/** Registers by the manuals' names, a word each from BOOKE_STATE on: what all members have, and what each has beside. */
// biome-ignore format: rows of eight
const COMMON_NAMES = [
  'pid', 'csrr0', 'csrr1', 'mcsrr0', 'mcsrr1', 'mcsr', 'ivpr', 'pvr',
  'ivor0', 'ivor1', 'ivor2', 'ivor3', 'ivor4', 'ivor5', 'ivor6', 'ivor7',
  'ivor8', 'ivor9', 'ivor10', 'ivor11', 'ivor12', 'ivor13', 'ivor14', 'ivor15',
  'dec', 'decar', 'tcr', 'tsr', 'dbcr0', 'dbcr1', 'dbcr2', 'dbsr',
  'iac1', 'iac2', 'dac1', 'dac2',
  // Not registers: the interrupt queue (a bit for each priority), and a read that waits for user space.
  'pending', 'ioKind', 'ioRegister', 'halted',
  // A load or store that user space was asked for (mmio.ts).
  'ioInstruction', 'ioAddress', 'ioAddressHigh',
] as const;
// biome-ignore format: rows of eight
const NAMES_440 = [
  'mmucr', 'iac3', 'iac4', 'dvc1', 'dvc2',
  'ccr0', 'ccr1', 'inv0', 'inv1', 'inv2', 'inv3', 'itv0', 'itv1',
  'itv2', 'itv3', 'dnv0', 'dnv1', 'dnv2', 'dnv3', 'dtv0', 'dtv1',
  'dtv2', 'dtv3', 'dvlim', 'ivlim', 'rstcfg', 'dcdbtrl', 'dcdbtrh', 'icdbtrl',
  'icdbtrh', 'icdbdr', 'dbdr',
] as const;
// biome-ignore format: rows of eight
const NAMES_E500 = [
  'pid1', 'pid2', 'ivor32', 'ivor33', 'ivor34', 'ivor35', 'npidr', 'mcar',
  'tlb0cfg', 'tlb1cfg', 'mmucfg', 'epr', 'hid0', 'hid1', 'l1csr0', 'l1csr1',
  'bucsr', 'svr',
  // Not registers: the next victim of each TLB, sets and ways of TLB0, entries of TLB1.
  'nextVictim0', 'nextVictim1', 'tlb0Sets', 'tlb0Ways', 'tlb1Entries',
  // The magic page's effective address, and whether there is one; the guest waits (EV_IDLE); user space gives EPR's value,
  // and has been asked for it.
  'magicEffective', 'magicMapped', 'idle', 'eprGiven', 'eprWanted',
] as const;
/** What assisted tlbwe has left to do. Nothing is left of these between runs. */
// biome-ignore format: two members
const TRANSIENT_NAMES = [
  // Of a 440: entries 0-31 and 32-63 that were written, a bit each; the index + 1 of the one whose word 2 was written last.
  'tlbWritten0', 'tlbWritten1', 'tlbCompleted',
  // Of an e500: how many entries are in the log of those that were written.
  'tlbLogged',
] as const;
export const STATE_NAMES = [...COMMON_NAMES, ...NAMES_440, ...NAMES_E500, ...TRANSIENT_NAMES] as const;
export type StateField = (typeof STATE_NAMES)[number];

/** Byte offset in the block of a state word. */
export const stateOffset = (name: StateField): number => BOOKE_STATE + STATE_NAMES.indexOf(name) * 4;
const word = (name: StateField): number => stateOffset(name) >> 2;
const shared = (field: SharedField): number => sharedWordOffset(field) >> 2;

/** Word indexes of what the shared struct holds. */
export const W_MSR = shared('msr');
export const W_SRR0 = shared('srr0');
export const W_SRR1 = shared('srr1');
export const W_DEAR = shared('dar');
export const W_ESR = shared('esr');
export const W_PIR = shared('pir');
export const W_MAS0 = shared('mas0');
export const W_MAS1 = shared('mas1');
export const W_MAS2 = shared('mas2');
export const W_MAS3 = shared('mas3');
export const W_MAS4 = shared('mas4');
export const W_MAS6 = shared('mas6');
export const W_MAS7 = shared('mas7');
export const W_INT_PENDING = shared('intPending');
export const W_SPRG: readonly number[] = [
  shared('sprg0'),
  shared('sprg1'),
  shared('sprg2'),
  shared('sprg3'),
  shared('sprg4'),
  shared('sprg5'),
  shared('sprg6'),
  shared('sprg7'),
];

/** Word indexes of KVM's own words. */
export const W_PID = word('pid');
export const W_MMUCR = word('mmucr');
export const W_CSRR0 = word('csrr0');
export const W_CSRR1 = word('csrr1');
export const W_MCSRR0 = word('mcsrr0');
export const W_MCSRR1 = word('mcsrr1');
export const W_MCSR = word('mcsr');
export const W_IVPR = word('ivpr');
export const W_IVOR0 = word('ivor0');
/** The word of a vector's IVOR. */
const W_IVOR32 = word('ivor32');
export const ivorWord = (vector: number): number => (vector < 32 ? W_IVOR0 + vector : W_IVOR32 + vector - 32);
export const W_DEC = word('dec');
export const W_DECAR = word('decar');
export const W_TCR = word('tcr');
export const W_TSR = word('tsr');
export const W_DBCR0 = word('dbcr0');
export const W_DBSR = word('dbsr');
export const W_CCR0 = word('ccr0');
export const W_RSTCFG = word('rstcfg');
export const W_PVR = word('pvr');
export const W_PENDING = word('pending');
export const W_IO_KIND = word('ioKind');
export const W_IO_REGISTER = word('ioRegister');
export const W_IO_INSTRUCTION = word('ioInstruction');
export const W_IO_ADDRESS = word('ioAddress');
export const W_HALTED = word('halted');
export const W_TLB_WRITTEN = word('tlbWritten0');
export const W_TLB_COMPLETED = word('tlbCompleted');
export const W_TLB_LOGGED = word('tlbLogged');
export const W_MAGIC_EFFECTIVE = word('magicEffective');
export const W_MAGIC_MAPPED = word('magicMapped');
export const W_IDLE = word('idle');
export const W_EPR = word('epr');
export const W_EPR_GIVEN = word('eprGiven');
export const W_EPR_WANTED = word('eprWanted');
export const W_CRITICAL = shared('critical');
export const W_PID1 = word('pid1');
export const W_PID2 = word('pid2');
export const W_NEXT_VICTIM0 = word('nextVictim0');
export const W_NEXT_VICTIM1 = word('nextVictim1');
export const W_TLB0_SETS = word('tlb0Sets');
export const W_TLB0_WAYS = word('tlb0Ways');
export const W_TLB1_ENTRIES = word('tlb1Entries');
export const W_SPE_AVAILABLE = SPE_AVAILABLE >> 2;
export const W_SPEFSCR = SPEFSCR >> 2;
export const wordOf = word;

/** Doubles: byte offsets in the block. Time base at which DEC had the value in 'dec'; at which FIT and watchdog were last looked at. */
export const DOUBLES = 0x3300;
export const D_DEC_START = 0;
export const D_TIMERS_SEEN = 1;
export const DOUBLE_COUNT = 8;

/** What the vector code did by itself (vectors.ts), an i32 each (wrapping). */
export const ASSISTED = 0x3340;
export const ASSISTED_NAMES = [
  'assisted_rfi',
  'assisted_sc',
  'assisted_dtlb_miss',
  'assisted_itlb_miss',
  'assisted_unavailable',
] as const;

/** The guest's TLB: 64 entries of four words {word0, word1, word2, TID}. */
export const GUEST_TLB = 0x3400;
export const GUEST_TLB_ENTRIES = 64;

/**
 * Hash chains over the valid entries (44x/mmu.ts), an i32 each: the first entry of each chain and the next of each entry,
 * -1 for none; word 0 as a search compares it; and a word with a bit for each page size in use.
 */
export const TLB_CHAIN_HEAD = 0x3800;
export const TLB_CHAIN_BITS = 6;
export const TLB_CHAIN_NEXT = 0x3900;
export const TLB_CHAIN_MATCH = 0x3a00;
export const TLB_SIZES_IN_USE = 0x3b00;
/** A page's chain: the top bits of (page + size code) times this. */
export const TLB_CHAIN_MULTIPLIER = 0x9e3779b1 | 0;

/**
 * The TLBs of an e500 guest: entries of four words {MAS1, MAS2, MAS3, MAS7}, at most so many of TLB0, 4 or so ways of a set
 * together, and behind those of TLB1. What assisted tlbwe has written and is not looked at yet: indexes, an i32 each.
 */
export const E500_GUEST_TLB = 0xa000;
export const E500_TLB0_MOST = 1024;
export const E500_TLB1_MOST = 64;
export const E500_GUEST_TLB_ENTRIES = E500_TLB0_MOST + E500_TLB1_MOST;
export const E500_TLB_LOG = 0x3c00;
export const E500_TLB_LOG_ENTRIES = 64;
/** All of a vCPU's block that is KVM's lies below. */
export const BOOKE_STATE_END = E500_GUEST_TLB + 16 * E500_GUEST_TLB_ENTRIES;

/** The bits of the interrupt queue (interrupts.ts). */
const PENDING_MASK = 0x1ff;
const MASKS: Readonly<Record<string, number>> = {
  pid: 0xff,
  pending: PENDING_MASK,
  ioRegister: 31,
  halted: 1,
  idle: 1,
  magicMapped: 1,
};
const saved = (names: readonly StateField[]): SavedWords[] =>
  names.map((name) => ({ name, word: word(name), ...(name in MASKS && { mask: MASKS[name] as number }) }));

/** What a state has of each vCPU (state.ts), beside time. */
const SAVED_COMMON: readonly SavedWords[] = [
  ...SAVED_REGISTERS,
  { name: 'reserveAddress', word: RESERVE_ADDRESS >> 2 },
  { name: 'reserveValue', word: RESERVE_VALUE >> 2 },
  ...saved(COMMON_NAMES),
];
export const SAVED_440: readonly SavedWords[] = [
  ...SAVED_COMMON,
  { name: 'fpr', word: fprOffset(0) >> 2, count: 32 * 2, pairStride: (fprOffset(1) - fprOffset(0)) >> 2 },
  { name: 'tlb', word: GUEST_TLB >> 2, count: GUEST_TLB_ENTRIES * 4 },
  ...saved(NAMES_440),
];
export const SAVED_E500: readonly SavedWords[] = [
  ...SAVED_COMMON,
  { name: 'spefscr', word: SPEFSCR >> 2 },
  { name: 'bbear', word: BBEAR >> 2 },
  { name: 'bbtar', word: BBTAR >> 2 },
  { name: 'accumulator', word: ACCUMULATOR >> 2, count: 2 },
  { name: 'tlb', word: E500_GUEST_TLB >> 2, count: E500_GUEST_TLB_ENTRIES * 4 },
  ...saved(NAMES_E500),
];
