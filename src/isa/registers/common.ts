/** Registers of every PowerPC (Power ISA 2.07 Book I 3.3.17, Book II 6.2.1, Book III-S 4.4.4). */
import type { Expr, Semantics } from '../semantics.ts';
import { register, type SpecialRegister } from './define.ts';

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

const ALL = ['base'] as const;

export const COMMON_REGISTERS: readonly SpecialRegister[] = [
  register(1, 'xer', 'uu', ALL, { read: readXer, write: writeXer }),
  register(8, 'lr', 'uu', ALL, { read: (s) => s.lr(), write: (s, value) => s.setLr(value) }),
  register(9, 'ctr', 'uu', ALL, { read: (s) => s.ctr(), write: (s, value) => s.setCtr(value) }),
  register(22, 'dec', 'pp', ALL, { bits: 32 }),
  register(26, 'srr0', 'pp', ALL),
  register(27, 'srr1', 'pp', ALL),
  register(268, 'tb', 'u-', ALL, {
    mnemonics: 'from',
    read: (s) => (s.word === 'i64' ? s.timebase() : s.wrap(s.timebase())),
  }),
  register(269, 'tbu', 'u-', ALL, {
    mnemonics: 'from',
    bits: 32,
    read: (s) => s.wordFromUnsigned32(s.wrap(s.shrUnsigned(s.timebase(), 32))),
  }),
  ...[0, 1, 2, 3].map((n) => register(272 + n, `sprg${n}`, 'pp', ALL)),
  register(284, 'tbl', '-p', ALL, { mnemonics: 'to', bits: 32 }),
  register(285, 'tbu', '-p', ALL, { mnemonics: 'to', bits: 32 }),
  register(287, 'pvr', 'p-', ALL, { mnemonics: 'from', bits: 32 }),
];
