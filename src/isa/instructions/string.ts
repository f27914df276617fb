/** Move assist: Power ISA 2.07 Book I, 3.3.7; and the 4xx search for a zero byte that goes with it. */
import { define, type InstructionRow, type Traits } from '../define.ts';
import type { Expr, Operands, Semantics } from '../semantics.ts';
import { addressInMode, indexedAddress } from './common.ts';

const RARE: Traits = { level: 'string', interpreted: true };

/** XER[57:63], the length of lswx and stswx. */
const BYTE_COUNT = 0x7f;

/** The length of lswi and stswi: NB, where 0 stands for 32. */
const immediateLength = (s: Semantics, f: Operands): Expr =>
  typeof f.NB === 'number' ? s.i32(f.NB || 32) : s.select(f.NB, f.NB, 32);

/** Whether a register is among those that a load of `words` words from RT on fills: an invalid form. */
const isLoaded = (s: Semantics, f: Operands, register: 'RA' | 'RB', words: Expr): Expr =>
  s.ltUnsigned(s.and(s.sub(s.i32(f[register]), s.i32(f.RT)), 31), words);

const wordAt = (s: Semantics, address: Expr, index: Expr): Expr =>
  addressInMode(s, s.add(address, s.shl(s.wordFromUnsigned32(index), 2)));

/**
 * Fills registers from RT on with bytes; the last one's missing bytes become zero. In little-endian mode this and its
 * kin are alignment errors.
 */
function loadString(s: Semantics, f: Operands, address: Expr, length: Expr): void {
  if (s.littleEndian) {
    s.misaligned(address, 'load');
    return;
  }
  const whole = s.let(s.shrUnsigned(length, 2));
  s.repeat(whole, 32, (i) => s.setGpr(s.registerAfter(f.RT, i), s.load(4, wordAt(s, address, s.i32(i)))));
  const rest = s.let(s.and(length, 3));
  const tail = s.let(wordAt(s, address, whole));
  const last = s.registerAfter(f.RT, whole);
  const first = (bytes: 1 | 2): Expr => s.shl(s.load(bytes, tail), 32 - 8 * bytes);
  s.if(s.eq(rest, 1), () => s.setGpr(last, first(1)));
  s.if(s.eq(rest, 2), () => s.setGpr(last, first(2)));
  s.if(s.eq(rest, 3), () => s.setGpr(last, s.or(first(2), s.shl(s.load(1, addressInMode(s, s.add(tail, 2))), 8))));
}

function storeString(s: Semantics, f: Operands, address: Expr, length: Expr): void {
  if (s.littleEndian) {
    s.misaligned(address, 'store');
    return;
  }
  const whole = s.let(s.shrUnsigned(length, 2));
  s.repeat(whole, 32, (i) => s.store(4, wordAt(s, address, s.i32(i)), s.gpr(s.registerAfter(f.RS, i))));
  const rest = s.let(s.and(length, 3));
  const tail = s.let(wordAt(s, address, whole));
  const last = s.registerAfter(f.RS, whole);
  s.if(s.eq(rest, 1), () => s.store(1, tail, s.shrUnsigned(s.gpr(last), 24)));
  s.if(s.geUnsigned(rest, 2), () => s.store(2, tail, s.shrUnsigned(s.gpr(last), 16)));
  s.if(s.eq(rest, 3), () => s.store(1, addressInMode(s, s.add(tail, 2)), s.shrUnsigned(s.gpr(last), 8)));
}

export const STRING_INSTRUCTIONS: readonly InstructionRow[] = [
  define(
    'lswi',
    '31 RT RA0 NB 597:10 /:1',
    'RT,RA0,NB',
    (s, f) => {
      const length = s.let(immediateLength(s, f));
      const words = s.shrUnsigned(s.add(length, 3), 2);
      s.if(isLoaded(s, f, 'RA', words), () => s.interrupt('program', 'illegal'));
      loadString(s, f, s.let(addressInMode(s, s.gpr(f.RA0))), length);
    },
    RARE,
  ),
  define(
    'lswx',
    '31 RT RA0 RB 533:10 /:1',
    'RT,RA0,RB',
    (s, f) => {
      const length = s.let(s.and(s.state('xerByteCount'), BYTE_COUNT));
      const words = s.let(s.shrUnsigned(s.add(length, 3), 2));
      const base = s.and(s.ne(s.i32(f.RA), 0), isLoaded(s, f, 'RA', words));
      const invalid = s.or(base, isLoaded(s, f, 'RB', words));
      s.if(invalid, () => s.interrupt('program', 'illegal'));
      loadString(s, f, s.let(indexedAddress(s, f)), length);
    },
    RARE,
  ),
  define(
    'stswi',
    '31 RS RA0 NB 725:10 /:1',
    'RS,RA0,NB',
    (s, f) => storeString(s, f, s.let(addressInMode(s, s.gpr(f.RA0))), s.let(immediateLength(s, f))),
    RARE,
  ),
  define(
    'stswx',
    '31 RS RA0 RB 661:10 /:1',
    'RS,RA0,RB',
    (s, f) => storeString(s, f, s.let(indexedAddress(s, f)), s.let(s.and(s.state('xerByteCount'), BYTE_COUNT))),
    RARE,
  ),
  define(
    'dlmzb',
    '31 RS RA RB 78:10 Rc',
    'RA,RS,RB',
    (s, f) => {
      const bytes = s.let(
        s.or(s.shl(s.extendUnsigned(s.low32(s.gpr(f.RS))), 32), s.extendUnsigned(s.low32(s.gpr(f.RB)))),
      );
      // Leaves 0x80 in each byte that was zero, and zero in the others.
      const SEVEN_BITS = 0x7f7f_7f7f_7f7f_7f7fn;
      const low7 = s.i64(SEVEN_BITS);
      const sum = s.add(s.and(bytes, low7), s.i64(SEVEN_BITS));
      const zeros = s.not(s.or(s.or(sum, bytes), s.i64(SEVEN_BITS)));
      const before = s.let(s.shrUnsigned(s.wrap(s.clz(zeros)), 3));
      const count = s.let(s.select(s.eq(before, 8), 8, s.add(before, 1)));
      if (f.Rc) {
        const where = s.select(s.ltUnsigned(before, 4), s.i32(4), s.select(s.eq(before, 8), s.i32(2), s.i32(8)));
        s.setCrField(0, s.or(where, s.so()));
      }
      s.setState('xerByteCount', s.or(s.and(s.state('xerByteCount'), ~BYTE_COUNT), count));
      s.setGpr(f.RA, s.wordFromUnsigned32(count));
    },
    { level: '4xx' },
  ),
];
