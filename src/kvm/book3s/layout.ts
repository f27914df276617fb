/**
 * Where a Book3S guest's privileged state stands in the vCPU's block. What the shared struct has (SPRG0-3, SRR0/1, DAR,
 * DSISR, MSR) is kept there and nowhere else; the rest is in doublewords and words from BOOK3S_STATE on. All W_ constants
 * are indexes of 32-bit words in the block; a doubleword's high word follows its low one.
 */
import {
  CFAR,
  DECIMAL_ROUNDING,
  FACILITIES,
  type MemoryOrder,
  PPR,
  type SharedField,
  sharedWordOffset,
  TAR,
  VECTOR_AVAILABLE,
  VSCR,
  VSR,
  VSX_AVAILABLE,
  WIDE_RESERVE_ADDRESS,
  WIDE_RESERVE_VALUE,
  WIDE_RESERVE_VALUE_HIGH,
} from '../../processor/index.ts';
import type { SavedWords } from '../state.ts';
import { SAVED_REGISTERS } from '../words.ts';

export * from '../words.ts';

/** Byte offset in the block of the doublewords below, and of the end of this range. */
export const BOOK3S_STATE = 0x3000;
export const BOOK3S_STATE_END = 0x4000;

/** Registers by the manual's names, a doubleword each from BOOK3S_STATE on. */
// biome-ignore format: rows of eight
export const DOUBLEWORD_NAMES = [
  'sdr1', 'hior', 'lpcr', 'dec', 'pvr', 'pir', 'dscr', 'pspb',
  'amr', 'uamor', 'iamr', 'ctrl', 'fscr', 'bescr', 'ebbhr', 'ebbrr',
  'dabr', 'dabrx', 'dawr', 'dawrx', 'ciabr', 'mmcr0', 'mmcr1', 'mmcr2',
  'mmcra', 'pmc1', 'pmc2', 'pmc3', 'pmc4', 'pmc5', 'pmc6', 'pmc7',
  'pmc8', 'siar', 'sdar', 'sier', 'hid0', 'hid1', 'hid4', 'hid5',
  // Not registers: where the guest has the magic page, effective and real address; the VPA that it has registered.
  'magicEffective', 'magicReal', 'vpa', 'slbShadow', 'dispatchTrace',
] as const;
export type StateDoubleword = (typeof DOUBLEWORD_NAMES)[number];

/** Byte offset in the block of a state doubleword. */
export const stateOffset = (name: StateDoubleword): number => BOOK3S_STATE + DOUBLEWORD_NAMES.indexOf(name) * 8;
export const wordOf = (name: StateDoubleword): number => stateOffset(name) >> 2;

/** Words, not registers. */
export const WORDS = 0x3400;
export const WORD_NAMES = [
  // The interrupt queue, a bit for each priority; what user space was asked for (mmio.ts); a hypercall that does.
  'pending',
  'ioKind',
  'ioInstruction',
  'ioAddress',
  'ioAddressHigh',
  'hcall',
  'halted',
  // MAP_MAGIC_PAGE was called; sc 1 makes hypercalls.
  'magicMapped',
  'papr',
  // System calls with OSI's numbers go to user space; one has.
  'osi',
  'osiCall',
  // What an assist interrupt is for (assist.ts), and the MSR that it wants.
  'assistKind',
  'assistMsr',
  // The performance monitor counts otherwise in problem state: vector code does not change the state (vectors.ts).
  'monitored',
] as const;
const stateWord = (name: (typeof WORD_NAMES)[number]): number => (WORDS >> 2) + WORD_NAMES.indexOf(name);

/** Doubles: byte offset in the block. Time base at which DEC had the value in 'dec'. */
export const DOUBLES = 0x3500;
export const D_DEC_START = 0;
/** VTB, and the time base when it was that; NaN: it stands still. */
export const D_VTB = 1;
export const D_VTB_SEEN = 3;
/** Instructions of the processor at which IC had 0. */
export const D_IC_START = 2;
/** Instructions and cycles that the performance monitor has seen. */
export const D_MONITOR_INSTRUCTIONS = 4;
export const D_MONITOR_CYCLES = 5;
export const DOUBLE_COUNT = 8;

/** What the vector code did by itself (vectors.ts), an i32 each (wrapping). */
export const ASSISTED = 0x3580;
export const ASSISTED_NAMES = ['assisted_rfid', 'assisted_mtmsr', 'assisted_sc', 'assisted_unavailable'] as const;

/** The guest's SLB: 64 entries of 16 bytes, RB and RS of slbmte. */
export const GUEST_SLB = 0x3c00;
export const GUEST_SLB_ENTRIES = 64;

/** 64-bit fields stand alike in both memory orders of 64-bit processors. */
const shared = (field: SharedField): number => sharedWordOffset(field, 0) >> 2;
export const W_MSR = shared('msr');
export const W_MSR_HIGH = W_MSR + 1;
export const W_SRR0 = shared('srr0');
export const W_SRR1 = shared('srr1');
export const W_DAR = shared('dar');
export const W_CRITICAL = shared('critical');
export const W_SPRG: readonly number[] = [shared('sprg0'), shared('sprg1'), shared('sprg2'), shared('sprg3')];
/** The shared struct's fields of 32 bits do not. */
export const wordOfDsisr = (order: MemoryOrder): number => sharedWordOffset('dsisr', order) >> 2;
export const wordOfIntPending = (order: MemoryOrder): number => sharedWordOffset('intPending', order) >> 2;

/** Registers that the processor owns, of 64-bit processors. */
export const W_TAR = TAR >> 2;
export const W_PPR = PPR >> 2;
export const W_CFAR = CFAR >> 2;
export const W_FACILITIES = FACILITIES >> 2;
export const W_VSCR = VSCR >> 2;
export const W_VECTOR_AVAILABLE = VECTOR_AVAILABLE >> 2;
export const W_VSX_AVAILABLE = VSX_AVAILABLE >> 2;
export const W_WIDE_RESERVE_ADDRESS = WIDE_RESERVE_ADDRESS >> 2;

export const W_SDR1 = wordOf('sdr1');
export const W_HIOR = wordOf('hior');
export const W_LPCR = wordOf('lpcr');
export const W_DEC = wordOf('dec');
export const W_PVR = wordOf('pvr');
export const W_PIR = wordOf('pir');
export const W_CTRL = wordOf('ctrl');
export const W_FSCR = wordOf('fscr');
export const W_BESCR = wordOf('bescr');
export const W_DABR = wordOf('dabr');
export const W_DABRX = wordOf('dabrx');
export const W_DAWR = wordOf('dawr');
export const W_DAWRX = wordOf('dawrx');
export const W_CIABR = wordOf('ciabr');
export const W_SIAR = wordOf('siar');
export const W_SDAR = wordOf('sdar');
export const W_MAGIC_EFFECTIVE = wordOf('magicEffective');
export const W_MAGIC_REAL = wordOf('magicReal');
export const W_PENDING = stateWord('pending');
export const W_IO_KIND = stateWord('ioKind');
export const W_IO_INSTRUCTION = stateWord('ioInstruction');
export const W_IO_ADDRESS = stateWord('ioAddress');
export const W_HCALL = stateWord('hcall');
export const W_HALTED = stateWord('halted');
export const W_MAGIC_MAPPED = stateWord('magicMapped');
export const W_PAPR = stateWord('papr');
export const W_OSI = stateWord('osi');
export const W_OSI_CALL = stateWord('osiCall');
export const W_ASSIST_KIND = stateWord('assistKind');
export const W_ASSIST_MSR = stateWord('assistMsr');
export const W_MONITORED = stateWord('monitored');

/** The bits of the interrupt queue (interrupts.ts). */
const PENDING_MASK = 0x3f;
/** Registers and words of which a state could have more than there is. */
const MASKS: Readonly<Record<string, number>> = {
  pending: PENDING_MASK,
  hcall: 1,
  halted: 1,
  magicMapped: 1,
  papr: 1,
  osi: 1,
  osiCall: 1,
  monitored: 1,
};
/** Areas are registered anew, so that they are where memory is. */
const REGISTERED: ReadonlySet<string> = new Set(['vpa', 'slbShadow', 'dispatchTrace']);

/** What a state has of any vCPU of the family: the processor's registers … */
export const SAVED_REGISTERS_OF_BOOK3S: readonly SavedWords[] = [...SAVED_REGISTERS, { name: 'vscr', word: W_VSCR }];
/** … and words that are none. */
export const SAVED_WORD_NAMES: readonly SavedWords[] = WORD_NAMES.map((name) => ({
  name,
  word: stateWord(name),
  ...(name in MASKS && { mask: MASKS[name] as number }),
}));

/** What a state has of a 64-bit vCPU (state.ts), beside time and registered areas. */
export const SAVED_WORDS: readonly SavedWords[] = [
  ...SAVED_REGISTERS_OF_BOOK3S,
  { name: 'tar', word: W_TAR, count: 2 },
  { name: 'ppr', word: W_PPR, count: 2 },
  { name: 'cfar', word: W_CFAR, count: 2 },
  { name: 'decimalRounding', word: DECIMAL_ROUNDING >> 2, mask: 7 },
  { name: 'vsr', word: VSR >> 2, count: 64 * 4 },
  { name: 'reserveAddress', word: W_WIDE_RESERVE_ADDRESS, count: 2 },
  { name: 'reserveValue', word: WIDE_RESERVE_VALUE >> 2, count: 2 },
  { name: 'reserveValueHigh', word: WIDE_RESERVE_VALUE_HIGH >> 2, count: 2 },
  { name: 'slb', word: GUEST_SLB >> 2, count: GUEST_SLB_ENTRIES * 4 },
  ...DOUBLEWORD_NAMES.filter((name) => !REGISTERED.has(name)).map((name) => ({ name, word: wordOf(name), count: 2 })),
  ...SAVED_WORD_NAMES,
];
