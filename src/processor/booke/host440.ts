import { coreName, generateCore, generateSteppingCore, madeCore } from '../core.ts';
import { HostStack, type StackProbe } from '../host-stack.ts';
import type { CoreImages, HostCpuOptions } from '../interface.ts';
import { CodeCache } from '../interpreter/code-cache.ts';
import { HandlerTable } from '../interpreter/handlers.ts';
import { MODE, NO_RESERVATION, RESERVE_ADDRESS, TLB_SEARCH_ENTRIES, TRANSLATION_MODES } from '../layout.ts';
import { LEVELS_440 } from '../levels.ts';
import type { HostMemory } from '../memory.ts';
import { MODEL_440 } from '../model.ts';
import { DEFAULT_TRANSLATION_MEMORY, HOT_THRESHOLD, RegionManager } from '../region/manager.ts';
import { Translator } from '../region/translate.ts';
import { RunLoop } from '../run-loop.ts';
import { type Watch, WatchUnit } from '../watch.ts';
import type { Host440Cpu } from './interface.ts';
import { RUNTIME_440 } from './refill440.ts';
import { Tlb } from './soft-tlb.ts';

/** The mode of records that are stepped over. */
const STEP_MODE = TRANSLATION_MODES;

/** A 440 in software: interpreter, translator, TLB. */
export class Host440 implements Host440Cpu {
  readonly memory: HostMemory;
  readonly base: number;
  readonly tlbEntries = TLB_SEARCH_ENTRIES;
  readonly #tlb: Tlb;
  readonly #cache: CodeCache;
  readonly #handlers: HandlerTable;
  readonly #imports: WebAssembly.ModuleImports;
  readonly #cores: CoreImages | undefined;
  readonly #run: () => number;
  /** The stepping interpreter, made when it is first needed. */
  #step: (() => number) | null = null;
  readonly #loop: RunLoop;
  readonly #watch: WatchUnit;

  constructor(options: HostCpuOptions) {
    const { memory, base } = options;
    this.memory = memory;
    this.base = base;
    this.#loop = new RunLoop(memory, base, options.timebaseStep);
    this.#watch = new WatchUnit(memory, base);
    this.#tlb = new Tlb(memory, base);
    memory.i32[(base + RESERVE_ADDRESS) >> 2] = NO_RESERVATION;

    const model = { ...MODEL_440, isExact: options.isExact ?? false };
    const { hotThreshold = HOT_THRESHOLD, vectorCode } = options;
    const name = coreName('440', memory.order, 'usual', options.assist !== null);
    const cores = hotThreshold === HOT_THRESHOLD ? options.cores : undefined;
    const kept = cores?.find(name);
    const handlers = new HandlerTable(LEVELS_440, options.assist, kept?.handlers);
    const { bytes, packings } =
      kept ?? madeCore(cores, name, generateCore(RUNTIME_440, handlers, vectorCode, hotThreshold));
    this.#cache = new CodeCache(memory, handlers, packings, (page) => this.#tlb.protectPage(page), base);
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
    const mode = (base + MODE) >> 2;
    const vcpu = new WebAssembly.Global({ value: 'i32', mutable: false }, base);
    const calls = this.#loop.calls(() => this.#cache, this.#watch, mode, false);
    this.#handlers = handlers;
    this.#cores = cores;
    this.#imports = {
      memory: memory.wasm,
      table,
      vcpu,
      timebase: options.timebase,
      ...calls,
    };
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), { e: this.#imports });
    this.#loop.regions = new RegionManager(
      memory,
      this.#cache,
      options.translation,
      () => new Translator(memory, handlers, options.assist, model),
      { table, vcpu, core: instance.exports, own: { tick: calls.tick } },
      {
        base,
        model,
        hotThreshold,
        kind: options.assist ? '440 assist' : '440',
        past: options.profile,
        limit: options.translationMemory ?? DEFAULT_TRANSLATION_MEMORY,
      },
    );
    this.#loop.stack = new HostStack(memory, base, instance.exports['stackProbe'] as StackProbe);
    this.#run = instance.exports.run as () => number;
  }

  run(budget: number): number {
    return this.#loop.run(this.#run, budget);
  }

  step(budget: number): number {
    this.#step ??= this.#steppingRun();
    this.#watch.stepping = true;
    const vector = this.#loop.step(this.#step, STEP_MODE, budget);
    this.#watch.stepping = false;
    return vector;
  }

  #steppingRun(): () => number {
    const name = coreName('440', this.memory.order, 'step', false);
    const { bytes } =
      this.#cores?.find(name) ?? madeCore(this.#cores, name, generateSteppingCore(RUNTIME_440, this.#handlers));
    const module = new WebAssembly.Module(bytes as BufferSource);
    return new WebAssembly.Instance(module, { e: this.#imports }).exports['run'] as () => number;
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

  setContext(space: 0 | 1, pid: number, mode: 0 | 1): void {
    this.#tlb.setContext(space, pid, mode);
  }

  setContexts(pid: number, modes: readonly [number, number]): void {
    this.#tlb.prepareContext(0, pid, modes[0]);
    this.#tlb.prepareContext(1, pid, modes[1]);
  }

  tlbWrite(index: number, word0: number, word1: number, word2: number, tid: number): void {
    this.#tlb.write(index, word0, word1, word2, tid);
  }

  tlbInvalidate(index: number): void {
    this.#tlb.invalidate(index);
  }

  tlbInvalidateAll(): void {
    this.#tlb.invalidateAll();
  }

  codeWritten(address: number, length: number): void {
    this.#cache.written(address, length);
  }

  get stats(): Record<string, number> {
    return this.#loop.stats(this.#cache, this.#tlb);
  }
}
