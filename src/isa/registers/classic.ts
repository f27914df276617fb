/**
 * Registers of 32-bit Book3S processors: The Programming Environments for 32-Bit Microprocessors, 2.3; the user's manuals of
 * the 604, 750, 7400 and 7450, chapter 2. The assembler writes those of single processors by number.
 */
import type { Level } from '../define.ts';
import { register, type SpecialRegister } from './define.ts';

const CLASSIC = ['book3s32'] as const;
const G3 = ['7xx'] as const;
const G4 = ['74xx'] as const;
const PPC745X = ['745x'] as const;
const none = { mnemonics: 'none' } as const;

const own = (
  number: number,
  name: string,
  levels: readonly Level[],
  rights: 'pp' | 'p-' | 'u-' = 'pp',
): SpecialRegister => register(number, name, rights, levels, none);

/** A register of the performance monitor, and 16 below it what problem state reads. */
const monitor = (number: number, name: string, levels: readonly Level[]): SpecialRegister[] => [
  own(number, name, levels),
  own(number - 16, `u${name}`, levels, 'u-'),
];

const bats = (first: number, from: number, levels: readonly Level[]): SpecialRegister[] =>
  (['ibat', 'dbat'] as const).flatMap((kind, k) =>
    [0, 1, 2, 3].flatMap((n) =>
      (['u', 'l'] as const).map((half, h) =>
        register(first + 8 * k + 2 * n + h, `${kind}${half}${from + n}`, 'pp', levels, from === 0 ? {} : none),
      ),
    ),
  );

export const CLASSIC_REGISTERS: readonly SpecialRegister[] = [
  register(256, 'vrsave', 'uu', G4, {
    ...none,
    read: (s) => s.wordFromUnsigned32(s.state('usprg0')),
    write: (s, value) => s.setState('usprg0', s.low32(value)),
  }),
  ...[4, 5, 6, 7].map((n) => own(272 + n, `sprg${n}`, ['7455'])),
  register(282, 'ear', 'pp', CLASSIC),
  ...bats(528, 0, CLASSIC),
  ...bats(560, 4, ['7455']),
  ...monitor(944, 'mmcr2', G4),
  ...monitor(945, 'pmc5', PPC745X),
  ...monitor(946, 'pmc6', PPC745X),
  ...monitor(951, 'bamr', G4),
  ...monitor(952, 'mmcr0', G3),
  ...monitor(953, 'pmc1', G3),
  ...monitor(954, 'pmc2', G3),
  ...monitor(955, 'sia', G3),
  ...monitor(956, 'mmcr1', G3),
  ...monitor(957, 'pmc3', G3),
  ...monitor(958, 'pmc4', G3),
  own(952, 'mmcr0', ['604']),
  own(953, 'pmc1', ['604']),
  own(954, 'pmc2', ['604']),
  own(955, 'sia', ['604']),
  own(959, 'sda', ['604']),
  own(980, 'tlbmiss', PPC745X),
  own(981, 'ptehi', PPC745X),
  own(982, 'ptelo', PPC745X),
  own(1008, 'hid0', CLASSIC),
  own(1009, 'hid1', G3),
  own(1010, 'iabr', CLASSIC),
  own(1011, 'ictrl', PPC745X),
  own(1013, 'dabr', CLASSIC),
  own(1014, 'msscr0', G4),
  // The 7400's manual calls it MSSCR1; Linux reads it as MSSSR0 on both.
  own(1015, 'msssr0', G4),
  own(1016, 'ldstcr', PPC745X),
  own(1017, 'l2cr', G3),
  own(1018, 'l3cr', PPC745X),
  own(1019, 'ictc', G3),
  ...[1, 2, 3].map((n) => own(1019 + n, `thrm${n}`, ['7xx'])),
  own(1023, 'pir', ['604', '74xx']),
];
