/** Word indexes in the vCPU's block of the registers that the processor owns, the same for all families. */
import {
  BUDGET,
  CR,
  CTR,
  EVENT,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  FLOAT_AVAILABLE,
  FLOAT_INTERRUPTS,
  FPSCR,
  GPR,
  LR,
  PC,
  RESERVE_ADDRESS,
  SHARED,
  USPRG0,
  XER_BYTE_COUNT,
  XER_CA,
  XER_OV,
  XER_SO,
} from '../processor/index.ts';
import type { SavedWords } from './state.ts';

/** General register n is at W_GPR + 2n, its high word behind it. */
export const W_GPR = GPR >> 2;
export const W_PC = PC >> 2;
export const W_LR = LR >> 2;
export const W_CTR = CTR >> 2;
export const W_CR = CR >> 2;
export const W_XER_SO = XER_SO >> 2;
export const W_XER_OV = XER_OV >> 2;
export const W_XER_CA = XER_CA >> 2;
export const W_XER_BYTE_COUNT = XER_BYTE_COUNT >> 2;
export const W_USPRG0 = USPRG0 >> 2;
export const W_RESERVE_ADDRESS = RESERVE_ADDRESS >> 2;
export const W_FPSCR = FPSCR >> 2;
/** What the processor has of MSR[FP] and MSR[FE0,FE1]. */
export const W_FLOAT_AVAILABLE = FLOAT_AVAILABLE >> 2;
export const W_FLOAT_INTERRUPTS = FLOAT_INTERRUPTS >> 2;
export const W_EXIT_ADDRESS = EXIT_ADDRESS >> 2;
export const W_EXIT_SYNDROME = EXIT_SYNDROME >> 2;
export const W_BUDGET = BUDGET >> 2;
export const W_EVENT = EVENT >> 2;

/** What is kept beside XER's flags: the byte count, and the reserved bits as they were written. */
const XER_REST = 0x1fffffff;

/** A register's two words. */
const PAIR = 2;
const SHARED_BYTES = 4096;

/** What a state has of the processor's registers, and of the struct that KVM shares with the guest. */
export const SAVED_REGISTERS: readonly SavedWords[] = [
  { name: 'gpr', word: W_GPR, count: 32 * PAIR },
  { name: 'pc', word: W_PC, count: PAIR },
  { name: 'lr', word: W_LR, count: PAIR },
  { name: 'ctr', word: W_CTR, count: PAIR },
  { name: 'xerSo', word: W_XER_SO, mask: 1 },
  { name: 'xerOv', word: W_XER_OV, mask: 1 },
  { name: 'xerCa', word: W_XER_CA, mask: 1 },
  { name: 'xerRest', word: W_XER_BYTE_COUNT, mask: XER_REST },
  { name: 'cr', word: W_CR, count: 8, mask: 15 },
  { name: 'usprg0', word: W_USPRG0 },
  { name: 'fpscr', word: W_FPSCR },
  { name: 'shared', word: SHARED >> 2, count: SHARED_BYTES >> 2 },
];

/** XER as one word (Power ISA Book I, 3.2.2). */
export function readXer(words: Int32Array): number {
  return (
    ((words[W_XER_SO] as number) << 31) |
    ((words[W_XER_OV] as number) << 30) |
    ((words[W_XER_CA] as number) << 29) |
    ((words[W_XER_BYTE_COUNT] as number) & XER_REST)
  );
}

export function writeXer(words: Int32Array, value: number): void {
  words[W_XER_SO] = value >>> 31;
  words[W_XER_OV] = (value >>> 30) & 1;
  words[W_XER_CA] = (value >>> 29) & 1;
  words[W_XER_BYTE_COUNT] = value & XER_REST;
}

/** CR as one word. */
export function readCr(words: Int32Array): number {
  let cr = 0;
  for (let field = 0; field < 8; field++) cr |= (words[W_CR + field] as number) << (28 - 4 * field);
  return cr >>> 0;
}

export function writeCr(words: Int32Array, value: number): void {
  for (let field = 0; field < 8; field++) words[W_CR + field] = (value >>> (28 - 4 * field)) & 15;
}
