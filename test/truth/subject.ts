/** Our side of the comparison: batches on the host processor itself, through the interpreter and through the translator. */

import { REGION_HANDLER } from '../../src/processor/backend/runtime.ts';
import type {
  Host440Cpu,
  HostCpuOptions,
  TranslationJob,
  TranslationPort,
  TranslationResult,
} from '../../src/processor/index.ts';
import {
  BOOKE_VECTOR,
  createHostCpu,
  ESR,
  FLOAT_AVAILABLE,
  FLOAT_INTERRUPTS,
  FPSCR,
  fprOffset,
  HostMemory,
  TLB44X,
  TranslationServer,
  VECTOR_HOST_TICK,
} from '../../src/processor/index.ts';
import {
  CODE_PAGES_TABLE,
  CR,
  CTR,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  GPR,
  LR,
  NO_RESERVATION,
  PC,
  PROFILE,
  PROFILE_ENTRIES,
  RAM_BASE,
  RESERVE_ADDRESS,
  USPRG0,
  VCPU_BLOCKS,
  XER_BYTE_COUNT,
  XER_CA,
  XER_OV,
  XER_SO,
} from '../../src/processor/layout.ts';
import type { Batch } from './batch.ts';
import { CODE, CODE_BYTES, DATA_PAGES, READ_ONLY_PAGE, STATE, WINDOW, WINDOW_BYTES } from './machine-state.ts';
import { ENDED, OUTCOME, type Outcomes } from './outcome.ts';

/** Real address of the code; the data pages are below. */
const REAL_CODE = RAM_BASE + 0x02000000;
const REAL_DATA = RAM_BASE + 0x01000000;
const MEMORY_BYTES = REAL_CODE + CODE_BYTES;
const real = (address: number): number => address - DATA_PAGES + REAL_DATA;
const REAL_WINDOW = real(WINDOW);

const SIZE_4K = 1 << TLB44X.SIZE_SHIFT;
const SIZE_1M = 5 << TLB44X.SIZE_SHIFT;
const { UX, UW, UR } = TLB44X;

/** What a block may take before it counts as endless. */
export const BUDGET = 20_000;

/** So many runs without a translation: there is none to come. */
const QUIET_RUNS = 1000;

/** Translates at once, but delivers only when told to: until then everything is interpreted. */
class HeldTranslation implements TranslationPort {
  readonly #server: TranslationServer;
  #result: TranslationResult | undefined;
  held = true;
  posted = false;

  constructor(memory: HostMemory) {
    this.#server = new TranslationServer(
      { memory: memory.wasm, order: memory.order, processor: '440', assist: false },
      new Map(),
    );
  }
  start(): void {}
  post(job: TranslationJob): void {
    this.posted = true;
    this.#result = this.#server.translate(job);
  }
  poll(): TranslationResult | undefined {
    if (this.held) return undefined;
    const result = this.#result;
    this.#result = undefined;
    return result;
  }
}

function endOf(vector: number, syndrome: number): number {
  switch (vector) {
    case BOOKE_VECTOR.program:
      if (syndrome === ESR.PTR) return ENDED.trap;
      if (syndrome === ESR.PIL) return ENDED.illegal;
      return syndrome === ESR.PPR ? ENDED.privileged : ENDED.other;
    case BOOKE_VECTOR.systemCall:
      return ENDED.systemCall;
    case BOOKE_VECTOR.alignment:
      return ENDED.alignment;
    case BOOKE_VECTOR.dataTlbError:
    case BOOKE_VECTOR.instructionTlbError:
      return ENDED.noTranslation;
    case BOOKE_VECTOR.dataStorage:
    case BOOKE_VECTOR.instructionStorage:
      return ENDED.protection;
    case VECTOR_HOST_TICK:
      return ENDED.budget;
    default:
      return ENDED.other;
  }
}

const STORAGE_ENDS: ReadonlySet<number> = new Set([ENDED.alignment, ENDED.noTranslation, ENDED.protection]);

/** What came of a batch. */
export interface Runs {
  readonly interpreted: Outcomes;
  readonly translated: Outcomes;
  /** Instructions that retired in each execution, interpreted and translated. */
  readonly retired: readonly [Int32Array, Int32Array];
}

/** A host processor with the address space of a batch. */
class Machine {
  readonly memory = HostMemory.create(MEMORY_BYTES, 3);
  readonly cpu: Host440Cpu;

  constructor(options: Pick<HostCpuOptions, 'hotThreshold'>, translation?: (memory: HostMemory) => TranslationPort) {
    this.cpu = createHostCpu({
      memory: this.memory,
      base: VCPU_BLOCKS,
      assist: null,
      timebase: () => 0x1_2345_6789,
      ...(translation && { translation: translation(this.memory) }),
      ...options,
    });
    let entry = 0;
    const map = (address: number, realAddress: number, size: number, access: number): void =>
      this.cpu.tlbWrite(entry++, address | TLB44X.VALID | size, realAddress, access, 0);
    for (let at = 0; at < CODE_BYTES; at += 0x100000) map(CODE + at, REAL_CODE + at, SIZE_1M, UX | UR);
    map(DATA_PAGES, REAL_DATA, SIZE_4K, UR | UW);
    map(DATA_PAGES + 0x1000, REAL_DATA + 0x1000, SIZE_4K, UR | UW);
    map(READ_ONLY_PAGE, real(READ_ONLY_PAGE), SIZE_4K, UR);
  }

  load(batch: Batch): void {
    const { memory } = this;
    memory.u32.set(batch.code, REAL_CODE >> 2);
    this.cpu.codeWritten(REAL_CODE, CODE_BYTES);
    memory.u32.set(batch.readOnly, real(READ_ONLY_PAGE) >> 2);
    this.clearStorage();
  }

  /** As a process of the oracle's begins: what lies around the window is zero until something is stored there. */
  clearStorage(): void {
    this.memory.u8.fill(0, REAL_DATA, REAL_DATA + 0x2000);
  }

  /** Runs one execution; answers how many instructions retired. */
  execute(batch: Batch, execution: number, outcomes: Outcomes): number {
    const { state, window } = batch.executions[execution] as Batch['executions'][number];
    const before = this.cpu.retired;
    this.#runOne(state, batch.windows[window] as Uint32Array, outcomes, execution * OUTCOME.words);
    return this.cpu.retired - before;
  }

  #runOne(state: Int32Array, window: Uint32Array, outcomes: Outcomes, at: number): void {
    const { i32, u32 } = this.memory;
    const block = VCPU_BLOCKS >> 2;
    for (let n = 0; n < 32; n++) i32[block + (GPR >> 2) + 2 * n] = state[n] as number;
    i32[block + (CTR >> 2)] = state[STATE.ctr] as number;
    i32[block + (LR >> 2)] = state[STATE.lr] as number;
    i32[block + (PC >> 2)] = state[STATE.pc] as number;
    const xer = state[STATE.xer] as number;
    i32[block + (XER_SO >> 2)] = xer >>> 31;
    i32[block + (XER_OV >> 2)] = (xer >>> 30) & 1;
    i32[block + (XER_CA >> 2)] = (xer >>> 29) & 1;
    i32[block + (XER_BYTE_COUNT >> 2)] = xer & 0x1fffffff;
    const cr = state[STATE.cr] as number;
    for (let field = 0; field < 8; field++) i32[block + (CR >> 2) + field] = (cr >>> (28 - 4 * field)) & 15;
    i32[block + (RESERVE_ADDRESS >> 2)] = NO_RESERVATION;
    i32[block + (USPRG0 >> 2)] = 0;
    // The oracle's process has its exceptions precise.
    i32[block + (FLOAT_AVAILABLE >> 2)] = 1;
    i32[block + (FLOAT_INTERRUPTS >> 2)] = 1;
    i32[block + (FPSCR >> 2)] = state[STATE.fpscr] as number;
    for (let n = 0; n < 32; n++)
      for (const half of [0, 1])
        i32[block + (fprOffset(n) >> 2) + 1 - half] = state[STATE.fpr + 2 * n + half] as number;
    for (let n = 0; n < WINDOW_BYTES / 4; n++) u32[(REAL_WINDOW >> 2) + n] = window[n] as number;

    const vector = this.cpu.run(BUDGET);

    const ended = endOf(vector, (i32[block + (EXIT_SYNDROME >> 2)] as number) & ~ESR.ST);
    outcomes[at + OUTCOME.ended] = ended;
    outcomes[at + OUTCOME.address] = STORAGE_ENDS.has(ended) ? (i32[block + (EXIT_ADDRESS >> 2)] as number) : 0;
    const to = at + OUTCOME.state;
    for (let n = 0; n < 32; n++) outcomes[to + n] = i32[block + (GPR >> 2) + 2 * n] as number;
    outcomes[to + STATE.ctr] = i32[block + (CTR >> 2)] as number;
    outcomes[to + STATE.lr] = i32[block + (LR >> 2)] as number;
    outcomes[to + STATE.pc] = i32[block + (PC >> 2)] as number;
    const flag = (offset: number): number => i32[block + (offset >> 2)] as number;
    outcomes[to + STATE.xer] =
      (flag(XER_SO) << 31) | (flag(XER_OV) << 30) | (flag(XER_CA) << 29) | flag(XER_BYTE_COUNT);
    let crWord = 0;
    for (let field = 0; field < 8; field++) crWord |= flag(CR + 4 * field) << (28 - 4 * field);
    outcomes[to + STATE.cr] = crWord;
    outcomes[to + STATE.fpscr] = flag(FPSCR);
    for (let n = 0; n < 32; n++)
      for (const half of [0, 1]) outcomes[to + STATE.fpr + 2 * n + half] = flag(fprOffset(n) + 4 - 4 * half);
    for (let n = 0; n < WINDOW_BYTES / 4; n++)
      outcomes[at + OUTCOME.window + n] = u32[(REAL_WINDOW >> 2) + n] as number;
  }
}

/** The host processor, once for each tier: one that never translates, and one that translates what it has run once. */
export class Subject {
  readonly #interpreter = new Machine({ hotThreshold: Number.POSITIVE_INFINITY });
  #port!: HeldTranslation;
  readonly #translator = new Machine({ hotThreshold: 1 }, (memory) => (this.#port = new HeldTranslation(memory)));
  /** Executions that began in translated code. */
  inRegions = 0;

  /** Runs all executions of a batch, interpreted and translated. */
  run(batch: Batch): Runs {
    const count = batch.executions.length;
    const interpreted = new Int32Array(count * OUTCOME.words);
    const translated = new Int32Array(count * OUTCOME.words);
    const retired = [new Int32Array(count), new Int32Array(count)] as const;
    this.#interpreter.load(batch);
    for (let i = 0; i < count; i++) retired[0][i] = this.#interpreter.execute(batch, i, interpreted);
    this.#translator.load(batch);
    this.#warmUp(batch, translated);
    this.#translator.clearStorage();
    for (let i = 0; i < count; i++) {
      if (this.#isTranslated(batch.executions[i]?.state[STATE.pc] as number)) this.inRegions++;
      retired[1][i] = this.#translator.execute(batch, i, translated);
    }
    return { interpreted, translated, retired };
  }

  /**
   * Runs each case once, so that it is translated as far as it was run. What is reached only later is interpreted, gets
   * hot, and is translated while the batch runs.
   */
  #warmUp(batch: Batch, outcomes: Outcomes): void {
    this.#port.held = true;
    let cleared = Number.NEGATIVE_INFINITY;
    let last = -1;
    for (const [i, { state, subject }] of batch.executions.entries()) {
      if (subject === last) continue;
      last = subject;
      const pc = state[STATE.pc] as number;
      // The first interpretation makes a block hot: no two of them may share a counter.
      if (pc - cleared > 0x8000) {
        this.#clearProfile();
        cleared = pc;
      }
      this.#translator.execute(batch, i, outcomes);
    }
    this.#clearProfile();
    this.#translate();
  }

  #clearProfile(): void {
    const from = VCPU_BLOCKS + PROFILE;
    this.#translator.memory.u8.fill(0, from, from + PROFILE_ENTRIES * 2);
  }

  /** Has everything translated that was found hot. */
  #translate(): void {
    const { memory, cpu } = this.#translator;
    this.#port.held = false;
    // The processor looks after its translations once in so many runs.
    for (let quiet = 0; quiet < QUIET_RUNS; quiet++) {
      this.#port.posted = false;
      memory.i32[(VCPU_BLOCKS + PC) >> 2] = CODE;
      cpu.run(0);
      if (this.#port.posted) quiet = 0;
    }
  }

  #isTranslated(pc: number): boolean {
    const { u32 } = this.#translator.memory;
    const at = pc - CODE + REAL_CODE;
    const records = u32[(CODE_PAGES_TABLE + (at >>> 12) * 4) >> 2] as number;
    const record = u32[(records + (at & 0xffc) * 2) >> 2] as number;
    return records !== 0 && (record & 0xffff) === REGION_HANDLER;
  }
}
