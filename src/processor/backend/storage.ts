import type { Level } from '../../isa/define.ts';
import type { Expr } from '../../isa/semantics.ts';
import {
  WIDE_CODE_TLB,
  WIDE_CODE_TLB_MASK,
  WIDE_CODE_TLB_SHIFT,
  WIDE_READ_ADDEND,
  WIDE_TLB_MASK,
  WIDE_TLB_SHIFT,
  WIDE_WRITE_TAG,
} from '../book3s/layout.ts';
import { CODE_TLB, CODE_TLB_MASK, CODE_TLB_SHIFT, SOFT_TLB_MASK, SOFT_TLB_SHIFT } from '../layout.ts';
import type { MemoryOrder } from '../memory.ts';
import { MODEL_440, type ProcessorModel } from '../model.ts';
import type { Emitter } from '../wasm/emitter.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { SimdBuilder } from './simd.ts';
import type { InterruptNumbers } from './traps.ts';

/** Indexes of the functions that generated code calls, in the module that is being written. */
export interface RuntimeFunctions {
  /** (address, bytes) → real address to load from, 0 after an interrupt was set. */
  readonly slowLoad: number;
  /** (address, bytes, value i64) → 0 after an interrupt was set. */
  readonly slowStore: number;
  /** (address) → 0 after an interrupt was set. */
  readonly slowZeroBlock: number;
  /** () → f64, the time base. */
  readonly time: number;
  /** The function of a routine, by its name: where there is floating point. */
  readonly routine?: (name: string) => number;
}

/** Loads that extend an item to a doubleword. */
const WIDE_LOADS = {
  1: { signed: OP.i64Load8S, unsigned: OP.i64Load8U },
  2: { signed: OP.i64Load16S, unsigned: OP.i64Load16U },
  4: { signed: OP.i64Load32S, unsigned: OP.i64Load32U },
} as const;

/** Where the entries of a soft TLB are, by the word type of the processor. */
export const SOFT_TLB_SHAPES = {
  i32: {
    shift: SOFT_TLB_SHIFT,
    mask: SOFT_TLB_MASK,
    code: CODE_TLB,
    codeShift: CODE_TLB_SHIFT,
    codeMask: CODE_TLB_MASK,
    /** Offset in an entry for data of what is for writing, and in each of the addend. */
    write: 8,
    addend: 4,
  },
  i64: {
    shift: WIDE_TLB_SHIFT,
    mask: WIDE_TLB_MASK,
    code: WIDE_CODE_TLB,
    codeShift: WIDE_CODE_TLB_SHIFT,
    codeMask: WIDE_CODE_TLB_MASK,
    write: WIDE_WRITE_TAG,
    addend: WIDE_READ_ADDEND,
  },
} as const;

/** A page's tag and addend. */
export interface Translation {
  readonly tag: Node;
  readonly addend: Node;
}

/** The part of a builder that accesses storage, through the soft TLB. */
export abstract class StorageBuilder extends SimdBuilder {
  readonly computation: 'i32' | 'i64';
  readonly levels: ReadonlySet<Level>;
  readonly littleEndian: boolean;
  readonly blockBytes: number;
  readonly hasFloat: boolean;
  protected readonly order: MemoryOrder;
  /** Storage is kept in the other byte order. */
  readonly #isTurned: boolean;
  protected readonly interrupts: InterruptNumbers;
  protected readonly runtime: RuntimeFunctions;
  /** Local that holds the vCPU block's address. */
  protected readonly block: Node;
  /** Local that holds the soft-TLB set's address. */
  protected readonly tlb: Node;

  protected constructor(
    emitter: Emitter,
    runtime: RuntimeFunctions,
    block: number,
    tlb: number,
    model: ProcessorModel = MODEL_440,
  ) {
    super(emitter, model.word);
    this.computation = model.computation;
    this.levels = model.levels;
    this.blockBytes = model.blockBytes;
    this.hasFloat = model.hasFloat;
    this.littleEndian = model.littleEndian;
    this.#isTurned = (model.order === 0) !== model.littleEndian;
    this.order = model.order;
    this.interrupts = model.interrupts;
    this.runtime = runtime;
    this.block = local('i32', block);
    this.tlb = local('i32', tlb);
  }

  /** A storage access failed: EXIT_* are set; leave, with all registers as they are. */
  protected abstract fault(): void;

  /** Address of the soft-TLB entry of an effective address. */
  protected tlbEntry(address: Node): Node {
    const { shift, mask } = SOFT_TLB_SHAPES[this.word];
    return this.add(this.tlb, this.and(this.shrUnsigned(this.low32(address), shift), mask));
  }

  /** Address of the soft TLB's entry for the code at an effective address. */
  codeTlbEntry(address: Node): Node {
    const { code, codeShift, codeMask } = SOFT_TLB_SHAPES[this.word];
    const offset = this.and(this.shrUnsigned(this.low32(address), codeShift), codeMask);
    return this.add(this.add(this.tlb, code), offset);
  }

  /**
   * What of an access the soft TLB's tag is compared with: the page, which the access must lie in as a whole. Where storage
   * is kept reversed, accesses have to be aligned, quadwords to doublewords; the bits that say so are compared with the
   * tag's zeros.
   */
  protected pageOf(address: Node, bytes: number, _write: boolean): Node {
    if (this.order !== 0) {
      const unit = Math.min(bytes, 8);
      return this.and(this.add(address, bytes - unit), -4096 | (unit - 1));
    }
    return this.and(this.add(address, bytes - 1), -4096);
  }

  /** The tag of a soft-TLB entry for code. */
  codeTag(entry: Node): Node {
    return this.word === 'i32' ? load('i32', OP.i32Load, entry, 0) : load('i64', OP.i64Load, entry, 0);
  }

  /**
   * Translates a pinned effective address; `masked` is its page, with the bits that must be zero for its size. The
   * compare with the tag fails for another page, for no permission and for an unaligned address, and then the runtime
   * looks closer. Tags of 32 bits come with their addend in one load.
   */
  protected translate(address: Node, write: boolean, _masked: Node): Translation {
    const { write: offset, addend } = SOFT_TLB_SHAPES[this.word];
    const at = write ? offset : 0;
    if (this.word === 'i64') {
      const entry = this.let(this.tlbEntry(address));
      return {
        tag: load('i64', OP.i64Load, entry, at),
        addend: load('i32', OP.i32Load, entry, at + addend),
      };
    }
    const pair = this.let(load('i64', OP.i64Load, this.tlbEntry(address), at));
    return { tag: this.wrap(pair), addend: this.wrap(this.shrUnsigned(pair, this.i64(32))) };
  }

  /**
   * Emits an access of a pinned effective address: `hit` with the page's addend where the soft TLB has the page, else
   * `miss`, for the runtime to look closer.
   */
  protected access(address: Node, masked: Node, write: boolean, hit: (addend: Node) => void, miss: () => void): void {
    const { tag, addend } = this.translate(address, write, masked);
    this.e.if(this.eq(masked, tag), true);
    hit(addend);
    this.e.else();
    miss();
    this.e.end();
  }

  /** The real address (before the byte-order XOR) of a pinned effective address for a load. */
  protected loadAddress(bytes: number, address: Node): Node {
    const { e } = this;
    const real = e.temporary('i32');
    const masked = this.let(this.pageOf(address, bytes, false));
    this.access(
      address,
      masked,
      false,
      (addend) => e.set(real, this.add(this.low32(address), addend)),
      () => this.#slowAddress(real, address, bytes),
    );
    return local('i32', real);
  }

  /** The runtime's answer to where a pinned effective address is loaded from, in a local. */
  #slowAddress(real: number, address: Node, bytes: number): void {
    const { e } = this;
    e.call(this.runtime.slowLoad, address, constant('i32', bytes));
    e.setFromStack(real);
    e.if(this.eqz(local('i32', real)), false);
    this.fault();
    e.end();
  }

  load(bytes: 1 | 2 | 4, address: Expr, options: { signed?: boolean; reversed?: boolean } = {}): Node {
    const reversed = bytes !== 1 && (options.reversed ?? false) !== this.#isTurned;
    if (this.word === 'i64' && !reversed) {
      const real = this.loadAddress(bytes, this.let(address));
      const op = WIDE_LOADS[bytes][options.signed ? 'signed' : 'unsigned'];
      return this.let(load('i64', op, this.#lane(real, bytes), 0));
    }
    const value = this.#load32(bytes, address, options);
    if (this.word === 'i32') return value;
    return this.let(options.signed ? this.extendSigned(value) : this.extendUnsigned(value));
  }

  #load32(bytes: 1 | 2 | 4, address: Expr, options: { signed?: boolean; reversed?: boolean }): Node {
    const real = this.loadAddress(bytes, this.let(address));
    const at = this.#lane(real, bytes);
    const reversed = (options.reversed ?? false) !== this.#isTurned;
    if (bytes === 4) {
      const value = this.let(load('i32', OP.i32Load, at, 0));
      return reversed ? this.let(this.swap32(value)) : value;
    }
    if (bytes === 1) return this.let(load('i32', options.signed ? OP.i32Load8S : OP.i32Load8U, at, 0));
    if (!reversed) return this.let(load('i32', options.signed ? OP.i32Load16S : OP.i32Load16U, at, 0));
    const pinned = this.let(load('i32', OP.i32Load16U, at, 0));
    const turned = this.or(this.shrUnsigned(pinned, 8), this.and(this.shl(pinned, 8), 0xff00));
    return this.let(options.signed ? this.signExtend16(turned) : turned);
  }

  /** Where an aligned item stands in storage that is kept in reversed units. */
  #lane(real: Node, bytes: number): Node {
    return this.xor(real, this.order & -bytes);
  }

  /** A doubleword between storage and a register: only words that are reversed by themselves stand in the wrong order. */
  #doubleword(value: Node, reversed = false): Node {
    const ordered = this.order === 3 ? this.rotl(value, constant('i64', 32)) : value;
    return reversed ? this.#swap64(this.let(ordered)) : ordered;
  }

  /** Byte-reverses a pinned i64: bytes in halfwords, halfwords in words, words. */
  #swap64(value: Node): Node {
    const BYTES = 0x00ff_00ff_00ff_00ffn;
    const HALFWORDS = 0x0000_ffff_0000_ffffn;
    const exchange = (v: Node, mask: bigint, n: number): Node =>
      this.let(this.or(this.shl(this.and(v, this.i64(mask)), n), this.and(this.shrUnsigned(v, n), this.i64(mask))));
    return this.rotl(exchange(exchange(value, BYTES, 8), HALFWORDS, 16), 32);
  }

  load64(address: Expr, options: { reversed?: boolean } = {}): Node {
    const real = this.loadAddress(8, this.let(address));
    return this.let(this.#doubleword(load('i64', OP.i64Load, real, 0), (options.reversed ?? false) !== this.#isTurned));
  }

  #store(bytes: 1 | 2 | 4 | 8, address: Expr, value: Node): void {
    const { e } = this;
    const ea = this.let(address);
    const pinned = this.let(value);
    const masked = this.let(this.pageOf(ea, bytes, true));
    const store = (addend: Node): void => {
      const at = this.#lane(this.add(this.low32(ea), addend), bytes);
      if (bytes === 4) e.store(OP.i32Store, at, 0, pinned);
      else if (bytes === 2) e.store(OP.i32Store16, at, 0, pinned);
      else if (bytes === 1) e.store(OP.i32Store8, at, 0, pinned);
      else e.store(OP.i64Store, at, 0, this.#doubleword(pinned));
    };
    this.access(ea, masked, true, store, () => this.#storeSlowly(bytes, ea, pinned));
  }

  #storeSlowly(bytes: number, ea: Node, pinned: Node): void {
    const wide = pinned.type === 'i64' ? pinned : this.extendUnsigned(pinned);
    this.e.call(this.runtime.slowStore, ea, constant('i32', bytes), wide);
    this.#leaveUnless();
  }

  /** Leaves when the runtime's answer on the stack is 0: there is an interrupt. */
  #leaveUnless(): void {
    this.e.code.u8(OP.i32Eqz);
    this.e.ifStack(false);
    this.fault();
    this.e.end();
  }

  store(bytes: 1 | 2 | 4, address: Expr, value: Expr, options: { reversed?: boolean } = {}): void {
    let stored = this.low32(value);
    if (bytes !== 1 && (options.reversed ?? false) !== this.#isTurned) {
      const pinned = this.let(stored);
      stored =
        bytes === 4 ? this.swap32(pinned) : this.or(this.and(this.shrUnsigned(pinned, 8), 0xff), this.shl(pinned, 8));
    }
    this.#store(bytes, address, stored);
  }

  store64(address: Expr, value: Expr, options: { reversed?: boolean } = {}): void {
    this.#store(
      8,
      address,
      (options.reversed ?? false) !== this.#isTurned ? this.#swap64(this.let(value)) : (value as Node),
    );
  }

  /** An address as 32-bit mode of a 64-bit processor makes it: what comes behind the last one is the first. */
  inMode(address: Node): Node {
    return this.computation === this.word ? address : this.extendUnsigned(this.wrap(address));
  }

  /** The address of a quadword's second doubleword. */
  #secondHalf(address: Node): Node {
    return this.inMode(this.add(address, 8));
  }

  /** A quadword between storage and a register, either way: bytes change places where they are kept in another order. */
  #quadwordInOrder(value: Node): Node {
    const places = this.order ^ (this.littleEndian ? 0 : 15);
    if (places === 0) return value;
    return this.shuffle(
      value,
      value,
      Array.from({ length: 16 }, (_, lane) => lane ^ places),
    );
  }

  load128(address: Expr): Node {
    const { e } = this;
    const ea = this.let(address);
    const result = e.temporary('v128');
    this.access(
      ea,
      this.let(this.pageOf(ea, 16, false)),
      false,
      (addend) => {
        const value = this.let(load('v128', OP.v128Load, this.add(this.low32(ea), addend), 0));
        e.set(result, this.#quadwordInOrder(value));
      },
      () => {
        const halves = [ea, this.let(this.#secondHalf(ea))].map((half) => {
          const real = e.temporary('i32');
          this.#slowAddress(real, half, 8);
          return this.let(this.#doubleword(load('i64', OP.i64Load, local('i32', real), 0), this.#isTurned));
        });
        const [left, right] = this.littleEndian ? halves.reverse() : halves;
        e.set(result, this.quadword(left as Node, right as Node));
      },
    );
    return local('v128', result);
  }

  store128(address: Expr, value: Expr): void {
    const ea = this.let(address);
    const pinned = this.let(value);
    this.access(
      ea,
      this.let(this.pageOf(ea, 16, true)),
      true,
      (addend) => {
        const real = this.add(this.low32(ea), addend);
        this.e.store(OP.v128Store, real, 0, this.#quadwordInOrder(pinned));
      },
      () => {
        const order = this.littleEndian ? ([0, 1] as const) : ([1, 0] as const);
        for (const [i, lane] of order.entries()) {
          const half = this.let(this.simdLane('i64x2.extract_lane', lane, pinned));
          const at = i === 0 ? ea : this.let(this.#secondHalf(ea));
          this.#storeSlowly(8, at, this.#isTurned ? this.let(this.#swap64(half)) : half);
        }
      },
    );
  }

  /** Byte-reverses a pinned i32. */
  protected swap32(value: Node): Node {
    return this.or(this.and(this.rotl(value, 8), 0x00ff00ff), this.and(this.rotl(value, 24), 0xff00ff00 | 0));
  }

  zeroBlock(address: Expr): void {
    const { e } = this;
    const ea = this.let(this.and(address, -this.blockBytes));
    const zero = (addend: Node): void => {
      const real = this.let(this.add(this.low32(ea), addend));
      for (let at = 0; at < this.blockBytes; at += 8) e.store(OP.i64Store, real, at, constant('i64', 0));
    };
    this.access(ea, this.let(this.and(ea, -4096)), true, zero, () => {
      e.call(this.runtime.slowZeroBlock, ea);
      this.#leaveUnless();
    });
  }
}
