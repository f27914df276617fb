import type { FamilyRuntime } from '../backend/runtime-functions.ts';
import { coreName, generateCore, generateSteppingCore, madeCore } from '../core.ts';
import { HostStack, type StackProbe } from '../host-stack.ts';
import type { CoreImages, HostCpu, HostCpuOptions } from '../interface.ts';
import { CodeCache } from '../interpreter/code-cache.ts';
import { HandlerTable } from '../interpreter/handlers.ts';
import { MODE, NO_RESERVATION, RESERVE_ADDRESS, TRANSLATION_MODES } from '../layout.ts';
import { LEVELS_OF, type ProcessorName } from '../levels.ts';
import type { HostMemory } from '../memory.ts';
import { modelOf } from '../model.ts';
import { DEFAULT_TRANSLATION_MEMORY, HOT_THRESHOLD, RegionManager } from '../region/manager.ts';
import { Translator } from '../region/translate.ts';
import { RunLoop } from '../run-loop.ts';
import { type Watch, WatchUnit } from '../watch.ts';

/** The mode of records that are stepped over. */
const STEP_MODE = TRANSLATION_MODES;

/** What is asked of a TLB here. */
interface HostTlb {
  pageInvalidations: number;
  setFlushes: number;
  protectPage(hostPage: number): void;
  dropWatched(watch: Watch): void;
}

/** A 32-bit processor in software: interpreter, translator, and the TLB that makes the difference. */
export class BookeHost<Tlb extends HostTlb> implements HostCpu {
  readonly memory: HostMemory;
  readonly base: number;
  protected readonly tlb: Tlb;
  readonly #name: ProcessorName;
  readonly #runtime: FamilyRuntime;
  readonly #cache: CodeCache;
  readonly #handlers: HandlerTable;
  readonly #imports: WebAssembly.ModuleImports;
  readonly #cores: CoreImages | undefined;
  readonly #run: () => number;
  /** The stepping interpreter, made when it is first needed. */
  #step: (() => number) | null = null;
  readonly #loop: RunLoop;
  readonly #watch: WatchUnit;

  constructor(name: ProcessorName, runtime: FamilyRuntime, tlb: Tlb, options: HostCpuOptions) {
    const { memory, base } = options;
    this.memory = memory;
    this.base = base;
    this.tlb = tlb;
    this.#name = name;
    this.#runtime = runtime;
    this.#loop = new RunLoop(memory, base, options.timebaseStep);
    this.#watch = new WatchUnit(memory, base);
    memory.i32[(base + RESERVE_ADDRESS) >> 2] = NO_RESERVATION;

    const model = { ...modelOf(name, memory.order), isExact: options.isExact ?? false };
    const { hotThreshold = HOT_THRESHOLD, vectorCode } = options;
    const image = coreName(name, memory.order, 'usual', options.assist !== null);
    const cores = hotThreshold === HOT_THRESHOLD ? options.cores : undefined;
    const kept = cores?.find(image);
    const handlers = new HandlerTable(LEVELS_OF[name], options.assist, kept?.handlers);
    const { bytes, packings } =
      kept ?? madeCore(cores, image, generateCore(runtime, handlers, vectorCode, hotThreshold));
    this.#cache = new CodeCache(memory, handlers, packings, (page) => tlb.protectPage(page), base);
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
        kind: options.assist ? `${name} assist` : name,
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
    const name = coreName(this.#name, this.memory.order, 'step', false);
    const { bytes } =
      this.#cores?.find(name) ?? madeCore(this.#cores, name, generateSteppingCore(this.#runtime, this.#handlers));
    const module = new WebAssembly.Module(bytes as BufferSource);
    return new WebAssembly.Instance(module, { e: this.#imports }).exports['run'] as () => number;
  }

  setWatch(watch: Watch | null): void {
    this.#watch.set(watch);
    if (watch !== null) this.tlb.dropWatched(watch);
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

  codeWritten(address: number, length: number): void {
    this.#cache.written(address, length);
  }

  get stats(): Record<string, number> {
    return this.#loop.stats(this.#cache, this.tlb);
  }
}
