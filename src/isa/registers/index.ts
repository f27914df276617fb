/**
 * The special registers of all processors: one table that says each one's number, width, who may read and write it, and
 * the facility that it belongs to. The processor, KVM's emulation, its assist meanings, the assembler and the
 * disassembler take it from here.
 */
import { BOOKE_REGISTERS } from './booke.ts';
import { CLASSIC_REGISTERS } from './classic.ts';
import { COMMON_REGISTERS } from './common.ts';
import { register, type SpecialRegister } from './define.ts';
import { SERVER_REGISTERS } from './server.ts';

export { FACILITY, type Right, type SpecialRegister } from './define.ts';

/** Registers of other processors, which the assembler knows by name for all of them. */
const NAMES: readonly SpecialRegister[] = [
  register(4, 'rtcu', '--', [], { mnemonics: 'from' }),
  register(5, 'rtcl', '--', [], { mnemonics: 'from' }),
  register(20, 'rtcu', '--', [], { mnemonics: 'to' }),
  register(21, 'rtcl', '--', [], { mnemonics: 'to' }),
];

/** Every row; a number has one for each kind of processor that has it otherwise. */
export const SPECIAL_REGISTERS: readonly SpecialRegister[] = [
  ...COMMON_REGISTERS,
  ...BOOKE_REGISTERS,
  ...SERVER_REGISTERS,
  ...CLASSIC_REGISTERS,
  ...NAMES,
];

/** The special registers of one processor, by number. */
export type RegisterFile = ReadonlyMap<number, SpecialRegister>;

const FILES = new WeakMap<ReadonlySet<string>, RegisterFile>();

/**
 * The registers of a processor with these groups.
 * @throws RangeError when two of its registers have one number.
 */
export function registersOf(levels: ReadonlySet<string>): RegisterFile {
  const known = FILES.get(levels);
  if (known) return known;
  const file = new Map<number, SpecialRegister>();
  for (const row of SPECIAL_REGISTERS) {
    if (!row.levels.some((level) => levels.has(level))) continue;
    if (file.has(row.number)) throw new RangeError(`${row.name} and ${file.get(row.number)?.name} have one number`);
    file.set(row.number, row);
  }
  FILES.set(levels, file);
  return file;
}

/** Whether an unknown or forbidden register's number makes the program interrupt a privileged one (its bit 0x10). */
export function isPrivilegedRegister(number: number): boolean {
  return (number & 0x10) !== 0;
}
