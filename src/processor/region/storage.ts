import type { Expr } from '../../isa/semantics.ts';
import type { Translation } from '../backend/storage.ts';
import { gprOffset, ZERO_REGISTER } from '../layout.ts';
import type { ProcessorModel } from '../model.ts';
import type { Emitter } from '../wasm/emitter.ts';
import { constant, isConstant, local, NODE, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import type { Block, Decoded } from './blocks.ts';
import { endsWithCall } from './condition.ts';
import { blocksInLoops } from './graph.ts';
import type { RegionRuntime } from './runtime.ts';
import { RegionState } from './state.ts';

/** No page has this tag. */
const NO_PAGE = -1;

/** Key of what is known of a page: through which register, and whether it may be written. */
const keyOf = (state: number, write: boolean): number => state * 2 + Number(write);

/** Storage access in a region: translations are kept by the register that addresses are made from. */
export abstract class RegionStorage extends RegionState {
  /** State that the address in a temporary was made from. */
  readonly #baseOf = new Map<number, number>();
  /** Pages known where code is being emitted. */
  protected pages = new Map<number, Translation>();
  /** Blocks in loops without calls, and the pages that accesses in them go through. */
  protected readonly inLoop: ReadonlySet<number>;
  readonly #loopPages = new Set<number>();
  readonly #pageLocals = new Map<number, Translation>();

  protected constructor(
    e: Emitter,
    runtime: RegionRuntime,
    locals: { readonly block: number; readonly tlb: number },
    blocks: readonly Block[],
    model: ProcessorModel,
  ) {
    super(e, runtime, locals, blocks, model);
    this.inLoop = blocksInLoops(blocks, endsWithCall);
    for (const index of this.inLoop) for (const decoded of (blocks[index] as Block).code) this.#noteLoopPage(decoded);
  }

  #noteLoopPage({ instruction: { access }, operands }: Decoded): void {
    if (!access) return;
    const base = (access.update ? operands.RA : operands.RA0) as number;
    if (base !== ZERO_REGISTER && !access.indexed) this.#loopPages.add(keyOf(gprOffset(base), access.kind === 'store'));
  }

  /** What was known of pages is no longer true: the start of a region, the return from a call. */
  protected forgetPages(): void {
    this.pages.clear();
    for (const key of this.#loopPages)
      this.e.set(this.#pageLocal(key).tag.value as number, constant(this.word, NO_PAGE));
  }

  protected override conditionally(body: () => void): void {
    const pages = new Map(this.pages);
    super.conditionally(body);
    this.pages = pages;
  }

  /**
   * The page of another access may be the one behind: an access that reaches into it must not pass for one that lies in
   * it. So accesses have to be aligned, wherever a page is looked for that was found for another address.
   */
  protected override pageOf(address: Node, bytes: number, write: boolean): Node {
    if (!this.#baseOf.has(address.value as number)) return super.pageOf(address, bytes, write);
    return this.and(address, -4096 | (bytes - 1));
  }

  /**
   * Accesses through one base register mostly stay in one page: a frame, a structure, an array for a while. What was
   * found for one stays true until a call, so it is kept in locals, a tag and an addend for each register.
   * In loops without calls every access compares with what its register's last one found, and looks again when it is
   * another page (`access`). Elsewhere the first access looks the page up, and those that follow in the block and in the blocks
   * that only it leads to compare with it; there another page costs a call of the runtime.
   */
  protected override translate(address: Node, write: boolean, masked: Node): Translation {
    const base = this.#baseOf.get(address.value as number);
    if (base === undefined) return super.translate(address, write, masked);
    const key = keyOf(base, write);
    // A page that may be written may be read.
    const known = this.pages.get(keyOf(base, true)) ?? (write ? undefined : this.pages.get(keyOf(base, false)));
    if (known) return known;
    const page = this.#pageLocal(key);
    this.#lookUp(page, address, write, masked);
    this.pages.set(key, page);
    return page;
  }

  protected override access(
    address: Node,
    masked: Node,
    write: boolean,
    hit: (addend: Node) => void,
    miss: () => void,
  ): void {
    const { e } = this;
    const base = this.#baseOf.get(address.value as number);
    const key = base === undefined ? -1 : keyOf(base, write);
    if (!this.#loopPages.has(key) || !this.inLoop.has(this.blockIndex)) {
      super.access(address, masked, write, hit, miss);
      return;
    }
    const page = this.#pageLocal(key);
    e.if(this.eq(masked, page.tag), true);
    hit(page.addend);
    e.else();
    this.#lookUp(page, address, write, masked);
    e.if(this.eq(masked, page.tag), true);
    hit(page.addend);
    e.else();
    miss();
    e.end();
    e.end();
  }

  /** Emits the look-up of a page into its locals. */
  #lookUp(page: Translation, address: Node, write: boolean, masked: Node): void {
    const found = super.translate(address, write, masked);
    this.e.set(page.tag.value as number, found.tag);
    this.e.set(page.addend.value as number, found.addend);
  }

  #pageLocal(key: number): Translation {
    let page = this.#pageLocals.get(key);
    if (!page) {
      page = {
        tag: local(this.word, this.e.newLocal(this.word)),
        addend: local('i32', this.e.newLocal('i32')),
      };
      this.#pageLocals.set(key, page);
    }
    return page;
  }

  /** Notes which register an address was made from: only a hint for `translate`. */
  override let(value: Expr): Node {
    const node = value as Node;
    const sum = node.kind === NODE.binary && (node.op === OP.i32Add || node.op === OP.i64Add);
    const base = sum && isConstant(node.b as Node) ? node.a : node;
    const pinned = super.let(value);
    if (pinned === node || pinned.kind !== NODE.local) return pinned;
    const index = base?.kind === NODE.local ? (base.value as number) : -1;
    const state = this.stateOfLocal(index) ?? this.#baseOf.get(index);
    if (state === undefined) this.#baseOf.delete(pinned.value as number);
    else this.#baseOf.set(pinned.value as number, state);
    return pinned;
  }
}
