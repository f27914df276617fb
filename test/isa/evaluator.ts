/** A back end for tests: carries meanings out at once, on plain values. */
import type {
  Expr,
  Instruction,
  Operand,
  Operands,
  Semantics,
  SharedName,
  StateName,
  WideStateName,
} from '../../src/isa/index.ts';
import {
  EMBEDDED_LEVELS,
  FIELDS,
  type FieldName,
  FLOAT_OPS,
  type FloatOperation,
  fieldValue,
  SIMD,
  SIMD_LANE,
  type SimdOperation,
  STATIC_FIELDS,
} from '../../src/isa/index.ts';
import { LEVELS_POWER8 } from '../../src/processor/levels.ts';
import { runFloat } from './float-ops.ts';
import { runShuffle, runSimd, runSimdLane } from './simd.ts';

type Value = number | bigint;
type Type = Expr['type'];

/** An expression is evaluated when it is used, as in the real back ends. */
interface Thunk extends Expr {
  readonly get: () => Value;
}

export interface Registers {
  gpr: (number | bigint)[];
  cr: number;
  xer: number;
  lr: number | bigint;
  ctr: number | bigint;
}

/** The widths of the processor's mode. */
export interface Mode {
  readonly word: 'i32' | 'i64';
  readonly computation: 'i32' | 'i64';
}
export const MODE_32: Mode = { word: 'i32', computation: 'i32' };
export const MODE_64: Mode = { word: 'i64', computation: 'i64' };
/** 32-bit mode of a 64-bit processor. */
export const MODE_64_32: Mode = { word: 'i64', computation: 'i32' };

/** How an instruction ended when not by going on to the next one. */
export interface Outcome {
  interrupt?: string;
  branch?: number | bigint;
}

class Ended extends Error {}

/** Stands for the value zero where a register is expected. */
const ZERO = 32;

const FLAGS = { so: 31, ov: 30, ca: 29 } as const;

export class Evaluator {
  readonly registers: Registers;
  readonly state: Record<StateName, number> = {
    reserveAddress: 1,
    reserveValue: 0,
    usprg0: 0,
    xerByteCount: 0,
    fpscr: 0,
    floatAvailable: 1,
    floatInterrupts: 0,
    vectorAvailable: 1,
    vsxAvailable: 1,
    vscr: 0,
    facilities: -1,
    decimalRounding: 0,
    speAvailable: 1,
    spefscr: 0,
    speFlags: 0,
    bbear: 0,
    bbtar: 0,
  };
  /** Doublewords of the vector-scalar registers, but for doubleword 0 of the first 32, which is in `fpr`. */
  readonly vsrs: bigint[][] = [];
  readonly fpr: bigint[] = new Array<bigint>(32).fill(0n);
  /** Upper halves of the general registers. */
  readonly gprHigh: number[] = new Array<number>(32).fill(0);
  readonly wideState: Record<WideStateName, bigint> = {
    reserveAddress: 1n,
    reserveValue: 0n,
    reserveValueHigh: 0n,
    tar: 0n,
    decimalLow: 0n,
    ppr: 0n,
    accumulator: 0n,
  };
  readonly shared = new Map<SharedName, number>();
  readonly blockWords = new Map<number, number>();
  readonly memory: DataView;
  readonly memoryBase: number;
  outcome: Outcome = {};
  #pc = 0;

  readonly #mode: Mode;

  constructor(registers: Registers, memory: DataView, memoryBase: number, mode = MODE_32) {
    this.#mode = mode;
    this.registers = registers;
    this.memory = memory;
    this.memoryBase = memoryBase;
  }

  /** Carries out one instruction. `dynamic`: operands are values, as in an interpreter, but for the static fields. */
  execute(instruction: Instruction, word: number, pc: number, dynamic: boolean): Outcome {
    this.#pc = pc;
    this.outcome = {};
    this.state.xerByteCount = this.registers.xer & 0x1fffffff;
    const fixed: readonly FieldName[] = STATIC_FIELDS;
    const operands = {} as Record<FieldName, Operand>;
    for (const name of Object.keys(FIELDS) as FieldName[]) {
      const bits = fieldValue(word, name);
      const isZero = bits === 0 && ['gpr0', 'zeroGpr'].includes(FIELDS[name].kind);
      const value = isZero ? ZERO : bits;
      operands[name] = dynamic && !fixed.includes(name) ? thunk('i32', () => value) : value;
    }
    try {
      if (instruction.meaning) instruction.meaning(this.#semantics(), operands as Operands);
      else this.outcome = { interrupt: 'program privileged' };
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
    }
    this.registers.xer = (this.registers.xer & 0xe0000000) | this.state.xerByteCount;
    return this.outcome;
  }

  /** Both doublewords of a vector-scalar register. */
  vsr(register: number): readonly bigint[] {
    const [left, right] = this.vsrs[register] ?? [0n, 0n];
    return [register < 32 ? (this.fpr[register] as bigint) : (left as bigint), right as bigint];
  }

  #end(outcome: Outcome): never {
    this.outcome = outcome;
    throw new Ended();
  }

  #offset(address: Expr, bytes: number): number {
    if (address.type !== this.#mode.word) throw new TypeError(`an address is an ${address.type}`);
    const value = evaluate(address);
    const offset =
      typeof value === 'number'
        ? (value - this.memoryBase) >>> 0
        : Number(BigInt.asUintN(64, value - BigInt(this.memoryBase)));
    if (offset + bytes > this.memory.byteLength) this.#end({ interrupt: 'dataStorage' });
    return offset;
  }

  #semantics(): Semantics {
    const r = this.registers;
    const m = this.memory;
    const number = (operand: Operand) => Number(evaluate(operand));
    const binary =
      (i32: (a: number, b: number) => number, i64: (a: bigint, b: bigint) => bigint) =>
      (a: Operand, b: Operand): Expr => {
        const type = typeOf(a, b);
        return thunk(type, () =>
          type === 'i64' ? wrap64(i64(big(a), big(b))) : i32(number(a) | 0, number(b) | 0) | 0,
        );
      };
    const compare =
      (test: (a: Value, b: Value) => boolean, unsigned = false) =>
      (a: Operand, b: Operand): Expr => {
        const is64 = typeOf(a, b) === 'i64';
        return thunk('i32', () => {
          if (is64)
            return test(unsigned ? BigInt.asUintN(64, big(a)) : big(a), unsigned ? BigInt.asUintN(64, big(b)) : big(b))
              ? 1
              : 0;
          return test(unsigned ? number(a) >>> 0 : number(a) | 0, unsigned ? number(b) >>> 0 : number(b) | 0) ? 1 : 0;
        });
      };
    const i32 = (get: () => number): Expr => thunk('i32', () => get() | 0);
    const index = (operand: Operand) => number(operand);
    const flag = (name: keyof typeof FLAGS) => i32(() => (r.xer >>> FLAGS[name]) & 1);
    const setFlag = (name: keyof typeof FLAGS, value: number) => {
      if (value !== 0 && value !== 1) throw new RangeError(`${name} is given ${value}`);
      r.xer = (r.xer & ~(1 << FLAGS[name])) | (value << FLAGS[name]);
    };
    const setCrField = (field: number, bits: number) => {
      if (bits < 0 || bits > 15) throw new RangeError(`CR field ${field} is given ${bits}`);
      const shift = 28 - 4 * field;
      r.cr = (r.cr & ~(15 << shift)) | (bits << shift);
    };
    const order = (a: number | bigint, b: number | bigint) => (a < b ? 8 : a > b ? 4 : 2);
    const so = () => (r.xer >>> 31) & 1;
    const { word, computation } = this.#mode;
    /** Pins a value of the word type. */
    const toWord = (value: Value): Value =>
      word === 'i32' ? Number(value) | 0 : wrap64(typeof value === 'bigint' ? value : BigInt(value));
    const wordThunk = (get: () => Value): Expr => thunk(word, () => toWord(get()));
    const register = (value: Expr): Value => {
      if (value.type !== word) throw new TypeError(`a register is given an ${value.type}`);
      return toWord(evaluate(value));
    };
    const low = (a: Expr): number => {
      const value = evaluate(a);
      return typeof value === 'bigint' ? Number(BigInt.asIntN(32, value)) : value | 0;
    };
    const inMode = (value: Value): number | bigint => {
      if (word === 'i32') return Number(value) >>> 0;
      return BigInt.asUintN(computation === 'i32' ? 32 : 64, BigInt(value));
    };
    const branch = (condition: Expr | null, target: () => Value) => {
      if (condition === null || number(condition) !== 0) this.#end({ branch: inMode(target()) });
      this.#end({});
    };
    const shiftCount = (b: number) => b & 31;
    const count64 = (b: bigint) => b & 63n;

    return {
      word,
      computation,
      levels: word === 'i32' ? EMBEDDED_LEVELS : LEVELS_POWER8,
      littleEndian: false,
      hasFloat: word === 'i64',
      blockBytes: 32,
      i32: (value) => i32(() => number(value)),
      i64: (value) => thunk('i64', () => wrap64(BigInt(value))),
      wordOf: (value) => wordThunk(() => evaluate(value)),
      let: (value) => {
        const now = evaluate(value);
        return thunk(value.type, () => now);
      },
      cell: (initial) => {
        let now = evaluate(initial);
        return {
          get: () => {
            const value = now;
            return thunk(initial.type, () => value);
          },
          set: (value) => void (now = evaluate(value)),
        };
      },
      invoke: (routine, ...args) => {
        const pinned = args.map((arg, i) => {
          if (arg.type !== routine.params[i]) throw new TypeError(`${routine.name}: argument ${i} is an ${arg.type}`);
          const value = evaluate(arg);
          return thunk(arg.type, () => value);
        });
        const value = evaluate(routine.body(this.#semantics(), ...pinned));
        return thunk(routine.result, () => value);
      },
      add: binary(
        (a, b) => a + b,
        (a, b) => a + b,
      ),
      sub: binary(
        (a, b) => a - b,
        (a, b) => a - b,
      ),
      mul: binary(Math.imul, (a, b) => a * b),
      divSigned: binary(
        (a, b) => {
          if (b === 0 || (b === -1 && a === -0x80000000)) throw new RangeError('undefined quotient');
          return a / b;
        },
        (a, b) => a / b,
      ),
      divUnsigned: binary(
        (a, b) => {
          if (b === 0) throw new RangeError('undefined quotient');
          return ((a >>> 0) / (b >>> 0)) >>> 0;
        },
        (a, b) => BigInt.asUintN(64, a) / BigInt.asUintN(64, b),
      ),
      and: binary(
        (a, b) => a & b,
        (a, b) => a & b,
      ),
      or: binary(
        (a, b) => a | b,
        (a, b) => a | b,
      ),
      xor: binary(
        (a, b) => a ^ b,
        (a, b) => a ^ b,
      ),
      not: (a) => (a.type === 'i64' ? thunk('i64', () => ~big(a)) : i32(() => ~number(a))),
      neg: (a) => (a.type === 'i64' ? thunk('i64', () => wrap64(-big(a))) : i32(() => -number(a))),
      shl: binary(
        (a, b) => a << shiftCount(b),
        (a, b) => a << count64(b),
      ),
      shrUnsigned: binary(
        (a, b) => a >>> shiftCount(b),
        (a, b) => BigInt.asUintN(64, a) >> count64(b),
      ),
      shrSigned: binary(
        (a, b) => a >> shiftCount(b),
        (a, b) => a >> count64(b),
      ),
      rotl: binary(
        (a, b) => (a << shiftCount(b)) | (shiftCount(b) ? a >>> (32 - shiftCount(b)) : 0),
        (a, b) => (a << count64(b)) | (BigInt.asUintN(64, a) >> (64n - count64(b))),
      ),
      clz: (a) =>
        a.type === 'i64'
          ? thunk('i64', () => BigInt(64 - (big(a) === 0n ? 0 : BigInt.asUintN(64, big(a)).toString(2).length)))
          : i32(() => Math.clz32(number(a))),
      ctz: (a) => {
        if (a.type !== 'i32') throw new TypeError('ctz of an i64');
        return i32(() => (number(a) === 0 ? 32 : 31 - Math.clz32(number(a) & -number(a))));
      },
      popcnt: (a) => {
        const ones = (bits: Value) => bits.toString(2).replaceAll('0', '').length;
        return a.type === 'i64'
          ? thunk('i64', () => BigInt(ones(BigInt.asUintN(64, big(a)))))
          : i32(() => ones(number(a) >>> 0));
      },
      signExtend8: (a) => thunk(a.type, () => (a.type === 'i64' ? BigInt.asIntN(8, big(a)) : (number(a) << 24) >> 24)),
      signExtend16: (a) =>
        thunk(a.type, () => (a.type === 'i64' ? BigInt.asIntN(16, big(a)) : (number(a) << 16) >> 16)),
      signExtend32: (a) => thunk('i64', () => BigInt.asIntN(32, big(a))),
      eq: compare((a, b) => a === b),
      ne: compare((a, b) => a !== b),
      eqz: (a) => i32(() => (Number(evaluate(a)) === 0 ? 1 : 0)),
      ltSigned: compare((a, b) => a < b),
      ltUnsigned: compare((a, b) => a < b, true),
      gtSigned: compare((a, b) => a > b),
      gtUnsigned: compare((a, b) => a > b, true),
      leSigned: compare((a, b) => a <= b),
      leUnsigned: compare((a, b) => a <= b, true),
      geSigned: compare((a, b) => a >= b),
      geUnsigned: compare((a, b) => a >= b, true),
      select: (condition, a, b) =>
        thunk(typeOf(a, b), () => {
          const [yes, no] = typeOf(a, b) === 'i64' ? [big(a), big(b)] : [evaluate(a), evaluate(b)];
          return number(condition) !== 0 ? yes : no;
        }),
      float: (op, ...args) => {
        const { params, result }: FloatOperation = FLOAT_OPS[op];
        args.forEach(({ type }, i) => {
          if (type !== params[i]) throw new TypeError(`${op} is given an ${type}`);
        });
        return thunk(result, () => runFloat(op, args.map(evaluate)));
      },
      low32: (a) => i32(() => low(a)),
      wordFromUnsigned32: (a) => wordThunk(() => number(a) >>> 0),
      wordFromSigned32: (a) => wordThunk(() => number(a) | 0),
      wrap: (a) => {
        if (a.type !== 'i64') throw new TypeError('wrap takes an i64');
        return i32(() => Number(BigInt.asIntN(32, big(a))));
      },
      extendSigned: (a) => thunk('i64', () => BigInt(number(a) | 0)),
      extendUnsigned: (a) => thunk('i64', () => BigInt(number(a) >>> 0)),

      gpr: (n) => wordThunk(() => (index(n) === ZERO ? 0 : (r.gpr[index(n)] as Value))),
      setGpr: (n, value) => void (r.gpr[index(n)] = register(value)),
      registerAfter: (first, offset) => i32(() => (number(first) + number(offset)) & 31),
      gprHigh: (n) => i32(() => this.gprHigh[index(n)] as number),
      setGprHigh: (n, value) => void (this.gprHigh[index(n)] = number(value)),
      fpr: (n) => thunk('i64', () => this.fpr[number(n)] as bigint),
      setFpr: (n, bits) => void (this.fpr[number(n)] = big(bits)),
      vsrHalf: (n, half) => thunk('i64', () => this.vsr(number(n))[half] as bigint),
      setVsrHalf: (n, half, bits) => {
        const register = number(n);
        if (register < 32 && half === 0) this.fpr[register] = big(bits);
        else (this.vsrs[register] ??= [0n, 0n])[half] = big(bits);
      },
      vsr: (n) =>
        thunk('v128', () => {
          const [left, right] = this.vsr(number(n));
          return (BigInt.asUintN(64, left as bigint) << 64n) | BigInt.asUintN(64, right as bigint);
        }),
      setVsr: (n, value) => {
        const [register, bits] = [number(n), vector(value)];
        const left = wrap64(bits >> 64n);
        if (register < 32) this.fpr[register] = left;
        this.vsrs[register] = [left, wrap64(bits)];
      },
      v128: (bits) => thunk('v128', () => bits),
      simd: (op, ...args) => vectorThunk(SIMD[op], args, (values) => runSimd(op, values)),
      simdLane: (op, lane, of, value) =>
        vectorThunk(SIMD_LANE[op], value === undefined ? [of] : [of, value], (values) => runSimdLane(op, lane, values)),
      shuffle: (a, b, lanes) => {
        if (lanes.length !== 16 || lanes.some((lane) => lane < 0 || lane > 31)) throw new RangeError('sixteen of 32');
        return thunk('v128', () => runShuffle(vector(a), vector(b), lanes));
      },
      lr: () => wordThunk(() => r.lr),
      setLr: (value) => void (r.lr = register(value)),
      ctr: () => wordThunk(() => r.ctr),
      setCtr: (value) => void (r.ctr = register(value)),
      ca: () => flag('ca'),
      setCa: (value) => setFlag('ca', number(value)),
      ov: () => flag('ov'),
      so: () => flag('so'),
      setOv: (value) => {
        const ov = number(value);
        setFlag('ov', ov);
        if (ov) setFlag('so', 1);
      },
      setOvSo: (ov, summary) => {
        const [newOv, newSo] = [number(ov), number(summary)];
        setFlag('ov', newOv);
        setFlag('so', newSo);
      },
      crField: (field) => i32(() => (r.cr >>> (28 - 4 * number(field))) & 15),
      setCrField: (field, bits) => setCrField(number(field), number(bits)),
      compare: (field, a, b, signed) => {
        if (typeOf(a, b) === 'i64') {
          const [x, y] = signed ? [big(a), big(b)] : [BigInt.asUintN(64, big(a)), BigInt.asUintN(64, big(b))];
          setCrField(number(field), order(x, y) | so());
          return;
        }
        const [x, y] = [number(a), number(b)];
        setCrField(number(field), (signed ? order(x | 0, y | 0) : order(x >>> 0, y >>> 0)) | so());
      },
      recordCr0: (value) => setCrField(0, order(computation === 'i32' ? low(value) : big(value), 0) | so()),
      crBit: (bit) => i32(() => r.cr & (1 << (31 - number(bit)))),
      setCrBit: (bit, value) => {
        const [at, one] = [31 - number(bit), number(value)];
        if (one !== 0 && one !== 1) throw new RangeError(`a CR bit is given ${one}`);
        r.cr = (r.cr & ~(1 << at)) | (one << at);
      },
      state: (name) => i32(() => this.state[name]),
      setState: (name, value) => void (this.state[name] = number(value)),
      wideState: (name) => thunk('i64', () => this.wideState[name]),
      setWideState: (name, value) => void (this.wideState[name] = big(value)),
      shared: (name) => i32(() => this.shared.get(name) ?? 0),
      setShared: (name, value) => void this.shared.set(name, number(value)),
      sharedWide: (name) => thunk('i64', () => BigInt(this.shared.get(name) ?? 0)),
      setSharedWide: (name, value) => void this.shared.set(name, Number(big(value))),
      blockDoubleword: (offset) => thunk('i64', () => BigInt(this.blockWords.get(offset) ?? 0)),
      setBlockDoubleword: (offset, value) => void this.blockWords.set(offset, Number(big(value))),
      blockWord: (offset) => i32(() => this.blockWords.get(offset) ?? 0),
      setBlockWord: (offset, value) => void this.blockWords.set(offset, number(value)),
      blockWordAt: (at, offset) => i32(() => this.blockWords.get(number(at) + offset) ?? 0),
      setBlockWordAt: (at, offset, value) => void this.blockWords.set(number(at) + offset, number(value)),

      load: (bytes, address, options = {}) => {
        const at = this.#offset(address, bytes);
        const little = options.reversed ?? false;
        let value: number;
        if (bytes === 4) value = m.getInt32(at, little);
        else if (bytes === 2) value = options.signed ? m.getInt16(at, little) : m.getUint16(at, little);
        else value = options.signed ? m.getInt8(at) : m.getUint8(at);
        return wordThunk(() => (options.signed ? value : value >>> 0));
      },
      store: (bytes, address, value, options = {}) => {
        const at = this.#offset(address, bytes);
        const little = options.reversed ?? false;
        if (bytes === 4) m.setInt32(at, low(value), little);
        else if (bytes === 2) m.setInt16(at, low(value), little);
        else m.setInt8(at, low(value));
      },
      load64: (address, options = {}) => {
        const value = m.getBigInt64(this.#offset(address, 8), options.reversed ?? false);
        return thunk('i64', () => value);
      },
      store64: (address, value, options = {}) =>
        m.setBigInt64(this.#offset(address, 8), big(value), options.reversed ?? false),
      load128: (address) => {
        const at = this.#offset(address, 16);
        const value = (m.getBigUint64(at) << 64n) | m.getBigUint64(at + 8);
        return thunk('v128', () => value);
      },
      store128: (address, value) => {
        const [at, bits] = [this.#offset(address, 16), vector(value)];
        m.setBigUint64(at, bits >> 64n);
        m.setBigUint64(at + 8, BigInt.asUintN(64, bits));
      },
      zeroBlock: (address) => {
        const at = this.#offset(
          wordThunk(() => BigInt.asIntN(64, big(address) & -32n)),
          32,
        );
        for (let i = 0; i < 32; i++) m.setInt8(at + i, 0);
      },

      if: (condition, then, otherwise) => {
        if (number(condition) !== 0) then();
        else otherwise?.();
      },
      repeat: (count, limit, body) => {
        const times = number(count);
        if (times > limit) throw new RangeError(`${times} rounds, limit ${limit}`);
        for (let i = 0; i < times; i++) body(typeof count === 'number' ? i : i32(() => i));
      },
      pc: () => wordThunk(() => this.#pc),
      nextPc: () => wordThunk(() => inMode(toWord(this.#pc + 4))),
      branchRelative: (condition, displacement, absolute) =>
        branch(condition, () => number(displacement) + (absolute ? 0 : this.#pc)),
      branchIndirect: (condition, target) => branch(condition, () => toWord(big(target) & -4n)),
      interrupt: (kind, cause) => this.#end({ interrupt: cause ? `${kind} ${cause}` : kind }),
      misaligned: () => this.#end({ interrupt: 'alignment' }),
      contextSynchronize: () => this.#end({}),
      timebase: () => thunk('i64', () => 0x1234_5678_9abc_def0n),
    };
  }
}

function thunk(type: Type, get: () => Value): Thunk {
  return { type, get };
}

/** The bits of a v128. */
function vector(value: Expr): bigint {
  if (value.type !== 'v128') throw new TypeError(`a vector is given as ${value.type}`);
  return evaluate(value) as bigint;
}

/** The value of a vector operation. */
function vectorThunk(
  { params, result }: SimdOperation,
  args: readonly Operand[],
  run: (values: readonly Value[]) => Value,
): Expr {
  for (const [i, arg] of args.entries())
    if (typeof arg !== 'number' && arg.type !== params[i]) throw new TypeError(`operand ${i} is an ${arg.type}`);
  return thunk(result, () => run(args.map(evaluate)));
}

function evaluate(operand: Operand): Value {
  return typeof operand === 'number' ? operand : (operand as Thunk).get();
}

function big(operand: Operand): bigint {
  return wrap64(BigInt(evaluate(operand)));
}

function wrap64(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

/** Two operands have one type; a number takes the other's. */
function typeOf(a: Operand, b: Operand): Type {
  if (typeof a === 'number') return typeof b === 'number' ? 'i32' : b.type;
  if (typeof b === 'number' || a.type === b.type) return a.type;
  // An i32 beside an i64 is sign-extended.
  for (const { type } of [a, b]) if (type !== 'i32' && type !== 'i64') throw new TypeError(`${a.type} with ${b.type}`);
  return 'i64';
}
