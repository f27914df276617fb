/**
 * Registers of Book III-S processors (Power ISA 2.07 Book III-S, 4.4.4, and the versions before it; PowerPC 970FX User's
 * Manual, "Special Purpose Registers") that an operating system has which no hypervisor has left the processor to: the
 * hypervisor's own are not there, and neither is transactional memory. The assembler writes most of them by number.
 */
import type { Level } from '../define.ts';
import type { StateName, WideStateName } from '../semantics.ts';
import { register, type SpecialRegister } from './define.ts';

const SERVER = ['server'] as const;
/** What 32-bit processors have under the same number, too. */
const BOOK3S = ['server', 'book3s32'] as const;
/** POWER7 and later. */
const POWER7 = ['2.06'] as const;
const POWER8 = ['2.07'] as const;
const PPC970 = ['970'] as const;
/** What POWER8 has no longer, or has otherwise. */
const EARLIER = ['970', 'power7'] as const;

const none = { mnemonics: 'none' } as const;
const word = { mnemonics: 'none', bits: 32 } as const;

/** Registers of problem state that the processor itself has. */
const wide = (name: WideStateName) =>
  ({
    ...none,
    read: (s) => s.wideState(name),
    write: (s, value) => s.setWideState(name, value),
  }) as const satisfies Partial<SpecialRegister>;
const narrow = (name: StateName) =>
  ({
    ...word,
    read: (s) => s.wordFromUnsigned32(s.state(name)),
    write: (s, value) => s.setState(name, s.low32(value)),
  }) as const satisfies Partial<SpecialRegister>;

/**
 * A register of the performance monitor: its own number, and 16 below it what problem state has. Up to POWER7 it only
 * reads; on POWER8 MMCR0[PMCC] lets it write those of group A, too (2.07 Book III-S, 9.4.4).
 */
const monitor = (
  number: number,
  name: string,
  levels: readonly Level[],
  group: 'A' | 'B',
  bits: 32 | 'word' = 'word',
): SpecialRegister[] => {
  const earlier = levels.filter((level) => level !== '2.07');
  const later = levels.filter((level) => level === '2.07');
  const traits = { mnemonics: 'none', bits } as const;
  const rows = [register(number, name, 'pp', levels, traits)];
  if (earlier.length > 0) rows.push(register(number - 16, name, 'u-', earlier, traits));
  if (later.length > 0)
    rows.push(
      group === 'A'
        ? register(number - 16, name, 'uu', later, { ...traits, facility: 'performanceMonitor' })
        : register(number - 16, name, 'u-', later, traits),
    );
  return rows;
};
const EVERY = ['970', 'power7', '2.07'] as const;

const eventBasedBranch = (number: number, name: string, bits: 32 | 'word' = 'word'): SpecialRegister =>
  register(number, name, 'uu', POWER8, { mnemonics: 'none', bits, facility: 'eventBasedBranch' });

export const SERVER_REGISTERS: readonly SpecialRegister[] = [
  register(3, 'dscr', 'uu', POWER8, { ...none, facility: 'dscr' }),
  register(13, 'amr', 'uu', POWER7, none),
  register(17, 'dscr', 'pp', POWER7, none),
  register(18, 'dsisr', 'pp', BOOK3S, { bits: 32 }),
  register(19, 'dar', 'pp', BOOK3S),
  register(25, 'sdr1', 'pp', BOOK3S),
  register(28, 'cfar', 'pp', POWER7, none),
  register(29, 'amr', 'pp', POWER7, none),
  register(61, 'iamr', 'pp', POWER8, none),
  register(136, 'ctrl', 'u-', SERVER, word),
  register(152, 'ctrl', '-p', SERVER, word),
  register(153, 'fscr', 'pp', POWER8, none),
  register(157, 'uamor', 'pp', POWER7, none),
  register(159, 'pspb', 'pp', POWER8, word),
  register(176, 'dpdes', 'p-', POWER8, none),
  register(180, 'dawr', 'pp', POWER8, none),
  register(187, 'ciabr', 'pp', POWER8, none),
  register(188, 'dawrx', 'pp', POWER8, word),
  register(256, 'vrsave', 'uu', SERVER, narrow('usprg0')),
  register(259, 'sprg3', 'u-', SERVER, none),
  register(308, 'spurr', 'p-', POWER7, none),
  register(309, 'purr', 'p-', POWER7, none),
  register(311, 'hior', 'pp', PPC970, none),
  register(446, 'tir', 'p-', POWER8, none),
  ...monitor(784, 'sier', POWER8, 'B'),
  ...monitor(785, 'mmcr2', POWER8, 'A'),
  ...monitor(786, 'mmcra', EVERY, 'A'),
  ...[1, 2, 3, 4, 5, 6].flatMap((n) => monitor(786 + n, `pmc${n}`, EVERY, 'A', 32)),
  ...[7, 8].flatMap((n) => monitor(786 + n, `pmc${n}`, PPC970, 'A', 32)),
  ...monitor(795, 'mmcr0', EVERY, 'A'),
  ...monitor(796, 'siar', EVERY, 'B'),
  ...monitor(797, 'sdar', EVERY, 'B'),
  ...monitor(798, 'mmcr1', EVERY, 'B'),
  // Ones that are written set or clear those bits of BESCR, all of it or its upper word.
  eventBasedBranch(800, 'bescrs'),
  eventBasedBranch(801, 'bescrsu', 32),
  eventBasedBranch(802, 'bescrr'),
  eventBasedBranch(803, 'bescrru', 32),
  eventBasedBranch(804, 'ebbhr'),
  eventBasedBranch(805, 'ebbrr'),
  eventBasedBranch(806, 'bescr'),
  // Reserved for what follows from nothing: moves of them do nothing (4.4.4).
  ...[808, 809, 810, 811].map((number) => register(number, `reserved${number}`, 'uu', POWER8, none)),
  register(815, 'tar', 'uu', POWER8, { ...wide('tar'), facility: 'tar' }),
  register(848, 'ic', 'p-', POWER8, none),
  register(849, 'vtb', 'p-', POWER8, none),
  register(896, 'ppr', 'uu', POWER7, wide('ppr')),
  register(898, 'ppr32', 'uu', POWER7, word),
  register(1008, 'hid0', 'pp', PPC970, none),
  register(1009, 'hid1', 'pp', PPC970, none),
  register(1010, 'iabr', 'pp', PPC970, none),
  register(1012, 'hid4', 'pp', PPC970, none),
  register(1013, 'dabr', 'pp', EARLIER, none),
  register(1014, 'hid5', 'pp', PPC970, none),
  register(1015, 'dabrx', 'pp', EARLIER, none),
  register(1023, 'pir', 'p-', SERVER, none),
];
