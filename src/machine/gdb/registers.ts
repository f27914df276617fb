/** Registers in packets: the digits of their bytes, in the order of the guest's memory. */
import type { DebugRegister, DebugRegisters } from '../debugger/index.ts';
import { fromHex } from './packets.ts';

/** Those up to here stand in `g` and in stop replies; others are asked for one by one. */
const LAST_GENERAL = 70;

const reverse = (hex: string): string => (hex.match(/../g) ?? []).reverse().join('');

export class RegisterPackets {
  readonly #registers: DebugRegisters;
  readonly #littleEndian: boolean;
  readonly #general: readonly DebugRegister[];

  constructor(registers: DebugRegisters, littleEndian: boolean) {
    this.#registers = registers;
    this.#littleEndian = littleEndian;
    this.#general = registers.all.filter(({ number }) => number <= LAST_GENERAL);
  }

  /** The digits of a register; `x`s where KVM has none. */
  read(register: DebugRegister): string {
    const digits = register.bits / 4;
    const value = this.#registers.read(register);
    if (value === undefined) return 'x'.repeat(digits);
    const hex = value.toString(16).padStart(digits, '0');
    return this.#littleEndian ? reverse(hex) : hex;
  }

  /** False: the digits are not those of this register, or it cannot be written. */
  write(register: DebugRegister, digits: string): boolean {
    if (digits.length !== register.bits / 4 || fromHex(digits) === undefined) return false;
    return this.#registers.write(register, BigInt(`0x${this.#littleEndian ? reverse(digits) : digits}`));
  }

  /** `g`. */
  readGeneral(): string {
    return this.#general.map((register) => this.read(register)).join('');
  }

  /** `G`: what a client leaves away stays as it is. */
  writeGeneral(digits: string): boolean {
    let at = 0;
    for (const register of this.#general) {
      const piece = digits.slice(at, at + register.bits / 4);
      at += register.bits / 4;
      if (piece.length === 0) break;
      if (/^x+$/.test(piece)) continue;
      if (!this.write(register, piece)) return false;
    }
    return true;
  }

  /** For a stop reply: with them at hand, clients do not ask. */
  expedited(): string {
    return this.#general.map((register) => `${register.number.toString(16)}:${this.read(register)};`).join('');
  }
}
