/** Registers of Book E processors, and the 440's own (PowerPC 440 User's Manual, "Special Purpose Registers"). */
import { register, type SpecialRegister } from './define.ts';

const BOOKE = ['booke'] as const;
const PPC440 = ['44x'] as const;
const E500 = ['e500'] as const;

/** What problem state reads of a register of the operating system's, under a number of its own. */
const sharedCopy = (number: number, name: 'sprg3' | 'sprg4' | 'sprg5' | 'sprg6' | 'sprg7'): SpecialRegister =>
  register(number, name, 'u-', BOOKE, {
    mnemonics: name === 'sprg3' ? 'none' : 'from',
    read: (s) => s.wordFromUnsigned32(s.shared(name)),
  });

/** The assembler writes the 440's own by number. */
const own = (number: number, name: string, rights: 'pp' | 'p-' = 'pp'): SpecialRegister =>
  register(number, name, rights, PPC440, { mnemonics: 'none' });

/** Bits of SPEFSCR that exist: all but two pairs that are reserved. */
const SPEFSCR_BITS = 0xff3f_ff7f | 0;
/** L1CFG0 and L1CFG1: 32 KB, 8 ways, lines of 32 bytes that can be locked, parity, pseudo-LRU. */
const L1_CACHE = 0x0000_3820;

/** Branch buffer registers that problem state has, too. */
const kept = (name: 'bbear' | 'bbtar'): Pick<SpecialRegister, 'read' | 'write'> => ({
  read: (s) => s.wordFromUnsigned32(s.state(name)),
  write: (s, value) => s.setState(name, s.low32(value)),
});

const e500 = (number: number, name: string, rights: 'pp' | 'p-' = 'pp'): SpecialRegister =>
  register(number, name, rights, E500, { mnemonics: 'none' });

/** The e500v2's own (PowerPC e500 Core Family Reference Manual, "Register Model"). */
const E500_REGISTERS: readonly SpecialRegister[] = [
  register(512, 'spefscr', 'uu', ['spe'], {
    mnemonics: 'none',
    read: (s) => s.wordFromUnsigned32(s.state('spefscr')),
    write: (s, value) => s.setState('spefscr', s.and(s.low32(value), SPEFSCR_BITS)),
  }),
  register(513, 'bbear', 'uu', E500, { mnemonics: 'none', ...kept('bbear') }),
  register(514, 'bbtar', 'uu', E500, { mnemonics: 'none', ...kept('bbtar') }),
  register(515, 'l1cfg0', 'u-', E500, { mnemonics: 'none', read: (s) => s.wordFromUnsigned32(s.i32(L1_CACHE)) }),
  register(516, 'l1cfg1', 'u-', E500, { mnemonics: 'none', read: (s) => s.wordFromUnsigned32(s.i32(L1_CACHE)) }),
  e500(517, 'npidr'),
  register(526, 'atbl', 'u-', E500, { mnemonics: 'none', read: (s) => s.wordFromUnsigned32(s.wrap(s.timebase())) }),
  register(527, 'atbu', 'u-', E500, {
    mnemonics: 'none',
    read: (s) => s.wordFromUnsigned32(s.wrap(s.shrUnsigned(s.timebase(), 32))),
  }),
  ...[32, 33, 34, 35].map((n) => e500(496 + n, `ivor${n}`)),
  register(573, 'mcar', 'p-', E500, { mnemonics: 'from' }),
  ...[0, 1, 2, 3, 4].map((n) => e500(624 + n, `mas${n}`)),
  e500(630, 'mas6'),
  e500(633, 'pid1'),
  e500(634, 'pid2'),
  e500(688, 'tlb0cfg', 'p-'),
  e500(689, 'tlb1cfg', 'p-'),
  e500(702, 'epr', 'p-'),
  e500(944, 'mas7'),
  e500(1008, 'hid0'),
  e500(1009, 'hid1'),
  e500(1010, 'l1csr0'),
  e500(1011, 'l1csr1'),
  e500(1012, 'mmucsr0'),
  e500(1013, 'bucsr'),
  e500(1015, 'mmucfg', 'p-'),
  e500(1023, 'svr', 'p-'),
];

export const BOOKE_REGISTERS: readonly SpecialRegister[] = [
  register(48, 'pid', 'pp', BOOKE),
  register(54, 'decar', '-p', BOOKE, { mnemonics: 'to' }),
  register(58, 'csrr0', 'pp', BOOKE),
  register(59, 'csrr1', 'pp', BOOKE),
  register(61, 'dear', 'pp', BOOKE),
  register(62, 'esr', 'pp', BOOKE),
  register(63, 'ivpr', 'pp', BOOKE),
  register(256, 'usprg0', 'uu', BOOKE, {
    read: (s) => s.wordFromUnsigned32(s.state('usprg0')),
    write: (s, value) => s.setState('usprg0', s.low32(value)),
  }),
  sharedCopy(259, 'sprg3'),
  sharedCopy(260, 'sprg4'),
  sharedCopy(261, 'sprg5'),
  sharedCopy(262, 'sprg6'),
  sharedCopy(263, 'sprg7'),
  ...[4, 5, 6, 7].map((n) => register(272 + n, `sprg${n}`, 'pp', BOOKE)),
  register(286, 'pir', 'p-', BOOKE, { mnemonics: 'from' }),
  register(304, 'dbsr', 'pp', BOOKE),
  register(308, 'dbcr0', 'pp', BOOKE),
  register(309, 'dbcr1', 'pp', BOOKE),
  register(310, 'dbcr2', 'pp', BOOKE),
  ...[1, 2].map((n) => register(311 + n, `iac${n}`, 'pp', BOOKE)),
  ...[3, 4].map((n) => register(311 + n, `iac${n}`, 'pp', PPC440)),
  register(316, 'dac1', 'pp', BOOKE),
  register(317, 'dac2', 'pp', BOOKE),
  register(318, 'dvc1', 'pp', PPC440),
  register(319, 'dvc2', 'pp', PPC440),
  register(336, 'tsr', 'pp', BOOKE),
  register(340, 'tcr', 'pp', BOOKE),
  ...Array.from({ length: 16 }, (_, n) => register(400 + n, `ivor${n}`, 'pp', BOOKE)),
  register(570, 'mcsrr0', 'pp', BOOKE),
  register(571, 'mcsrr1', 'pp', BOOKE),
  register(572, 'mcsr', 'pp', BOOKE),
  ...[0, 1, 2, 3].flatMap((n) => [
    own(880 + n, `inv${n}`),
    own(884 + n, `itv${n}`),
    own(912 + n, `dnv${n}`),
    own(916 + n, `dtv${n}`),
  ]),
  own(888, 'ccr1'),
  own(920, 'dvlim'),
  own(921, 'ivlim'),
  own(923, 'rstcfg', 'p-'),
  own(924, 'dcdbtrl', 'p-'),
  own(925, 'dcdbtrh', 'p-'),
  own(926, 'icdbtrl', 'p-'),
  own(927, 'icdbtrh', 'p-'),
  own(946, 'mmucr'),
  own(947, 'ccr0'),
  own(979, 'icdbdr', 'p-'),
  own(1011, 'dbdr'),
  ...E500_REGISTERS,
];
