/** Checks of what comes in through the public interface: each throws a KvmError of one line that says what would fit. */
import { KvmError } from './api.ts';

const TWO_64 = 2 ** 64;

/** A value as a message shows it: short, and on one line. */
function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`.slice(0, 40);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value);
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40));
  return typeof value;
}

/** A number from `least` to `most`. */
export function checkNumber(name: string, value: unknown, least: number, most: number): asserts value is number {
  if (!(typeof value === 'number' && value >= least && value <= most))
    throw new KvmError(`${name} is a number from ${least} to ${most}, not ${shown(value)}`);
}

/** A whole number from `least` to `most`. */
export function checkInteger(name: string, value: unknown, least: number, most: number): asserts value is number {
  if (!(typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most))
    throw new KvmError(`${name} is a whole number from ${least} to ${most}, not ${shown(value)}`);
}

/** 32 bits, signed or not. */
export function checkWord(name: string, value: unknown): asserts value is number {
  checkInteger(name, value, -(2 ** 31), 2 ** 32 - 1);
}

/** At most `bits` bits, signed or not, as a BigInt. */
export function checkBits(name: string, value: unknown, bits: number): asserts value is bigint {
  if (typeof value !== 'bigint' || (BigInt.asUintN(bits, value) !== value && BigInt.asIntN(bits, value) !== value))
    throw new KvmError(`${name} is a BigInt of ${bits} bits, not ${shown(value)}`);
}

/** A register's value as `KvmSregs` has it: a whole number, or a BigInt of 64 bits. */
export function checkRegister(name: string, value: unknown): asserts value is number | bigint {
  if (typeof value === 'bigint') checkBits(name, value, 64);
  else checkInteger(name, value, -(2 ** 63), TWO_64);
}

/** As many BigInts of 64 bits. */
export function checkRegisters(name: string, values: unknown, count: number): asserts values is readonly bigint[] {
  if (!Array.isArray(values) || values.length !== count)
    throw new KvmError(
      `${name} has ${count} registers, not ${Array.isArray(values) ? String(values.length) : shown(values)}`,
    );
  for (const [n, value] of values.entries()) checkBits(`${name}[${n}]`, value, 64);
}

/** An object, whose fields are looked at next. */
export function checkObject(name: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null) throw new KvmError(`${name} is an object, not ${shown(value)}`);
}

/** One of a few values. */
export function checkOneOf<T>(name: string, value: unknown, known: readonly T[]): asserts value is T {
  if (!(known as readonly unknown[]).includes(value))
    throw new KvmError(`${name} is one of ${known.map(shown).join(', ')}, not ${shown(value)}`);
}

/** True, false, or left out. */
export function checkSwitch(name: string, value: unknown): asserts value is boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean')
    throw new KvmError(`${name} is true or false, not ${shown(value)}`);
}
