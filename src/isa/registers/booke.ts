/** Registers of Book E processors, and the 440's own (PowerPC 440 User's Manual, "Special Purpose Registers"). */
import { register, type SpecialRegister } from './define.ts';

const BOOKE = ['booke'] as const;
const PPC440 = ['44x'] as const;

/** What problem state reads of a register of the operating system's, under a number of its own. */
const sharedCopy = (number: number, name: 'sprg3' | 'sprg4' | 'sprg5' | 'sprg6' | 'sprg7'): SpecialRegister =>
  register(number, name, 'u-', BOOKE, {
    mnemonics: name === 'sprg3' ? 'none' : 'from',
    read: (s) => s.wordFromUnsigned32(s.shared(name)),
  });

/** The assembler writes the 440's own by number. */
const own = (number: number, name: string, rights: 'pp' | 'p-' = 'pp'): SpecialRegister =>
  register(number, name, rights, PPC440, { mnemonics: 'none' });

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
  ...[1, 2, 3, 4].map((n) => register(311 + n, `iac${n}`, 'pp', BOOKE)),
  register(316, 'dac1', 'pp', BOOKE),
  register(317, 'dac2', 'pp', BOOKE),
  register(318, 'dvc1', 'pp', BOOKE),
  register(319, 'dvc2', 'pp', BOOKE),
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
];
