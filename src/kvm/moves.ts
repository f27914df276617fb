/**
 * Loads and stores that KVM carries out itself, taken apart into pieces of at most four bytes: what user space is asked
 * for one after the other. Rows of the instruction table that move one item say so in `access`; here stand the others.
 */
import { INSTRUCTIONS } from '../isa/table.ts';
import { fprOffset, vsrOffset } from '../processor/index.ts';
import { W_GPR } from './words.ts';

/** How the address is made, beside (RA|0). */
export const FORM = { D: 0, DS: 1, DQ: 2, INDEXED: 3, BASE: 4 } as const;

/** What is moved. */
const SHAPE = {
  /** One item and a general or floating-point register. */
  ITEM: 0,
  /** Words, one for each general register from RT on. */
  MULTIPLE: 1,
  /** Bytes, four for each general register from RT on; how many is in the instruction or in XER. */
  STRING: 2,
  STRING_XER: 3,
  /** A quadword and two general registers. */
  PAIR: 4,
  /** A quadword and a vector register; an element of it that its address tells. */
  VECTOR: 5,
  ELEMENT: 6,
  /** A vector-scalar register: two doublewords, four words, one doubleword for both, doubleword 0. */
  DOUBLEWORDS: 7,
  WORDS: 8,
  SPLAT: 9,
  SCALAR: 10,
} as const;

export interface Move {
  readonly store: boolean;
  readonly shape: number;
  /** Bytes of an item. */
  readonly bytes: 1 | 2 | 4 | 8;
  readonly signed: boolean;
  readonly reversed: boolean;
  /** In a register of 64 bits as a double. */
  readonly single: boolean;
  /** The item's register is a floating-point one. */
  readonly float: boolean;
  readonly update: boolean;
  readonly form: number;
  /** The address is rounded down to a multiple of this. */
  readonly alignment: number;
}

const PLAIN: Move = {
  store: false,
  shape: SHAPE.ITEM,
  bytes: 4,
  signed: false,
  reversed: false,
  single: false,
  float: false,
  update: false,
  form: FORM.INDEXED,
  alignment: 1,
};
const STORE = { store: true } as const;
const load = (shape: number, own: Partial<Move> = {}): Move => ({ ...PLAIN, shape, ...own });
const store = (shape: number, own: Partial<Move> = {}): Move => ({ ...PLAIN, ...STORE, shape, ...own });

/** A store of a general register, with an indexed address. */
export const storeOf = (bytes: 1 | 2 | 4): Move => store(SHAPE.ITEM, { bytes });

const QUADWORD = { alignment: 16 } as const;
const DOUBLEWORD = { bytes: 8 } as const;
const element = (bytes: 1 | 2 | 4): Partial<Move> => ({ bytes, alignment: bytes });

/** By mnemonic. */
const MOVES: Readonly<Record<string, Move>> = {
  lmw: load(SHAPE.MULTIPLE, { form: FORM.D }),
  stmw: store(SHAPE.MULTIPLE, { form: FORM.D }),
  lswi: load(SHAPE.STRING, { form: FORM.BASE }),
  stswi: store(SHAPE.STRING, { form: FORM.BASE }),
  lswx: load(SHAPE.STRING_XER),
  stswx: store(SHAPE.STRING_XER),
  lq: load(SHAPE.PAIR, { form: FORM.DQ }),
  stq: store(SHAPE.PAIR, { form: FORM.DS }),
  lvx: load(SHAPE.VECTOR, QUADWORD),
  lvxl: load(SHAPE.VECTOR, QUADWORD),
  stvx: store(SHAPE.VECTOR, QUADWORD),
  stvxl: store(SHAPE.VECTOR, QUADWORD),
  lvebx: load(SHAPE.ELEMENT, element(1)),
  lvehx: load(SHAPE.ELEMENT, element(2)),
  lvewx: load(SHAPE.ELEMENT, element(4)),
  stvebx: store(SHAPE.ELEMENT, element(1)),
  stvehx: store(SHAPE.ELEMENT, element(2)),
  stvewx: store(SHAPE.ELEMENT, element(4)),
  lxvd2x: load(SHAPE.DOUBLEWORDS),
  stxvd2x: store(SHAPE.DOUBLEWORDS),
  lxvw4x: load(SHAPE.WORDS),
  stxvw4x: store(SHAPE.WORDS),
  lxvdsx: load(SHAPE.SPLAT),
  lxsdx: load(SHAPE.SCALAR, DOUBLEWORD),
  stxsdx: store(SHAPE.SCALAR, DOUBLEWORD),
  lxsiwax: load(SHAPE.SCALAR, { signed: true }),
  lxsiwzx: load(SHAPE.SCALAR),
  stxsiwx: store(SHAPE.SCALAR),
  lxsspx: load(SHAPE.SCALAR, { single: true }),
  stxsspx: store(SHAPE.SCALAR, { single: true }),
};

let moves: (Move | undefined)[] | null = null;

/** By instruction id: the move that it is, if it is one. */
export function moveById(): readonly (Move | undefined)[] {
  moves ??= INSTRUCTIONS.map(({ mnemonic, access }) =>
    access === undefined
      ? MOVES[mnemonic]
      : {
          ...PLAIN,
          store: access.kind === 'store',
          bytes: access.bytes,
          signed: access.signed === true,
          reversed: access.reversed === true,
          single: access.float === 'single',
          float: access.float !== undefined,
          update: access.update === true,
          form: access.indexed === true ? FORM.INDEXED : access.scaled === true ? FORM.DS : FORM.D,
        },
  );
  return moves;
}

/** What becomes of a register when a piece of it is loaded: bits of `Pieces.flags`. */
export const PIECE = {
  /** The word's other bits become zero. */
  CLEAR: 1,
  /** The register's high word becomes zero, or copies of the sign. */
  ZERO_HIGH: 2,
  SIGN_HIGH: 4,
  /** A single that becomes a double. */
  SINGLE: 8,
  /** The doubleword is complete: the register's right one is like it. */
  SPLAT: 16,
} as const;

/** A string of 127 bytes has the most. */
const MOST_PIECES = 34;
/** Words from a vector-scalar register's first one, the rightmost, to its left doubleword. */
const LEFT = 2;

/** The pieces of one move, in the order of their addresses. */
export class Pieces {
  count = 0;
  /** Bytes that are moved. */
  length = 0;
  /** Bytes one after the other, in whatever order storage is accessed. */
  isString = false;
  /** By piece: bytes behind the address, how many, the index of the word in the vCPU's block, the shift in it. */
  readonly offset = new Uint8Array(MOST_PIECES);
  readonly bytes = new Uint8Array(MOST_PIECES);
  readonly word = new Uint16Array(MOST_PIECES);
  readonly shift = new Uint8Array(MOST_PIECES);
  readonly flags = new Uint8Array(MOST_PIECES);

  /**
   * Takes a move apart: `word` is the instruction, `address` its (rounded) address or the low bits of that, `xer` the byte
   * count there, `littleEndian` the order in which storage is accessed.
   */
  take(move: Move, word: number, address: number, xer: number, littleEndian: boolean): void {
    this.count = 0;
    this.length = 0;
    this.isString = move.shape === SHAPE.STRING || move.shape === SHAPE.STRING_XER;
    const rt = (word >>> 21) & 31;
    const gpr = W_GPR + 2 * rt;
    const vsr = vsrOffset(rt | ((word & 1) << 5)) >> 2;
    const vr = vsrOffset(32 + rt) >> 2;
    switch (move.shape) {
      case SHAPE.MULTIPLE:
        for (let n = rt; n < 32; n++) this.#add(4, W_GPR + 2 * n, 0, PIECE.CLEAR | PIECE.ZERO_HIGH);
        return;
      case SHAPE.STRING:
        this.#string(rt, (word >>> 11) & 31 || 32);
        return;
      case SHAPE.STRING_XER:
        this.#string(rt, xer & 0x7f);
        return;
      case SHAPE.PAIR: {
        const next = W_GPR + 2 * ((rt + 1) & 31);
        this.#doubleword(littleEndian ? next : gpr, littleEndian);
        this.#doubleword(littleEndian ? gpr : next, littleEndian);
        return;
      }
      case SHAPE.VECTOR:
        for (let i = 0; i < 4; i++) this.#add(4, vr + (littleEndian ? i : 3 - i), 0, PIECE.CLEAR);
        return;
      case SHAPE.ELEMENT: {
        const at = address & 15;
        const right = littleEndian ? at : 16 - move.bytes - at;
        this.#add(move.bytes, vr + (right >> 2), 8 * (right & 3), 0);
        return;
      }
      case SHAPE.DOUBLEWORDS:
        this.#doubleword(vsr + LEFT, littleEndian);
        this.#doubleword(vsr, littleEndian);
        return;
      case SHAPE.WORDS:
        for (let i = 0; i < 4; i++) this.#add(4, vsr + 3 - i, 0, PIECE.CLEAR);
        return;
      case SHAPE.SPLAT:
        this.#doubleword(vsr + LEFT, littleEndian);
        this.flags[1] = (this.flags[1] as number) | PIECE.SPLAT;
        return;
      case SHAPE.SCALAR:
        this.#item(move, vsr + LEFT, littleEndian);
        return;
      default:
        this.#item(move, move.float ? fprOffset(rt) >> 2 : gpr, littleEndian);
        return;
    }
  }

  #item(move: Move, register: number, littleEndian: boolean): void {
    if (move.bytes === 8) {
      this.#doubleword(register, littleEndian);
      return;
    }
    const high = move.signed ? PIECE.SIGN_HIGH : PIECE.ZERO_HIGH;
    this.#add(move.bytes, register, 0, move.single ? PIECE.SINGLE : PIECE.CLEAR | high);
  }

  #doubleword(register: number, littleEndian: boolean): void {
    this.#add(4, register + (littleEndian ? 0 : 1), 0, PIECE.CLEAR);
    this.#add(4, register + (littleEndian ? 1 : 0), 0, PIECE.CLEAR);
  }

  /** Registers are filled from the left of their low words on. */
  #string(rt: number, length: number): void {
    for (let at = 0; at < length; at += 4) {
      const register = W_GPR + 2 * ((rt + (at >> 2)) & 31);
      const rest = length - at;
      const flags = PIECE.CLEAR | PIECE.ZERO_HIGH;
      if (rest >= 4) this.#add(4, register, 0, flags);
      else if (rest === 1) this.#add(1, register, 24, flags);
      else {
        this.#add(2, register, 16, flags);
        if (rest === 3) this.#add(1, register, 8, 0);
      }
    }
  }

  #add(bytes: number, word: number, shift: number, flags: number): void {
    const i = this.count++;
    this.offset[i] = this.length;
    this.bytes[i] = bytes;
    this.word[i] = word;
    this.shift[i] = shift;
    this.flags[i] = flags;
    this.length += bytes;
  }
}
