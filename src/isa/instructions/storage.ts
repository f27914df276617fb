/** Loads, stores and reservations: Power ISA 2.07 Book I 3.3.2–3.3.6, Book II 4.4.2. */
import { type Access, define, type InstructionRow } from '../define.ts';
import { fieldBits } from '../fields.ts';
import type { Expr, Meaning, Operand, Operands, Semantics } from '../semantics.ts';
import { addressInMode, indexedAddress } from './common.ts';

/** The four forms of a load or store: displacement or index, without or with update. The meaning follows from the access. */
export function storageMeaning(access: Access): Meaning {
  return (s, f) => {
    atEffectiveAddress(s, f, access, (address) => loadOrStore(s, f, address, access));
  };
}

/**
 * Runs an access at its pinned effective address, then updates the base. 32-bit mode addresses with the low half of the
 * sum, but an update form's RA gets all of it (Power ISA 2.07 Book I, 1.10.3).
 */
export function atEffectiveAddress(s: Semantics, f: Operands, access: Access, perform: (address: Expr) => void): void {
  const sum = s.let(effectiveSum(s, f, access));
  const address = addressInMode(s, sum);
  perform(address === sum ? sum : s.let(address));
  if (access.update) s.setGpr(f.RA, sum);
}

function loadOrStore(s: Semantics, f: Operands, address: Expr, access: Access): void {
  const { bytes, kind } = access;
  if (bytes === 8) {
    if (kind === 'load') s.setGpr(f.RT, s.load64(address, access));
    else s.store64(address, s.gpr(f.RS), access);
  } else if (kind === 'load') s.setGpr(f.RT, s.load(bytes, address, access));
  else s.store(bytes, address, s.gpr(f.RS), access);
}

/** (RA|0) + RB, D or DS, all of its bits. */
function effectiveSum(s: Semantics, f: Operands, access: Access): Expr {
  const base = s.gpr(access.update ? f.RA : f.RA0);
  if (access.indexed) return s.add(base, s.gpr(f.RB));
  return s.add(base, access.scaled ? f.DS : f.D);
}

/** Update forms with RA=0, or with RA=RT in a load, are invalid: Power ISA 2.07 Book I, 3.3.2 and 3.3.3. */
export function invalidUpdate(access: Access): (word: number) => boolean {
  return (word) => {
    const ra = fieldBits(word, 'RA');
    return ra === 0 || (access.kind === 'load' && ra === fieldBits(word, 'RT'));
  };
}

/** A load or store in its displacement form (when it has a primary opcode) and its indexed form, both without and with update. */
function family(mnemonic: string, access: Access, opcodes: { d?: number; du?: number; x?: number; ux?: number }) {
  const register = access.kind === 'load' ? 'RT' : 'RS';
  const rows: InstructionRow[] = [];
  const row = (suffix: string, opcode: number | undefined, indexed: boolean, update: boolean) => {
    if (opcode === undefined) return;
    const form: Access = { ...access, ...(indexed && { indexed }), ...(update && { update }) };
    const base = update ? 'RA' : 'RA0';
    rows.push(
      define(
        mnemonic + suffix,
        indexed ? `31 ${register} ${base} RB ${opcode}:10 /:1` : `${opcode} ${register} ${base} D`,
        indexed ? `${register},${base},RB` : `${register},D(${base})`,
        storageMeaning(form),
        { access: form, ...(update && { invalid: invalidUpdate(form) }) },
      ),
    );
  };
  row('', opcodes.d, false, false);
  row('u', opcodes.du, false, true);
  row('x', opcodes.x, true, false);
  row('ux', opcodes.ux, true, true);
  return rows;
}

/** A word, (RA|0)+D: how the first word of lmw and stmw is addressed. */
const WORD: Access = { kind: 'load', bytes: 4 };

/** How many registers there are from this one through r31. */
const registersFrom = (s: Semantics, register: Operand): Operand =>
  typeof register === 'number' ? 32 - register : s.sub(32, register);

/** The address of the word `i` after the one at `address`. */
const wordAfter = (s: Semantics, address: Expr, i: Operand): Expr =>
  addressInMode(s, s.add(address, typeof i === 'number' ? i * 4 : s.shl(s.wordOf(i), 2)));

/** No address that a reservation could have: lwarx takes aligned ones only. */
const NO_RESERVATION = 1;

/** The address of a reserved load or a conditional store: aligned, or there is an alignment interrupt. */
export function reservedAddress(s: Semantics, f: Operands, access: Access['kind'], bytes: number): Expr {
  const address = s.let(indexedAddress(s, f));
  if (bytes > 1) s.if(s.and(s.low32(address), bytes - 1), () => s.misaligned(address, access));
  return address;
}

export function loadReserved(s: Semantics, f: Operands, bytes: 1 | 2 | 4 | 8): void {
  const address = reservedAddress(s, f, 'load', bytes);
  const value = s.let(bytes === 8 ? s.load64(address) : s.load(bytes, address));
  if (s.word === 'i32') {
    s.setState('reserveAddress', s.low32(address));
    s.setState('reserveValue', s.low32(value));
  } else {
    s.setWideState('reserveAddress', address);
    s.setWideState('reserveValue', value);
  }
  s.setGpr(f.RT, value);
}

/**
 * Stores when the reservation is the address' and `holds`; CR0 tells. The reservation holds as long as storage has its
 * value: a store that writes the same value back is not noticed, which every use of the pair tolerates.
 */
export function storeConditional(
  s: Semantics,
  address: Expr,
  { holds, store }: { holds: () => Expr; store: () => void },
): void {
  const fails = () => s.setCrField(0, s.so());
  const reserved = s.word === 'i32' ? s.state('reserveAddress') : s.wideState('reserveAddress');
  s.if(
    s.eq(address, reserved),
    () =>
      s.if(
        holds(),
        () => {
          store();
          s.setCrField(0, s.or(s.so(), 2));
        },
        fails,
      ),
    fails,
  );
  if (s.word === 'i32') s.setState('reserveAddress', s.i32(NO_RESERVATION));
  else s.setWideState('reserveAddress', s.i64(NO_RESERVATION));
}

export function storeReserved(s: Semantics, f: Operands, bytes: 1 | 2 | 4 | 8): void {
  const address = reservedAddress(s, f, 'store', bytes);
  storeConditional(s, address, {
    holds: () => {
      if (s.word === 'i32') return s.eq(s.low32(s.load(4, address)), s.state('reserveValue'));
      return s.eq(bytes === 8 ? s.load64(address) : s.load(bytes, address), s.wideState('reserveValue'));
    },
    store: () => (bytes === 8 ? s.store64(address, s.gpr(f.RS)) : s.store(bytes, address, s.gpr(f.RS))),
  });
}

export const STORAGE_INSTRUCTIONS: readonly InstructionRow[] = [
  ...family('lwz', { kind: 'load', bytes: 4 }, { d: 32, du: 33, x: 23, ux: 55 }),
  ...family('lbz', { kind: 'load', bytes: 1 }, { d: 34, du: 35, x: 87, ux: 119 }),
  ...family('lhz', { kind: 'load', bytes: 2 }, { d: 40, du: 41, x: 279, ux: 311 }),
  ...family('lha', { kind: 'load', bytes: 2, signed: true }, { d: 42, du: 43, x: 343, ux: 375 }),
  ...family('stw', { kind: 'store', bytes: 4 }, { d: 36, du: 37, x: 151, ux: 183 }),
  ...family('stb', { kind: 'store', bytes: 1 }, { d: 38, du: 39, x: 215, ux: 247 }),
  ...family('sth', { kind: 'store', bytes: 2 }, { d: 44, du: 45, x: 407, ux: 439 }),
  ...family('lwbr', { kind: 'load', bytes: 4, reversed: true }, { x: 534 }),
  ...family('lhbr', { kind: 'load', bytes: 2, reversed: true }, { x: 790 }),
  ...family('stwbr', { kind: 'store', bytes: 4, reversed: true }, { x: 662 }),
  ...family('sthbr', { kind: 'store', bytes: 2, reversed: true }, { x: 918 }),

  define('lmw', '46 RT RA0 D', 'RT,D(RA0)', (s, f) => {
    const address = s.let(addressInMode(s, effectiveSum(s, f, WORD)));
    if (s.littleEndian) return s.misaligned(address, 'load');
    s.repeat(registersFrom(s, f.RT), 32, (i) =>
      s.setGpr(s.registerAfter(f.RT, i), s.load(4, wordAfter(s, address, i))),
    );
  }),
  define('stmw', '47 RS RA0 D', 'RS,D(RA0)', (s, f) => {
    const address = s.let(addressInMode(s, effectiveSum(s, f, WORD)));
    if (s.littleEndian) return s.misaligned(address, 'store');
    s.repeat(registersFrom(s, f.RS), 32, (i) => s.store(4, wordAfter(s, address, i), s.gpr(s.registerAfter(f.RS, i))));
  }),

  define('lwarx', '31 RT RA0 RB 20:10 EH', 'RT,RA0,RB[,EH]', (s, f) => loadReserved(s, f, 4)),
  define('stwcx.', '31 RS RA0 RB 150:10 1:1', 'RS,RA0,RB', (s, f) => storeReserved(s, f, 4)),
];
