/** From entries in code pages to a WebAssembly module of regions: a pure function, so that it can run on any thread. */

import { SIGNATURES } from '../backend/runtime.ts';
import type { AssistTable, RegionRequest, TranslatedRegion } from '../interface.ts';
import { type HandlerTable, meaningOf } from '../interpreter/handlers.ts';
import type { VariantIndex } from '../interpreter/variants.ts';
import {
  CODE_PAGES_TABLE,
  CODE_PAGES_TABLE_BYTES,
  LINK_CELL_BYTES,
  LINK_CELLS,
  MAX_LINK_CELLS,
  PROFILE_ENTRIES,
  TRANSLATION_MODES,
} from '../layout.ts';
import type { HostMemory } from '../memory.ts';
import type { ProcessorModel } from '../model.ts';
import { encodeModule, type WasmFunction } from '../wasm/module.ts';
import { findBlocks, type PageSource, RegionDecoder, type RegionLimits } from './blocks.ts';
import { emitRegion } from './builder.ts';
import { ModuleRuntime } from './runtime.ts';

export interface TranslatedBatch {
  /** The module, null when it would hold nothing. */
  readonly bytes: Uint8Array | null;
  readonly regions: readonly TranslatedRegion[];
  /** Entries that were left out because another region has them inside; they may ask again. */
  readonly covered: readonly RegionRequest[];
}

/** What the translator remembers of a page, as long as the page's code stays the same. */
interface PageCoverage {
  readonly version: number;
  /** Offsets of blocks that stand inside a region. */
  readonly blocks: Set<number>;
  /** Offsets where regions that are too large to be held twice begin. */
  readonly large: Set<number>;
  /** Offsets that were left out once. */
  readonly declined: Set<number>;
}

/** Regions of up to so many instructions are held by others too, rather than gone to. */
const SMALL_REGION = 40;

const LIMITS: RegionLimits = { blocks: 40, instructions: 200 };

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

  constructor(memory: HostMemory, handlers: HandlerTable, assist: AssistTable | null, model: ProcessorModel) {
    this.#model = model;
    this.#memory = memory;
    this.#u16 = new Uint16Array(memory.wasm.buffer);
    for (let mode = 0; mode < TRANSLATION_MODES; mode++) {
      this.#decoders.push(
        new RegionDecoder(
          handlers,
          (instruction, word) => {
            const variants = handlers.variants[instruction.id] as VariantIndex;
            const { values } = variants.valuesOf(variants.indexOf(word, false));
            return meaningOf(instruction, values, mode, assist, model.levels);
          },
          model,
        ),
      );
    }
  }

  /**
   * Whether an entry needs no region yet. All blocks of a function turn hot at about the same time; the first one's
   * region holds the others. One that is still entered from elsewhere turns hot again, and then has a region.
   */
  #isCovered(coverage: PageCoverage, offset: number): boolean {
    if (!coverage.blocks.has(offset) || coverage.declined.has(offset)) return false;
    coverage.declined.add(offset);
    return true;
  }

  /** Address of a cell for a call site, 0 when there are no more. */
  #newCell(): number {
    const count = (this.#memory.u32[LINK_CELLS >> 2] as number) + 1;
    if (count === MAX_LINK_CELLS) return 0;
    this.#memory.u32[LINK_CELLS >> 2] = count;
    return LINK_CELLS + count * LINK_CELL_BYTES;
  }

  #coverageOf(records: number, version: number): PageCoverage {
    const known = this.#coverage.get(records);
    if (known?.version === version) return known;
    const fresh = { version, blocks: new Set<number>(), large: new Set<number>(), declined: new Set<number>() };
    this.#coverage.set(records, fresh);
    return fresh;
  }

  /** Translates entries into one module. */
  translate(requests: readonly RegionRequest[]): TranslatedBatch {
    const covered: RegionRequest[] = [];
    const functions: WasmFunction[] = [];
    const runtime = new ModuleRuntime(this.#model);
    const regions: TranslatedRegion[] = [];
    for (const request of requests) {
      const page = request.real & ~4095;
      const tables = CODE_PAGES_TABLE + request.mode * CODE_PAGES_TABLE_BYTES;
      const records = this.#memory.u32[(tables + (request.real >>> 12) * 4) >> 2] as number;
      if (!records) continue;
      const coverage = this.#coverageOf(records, request.version);
      if (this.#isCovered(coverage, request.real & 4095)) {
        covered.push(request);
        continue;
      }
      const source: PageSource = {
        word: (offset) => this.#memory.read32((page >>> 0) + offset) | 0,
        reached: (offset) => this.#u16[(records + offset * 2) >> 1] !== 0,
        branchesTo: (offset) =>
          this.#u16[(request.profile >> 1) + (((records + offset * 2) >>> 3) & (PROFILE_ENTRIES - 1))] as number,
        hasRegion: (offset) => coverage.large.has(offset),
      };
      const decoder = this.#decoders[request.mode] as RegionDecoder;
      const blocks = findBlocks(source, decoder, request.real & 4095, LIMITS);
      if (!blocks) continue;
      const emitted = emitRegion(blocks, runtime, () => this.#newCell(), this.#model);
      if (!emitted) continue;
      const instructions = blocks.reduce((n, block) => n + block.code.length, 0);
      for (const block of blocks) coverage.blocks.add(block.start);
      const offset = request.real & 4095;
      if (instructions > SMALL_REGION && !isReturn(source, decoder, offset)) coverage.large.add(offset);
      const index = functions.length;
      const name = `region ${(request.real >>> 0).toString(16)}${request.mode ? ' kernel' : ''}`;
      functions.push({ ...emitted, exportName: `r${index}`, name });
      regions.push({
        request,
        index,
        instructions,
      });
    }
    const pages = this.#memory.byteLength / 65536;
    const bytes =
      functions.length === 0
        ? null
        : encodeModule(runtime.imports(pages), functions, [SIGNATURES[this.#model.word].region]);
    return { bytes, regions, covered };
  }
}
