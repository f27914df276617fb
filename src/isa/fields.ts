/**
 * Instruction fields in the manual's bit numbers (bit 0 is the most significant of the 32-bit word).
 * Power ISA 2.07 Book I, section 1.7 "Instruction Fields".
 */

/** How a field's bits become an operand. */
export type FieldKind =
  | 'gpr' // a general register
  | 'gpr0' // a general register where number 0 means the value 0
  | 'zeroGpr' // the same, but written as r0
  | 'fpr'
  | 'signed'
  | 'signed4' // signed, shifted left by 2
  | 'signed16' // signed, shifted left by 4
  | 'unsigned'
  | 'unsigned2' // unsigned, shifted left by 1
  | 'unsigned4' // unsigned, shifted left by 2
  | 'unsigned8' // unsigned, shifted left by 3
  | 'crField'
  | 'crBit'
  | 'branch' // a word displacement, signed, shifted left by 2
  | 'split' // two 5-bit halves in swapped order (SPR, DCRN, TBR)
  | 'mask' // MB..ME as a 32-bit mask
  | 'shift6' // a 6-bit shift amount whose high bit stands apart, at bit 30
  | 'mask6' // a 6-bit mask end with its high bit last
  | 'vr' // a vector register: VSR 32 + n
  | 'vsr'; // a 6-bit register number whose high bit stands apart, behind the others

export interface Field {
  readonly first: number;
  readonly last: number;
  readonly kind: FieldKind;
}

const field = (first: number, last: number, kind: FieldKind): Field => ({ first, last, kind });

export const FIELDS = {
  RT: field(6, 10, 'gpr'),
  RS: field(6, 10, 'gpr'),
  RA: field(11, 15, 'gpr'),
  /** RA where 0 stands for the value zero, the manual's (RA|0). */
  RA0: field(11, 15, 'gpr0'),
  /** The same in SPE's accesses, which write it otherwise. */
  EVRA: field(11, 15, 'zeroGpr'),
  RB: field(16, 20, 'gpr'),
  FRT: field(6, 10, 'fpr'),
  FRS: field(6, 10, 'fpr'),
  FRA: field(11, 15, 'fpr'),
  FRB: field(16, 20, 'fpr'),
  FRC: field(21, 25, 'fpr'),
  SI: field(16, 31, 'signed'),
  UI: field(16, 31, 'unsigned'),
  D: field(16, 31, 'signed'),
  /** Displacements of doubleword and quadword accesses. */
  DS: field(16, 29, 'signed4'),
  DQ: field(16, 27, 'signed16'),
  /** Displacements of SPE's accesses, in units of what they move. */
  EVU2: field(16, 20, 'unsigned2'),
  EVU4: field(16, 20, 'unsigned4'),
  EVU8: field(16, 20, 'unsigned8'),
  LI: field(6, 29, 'branch'),
  BD: field(16, 29, 'branch'),
  AA: field(30, 30, 'unsigned'),
  LK: field(31, 31, 'unsigned'),
  Rc: field(31, 31, 'unsigned'),
  OE: field(21, 21, 'unsigned'),
  BO: field(6, 10, 'unsigned'),
  BI: field(11, 15, 'crBit'),
  BH: field(19, 20, 'unsigned'),
  BT: field(6, 10, 'crBit'),
  BA: field(11, 15, 'crBit'),
  BB: field(16, 20, 'crBit'),
  /** The CR bit that isel selects by. */
  BC: field(21, 25, 'crBit'),
  BF: field(6, 8, 'crField'),
  BFA: field(11, 13, 'crField'),
  /** The CR field that evsel selects by. */
  BFS: field(29, 31, 'crField'),
  L: field(10, 10, 'unsigned'),
  /** The L of mtmsr. */
  MSR_L: field(15, 15, 'unsigned'),
  CT: field(6, 10, 'unsigned'),
  LEV: field(20, 26, 'unsigned'),
  /** BF and BT of the instructions on FPSCR fields and bits, which are written as numbers. */
  FPSCR_FIELD: field(6, 8, 'unsigned'),
  FPSCR_SOURCE: field(11, 13, 'unsigned'),
  /** The L of mtfsf: all bits are written. */
  FPSCR_L: field(6, 6, 'unsigned'),
  /** The W of mtfsf and mtfsfi: fields of the left half. */
  FPSCR_W: field(15, 15, 'unsigned'),
  FPSCR_BIT: field(6, 10, 'unsigned'),
  SH: field(16, 20, 'unsigned'),
  MB: field(21, 25, 'unsigned'),
  ME: field(26, 30, 'unsigned'),
  /** MB and ME together, as the mask that they stand for. */
  MASK: field(21, 30, 'mask'),
  /** The shift amount of the doubleword rotates; its high bit is bit 30. */
  SH6: field(16, 30, 'shift6'),
  /** MB and ME of the doubleword rotates. */
  MB6: field(21, 26, 'mask6'),
  ME6: field(21, 26, 'mask6'),
  NB: field(16, 20, 'unsigned'),
  TO: field(6, 10, 'unsigned'),
  FXM: field(12, 19, 'unsigned'),
  FLM: field(7, 14, 'unsigned'),
  U: field(16, 19, 'unsigned'),
  SPR: field(11, 20, 'split'),
  TBR: field(11, 20, 'split'),
  DCRN: field(11, 20, 'split'),
  /** A register of the e500's performance monitor. */
  PMRN: field(11, 20, 'split'),
  /** The word selector of the 4xx tlbre and tlbwe. */
  WS: field(16, 20, 'unsigned'),
  /** The new MSR[EE] of wrteei. */
  E: field(16, 16, 'unsigned'),
  MO: field(6, 10, 'unsigned'),
  /** The L of sync. */
  SYNC_L: field(9, 10, 'unsigned'),
  /** The L of dcbf since 2.06, when it got a second bit. */
  DCBF_L: field(9, 10, 'unsigned'),
  SR: field(12, 15, 'unsigned'),
  /** The hint of slbia. */
  IH: field(8, 10, 'unsigned'),
  EH: field(31, 31, 'unsigned'),
  VRT: field(6, 10, 'vr'),
  VRS: field(6, 10, 'vr'),
  VRA: field(11, 15, 'vr'),
  VRB: field(16, 20, 'vr'),
  VRC: field(21, 25, 'vr'),
  /** Rc of the vector comparisons. */
  VECTOR_RC: field(21, 21, 'unsigned'),
  /** Immediate operands of vector instructions: element numbers, splatted values, shifts in bytes or words. */
  UIM5: field(11, 15, 'unsigned'),
  UIM4: field(12, 15, 'unsigned'),
  UIM3: field(13, 15, 'unsigned'),
  UIM2: field(14, 15, 'unsigned'),
  SIM: field(11, 15, 'signed'),
  SHB: field(22, 25, 'unsigned'),
  SHW: field(22, 23, 'unsigned'),
  DM: field(22, 23, 'unsigned'),
  ST: field(16, 16, 'unsigned'),
  SIX: field(17, 20, 'unsigned'),
  PS: field(22, 22, 'unsigned'),
  STRM: field(9, 10, 'unsigned'),
  /** Decimal operands: exponents, rounding modes (with R, the second set of them), masks, digits, signs. */
  TE: field(11, 15, 'signed'),
  RMC: field(21, 22, 'unsigned'),
  RMC_R: field(15, 15, 'unsigned'),
  DCM: field(16, 21, 'unsigned'),
  DGM: field(16, 21, 'unsigned'),
  SH_DIGITS: field(16, 21, 'unsigned'),
  SP: field(11, 12, 'unsigned'),
  BCD_S: field(11, 11, 'unsigned'),
  /** Vector-scalar registers; the high bit of each number is the field's last. */
  XT: field(6, 31, 'vsr'),
  XS: field(6, 31, 'vsr'),
  XA: field(11, 29, 'vsr'),
  XB: field(16, 30, 'vsr'),
  XC: field(21, 28, 'vsr'),
} as const satisfies Record<string, Field>;

export type FieldName = keyof typeof FIELDS;

/** Whether a field has its high bit apart, as its last one: an encoding names it twice. */
export function isParted(name: FieldName): boolean {
  const { kind } = FIELDS[name];
  return kind === 'shift6' || kind === 'vsr';
}

/** A field's bits, right-aligned and unsigned. */
export function fieldBits(word: number, name: FieldName): number {
  const { first, last } = FIELDS[name];
  return (word >>> (31 - last)) & (2 ** (last - first + 1) - 1);
}

/** The mask of ones from bit `mb` through bit `me` of a word, wrapping (Power ISA Book I, 3.3.14), as an int32. */
export function rotateMask(mb: number, me: number): number {
  const from = 0xffffffff >>> mb;
  const to = (0xffffffff << (31 - me)) >>> 0;
  return mb <= me ? from & to : from | to;
}

/** A field's value as its kind has it: sign-extended, unsplit, shifted, or made into a mask. */
export function fieldValue(word: number, name: FieldName): number {
  const { first, last, kind } = FIELDS[name];
  const bits = fieldBits(word, name);
  const width = last - first + 1;
  switch (kind) {
    case 'signed':
      return (bits << (32 - width)) >> (32 - width);
    case 'unsigned2':
      return bits << 1;
    case 'unsigned4':
      return bits << 2;
    case 'unsigned8':
      return bits << 3;
    case 'branch':
    case 'signed4':
      return (bits << (32 - width)) >> (30 - width);
    case 'signed16':
      return (bits << (32 - width)) >> (28 - width);
    case 'shift6':
    case 'vsr':
      return (bits >>> (width - 5)) | ((bits & 1) << 5);
    case 'mask6':
      return (bits >>> 1) | ((bits & 1) << 5);
    case 'split':
      return ((bits & 31) << 5) | (bits >>> 5);
    case 'mask':
      return rotateMask(bits >>> 5, bits & 31);
    default:
      return bits;
  }
}

/** The word's bits that hold `value` in the field: the inverse of `fieldValue` (not for masks). */
export function encodeField(name: FieldName, value: number): number {
  const { first, last, kind } = FIELDS[name];
  const width = last - first + 1;
  let bits = value;
  if (kind === 'branch' || kind === 'signed4') bits = value >> 2;
  else if (kind === 'signed16') bits = value >> 4;
  else if (kind === 'unsigned2') bits = value >> 1;
  else if (kind === 'unsigned4') bits = value >> 2;
  else if (kind === 'unsigned8') bits = value >> 3;
  else if (isParted(name)) bits = ((value & 31) << (width - 5)) | ((value >> 5) & 1);
  else if (kind === 'mask6') bits = ((value & 31) << 1) | ((value >> 5) & 1);
  else if (kind === 'split') bits = ((value & 31) << 5) | (value >>> 5);
  else if (kind === 'mask') throw new RangeError('a mask is encoded through MB and ME');
  return ((bits & (2 ** width - 1)) << (31 - last)) >>> 0;
}
