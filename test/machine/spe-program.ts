/**
 * A program of Linux for the e500, without a library, that computes with SPE and prints what comes of it; and what IEEE 754
 * says that must be, in exact fractions.
 */
import { assembleWords } from '../../src/isa/index.ts';
import { characterDevice, directory, file, packCpio } from '../../src/node/run/cpio.ts';
import { makeElf } from './images.ts';

/** Behind the headers of an ELF file with one segment, so that file and memory are alike in a page. */
const START = 0x1000_0054;

/** Linux's system calls. */
const CALL = { write: 4, reboot: 88 } as const;

/** SPEFSCR[FRMC]. */
export const MODES = { nearest: 0, zero: 1, up: 2, down: 3 } as const;
type Mode = keyof typeof MODES;

const OPERATIONS = ['efdadd', 'efdsub', 'efdmul', 'efddiv', 'efsadd', 'efsmul', 'efsdiv', 'efscfd'] as const;
type Operation = (typeof OPERATIONS)[number];

export interface Sum {
  readonly operation: Operation;
  readonly mode: Mode;
  readonly a: bigint;
  readonly b: bigint;
}

const DOUBLES = {
  one: 0x3ff0_0000_0000_0000n,
  minusOne: 0xbff0_0000_0000_0000n,
  three: 0x4008_0000_0000_0000n,
  tenth: 0x3fb9_9999_9999_999an,
  largest: 0x7fef_ffff_ffff_ffffn,
  smallest: 0x0010_0000_0000_0000n,
  denormal: 0x0000_0000_0000_0003n,
  large: 0x7fe0_0000_0000_0000n,
  infinity: 0x7ff0_0000_0000_0000n,
  zero: 0n,
  minusZero: 0x8000_0000_0000_0000n,
  minusDenormal: 0x8007_ffff_ffff_ffffn,
} as const;
const SINGLES = {
  one: 0x3f80_0000n,
  three: 0x4040_0000n,
  minusThree: 0xc040_0000n,
  largest: 0x7f7f_ffffn,
  smallest: 0x0080_0000n,
  denormal: 0x0000_0005n,
  infinity: 0x7f80_0000n,
  zero: 0n,
} as const;

const D = DOUBLES;
const S = SINGLES;
const CASES: readonly (readonly [Operation, bigint, bigint])[] = [
  ['efdadd', D.one, D.tenth],
  ['efdadd', D.denormal, D.denormal],
  ['efdadd', D.smallest, D.minusDenormal],
  ['efdadd', D.largest, D.large],
  ['efdadd', D.infinity, D.minusOne],
  ['efdsub', D.one, D.one],
  ['efdsub', D.smallest, D.denormal],
  ['efdmul', D.tenth, D.tenth],
  ['efdmul', D.smallest, D.tenth],
  ['efdmul', D.largest, D.largest],
  ['efdmul', D.minusOne, D.denormal],
  ['efddiv', D.one, D.three],
  ['efddiv', D.minusOne, D.three],
  ['efddiv', D.one, D.zero],
  ['efddiv', D.minusOne, D.infinity],
  ['efddiv', D.denormal, D.three],
  ['efddiv', D.minusOne, D.minusZero],
  ['efsadd', S.one, S.denormal],
  ['efsadd', S.infinity, S.one],
  ['efsmul', S.smallest, S.denormal],
  ['efsmul', S.largest, S.three],
  ['efsdiv', S.one, S.minusThree],
  ['efsdiv', S.denormal, S.three],
  ['efsdiv', S.one, S.zero],
  ['efscfd', 0n, D.tenth],
  ['efscfd', 0n, D.largest],
  ['efscfd', 0n, D.smallest],
];

export const SUMS: readonly Sum[] = (Object.keys(MODES) as Mode[]).flatMap((mode) =>
  CASES.map(([operation, a, b]) => ({ operation, mode, a, b })),
);

/** A record of the table: operation, mode, a and b. */
const RECORD = 24;
const LINE = 17;

const quad = (value: bigint): string => `${Number(value >> 32n)}, ${Number(value & 0xffff_ffffn)}`;

/** Each result is printed as sixteen digits and a line's end; when all are, the machine reboots. */
const SOURCE = `
    bl past
table:
    ${SUMS.map(({ operation, mode, a, b }) => `.long ${OPERATIONS.indexOf(operation)}, ${MODES[mode]}, ${quad(a)}, ${quad(b)}`).join('\n    ')}
past:
    mflr r31
    li r30,${SUMS.length}
next:
    mfspr r3,512                   # SPEFSCR: the mode
    lwz r4,4(r31)
    rlwinm r3,r3,0,0,29; or r3,r3,r4; mtspr 512,r3
    lwz r4,8(r31); lwz r5,12(r31); evmergelo r10,r4,r5
    lwz r4,16(r31); lwz r5,20(r31); evmergelo r11,r4,r5
    evsplati r12,0
    lwz r4,0(r31)
    ${OPERATIONS.map((_name, i) => `cmpwi r4,${i}; beq op${i}`).join('; ')}
    trap
    ${OPERATIONS.map((name, i) => `op${i}: ${name} r12,${name === 'efscfd' ? 'r11' : 'r10,r11'}; b print`).join('\n    ')}
print:
    li r3,0; mfspr r4,512; rlwinm r4,r4,0,0,29; mtspr 512,r4
    addi r28,r1,-64
    evmergehi r13,r12,r12          # digits of the high word, then of the low one
    mr r6,r13; li r7,2; addi r8,r28,-1
word:
    li r9,8
digit:
    rlwinm r6,r6,4,0,31; clrlwi r5,r6,28
    cmpwi r5,10; addi r5,r5,48; blt put; addi r5,r5,39
put:
    stbu r5,1(r8)
    addi r9,r9,-1; cmpwi r9,0; bne digit
    mr r6,r12
    addi r7,r7,-1; cmpwi r7,0; bne word
    li r5,10; stbu r5,1(r8)
    li r3,1; mr r4,r28; li r5,${LINE}; li r0,${CALL.write}; sc
    addi r31,r31,${RECORD}
    addi r30,r30,-1; cmpwi r30,0; bne next
    lis r3,-287; ori r3,r3,0xdead; lis r4,0x2812; ori r4,r4,0x1969; lis r5,0x0123; ori r5,r5,0x4567
    li r0,${CALL.reboot}; sc
    trap`;

/** An initial RAM disk with the program as /init, which reboots at its end. */
export function speInitrd(): Uint8Array {
  const words = assembleWords(SOURCE, START);
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word);
  const program = makeElf([{ virtual: START, physical: START, bytes }], START);
  return packCpio([directory('dev'), characterDevice('dev/console', 5, 1, 0o600), file('init', program, 0o755)]);
}

interface Format {
  readonly fraction: number;
  readonly bias: number;
}
const SINGLE: Format = { fraction: 23, bias: 127 };
const DOUBLE: Format = { fraction: 52, bias: 1023 };
const signOf = ({ fraction, bias }: Format): bigint => BigInt(bias + 1) << BigInt(fraction + 1);
const infinityOf = ({ fraction, bias }: Format): bigint => BigInt(2 * bias + 1) << BigInt(fraction);

/** A finite number as n / d, a denormal as any other. */
function exact(format: Format, bits: bigint): { n: bigint; d: bigint } {
  const { fraction, bias } = format;
  const negative = (bits & signOf(format)) !== 0n;
  const biased = Number((bits >> BigInt(fraction)) & BigInt(2 * bias + 1));
  const low = bits & ((1n << BigInt(fraction)) - 1n);
  const significand = biased === 0 ? low : low | (1n << BigInt(fraction));
  const exponent = Math.max(biased, 1) - bias - fraction;
  const n = exponent > 0 ? significand << BigInt(exponent) : significand;
  return { n: negative ? -n : n, d: exponent < 0 ? 1n << BigInt(-exponent) : 1n };
}

/** n / d in a format as IEEE 754 rounds it. */
function rounded(format: Format, mode: Mode, n: bigint, d: bigint): bigint {
  const { fraction, bias } = format;
  const negative = n < 0n;
  const sign = negative ? signOf(format) : 0n;
  const magnitude = negative ? -n : n;
  const away = mode === 'up' ? !negative : mode === 'down' && negative;
  let exponent = magnitude.toString(2).length - d.toString(2).length;
  const scaled = (e: number): boolean => (e >= 0 ? magnitude >= d << BigInt(e) : magnitude << BigInt(-e) >= d);
  if (!scaled(exponent)) exponent--;
  exponent = Math.max(exponent, 1 - bias);
  const shift = fraction - exponent;
  const [top, bottom] = shift >= 0 ? [magnitude << BigInt(shift), d] : [magnitude, d << BigInt(-shift)];
  let whole = top / bottom;
  const rest = 2n * (top % bottom);
  const isTie = rest === bottom;
  if (rest !== 0n && (mode === 'nearest' ? rest > bottom || (isTie && (whole & 1n) === 1n) : away)) whole++;
  // A denormal's exponent is the smallest, without the hidden bit.
  const bits = (BigInt(exponent + bias - 1) << BigInt(fraction)) + whole;
  if (bits < infinityOf(format)) return sign | bits;
  return sign | (mode === 'nearest' || away ? infinityOf(format) : infinityOf(format) - 1n);
}

/** What IEEE 754 says of a sum, as the program prints it. */
export function expected({ operation, mode, a, b }: Sum): string {
  const isDouble = operation.startsWith('efd');
  const format = isDouble ? DOUBLE : SINGLE;
  const text = (bits: bigint): string => bits.toString(16).padStart(16, '0');
  if (operation === 'efscfd') {
    const { n, d } = exact(DOUBLE, b);
    return text(rounded(SINGLE, mode, n, d));
  }
  const infinity = infinityOf(format);
  const sign = (a ^ b) & signOf(format);
  const [x, y] = [a & ~signOf(format), b & ~signOf(format)];
  const name = operation.slice(3);
  if (name === 'div') {
    if (y === 0n || x === infinity) return text(sign | infinity);
    if (y === infinity) return text(sign);
  } else if (x === infinity) return text(name === 'mul' ? sign | infinity : a);
  const [p, q] = [exact(format, a), exact(format, b)];
  const [n, d] = {
    add: [p.n * q.d + q.n * p.d, p.d * q.d],
    sub: [p.n * q.d - q.n * p.d, p.d * q.d],
    mul: [p.n * q.n, p.d * q.d],
    div: [p.n * q.d * (q.n < 0n ? -1n : 1n), p.d * (q.n < 0n ? -q.n : q.n)],
  }[name as 'add'] as [bigint, bigint];
  // Of an exact difference of equals.
  if (n === 0n) return text(mode === 'down' ? signOf(format) : 0n);
  return text(rounded(format, mode, n, d));
}
