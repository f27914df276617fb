import type { Expr, Semantics } from './semantics.ts';

/** A special purpose register: what mfspr and mtspr name by number. */
export interface SpecialRegister {
  readonly number: number;
  readonly name: string;
  /** Which of the mnemonics mfNAME and mtNAME exist when not both; the others are written with the number. */
  readonly mnemonics?: 'from' | 'to' | 'none';
  /** Only processors with this word have it open to problem state. */
  readonly word?: 'i32' | 'i64';
  /** Where problem state may read it: its value, of the word type. */
  readonly read?: (s: Semantics) => Expr;
  /** Where problem state may write it. The value is pinned. */
  readonly write?: (s: Semantics, value: Expr) => void;
}

const plain = (number: number, name: string, mnemonics?: SpecialRegister['mnemonics']): SpecialRegister => ({
  number,
  name,
  ...(mnemonics && { mnemonics }),
});

/**
 * The bits of XER that are not flags: the byte count of the string instructions, and the reserved bits, which keep what
 * is written but for the two that later processors use (OV32 and CA32).
 */
const XER_REST = 0x1ff3ffff;

function readXer(s: Semantics): Expr {
  const flags = s.or(s.or(s.shl(s.so(), 31), s.shl(s.ov(), 30)), s.shl(s.ca(), 29));
  return s.wordFromUnsigned32(s.or(flags, s.state('xerByteCount')));
}

function writeXer(s: Semantics, value: Expr): void {
  const xer = s.low32(value);
  s.setOvSo(s.and(s.shrUnsigned(xer, 30), 1), s.shrUnsigned(xer, 31));
  s.setCa(s.and(s.shrUnsigned(xer, 29), 1));
  s.setState('xerByteCount', s.and(xer, XER_REST));
}

const sharedCopy = (number: number, name: 'sprg3' | 'sprg4' | 'sprg5' | 'sprg6' | 'sprg7'): SpecialRegister => ({
  number,
  name,
  mnemonics: name === 'sprg3' ? 'none' : 'from',
  word: 'i32',
  read: (s) => s.wordFromUnsigned32(s.shared(name)),
});

/** Special purpose registers by number, with what problem state may do to them. */
export const SPECIAL_REGISTERS: readonly SpecialRegister[] = [
  { number: 1, name: 'xer', read: readXer, write: writeXer },
  { number: 8, name: 'lr', read: (s) => s.lr(), write: (s, value) => s.setLr(value) },
  { number: 9, name: 'ctr', read: (s) => s.ctr(), write: (s, value) => s.setCtr(value) },
  plain(22, 'dec'),
  plain(26, 'srr0'),
  plain(27, 'srr1'),
  plain(48, 'pid'),
  plain(54, 'decar', 'to'),
  plain(58, 'csrr0'),
  plain(59, 'csrr1'),
  plain(61, 'dear'),
  plain(62, 'esr'),
  plain(63, 'ivpr'),
  {
    number: 256,
    // VRSAVE of processors with vectors: the same to whoever reads and writes it.
    name: 'usprg0',
    read: (s) => s.wordFromUnsigned32(s.state('usprg0')),
    write: (s, value) => s.setState('usprg0', s.low32(value)),
  },
  sharedCopy(259, 'sprg3'),
  sharedCopy(260, 'sprg4'),
  sharedCopy(261, 'sprg5'),
  sharedCopy(262, 'sprg6'),
  sharedCopy(263, 'sprg7'),
  {
    number: 268,
    name: 'tb',
    mnemonics: 'from',
    read: (s) => (s.word === 'i64' ? s.timebase() : s.wrap(s.timebase())),
  },
  {
    number: 269,
    name: 'tbu',
    mnemonics: 'from',
    read: (s) => s.wordFromUnsigned32(s.wrap(s.shrUnsigned(s.timebase(), 32))),
  },
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => plain(272 + n, `sprg${n}`)),
  plain(284, 'tbl', 'to'),
  plain(285, 'tbu', 'to'),
  plain(286, 'pir', 'from'),
  plain(287, 'pvr', 'from'),
  plain(304, 'dbsr'),
  plain(308, 'dbcr0'),
  plain(309, 'dbcr1'),
  plain(310, 'dbcr2'),
  ...[1, 2, 3, 4].map((n) => plain(311 + n, `iac${n}`)),
  plain(316, 'dac1'),
  plain(317, 'dac2'),
  plain(318, 'dvc1'),
  plain(319, 'dvc2'),
  plain(336, 'tsr'),
  plain(340, 'tcr'),
  ...Array.from({ length: 16 }, (_, n) => plain(400 + n, `ivor${n}`)),
  plain(570, 'mcsrr0'),
  plain(571, 'mcsrr1'),
  plain(572, 'mcsr'),
  // The 440's own, which the assembler writes by number.
  plain(888, 'ccr1', 'none'),
  plain(946, 'mmucr', 'none'),
  plain(947, 'ccr0', 'none'),
  // Registers of other processors, which the assembler knows by name for all of them.
  plain(4, 'rtcu', 'from'),
  plain(5, 'rtcl', 'from'),
  plain(18, 'dsisr'),
  plain(19, 'dar'),
  plain(20, 'rtcu', 'to'),
  plain(21, 'rtcl', 'to'),
  plain(25, 'sdr1'),
  plain(282, 'ear'),
  ...[0, 1, 2, 3].flatMap((n) => [
    plain(528 + 2 * n, `ibatu${n}`),
    plain(529 + 2 * n, `ibatl${n}`),
    plain(536 + 2 * n, `dbatu${n}`),
    plain(537 + 2 * n, `dbatl${n}`),
  ]),
  plain(573, 'mcar', 'from'),
  // Book III-S, by number.
  plain(3, 'dscr', 'none'),
  plain(13, 'amr', 'none'),
  plain(17, 'dscr', 'none'),
  plain(28, 'cfar', 'none'),
  plain(29, 'amr', 'none'),
  plain(136, 'ctrl', 'none'),
  plain(152, 'ctrl', 'none'),
  plain(153, 'fscr', 'none'),
  plain(157, 'uamor', 'none'),
  plain(804, 'ebbhr', 'none'),
  plain(805, 'ebbrr', 'none'),
  plain(806, 'bescr', 'none'),
  plain(898, 'ppr32', 'none'),
  {
    number: 815,
    name: 'tar',
    mnemonics: 'none',
    word: 'i64',
    read: (s) => s.wideState('tar'),
    write: (s, value) => s.setWideState('tar', value),
  },
  {
    number: 896,
    name: 'ppr',
    mnemonics: 'none',
    word: 'i64',
    read: (s) => s.wideState('ppr'),
    write: (s, value) => s.setWideState('ppr', value),
  },
];

const BY_NUMBER = new Map(SPECIAL_REGISTERS.map((register) => [register.number, register]));

export function specialRegister(number: number): SpecialRegister | undefined {
  return BY_NUMBER.get(number);
}

/** A register that problem state has on processors with this word. */
export function openRegister(number: number, word: 'i32' | 'i64'): SpecialRegister | undefined {
  const register = BY_NUMBER.get(number);
  return register?.word === undefined || register.word === word ? register : undefined;
}

/** Whether an unknown or forbidden register's number makes the program interrupt a privileged one (its bit 0x10). */
export function isPrivilegedRegister(number: number): boolean {
  return (number & 0x10) !== 0;
}
