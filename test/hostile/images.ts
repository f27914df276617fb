/**
 * Images for `bare` (POWER8, big-endian) that are made to overwhelm their host: recursion through pages of straight code,
 * which never returns, and pages of one kind of instruction with random operands.
 */
import { assembleWords, INSTRUCTIONS } from '../../src/isa/index.ts';

const PAGE_BYTES = 4096;
const PAGE_WORDS = PAGE_BYTES / 4;
/** The first page of code proper; in front of it are the vectors, and what turns facilities on. */
const START = 0x2000;
const PAGES_AT = START + PAGE_BYTES;

const GO_ON = 'mfsrr0 9; addi 9,9,4; mtsrr0 9; rfid';
/** Interrupts of instructions go on behind them; those of fetches begin anew. */
const VECTORS: Readonly<Record<number, string>> = {
  0: `b ${START}`,
  ...Object.fromEntries(
    [0x200, 0x300, 0x380, 0x600, 0x700, 0x800, 0x900, 0xf20, 0xf40, 0xf60].map((vector) => [vector, GO_ON]),
  ),
  1024: `b ${START}`,
  1152: `b ${START}`,
  // MSR[FP], MSR[VEC] and MSR[VSX].
  [START]: `mfmsr 9; oris 9,9,0x0280; ori 9,9,0x2000; mtmsrd 9; b ${PAGES_AT}`,
};

/** A generator of numbers from 0 to 2^32 - 1, the same each time. */
function numbers(): () => number {
  let state = 5;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

class Image {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(pages: number) {
    this.bytes = new Uint8Array(PAGES_AT + pages * PAGE_BYTES);
    this.#view = new DataView(this.bytes.buffer);
    for (const [address, source] of Object.entries(VECTORS))
      this.put(Number(address), assembleWords(source, Number(address)));
  }

  put(address: number, words: Iterable<number>): void {
    let at = address;
    for (const word of words) {
      this.#view.setUint32(at, word);
      at += 4;
    }
  }
}

/** Operands of what accesses storage: to be a load on and on, it has to find something. Only its first register changes. */
const STORAGE: Readonly<Record<string, string>> = {
  ld: '0,0x100(0)',
  lmw: '0,0x700(0)',
  stmw: '0,0x7f80(0)',
  lswi: '0,0,16',
};
/** RT. */
const TARGET = 0x03e0_0000;

/** So many words of an instruction, or of anything, with random operands. */
function wordsOf(mnemonic: string, count: number): number[] {
  const random = numbers();
  const rows = INSTRUCTIONS.filter((row) => row.mnemonic === mnemonic);
  if (mnemonic !== 'anything' && rows.length === 0) throw new RangeError(`there is no instruction ${mnemonic}`);
  const operands = STORAGE[mnemonic];
  const fixed = operands === undefined ? 0 : ((assembleWords(`${mnemonic} ${operands}`)[0] as number) & ~TARGET) >>> 0;
  return Array.from({ length: count }, () => {
    if (operands !== undefined) return (fixed | (random() & TARGET)) >>> 0;
    const row = rows[random() % rows.length];
    return row ? (row.value | (random() & ~row.mask)) >>> 0 : random();
  });
}

/** Pages of an instruction, the last of which leads to the first. */
export function straight(mnemonic: string, pages: number): Uint8Array {
  const image = new Image(pages);
  const words = wordsOf(mnemonic, pages * PAGE_WORDS);
  image.put(PAGES_AT, words);
  const end = PAGES_AT + pages * PAGE_BYTES - 4;
  image.put(end, assembleWords(`b ${PAGES_AT}`, end));
  return image.bytes;
}

/** Pages of so many words of an instruction and a call of the next page's, round and round. */
export function recursion(mnemonic: string, length: number, pages: number): Uint8Array {
  const image = new Image(pages);
  const words = wordsOf(mnemonic, pages * length);
  for (let page = 0; page < pages; page++) {
    const at = PAGES_AT + page * PAGE_BYTES;
    image.put(at, words.slice(page * length, (page + 1) * length));
    const call = at + length * 4;
    image.put(call, assembleWords(`bl ${PAGES_AT + ((page + 1) % pages) * PAGE_BYTES}; blr`, call));
  }
  return image.bytes;
}

const RECURSIVE = ['ld', 'add', 'divd', 'fmadd', 'ori', 'xvmaddadp'];
const SHAPES = [
  [60, 1],
  [1000, 1],
  [200, 8],
  [900, 40],
] as const;
const STRAIGHT = [
  'bc',
  'fmadd',
  'fdiv',
  'xvdivdp',
  'lmw',
  'stmw',
  'lswi',
  'lswx',
  'vpermxor',
  'vmladduhm',
  'dadd',
  'ddivq',
];
/** Few, so that they are hot soon. */
const STRAIGHT_PAGES = 2;

/** Every image by its name. */
export const IMAGES: ReadonlyMap<string, () => Uint8Array> = new Map([
  ...RECURSIVE.flatMap((mnemonic) =>
    SHAPES.map(
      ([length, pages]) =>
        [`recursion ${mnemonic} ${length} ${pages}`, () => recursion(mnemonic, length, pages)] as const,
    ),
  ),
  ...[...STRAIGHT, 'dcbz', 'mulhdu', 'bclr', 'b', 'anything'].map(
    (mnemonic) => [`straight ${mnemonic}`, () => straight(mnemonic, STRAIGHT_PAGES)] as const,
  ),
]);
