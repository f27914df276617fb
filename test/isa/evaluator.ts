/** A back end for tests: carries meanings out at once, on plain values, with 32-bit words. */
import type { Expr, Instruction, Operand, Operands, Semantics, SharedName, StateName } from '../../src/isa/index.ts';
import { FIELDS, type FieldName, fieldValue, STATIC_FIELDS } from '../../src/isa/index.ts';

type Value = number | bigint;
type Type = Expr['type'];

/** An expression is evaluated when it is used, as in the real back ends. */
interface Thunk extends Expr {
  readonly get: () => Value;
}

export interface Registers {
  gpr: number[];
  cr: number;
  xer: number;
  lr: number;
  ctr: number;
}

/** How an instruction ended when not by going on to the next one. */
export interface Outcome {
  interrupt?: string;
  branch?: number;
}

class Ended extends Error {}

/** Stands for the value zero where a register is expected. */
const ZERO = 32;

const FLAGS = { so: 31, ov: 30, ca: 29 } as const;

export class Evaluator {
  readonly registers: Registers;
  readonly state: Record<StateName, number> = { reserveAddress: 1, reserveValue: 0, usprg0: 0, xerByteCount: 0 };
  readonly shared = new Map<SharedName, number>();
  readonly blockWords = new Map<number, number>();
  readonly memory: DataView;
  readonly memoryBase: number;
  outcome: Outcome = {};
  #pc = 0;

  constructor(registers: Registers, memory: DataView, memoryBase: number) {
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
      const value = FIELDS[name].kind === 'gpr0' && bits === 0 ? ZERO : bits;
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

  #end(outcome: Outcome): never {
    this.outcome = outcome;
    throw new Ended();
  }

  #offset(address: number, bytes: number): number {
    const offset = (address - this.memoryBase) >>> 0;
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
    const branch = (condition: Expr | null, target: () => number) => {
      if (condition === null || number(condition) !== 0) this.#end({ branch: target() >>> 0 });
      this.#end({});
    };
    const shiftCount = (b: number) => b & 31;
    const count64 = (b: bigint) => b & 63n;

    return {
      word: 'i32',
      blockBytes: 32,
      i32: (value) => i32(() => number(value)),
      i64: (value) => thunk('i64', () => wrap64(BigInt(value))),
      wordOf: (value) => i32(() => number(value)),
      let: (value) => {
        const now = evaluate(value);
        return thunk(value.type, () => now);
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
      ctz: (a) => i32(() => (number(a) === 0 ? 32 : 31 - Math.clz32(number(a) & -number(a)))),
      popcnt: (a) => i32(() => (number(a) >>> 0).toString(2).replaceAll('0', '').length),
      signExtend8: (a) => i32(() => (number(a) << 24) >> 24),
      signExtend16: (a) => i32(() => (number(a) << 16) >> 16),
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
          const [yes, no] = [evaluate(a), evaluate(b)];
          return number(condition) !== 0 ? yes : no;
        }),
      low32: (a) => i32(() => number(a)),
      wordFromUnsigned32: (a) => i32(() => number(a)),
      wordFromSigned32: (a) => i32(() => number(a)),
      wrap: (a) => {
        if (a.type !== 'i64') throw new TypeError('wrap takes an i64');
        return i32(() => Number(BigInt.asIntN(32, big(a))));
      },
      extendSigned: (a) => thunk('i64', () => BigInt(number(a) | 0)),
      extendUnsigned: (a) => thunk('i64', () => BigInt(number(a) >>> 0)),

      gpr: (register) => {
        return i32(() => (index(register) === ZERO ? 0 : (r.gpr[index(register)] as number)));
      },
      setGpr: (register, value) => {
        if (value.type !== 'i32') throw new TypeError(`a register is given an ${value.type}`);
        r.gpr[index(register)] = number(value) | 0;
      },
      registerAfter: (first, offset) => i32(() => (number(first) + number(offset)) & 31),
      lr: () => i32(() => r.lr),
      setLr: (value) => void (r.lr = number(value)),
      ctr: () => i32(() => r.ctr),
      setCtr: (value) => void (r.ctr = number(value)),
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
        const [x, y] = [number(a), number(b)];
        setCrField(number(field), (signed ? order(x | 0, y | 0) : order(x >>> 0, y >>> 0)) | so());
      },
      recordCr0: (value) => setCrField(0, order(number(value) | 0, 0) | so()),
      crBit: (bit) => i32(() => r.cr & (1 << (31 - number(bit)))),
      setCrBit: (bit, value) => {
        const [at, one] = [31 - number(bit), number(value)];
        if (one !== 0 && one !== 1) throw new RangeError(`a CR bit is given ${one}`);
        r.cr = (r.cr & ~(1 << at)) | (one << at);
      },
      state: (name) => i32(() => this.state[name]),
      setState: (name, value) => void (this.state[name] = number(value)),
      shared: (name) => i32(() => this.shared.get(name) ?? 0),
      setShared: (name, value) => void this.shared.set(name, number(value)),
      blockWord: (offset) => i32(() => this.blockWords.get(offset) ?? 0),
      setBlockWord: (offset, value) => void this.blockWords.set(offset, number(value)),
      blockWordAt: (at, offset) => i32(() => this.blockWords.get(number(at) + offset) ?? 0),
      setBlockWordAt: (at, offset, value) => void this.blockWords.set(number(at) + offset, number(value)),

      load: (bytes, address, options = {}) => {
        const at = this.#offset(number(address), bytes);
        const little = options.reversed ?? false;
        let value: number;
        if (bytes === 4) value = m.getInt32(at, little);
        else if (bytes === 2) value = options.signed ? m.getInt16(at, little) : m.getUint16(at, little);
        else value = options.signed ? m.getInt8(at) : m.getUint8(at);
        return i32(() => value);
      },
      store: (bytes, address, value, options = {}) => {
        const at = this.#offset(number(address), bytes);
        const little = options.reversed ?? false;
        if (bytes === 4) m.setInt32(at, number(value), little);
        else if (bytes === 2) m.setInt16(at, number(value), little);
        else m.setInt8(at, number(value));
      },
      load64: (address) => {
        const value = m.getBigInt64(this.#offset(number(address), 8));
        return thunk('i64', () => value);
      },
      store64: (address, value) => m.setBigInt64(this.#offset(number(address), 8), big(value)),
      zeroBlock: (address) => {
        const at = this.#offset(number(address) & -32, 32);
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
      pc: () => i32(() => this.#pc),
      nextPc: () => i32(() => this.#pc + 4),
      branchRelative: (condition, displacement, absolute) =>
        branch(condition, () => number(displacement) + (absolute ? 0 : this.#pc)),
      branchIndirect: (condition, target) => branch(condition, () => number(target) & ~3),
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
  if (typeof b !== 'number' && a.type !== b.type) throw new TypeError(`${a.type} with ${b.type}`);
  return a.type;
}
