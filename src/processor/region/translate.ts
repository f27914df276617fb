/** From entries in code pages to a WebAssembly module of regions: a pure function, so that it can run on any thread. */

import { SIGNATURES } from '../backend/runtime.ts';
import type { AssistTable, RegionRequest, TranslatedRegion, TranslationJob } from '../interface.ts';
import { type HandlerTable, meaningOf } from '../interpreter/handlers.ts';
import { LINK_CELL_BYTES, LINK_CELLS, MAX_LINK_CELLS, PROFILE_ENTRIES, TRANSLATION_MODES } from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { ProcessorModel } from '../model.ts';
import { encodeModule, type WasmFunction } from '../wasm/module.ts';
import { type Block, findBlocks, type PageSource, RegionDecoder, type RegionLimits } from './blocks.ts';
import { emitRegion, RegionTooLong } from './builder.ts';
import { ModuleRuntime } from './runtime.ts';

export interface TranslatedBatch {
  /** The module, null when it would hold nothing. */
  readonly bytes: Uint8Array | null;
  readonly regions: readonly TranslatedRegion[];
  /** Entries that were left out because another region has them inside; they may ask again. */
  readonly covered: readonly RegionRequest[];
  /** Entries that it did not come to. */
  readonly rest: readonly RegionRequest[];
}

/** What the translator remembers of a page, as long as the page's code stays the same. */
class PageCoverage {
  readonly version: number;
  /** Offsets of the blocks of each region, by the region's. */
  readonly #regions = new Map<number, readonly number[]>();
  /** How many regions have the block at an offset inside. */
  readonly #blocks = new Map<number, number>();
  /** Offsets where regions that are too large to be held twice begin. */
  readonly large = new Set<number>();
  /** Offsets that were left out once. */
  readonly #declined = new Set<number>();

  constructor(version: number) {
    this.version = version;
  }

  /**
   * Whether an entry needs no region yet. All blocks of a function turn hot at about the same time; the first one's
   * region holds the others. One that is still entered from elsewhere turns hot again, and then has a region.
   */
  declines(offset: number): boolean {
    if (!this.#blocks.has(offset) || this.#declined.has(offset)) return false;
    this.#declined.add(offset);
    return true;
  }

  add(offset: number, blocks: readonly number[]): void {
    this.forget(offset);
    this.#regions.set(offset, blocks);
    for (const block of blocks) this.#blocks.set(block, (this.#blocks.get(block) ?? 0) + 1);
  }

  /** The region of an entry was thrown away. */
  forget(offset: number): void {
    for (const block of this.#regions.get(offset) ?? []) {
      const count = this.#blocks.get(block) as number;
      if (count > 1) this.#blocks.set(block, count - 1);
      else this.#blocks.delete(block);
    }
    this.#regions.delete(offset);
    this.large.delete(offset);
    this.#declined.delete(offset);
  }
}

/** Regions of up to so many instructions are held by others too, rather than gone to. */
const SMALL_REGION = 40;

/** A region that was too long is made anew of this part of the instructions that had room. */
const SHORTER = 3 / 4;

const LIMITS: RegionLimits = { blocks: 40, instructions: 200, length: 1024 };

/**
 * Whether an offset is where a call returns to. It has a region because the callee once had none; the caller's holds it too,
 * and goes on there with its registers.
 */
function isReturn(source: PageSource, decoder: RegionDecoder, offset: number): boolean {
  const before = offset === 0 ? null : decoder.decode(source.word(offset - 4));
  return before?.instruction.ends === true && before.operands.LK === 1;
}

/** Translates batches of regions out of one host memory. */
export class Translator {
  readonly #memory: HostMemory;
  readonly #decoders: RegionDecoder[] = [];
  readonly #model: ProcessorModel;
  readonly #u16: Uint16Array;
  /** By the address of the page's records. */
  readonly #coverage = new Map<number, PageCoverage>();
  readonly #freeCells: number[] = [];

  constructor(memory: HostMemory, handlers: HandlerTable, assist: AssistTable | null, model: ProcessorModel) {
    this.#model = model;
    this.#memory = memory;
    this.#u16 = new Uint16Array(memory.wasm.buffer);
    for (let mode = 0; mode < TRANSLATION_MODES; mode++) {
      this.#decoders.push(
        new RegionDecoder(
          handlers,
          (instruction, word) => {
            const variants = handlers.variantsOf(instruction);
            const { values } = variants.valuesOf(variants.indexOf(word, false));
            return meaningOf(instruction, values, mode, assist, model.levels);
          },
          model,
        ),
      );
    }
  }

  /** Address of a cell for a call site, 0 when there are no more. */
  #newCell(): number {
    const free = this.#freeCells.pop();
    if (free !== undefined) return free;
    // Other threads take cells as well.
    const count = Atomics.add(this.#memory.i32, LINK_CELLS >> 2, 1) + 1;
    if (count < MAX_LINK_CELLS) return LINK_CELLS + count * LINK_CELL_BYTES;
    Atomics.sub(this.#memory.i32, LINK_CELLS >> 2, 1);
    return 0;
  }

  #coverageOf(records: number, version: number): PageCoverage {
    const known = this.#coverage.get(records);
    if (known?.version === version) return known;
    const fresh = new PageCoverage(version);
    this.#coverage.set(records, fresh);
    return fresh;
  }

  /** Translates entries into one module, which ends with the function that makes it as long as `limit`. */
  translate({ requests, released }: TranslationJob, limit = Number.POSITIVE_INFINITY): TranslatedBatch {
    for (const cell of released.cells) this.#freeCells.push(cell);
    for (const { records, offset } of released.entries) this.#coverage.get(records)?.forget(offset);
    const covered: RegionRequest[] = [];
    const functions: WasmFunction[] = [];
    const runtime = new ModuleRuntime(this.#model);
    const regions: TranslatedRegion[] = [];
    let done = 0;
    for (let length = 0; done < requests.length && length < limit; done++) {
      const request = requests[done] as RegionRequest;
      const page = request.real & ~4095;
      const { records } = request;
      const coverage = this.#coverageOf(records, request.version);
      // What was a region of its own before is one again.
      const remembered = request.blocks && new Set(request.blocks.map((word) => word * 4));
      if (!remembered && coverage.declines(request.real & 4095)) {
        covered.push(request);
        continue;
      }
      const source: PageSource = {
        word: (offset) => this.#memory.read32((page >>> 0) + offset) | 0,
        reached: remembered ? () => true : (offset) => this.#u16[(records + offset * 2) >> 1] !== 0,
        branchesTo: (offset) =>
          this.#u16[(request.profile >> 1) + (((records + offset * 2) >>> 3) & (PROFILE_ENTRIES - 1))] as number,
        hasRegion: (offset) => coverage.large.has(offset),
        ...(remembered && { remembered }),
      };
      const decoder = this.#decoders[request.mode] as RegionDecoder;
      const made = this.#emit(source, decoder, request.real & 4095, runtime);
      if (!made) continue;
      const { blocks, emitted, cells } = made;
      length += emitted.body.length;
      const instructions = blocks.reduce((n, block) => n + block.code.length, 0);
      const offset = request.real & 4095;
      coverage.add(
        offset,
        blocks.map(({ start }) => start),
      );
      if (instructions > SMALL_REGION && !isReturn(source, decoder, offset)) coverage.large.add(offset);
      const index = functions.length;
      const name = `region ${(request.real >>> 0).toString(16)}${request.mode ? ' kernel' : ''}`;
      functions.push({ ...emitted, exportName: `r${index}`, name });
      regions.push({
        request,
        index,
        instructions,
        blocks: blocks.map(({ start }) => start >> 2),
        cells,
      });
    }
    const pages = this.#memory.byteLength / 65536;
    const bytes =
      functions.length === 0
        ? null
        : encodeModule(runtime.imports(pages), functions, [SIGNATURES[this.#model.word].region]);
    return { bytes, regions, covered, rest: requests.slice(done) };
  }

  /** The region at an offset, with as many instructions as a function has room for. */
  #emit(
    source: PageSource,
    decoder: RegionDecoder,
    entry: number,
    runtime: ModuleRuntime,
  ): { blocks: readonly Block[]; emitted: WasmFunction; cells: readonly number[] } | null {
    for (let limits = LIMITS; ; ) {
      const blocks = findBlocks(source, decoder, entry, limits);
      if (!blocks) return null;
      const cells: number[] = [];
      const newCell = (): number => {
        const cell = this.#newCell();
        if (cell !== 0) cells.push(cell);
        return cell;
      };
      try {
        const emitted = emitRegion(blocks, runtime, newCell, this.#model);
        if (emitted) return { blocks, emitted, cells };
        this.#freeCells.push(...cells);
        return null;
      } catch (error) {
        this.#freeCells.push(...cells);
        if (!(error instanceof RegionTooLong) || limits.length === 1) throw error;
        limits = { ...limits, length: Math.max(1, Math.floor(error.instructions * SHORTER)) };
      }
    }
  }
}
