/**
 * What SPE's instructions do, a second time and in another way than the table has it: in whole numbers without bounds, and
 * floating point as exact fractions (SPE Programming Environments Manual; the rules of data and round interrupts are what
 * Linux's arch/powerpc/math-emu/math_efp.c builds on).
 */

export interface SpeState {
  /** Registers of 64 bits. */
  gpr: bigint[];
  accumulator: bigint;
  spefscr: number;
  cr: number[];
}

export type SpeEnd = 'next' | 'data' | 'round';

/** The operands of an instruction: numbers of registers, immediates. */
export interface SpeOperands {
  readonly rt: number;
  readonly ra: number;
  readonly rb: number;
  readonly bfs: number;
}

const M32 = 0xffff_ffffn;
const M64 = (1n << 64n) - 1n;
const u = (bits: number, value: bigint): bigint => BigInt.asUintN(bits, value);
const i = (bits: number, value: bigint): bigint => BigInt.asIntN(bits, value);
const high = (value: bigint): bigint => value >> 32n;
const low = (value: bigint): bigint => value & M32;
const join = (h: bigint, l: bigint): bigint => (u(32, h) << 32n) | u(32, l);

// --- floating point

const FG = 0x2000;
const FX = 0x1000;
const FINV = 0x800;
const FDBZ = 0x400;
const FUNF = 0x200;
const FOVF = 0x100;

interface Format {
  readonly fraction: bigint;
  readonly bits: bigint;
  readonly bias: bigint;
}
const SINGLE: Format = { fraction: 23n, bits: 32n, bias: 127n };
const DOUBLE: Format = { fraction: 52n, bits: 64n, bias: 1023n };

/** An exact number: sign · n / d. */
interface Exact {
  readonly negative: boolean;
  readonly n: bigint;
  readonly d: bigint;
}

interface Value {
  readonly negative: boolean;
  readonly kind: 'zero' | 'denormal' | 'number' | 'infinity' | 'nan';
  readonly exact: Exact;
  readonly bits: bigint;
}

function numberIn(f: Format, bits: bigint): Value {
  const negative = bits >> (f.bits - 1n) === 1n;
  const fraction = bits & ((1n << f.fraction) - 1n);
  const exponent = (bits >> f.fraction) & (2n * f.bias + 1n);
  const kind =
    exponent === 0n
      ? fraction === 0n
        ? 'zero'
        : 'denormal'
      : exponent === 2n * f.bias + 1n
        ? fraction === 0n
          ? 'infinity'
          : 'nan'
        : 'number';
  const e = exponent - f.bias - f.fraction;
  const whole = kind === 'number' ? fraction | (1n << f.fraction) : 0n;
  return { negative, kind, bits, exact: { negative, n: e > 0n ? whole << e : whole, d: e < 0n ? 1n << -e : 1n } };
}

const signBits = (f: Format, negative: boolean): bigint => (negative ? 1n << (f.bits - 1n) : 0n);
const largest = (f: Format, negative: boolean): bigint =>
  signBits(f, negative) | (((2n * f.bias + 1n) << f.fraction) - 1n);
const isOdd = ({ kind }: Value): boolean => kind === 'denormal' || kind === 'infinity' || kind === 'nan';
const isHuge = ({ kind }: Value): boolean => kind === 'infinity' || kind === 'nan';
const isNothing = ({ kind }: Value): boolean => kind === 'zero' || kind === 'denormal';

interface Result {
  readonly bits: bigint;
  readonly flags: number;
}

const truncating = (spefscr: number): boolean => (spefscr & 0x43) !== 0;

/** log2 of a positive fraction, rounded down. */
function exponentOf({ n, d }: Exact): bigint {
  let e = BigInt(n.toString(2).length - d.toString(2).length);
  if (e >= 0n ? n < d << e : n << -e < d) e--;
  return e;
}

/** n / d · 2^shift as a whole number, and the two bits of what is left. */
function cut({ n, d }: Exact, shift: bigint): { whole: bigint; guard: boolean; rest: boolean } {
  const [top, bottom] = shift >= 0n ? [n << (shift + 1n), d] : [n << 1n, d << -shift];
  const twice = top / bottom;
  return { whole: twice >> 1n, guard: (twice & 1n) === 1n, rest: top % bottom !== 0n };
}

function rounded(f: Format, exact: Exact, spefscr: number): Result {
  const e = exponentOf(exact);
  if (e < 1n - f.bias) return { bits: signBits(f, exact.negative), flags: FUNF };
  const { whole, guard, rest } = cut(exact, f.fraction - e);
  const up = !truncating(spefscr) && guard && (rest || (whole & 1n) === 1n);
  let significand = whole + (up ? 1n : 0n);
  let exponent = e;
  if (significand >> (f.fraction + 1n) !== 0n) {
    significand >>= 1n;
    exponent++;
  }
  if (exponent > f.bias) return { bits: largest(f, exact.negative), flags: FOVF };
  const fraction = significand & ((1n << f.fraction) - 1n);
  const bits = signBits(f, exact.negative) | ((exponent + f.bias) << f.fraction) | fraction;
  return { bits, flags: (guard ? FG : 0) | (rest ? FX : 0) };
}

function sum(f: Format, a: Value, b: Value, spefscr: number): Result {
  const flags = isOdd(a) || isOdd(b) ? FINV : 0;
  if (isHuge(a)) return { bits: largest(f, a.negative), flags };
  if (isHuge(b)) return { bits: largest(f, b.negative), flags };
  const zero = signBits(f, (spefscr & 3) === 3);
  if (isNothing(a) && isNothing(b)) return { bits: a.negative === b.negative ? signBits(f, a.negative) : zero, flags };
  if (isNothing(a)) return { bits: b.bits, flags };
  if (isNothing(b)) return { bits: a.bits, flags };
  const signed = ({ negative, n }: Exact): bigint => (negative ? -n : n);
  const n = signed(a.exact) * b.exact.d + signed(b.exact) * a.exact.d;
  if (n === 0n) return { bits: zero, flags };
  return rounded(f, { negative: n < 0n, n: n < 0n ? -n : n, d: a.exact.d * b.exact.d }, spefscr);
}

function product(f: Format, a: Value, b: Value, spefscr: number): Result {
  const flags = isOdd(a) || isOdd(b) ? FINV : 0;
  const negative = a.negative !== b.negative;
  if (isNothing(a) || isNothing(b)) return { bits: signBits(f, negative), flags };
  if (isHuge(a) || isHuge(b)) return { bits: largest(f, negative), flags };
  return rounded(f, { negative, n: a.exact.n * b.exact.n, d: a.exact.d * b.exact.d }, spefscr);
}

function quotient(f: Format, a: Value, b: Value, spefscr: number): Result {
  const flags = isOdd(a) || isOdd(b) ? FINV : 0;
  const negative = a.negative !== b.negative;
  if (isHuge(b)) return { bits: signBits(f, negative), flags };
  if (isHuge(a)) return { bits: largest(f, negative), flags };
  if (isNothing(b)) return { bits: largest(f, negative), flags: flags !== 0 || isNothing(a) ? FINV : FDBZ };
  if (isNothing(a)) return { bits: signBits(f, negative), flags };
  return rounded(f, { negative, n: a.exact.n * b.exact.d, d: a.exact.d * b.exact.n }, spefscr);
}

function integerOf(a: Value, kind: string, spefscr: number): Result {
  const signed = kind[0] === 's';
  const [least, most] = signed ? [-(1n << 31n), (1n << 31n) - 1n] : [0n, M32];
  const bound = (): bigint => (a.negative ? least : most);
  const flags = isOdd(a) ? FINV : 0;
  if (isNothing(a) || a.kind === 'nan') return { bits: 0n, flags };
  if (a.kind === 'infinity') return { bits: u(32, bound()), flags };
  const scale = kind[1] === 'f' ? (signed ? 31n : 32n) : 0n;
  const { whole, guard, rest } = cut(a.exact, scale);
  const up = !truncating(spefscr) && kind[2] !== 'z' && guard && (rest || (whole & 1n) === 1n);
  const magnitude = whole + (up ? 1n : 0n);
  const value = a.negative ? -magnitude : magnitude;
  if (value < least || value > most) return { bits: u(32, bound()), flags: FINV };
  return { bits: u(32, value), flags: (guard ? FG : 0) | (rest ? FX : 0) };
}

function numberOf(f: Format, word: bigint, kind: string, spefscr: number): Result {
  const value = kind[0] === 's' ? i(32, word) : word;
  if (value === 0n) return { bits: 0n, flags: 0 };
  const d = kind[1] === 'f' ? 1n << (kind[0] === 's' ? 31n : 32n) : 1n;
  return rounded(f, { negative: value < 0n, n: value < 0n ? -value : value, d }, spefscr);
}

function converted(from: Format, to: Format, bits: bigint, spefscr: number): Result {
  const a = numberIn(from, bits);
  const flags = isOdd(a) ? FINV : 0;
  if (isHuge(a)) return { bits: largest(to, a.negative), flags };
  if (isNothing(a)) return { bits: signBits(to, a.negative), flags };
  return rounded(to, a.exact, spefscr);
}

/** SPEFSCR and what comes of the flags of the elements; the results are only written when there is no data interrupt. */
function concluded(state: SpeState, flags: number, write: () => void): SpeEnd {
  const old = state.spefscr;
  const both = (flags | (flags >>> 16)) & 0x3f00;
  let next = (old & ~0x3f00_3f00) | flags;
  for (const [flag, sticky] of [
    [FINV, 1 << 20],
    [FDBZ, 1 << 19],
    [FUNF, 1 << 18],
    [FOVF, 1 << 17],
  ] as const)
    if (both & flag) next |= sticky;
  const enabled =
    (both & FINV && old & 0x20) || (both & FDBZ && old & 0x10) || (both & FUNF && old & 8) || (both & FOVF && old & 4);
  state.spefscr = next;
  if (enabled) return 'data';
  const inexact = (both & (FG | FX | FUNF | FOVF)) !== 0;
  if (inexact) state.spefscr |= 1 << 21;
  write();
  if (inexact && old & 0x40) return 'round';
  return both & (FG | FX) && old & 2 ? 'round' : 'next';
}

function floating(mnemonic: string, o: SpeOperands, state: SpeState): SpeEnd | undefined {
  const [, prefix, name] = /^(efs|efd|evfs)(.*)$/.exec(mnemonic) ?? [];
  if (prefix === undefined || name === undefined) return undefined;
  const { gpr, spefscr } = state;
  const f = prefix === 'efd' ? DOUBLE : SINGLE;
  const read = (n: number, wide = prefix === 'efd'): bigint[] => {
    const value = gpr[n] as bigint;
    return wide ? [value] : prefix === 'evfs' ? [high(value), low(value)] : [low(value)];
  };
  const write = (values: readonly bigint[], wide = prefix === 'efd'): void => {
    const old = gpr[o.rt] as bigint;
    if (wide) gpr[o.rt] = values[0] as bigint;
    else
      gpr[o.rt] =
        prefix === 'evfs' ? join(values[0] as bigint, values[1] as bigint) : join(high(old), values[0] as bigint);
  };
  const finish = (results: readonly Result[], wide?: boolean): SpeEnd => {
    const flags =
      results.length === 2 ? ((results[0] as Result).flags << 16) | (results[1] as Result).flags : results[0]?.flags;
    return concluded(state, flags as number, () =>
      write(
        results.map(({ bits }) => bits),
        wide,
      ),
    );
  };
  const [as, bs] = [read(o.ra), read(o.rb)];
  const pairs = (operate: (a: Value, b: Value) => Result): SpeEnd =>
    finish(as.map((a, n) => operate(numberIn(f, a), numberIn(f, bs[n] as bigint))));
  const sign = 1n << (f.bits - 1n);
  switch (name) {
    case 'add':
      return pairs((a, b) => sum(f, a, b, spefscr));
    case 'sub':
      return pairs((a, b) => sum(f, a, numberIn(f, b.bits ^ sign), spefscr));
    case 'mul':
      return pairs((a, b) => product(f, a, b, spefscr));
    case 'div':
      return pairs((a, b) => quotient(f, a, b, spefscr));
    case 'abs':
      write(as.map((a) => a & ~sign));
      return 'next';
    case 'nabs':
      write(as.map((a) => a | sign));
      return 'next';
    case 'neg':
      write(as.map((a) => a ^ sign));
      return 'next';
    case 'cfd':
      return scalar(state, o, converted(DOUBLE, SINGLE, gpr[o.rb] as bigint, spefscr));
    case 'cfs':
      return finish([converted(SINGLE, DOUBLE, low(gpr[o.rb] as bigint), spefscr)], true);
  }
  const comparison = /^(cmp|tst)(gt|lt|eq)$/.exec(name);
  if (comparison) {
    const ordered = (bits: bigint): bigint => (bits & sign ? -(bits ^ sign) : bits);
    const answers = as.map((a, n) => {
      const [x, y] = [ordered(a), ordered(bs[n] as bigint)];
      return comparison[2] === 'gt' ? x > y : comparison[2] === 'lt' ? x < y : x === y;
    });
    const set = (): void => {
      const [h, l] = answers.length === 2 ? (answers as [boolean, boolean]) : [false, answers[0] as boolean];
      const both = answers.length === 2 ? (h || l ? 2 : 0) | (h && l ? 1 : 0) : 0;
      state.cr[o.rt >> 2] = (h ? 8 : 0) | (l ? 4 : 0) | both;
    };
    if (comparison[1] === 'tst') {
      set();
      return 'next';
    }
    const flags = as.map((a, n) => (isOdd(numberIn(f, a)) || isOdd(numberIn(f, bs[n] as bigint)) ? FINV : 0));
    return concluded(
      state,
      flags.length === 2 ? ((flags[0] as number) << 16) | (flags[1] as number) : (flags[0] as number),
      set,
    );
  }
  const conversion = /^c([ft])([us][if]z?)$/.exec(name);
  if (!conversion) return undefined;
  const kind = conversion[2] as string;
  if (conversion[1] === 't')
    return finish(
      bs.map((b) => integerOf(numberIn(f, b), kind, spefscr)),
      false,
    );
  const words = read(o.rb, false);
  return finish(words.map((word) => numberOf(f, word, kind, spefscr)));
}

/** A result for the low element alone. */
function scalar(state: SpeState, o: SpeOperands, { bits, flags }: Result): SpeEnd {
  return concluded(state, flags, () => (state.gpr[o.rt] = join(high(state.gpr[o.rt] as bigint), bits)));
}

// --- integers

const SOV = 0x8000;
const OV = 0x4000;

function overflowed(state: SpeState, h: boolean, l: boolean): void {
  state.spefscr = (state.spefscr & ~(OV * 0x1_0001)) | (h ? (SOV | OV) << 16 : 0) | (l ? SOV | OV : 0);
}

interface Bounded {
  readonly value: bigint;
  readonly over: boolean;
}
function bounded(value: bigint, signed: boolean): Bounded {
  const [least, most] = signed ? [-(1n << 31n), (1n << 31n) - 1n] : [0n, M32];
  return { value: value < least ? least : value > most ? most : value, over: value < least || value > most };
}

function multiply(mnemonic: string, o: SpeOperands, state: SpeState): boolean {
  const parts = /^evm(h[eo]g?|wh|wl|w)([us][sm][if])(a|aaw|anw|aa|an)?$/.exec(mnemonic);
  if (!parts) return false;
  const [, size, kind, into = ''] = parts as unknown as [string, string, string, string | undefined];
  const signed = kind[0] === 's';
  const saturates = kind[1] === 's';
  const fractional = kind[2] === 'f';
  const bits = size[0] === 'h' ? 16 : 32;
  const element = (word: bigint): bigint => {
    const part = bits === 32 ? word : size[1] === 'e' ? word >> 16n : word & 0xffffn;
    return signed ? i(bits, part) : part;
  };
  const minusOne = -(1n << BigInt(bits - 1));
  const times = (x: bigint, y: bigint): Bounded => {
    const [p, q] = [element(x), element(y)];
    if (!fractional) return { value: p * q, over: false };
    const over = saturates && p === minusOne && q === minusOne;
    return { value: over ? (1n << BigInt(2 * bits - 1)) - 1n : p * q * 2n, over };
  };
  const [a, b] = [state.gpr[o.ra] as bigint, state.gpr[o.rb] as bigint];
  if (size === 'w' || size[2] === 'g') {
    const { value, over } = times(low(a), low(b));
    const base = into === 'aa' || into === 'an' ? state.accumulator : 0n;
    const result = u(64, into === 'an' ? base - value : base + value);
    state.gpr[o.rt] = result;
    if (into !== '') state.accumulator = result;
    if (saturates) overflowed(state, false, over);
    return true;
  }
  const accumulates = into === 'aaw' || into === 'anw';
  const one = (x: bigint, y: bigint, accumulator: bigint): Bounded => {
    const { value, over } = times(x, y);
    const part = u(32, size === 'wh' ? value >> 32n : value);
    if (!accumulates) return { value: part, over };
    const [start, term] = signed ? [i(32, accumulator), i(32, part)] : [accumulator, part];
    const sum = into === 'aaw' ? start + term : start - term;
    const result = saturates ? bounded(sum, signed) : { value: sum, over: false };
    return { value: result.value, over: result.over || over };
  };
  const h = one(high(a), high(b), high(state.accumulator));
  const l = one(low(a), low(b), low(state.accumulator));
  state.gpr[o.rt] = join(h.value, l.value);
  if (into !== '') state.accumulator = state.gpr[o.rt] as bigint;
  if (saturates) overflowed(state, h.over, l.over);
  return true;
}

function accumulate(mnemonic: string, o: SpeOperands, state: SpeState): boolean {
  const parts = /^ev(add|subf)([us])([sm])iaaw$/.exec(mnemonic);
  if (!parts) return false;
  const [, name, sign, mode] = parts;
  const one = (accumulator: bigint, element: bigint): Bounded => {
    const [x, y] = sign === 's' ? [i(32, accumulator), i(32, element)] : [accumulator, element];
    const sum = name === 'add' ? x + y : x - y;
    return mode === 's' ? bounded(sum, sign === 's') : { value: sum, over: false };
  };
  const a = state.gpr[o.ra] as bigint;
  const [h, l] = [one(high(state.accumulator), high(a)), one(low(state.accumulator), low(a))];
  state.gpr[o.rt] = state.accumulator = join(h.value, l.value);
  if (mode === 's') overflowed(state, h.over, l.over);
  return true;
}

const clz = (value: bigint): bigint => BigInt(Math.clz32(Number(value)));
const mirrored = (value: bigint): bigint => BigInt(`0b${[...value.toString(2).padStart(16, '0')].reverse().join('')}`);

const ELEMENTWISE: Readonly<Record<string, (a: bigint, b: bigint, o: SpeOperands) => bigint>> = {
  evaddw: (a, b) => a + b,
  evaddiw: (_, b, o) => b + BigInt(o.ra),
  evsubw: (a, b) => b - a,
  evsubiw: (_, b, o) => b - BigInt(o.ra),
  evabs: (a) => (i(32, a) < 0n ? -i(32, a) : a),
  evneg: (a) => -a,
  evextsb: (a) => i(8, a),
  evextsh: (a) => i(16, a),
  evrndw: (a) => (a + 0x8000n) & ~0xffffn,
  evcntlzw: (a) => clz(a),
  evcntlsw: (a) => clz(i(32, a) < 0n ? a ^ M32 : a),
  evand: (a, b) => a & b,
  evandc: (a, b) => a & ~b,
  evxor: (a, b) => a ^ b,
  evor: (a, b) => a | b,
  evnor: (a, b) => ~(a | b),
  eveqv: (a, b) => ~(a ^ b),
  evorc: (a, b) => a | ~b,
  evnand: (a, b) => ~(a & b),
  evsrwu: (a, b) => a >> (b & 63n),
  evsrws: (a, b) => i(32, a) >> (b & 63n),
  evsrwiu: (a, _, o) => a >> BigInt(o.rb),
  evsrwis: (a, _, o) => i(32, a) >> BigInt(o.rb),
  evslw: (a, b) => a << (b & 63n),
  evslwi: (a, _, o) => a << BigInt(o.rb),
  evrlw: (a, b) => (a << (b & 31n)) | (a >> (32n - (b & 31n))),
  evrlwi: (a, _, o) => (a << BigInt(o.rb)) | (a >> (32n - BigInt(o.rb))),
  evsplati: (_a, _b, o) => i(5, BigInt(o.ra)),
  evsplatfi: (_a, _b, o) => BigInt(o.ra) << 27n,
};

const COMPARISONS: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  evcmpgtu: (a, b) => a > b,
  evcmpltu: (a, b) => a < b,
  evcmpgts: (a, b) => i(32, a) > i(32, b),
  evcmplts: (a, b) => i(32, a) < i(32, b),
  evcmpeq: (a, b) => a === b,
};

function divided(a: bigint, b: bigint, signed: boolean): Bounded {
  if (!signed) return b === 0n ? { value: M32, over: true } : { value: a / b, over: false };
  const [x, y] = [i(32, a), i(32, b)];
  if (y === 0n) return { value: x < 0n ? 1n << 31n : (1n << 31n) - 1n, over: true };
  const value = x / y;
  return value > (1n << 31n) - 1n ? { value: (1n << 31n) - 1n, over: true } : { value, over: false };
}

/** Carries out an instruction that is neither a load nor a store. Undefined: it knows none of this name. */
export function runModel(mnemonic: string, o: SpeOperands, state: SpeState): SpeEnd | undefined {
  const float = floating(mnemonic, o, state);
  if (float !== undefined) return float;
  const { gpr } = state;
  const [a, b] = [gpr[o.ra] as bigint, gpr[o.rb] as bigint];
  const elementwise = ELEMENTWISE[mnemonic];
  if (elementwise) {
    gpr[o.rt] = join(elementwise(high(a), high(b), o), elementwise(low(a), low(b), o));
    return 'next';
  }
  const compare = COMPARISONS[mnemonic];
  if (compare) {
    const [h, l] = [compare(high(a), high(b)), compare(low(a), low(b))];
    state.cr[o.rt >> 2] = (h ? 8 : 0) | (l ? 4 : 0) | (h || l ? 2 : 0) | (h && l ? 1 : 0);
    return 'next';
  }
  if (multiply(mnemonic, o, state) || accumulate(mnemonic, o, state)) return 'next';
  switch (mnemonic) {
    case 'evmergehi':
      gpr[o.rt] = join(high(a), high(b));
      return 'next';
    case 'evmergelo':
      gpr[o.rt] = join(low(a), low(b));
      return 'next';
    case 'evmergehilo':
      gpr[o.rt] = join(high(a), low(b));
      return 'next';
    case 'evmergelohi':
      gpr[o.rt] = join(low(a), high(b));
      return 'next';
    case 'evsel': {
      const selector = state.cr[o.bfs] as number;
      gpr[o.rt] = join(high(selector & 8 ? a : b), low(selector & 4 ? a : b));
      return 'next';
    }
    case 'evmra':
      gpr[o.rt] = state.accumulator = a & M64;
      return 'next';
    case 'evdivws':
    case 'evdivwu': {
      const signed = mnemonic === 'evdivws';
      const [h, l] = [divided(high(a), high(b), signed), divided(low(a), low(b), signed)];
      gpr[o.rt] = join(h.value, l.value);
      overflowed(state, h.over, l.over);
      return 'next';
    }
    case 'brinc': {
      const mask = b & 0xffffn;
      const next = mirrored((mirrored((a & 0xffffn) | (mask ^ 0xffffn)) + 1n) & 0xffffn) & mask;
      gpr[o.rt] = join(high(gpr[o.rt] as bigint), (low(a) & 0xffff_0000n) | next);
      return 'next';
    }
    default:
      return undefined;
  }
}
