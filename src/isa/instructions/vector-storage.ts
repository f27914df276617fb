/** Vector loads and stores, VSCR and data streams: Power ISA 2.07 Book I, 6.7.2–6.7.4 and 6.16; AltiVec manual for dst. */
import { define, type InstructionRow } from '../define.ts';
import { fieldBits } from '../fields.ts';
import type { Expr, Meaning, Operands, Semantics } from '../semantics.ts';
import { bytesFromLeft, everyLane } from '../vector/lanes.ts';
import { indexedAddress } from './common.ts';
import { setVr, vectorRow, vr } from './vector-common.ts';

/** (RA|0) + (RB), rounded down to a multiple of the size. */
function alignedAddress(s: Semantics, f: Operands, bytes: number): Expr {
  return s.and(indexedAddress(s, f), -bytes);
}

const load: Meaning = (s, f) => setVr(s, f.VRT, s.load128(alignedAddress(s, f, 16)));
const store: Meaning = (s, f) => s.store128(alignedAddress(s, f, 16), vr(s, f.VRS));

type ElementBytes = 1 | 2 | 4;

/** The lane of the element that stands at an address in its quadword. */
function laneAt(s: Semantics, address: Expr, bytes: ElementBytes): Expr {
  const last = 16 / bytes - 1;
  const element = s.and(s.shrUnsigned(s.low32(address), Math.log2(bytes)), last);
  return s.littleEndian ? element : s.xor(element, last);
}

const SPLATS = { 1: 'i8x16.splat', 2: 'i16x8.splat', 4: 'i32x4.splat' } as const;
const COMPARISONS = { 1: 'i8x16.eq', 2: 'i16x8.eq', 4: 'i32x4.eq' } as const;

/** Each lane's own number. */
function laneNumbers(s: Semantics, bytes: ElementBytes): Expr {
  let all = 0n;
  for (let lane = 0; lane < 16 / bytes; lane++) all |= BigInt(lane) << BigInt(8 * bytes * lane);
  return s.v128(all);
}

/** The other elements, which are undefined, stay as they are. */
function loadElement(bytes: ElementBytes): Meaning {
  return (s, f) => {
    const address = s.let(alignedAddress(s, f, bytes));
    const value = s.low32(s.load(bytes, address));
    const isThere = s.simd(COMPARISONS[bytes], laneNumbers(s, bytes), s.simd(SPLATS[bytes], laneAt(s, address, bytes)));
    setVr(s, f.VRT, s.simd('v128.bitselect', s.simd(SPLATS[bytes], value), vr(s, f.VRT), isThere));
  };
}

/** What turns a lane's number, splatted in words, into the numbers of its bytes. */
const LANE_BYTES = { 1: [0x0101_0101, 0], 2: [0x0202_0202, 0x0100_0100], 4: [0x0404_0404, 0x0302_0100] } as const;

function storeElement(bytes: ElementBytes): Meaning {
  const [factor, offset] = LANE_BYTES[bytes];
  return (s, f) => {
    const address = s.let(alignedAddress(s, f, bytes));
    const selected = s.simd('i32x4.splat', s.add(s.mul(laneAt(s, address, bytes), factor), offset));
    const element = s.simdLane('i32x4.extract_lane', 0, s.simd('i8x16.swizzle', vr(s, f.VRS), selected));
    s.store(bytes, address, s.wordFromUnsigned32(element));
  };
}

const ELEMENTS = [
  { name: 'b', bytes: 1, load: 7, store: 135 },
  { name: 'h', bytes: 2, load: 39, store: 167 },
  { name: 'w', bytes: 4, load: 71, store: 199 },
] as const;

const ASCENDING = Array.from({ length: 16 }, (_, i) => i);

/** The address' place in its quadword, in all bytes. */
const place = (s: Semantics, f: Operands): Expr =>
  s.simd('i8x16.splat', s.and(s.low32(s.add(s.gpr(f.RA0), s.gpr(f.RB))), 15));

/** The permutation that shifts left by the address' place in its quadword … */
const shiftLeftControl: Meaning = (s, f) =>
  setVr(s, f.VRT, s.simd('i8x16.add', bytesFromLeft(s, ASCENDING), place(s, f)));
/** … or right. */
const shiftRightControl: Meaning = (s, f) => {
  const from16 = ASCENDING.map((i) => i + 16);
  setVr(s, f.VRT, s.simd('i8x16.sub', bytesFromLeft(s, from16), place(s, f)));
};

/** VSCR[NJ] and VSCR[SAT]: the others are reserved. */
const VSCR_BITS = 0x0001_0001;

/** Streams are hints that nothing follows from. They need a base. */
const nothing = (): void => {};
const stream = (mnemonic: string, transient: 0 | 1, opcode: number): InstructionRow =>
  define(mnemonic, `31 ${transient}:1 /:2 STRM RA RB ${opcode}:10 /:1`, 'RA,RB,STRM', nothing, {
    level: 'vector',
    invalid: (word) => fieldBits(word, 'RA') === 0,
  });
const stopStream = (mnemonic: string, all: 0 | 1, syntax: string): InstructionRow =>
  define(mnemonic, `31 ${all}:1 /:2 ${all ? '/:2' : 'STRM'} /:5 /:5 822:10 /:1`, syntax, nothing, { level: 'vector' });

export const VECTOR_STORAGE_INSTRUCTIONS: readonly InstructionRow[] = [
  vectorRow('lvx', '31 VRT RA0 RB 103:10 /:1', 'VRT,RA0,RB', load),
  vectorRow('lvxl', '31 VRT RA0 RB 359:10 /:1', 'VRT,RA0,RB', load),
  vectorRow('stvx', '31 VRS RA0 RB 231:10 /:1', 'VRS,RA0,RB', store),
  vectorRow('stvxl', '31 VRS RA0 RB 487:10 /:1', 'VRS,RA0,RB', store),
  ...ELEMENTS.flatMap(({ name, bytes, load, store }) => [
    vectorRow(`lve${name}x`, `31 VRT RA0 RB ${load}:10 /:1`, 'VRT,RA0,RB', loadElement(bytes)),
    vectorRow(`stve${name}x`, `31 VRS RA0 RB ${store}:10 /:1`, 'VRS,RA0,RB', storeElement(bytes)),
  ]),
  vectorRow('lvsl', '31 VRT RA0 RB 6:10 /:1', 'VRT,RA0,RB', shiftLeftControl),
  vectorRow('lvsr', '31 VRT RA0 RB 38:10 /:1', 'VRT,RA0,RB', shiftRightControl),

  vectorRow('mfvscr', '4 VRT /:5 /:5 1540:11', 'VRT', (s, f) =>
    setVr(s, f.VRT, s.simdLane('i32x4.replace_lane', 0, everyLane(s, 32, 0), s.state('vscr'))),
  ),
  vectorRow('mtvscr', '4 /:5 /:5 VRB 1604:11', 'VRB', (s, f) =>
    s.setState('vscr', s.and(s.simdLane('i32x4.extract_lane', 0, vr(s, f.VRB)), VSCR_BITS)),
  ),

  stream('dst', 0, 342),
  stream('dstt', 1, 342),
  stream('dstst', 0, 374),
  stream('dststt', 1, 374),
  stopStream('dss', 0, 'STRM'),
  stopStream('dssall', 1, ''),
];
