import type { FamilyRuntime } from '../backend/runtime-functions.ts';
import { coreName, generateCore, generateSteppingCore, madeCore, NEVER_HOT } from '../core.ts';
import { HostStack, type StackProbe } from '../host-stack.ts';
import type { CoreImage, CoreImages, HostCpuOptions } from '../interface.ts';
import { CodeCache, type DecodingMode } from '../interpreter/code-cache.ts';
import { HandlerTable } from '../interpreter/handlers.ts';
import { MODE } from '../layout.ts';
import { LEVELS_OF } from '../levels.ts';
import type { HostMemory } from '../memory.ts';
import { modelOf, type ProcessorModel } from '../model.ts';
import { DEFAULT_TRANSLATION_MEMORY, HOT_THRESHOLD, RegionManager } from '../region/manager.ts';
import { Translator } from '../region/translate.ts';
import { RunLoop } from '../run-loop.ts';
import { type Watch, WatchUnit } from '../watch.ts';
import type { ContextMode, ServerCpu } from './interface.ts';
import { FACILITIES, HOST_HTAB, HOST_HTAB_LOG2_GROUPS, WIDE_RESERVE_ADDRESS } from './layout.ts';
import { serverRuntime } from './refill.ts';
import { ServerTlb } from './tlb.ts';

export type ServerModelName = '970' | 'power7' | 'power8';

export interface ServerCpuOptions extends HostCpuOptions {
  readonly model: ServerModelName;
  /**
   * Binary logarithm of the groups of the host's hashed page table: from 11, hardware's smallest (what an entry says of its
   * page lacks the bits that such a hash tells), to HOST_HTAB_LOG2_GROUPS, the default.
   */
  readonly log2Groups?: number;
}

/**
 * Translation modes. The first two, in 64-bit mode and the byte order that storage is kept in, are translated; code in the
 * others is rare (RTAS, the first instructions of a kernel in the other byte order, 32-bit programs) and has an
 * interpreter each, made when it is first needed. Each mode also has an interpreter for single steps; it runs the records
 * of NARROW or TURNED, which are the same for all modes of one byte order but for what is translated or assisted.
 */
const NARROW = 2;
const TURNED = 3;
const NARROW_TURNED = 4;
const MODES: readonly DecodingMode[] = [
  { handlers: 0, isTurned: false },
  { handlers: 1, isTurned: false },
  { handlers: 0, isTurned: false },
  { handlers: 0, isTurned: true },
  { handlers: 0, isTurned: true },
];

/** A 970, POWER7 or POWER8 in software. */
export class HostServer implements ServerCpu {
  readonly memory: HostMemory;
  readonly base: number;
  readonly hashTable: { readonly address: number; readonly log2Groups: number };
  readonly #tlb: ServerTlb;
  readonly #cache: CodeCache;
  readonly #handlers: HandlerTable;
  readonly #model: ProcessorModel;
  readonly #options: ServerCpuOptions;
  readonly #imports: WebAssembly.ModuleImports;
  /** The interpreter of each mode; the first two share one. */
  readonly #runs: (() => number)[] = [];
  readonly #steps: (() => number)[] = [];
  readonly #mode: number;
  readonly #loop: RunLoop;
  readonly #watch: WatchUnit;

  constructor(options: ServerCpuOptions) {
    const { memory, base } = options;
    const { i32 } = memory;
    this.memory = memory;
    this.base = base;
    this.#options = options;
    this.#model = { ...modelOf(options.model, memory.order), isExact: options.isExact ?? false };
    this.hashTable = { address: HOST_HTAB, log2Groups: options.log2Groups ?? HOST_HTAB_LOG2_GROUPS };
    this.#loop = new RunLoop(memory, base, options.timebaseStep);
    this.#watch = new WatchUnit(memory, base);
    this.#mode = (base + MODE) >> 2;
    this.#tlb = new ServerTlb(memory, base);
    i32[(base + WIDE_RESERVE_ADDRESS) >> 2] = 1;
    i32[(base + FACILITIES) >> 2] = -1;

    const { name, cores } = this.#coreOf('usual', this.#model);
    const kept = cores?.find(name);
    this.#handlers = new HandlerTable(LEVELS_OF[options.model], options.assist, kept?.handlers);
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
    const vcpu = new WebAssembly.Global({ value: 'i32', mutable: false }, base);
    const calls = this.#loop.calls(() => this.#cache, this.#watch, this.#mode, true);
    this.#imports = {
      memory: memory.wasm,
      table,
      vcpu,
      timebase: options.timebase,
      ...calls,
    };
    const { hotThreshold = HOT_THRESHOLD } = options;
    const { instance, packings } = this.#instantiate('usual', this.#model, kept, (runtime) =>
      generateCore(runtime, this.#handlers, options.vectorCode, hotThreshold),
    );
    this.#cache = new CodeCache(memory, this.#handlers, packings, (page) => this.#tlb.protectPage(page), base, MODES);
    this.#loop.regions = new RegionManager(
      memory,
      this.#cache,
      options.translation,
      () => new Translator(memory, this.#handlers, options.assist, this.#model),
      { table, vcpu, core: instance.exports, own: { tick: calls.tick } },
      {
        base,
        model: this.#model,
        hotThreshold,
        kind: `${options.model} ${memory.order} ${options.assist ? 'assist' : ''}`,
        past: options.profile,
        limit: options.translationMemory ?? DEFAULT_TRANSLATION_MEMORY,
      },
    );
    this.#loop.stack = new HostStack(memory, base, instance.exports['stackProbe'] as StackProbe);
    const run = instance.exports['run'] as () => number;
    this.#runs.push(run, run);
  }

  /** Name of a mode's core, and where it would be kept. */
  #coreOf(mode: string, model: ProcessorModel): { name: string; cores: CoreImages | undefined } {
    const { assist, cores, model: processor, hotThreshold } = this.#options;
    const isUsual = this.hashTable.log2Groups === HOST_HTAB_LOG2_GROUPS && hotThreshold === undefined;
    const name = coreName(processor, model.order, mode, assist !== null);
    return { name, cores: isUsual ? cores : undefined };
  }

  #instantiate(
    mode: string,
    model: ProcessorModel,
    kept: CoreImage | undefined,
    generate: (runtime: FamilyRuntime) => CoreImage,
  ) {
    const { name, cores } = this.#coreOf(mode, model);
    const { bytes, packings } =
      kept ?? cores?.find(name) ?? madeCore(cores, name, generate(serverRuntime(model, this.hashTable.log2Groups)));
    const module = new WebAssembly.Module(bytes as BufferSource);
    return { instance: new WebAssembly.Instance(module, { e: this.#imports }), packings };
  }

  #modelOf(mode: number): ProcessorModel {
    return {
      ...this.#model,
      computation: mode === NARROW || mode === NARROW_TURNED ? 'i32' : 'i64',
      littleEndian: this.#model.littleEndian !== mode >= TURNED,
    };
  }

  /** The interpreter of a mode that is not translated. */
  #rareRun(mode: number): () => number {
    const { vectorCode } = this.#options;
    const model = this.#modelOf(mode);
    const { instance, packings } = this.#instantiate(`mode${mode}`, model, undefined, (runtime) =>
      generateCore(runtime, this.#handlers, vectorCode, NEVER_HOT),
    );
    this.#cache.setPackings(mode, packings);
    const run = instance.exports['run'] as () => number;
    this.#runs[mode] = run;
    return run;
  }

  /** The interpreter of a mode that stops behind each instruction. */
  #steppingRun(mode: number): () => number {
    const { instance, packings } = this.#instantiate(`step${mode}`, this.#modelOf(mode), undefined, (runtime) =>
      generateSteppingCore(runtime, this.#handlers),
    );
    const run = instance.exports['run'] as () => number;
    // It runs the records of the mode's other interpreter.
    if (mode >= NARROW) this.#cache.setPackings(mode, packings);
    this.#steps[mode] = run;
    return run;
  }

  run(budget: number): number {
    this.#tlb.refresh();
    const mode = this.memory.i32[this.#mode] as number;
    return this.#loop.run(this.#runs[mode] ?? this.#rareRun(mode), budget);
  }

  step(budget: number): number {
    this.#tlb.refresh();
    // Without assist meanings the first two modes are one.
    const mode = Math.max(1, this.memory.i32[this.#mode] as number);
    const run = this.#steps[mode] ?? this.#steppingRun(mode);
    this.#watch.stepping = true;
    const vector = this.#loop.step(run, mode >= TURNED ? TURNED : NARROW, budget);
    this.#watch.stepping = false;
    return vector;
  }

  setWatch(watch: Watch | null): void {
    this.#watch.set(watch);
    if (watch !== null) this.#tlb.dropWatched(watch);
  }

  get onTick(): () => number {
    return this.#loop.onTick;
  }

  set onTick(onTick: () => number) {
    this.#loop.onTick = onTick;
  }

  get retired(): number {
    return this.#loop.retired;
  }

  selectContext(context: number): void {
    this.#tlb.select(context);
  }

  configureContext(context: number, { assist, sixtyFour, littleEndian }: ContextMode): void {
    const isTurned = littleEndian !== this.#model.littleEndian;
    if (sixtyFour && !isTurned) this.#tlb.configure(context, assist ? 1 : 0);
    else this.#tlb.configure(context, isTurned ? (sixtyFour ? TURNED : NARROW_TURNED) : NARROW);
  }

  slbWrite(context: number, index: number, esid: number, vsid: number, flags: number): void {
    this.#tlb.write(context, index, esid, vsid, flags);
  }

  slbInvalidate(context: number, index: number): void {
    this.#tlb.invalidate(context, index);
  }

  slbInvalidateAll(context: number): void {
    this.#tlb.invalidateAll(context);
  }

  tlbInvalidate(vsid: number, page: number): void {
    this.#tlb.invalidatePage(vsid, page);
  }

  codeWritten(address: number, length: number): void {
    this.#cache.written(address, length);
  }

  get stats(): Record<string, number> {
    return this.#loop.stats(this.#cache, this.#tlb);
  }
}
