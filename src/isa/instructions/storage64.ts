/** Loads, stores and reservations of a 64-bit processor: Power ISA 2.07 Book I 3.3.2–3.3.5, Book II 4.4.2. */
import { type Access, define, type InstructionRow, type Level, type Traits } from '../define.ts';
import { fieldBits } from '../fields.ts';
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';
import { addressInMode } from './common.ts';
import {
  invalidUpdate,
  loadReserved,
  reservedAddress,
  storageMeaning,
  storeConditional,
  storeReserved,
} from './storage.ts';

/** A row of one access; `last` is what stands behind a DS field or an extended opcode. */
function row(mnemonic: string, access: Access, opcode: number, last: string, level: Level = '64-bit'): InstructionRow {
  const register = access.kind === 'load' ? 'RT' : 'RS';
  const base = access.update ? 'RA' : 'RA0';
  const form: Access = access.indexed ? access : { ...access, scaled: true };
  const traits: Traits = { level, access: form, ...(access.update && { invalid: invalidUpdate(form) }) };
  return access.indexed
    ? define(
        mnemonic,
        `31 ${register} ${base} RB ${opcode}:10 ${last}`,
        `${register},${base},RB`,
        storageMeaning(form),
        traits,
      )
    : define(
        mnemonic,
        `${opcode} ${register} ${base} DS ${last}`,
        `${register},DS(${base})`,
        storageMeaning(form),
        traits,
      );
}

const LOAD: Access = { kind: 'load', bytes: 8 };
const LOAD_SIGNED: Access = { kind: 'load', bytes: 4, signed: true };
const STORE: Access = { kind: 'store', bytes: 8 };
const indexed = { indexed: true } as const;
const update = { update: true } as const;

/** The reserved loads and conditional stores, by size. */
const RESERVATIONS = [
  { suffix: 'b', bytes: 1, load: 52, store: 694, level: '2.06' },
  { suffix: 'h', bytes: 2, load: 116, store: 726, level: '2.06' },
  { suffix: 'd', bytes: 8, load: 84, store: 214, level: '64-bit' },
] as const;

/** Quadwords take an even register and the next one, the lower address' doubleword in the first one but for byte order. */
const odd = (name: 'RT' | 'RS') => (word: number) => (fieldBits(word, name) & 1) !== 0;

/** The doublewords of a quadword, the lower address' one first; little-endian mode has its low doubleword there. */
function loadPair(s: Semantics, address: Expr): { high: Expr; low: Expr } {
  const first = s.let(s.load64(address));
  const second = s.let(s.load64(s.add(address, 8)));
  return s.littleEndian ? { high: second, low: first } : { high: first, low: second };
}

function storePair(s: Semantics, f: Operands, address: Expr): void {
  const registers = [f.RS, s.registerAfter(f.RS, 1)] as const;
  const [first, second] = s.littleEndian ? [registers[1], registers[0]] : registers;
  s.store64(address, s.gpr(first));
  s.store64(s.add(address, 8), s.gpr(second));
}

const loadQuadword: Meaning = (s, f) => {
  const address = s.let(addressInMode(s, s.add(s.gpr(f.RA0), f.DQ)));
  s.if(s.and(s.low32(address), 15), () => s.misaligned(address, 'load'));
  const { high, low } = loadPair(s, address);
  s.setGpr(f.RT, high);
  s.setGpr(s.registerAfter(f.RT, 1), low);
};

const storeQuadword: Meaning = (s, f) => {
  const address = s.let(addressInMode(s, s.add(s.gpr(f.RA0), f.DS)));
  s.if(s.and(s.low32(address), 15), () => s.misaligned(address, 'store'));
  storePair(s, f, address);
};

const loadQuadwordReserved: Meaning = (s, f) => {
  const address = reservedAddress(s, f, 'load', 16);
  const { high, low } = loadPair(s, address);
  s.setWideState('reserveAddress', address);
  s.setWideState('reserveValueHigh', high);
  s.setWideState('reserveValue', low);
  s.setGpr(f.RT, high);
  s.setGpr(s.registerAfter(f.RT, 1), low);
};

const storeQuadwordConditional: Meaning = (s, f) => {
  const address = reservedAddress(s, f, 'store', 16);
  storeConditional(s, address, {
    holds: () => {
      const { high, low } = loadPair(s, address);
      return s.and(s.eq(high, s.wideState('reserveValueHigh')), s.eq(low, s.wideState('reserveValue')));
    },
    store: () => storePair(s, f, address),
  });
};

/** lq overwrites its base: an invalid form; so is an odd register. */
const invalidLoadQuadword = (word: number): boolean =>
  odd('RT')(word) || fieldBits(word, 'RT') === fieldBits(word, 'RA');

export const STORAGE64_INSTRUCTIONS: readonly InstructionRow[] = [
  row('ld', LOAD, 58, '0:2'),
  row('ldu', { ...LOAD, ...update }, 58, '1:2'),
  row('ldx', { ...LOAD, ...indexed }, 21, '/:1'),
  row('ldux', { ...LOAD, ...indexed, ...update }, 53, '/:1'),
  row('lwa', LOAD_SIGNED, 58, '2:2'),
  row('lwax', { ...LOAD_SIGNED, ...indexed }, 341, '/:1'),
  row('lwaux', { ...LOAD_SIGNED, ...indexed, ...update }, 373, '/:1'),
  row('std', STORE, 62, '0:2'),
  row('stdu', { ...STORE, ...update }, 62, '1:2'),
  row('stdx', { ...STORE, ...indexed }, 149, '/:1'),
  row('stdux', { ...STORE, ...indexed, ...update }, 181, '/:1'),
  row('ldbrx', { ...LOAD, ...indexed, reversed: true }, 532, '/:1', '2.06'),
  row('stdbrx', { ...STORE, ...indexed, reversed: true }, 660, '/:1', '2.06'),

  ...RESERVATIONS.flatMap(({ suffix, bytes, load, store, level }) => [
    define(`l${suffix}arx`, `31 RT RA0 RB ${load}:10 EH`, 'RT,RA0,RB[,EH]', (s, f) => loadReserved(s, f, bytes), {
      level,
    }),
    define(`st${suffix}cx.`, `31 RS RA0 RB ${store}:10 1:1`, 'RS,RA0,RB', (s, f) => storeReserved(s, f, bytes), {
      level,
    }),
  ]),

  define('lq', '56 RT RA0 DQ /:4', 'RT,DQ(RA0)', loadQuadword, { level: '2.07', invalid: invalidLoadQuadword }),
  define('stq', '62 RS RA0 DS 2:2', 'RS,DS(RA0)', storeQuadword, { level: '2.07', invalid: odd('RS') }),
  define('lqarx', '31 RT RA0 RB 276:10 EH', 'RT,RA0,RB[,EH]', loadQuadwordReserved, {
    level: '2.07',
    invalid: (word) => invalidLoadQuadword(word) || fieldBits(word, 'RT') === fieldBits(word, 'RB'),
  }),
  define('stqcx.', '31 RS RA0 RB 182:10 1:1', 'RS,RA0,RB', storeQuadwordConditional, {
    level: '2.07',
    invalid: odd('RS'),
  }),
];
