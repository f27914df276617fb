/** Random blocks of code of a 64-bit processor, through both of its tiers. */
import type { Instruction } from '../../../src/isa/index.ts';
import {
  BUDGET as BUDGET_WORD,
  CR,
  CTR,
  createServerCpu,
  DECIMAL_ROUNDING,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  FLOAT_AVAILABLE,
  FLOAT_INTERRUPTS,
  FPSCR,
  GPR,
  HostMemory,
  HPTE,
  LR,
  PC,
  PROFILE,
  PROFILE_ENTRIES,
  RAM_BASE,
  type ServerCpu,
  SLB_VSID,
  type TranslationJob,
  type TranslationPort,
  type TranslationResult,
  TranslationServer,
  USPRG0,
  VCPU_BLOCKS,
  VECTOR_AVAILABLE,
  VSCR,
  VSR,
  VSX_AVAILABLE,
  vsrHalfOffset,
  WIDE_RESERVE_ADDRESS,
  XER_BYTE_COUNT,
  XER_CA,
  XER_OV,
  XER_SO,
} from '../../../src/processor/index.ts';
import { LEVELS_POWER8 } from '../../../src/processor/levels.ts';
import { enterPage } from '../../processor/server-pages.ts';
import { BlockWriter, choicesOf } from '../blocks.ts';
import { CODE, DATA_PAGES, READ_ONLY_PAGE, WINDOW, WINDOW_BYTES } from '../machine-state.ts';
import type { Random } from '../random.ts';
import { formsOf } from '../single.ts';
import { interestingDoubleword, randomState, STATE, type State, vsrPlace } from './state.ts';

const PAGES = 256;
const CODE_BYTES = PAGES * 4096;
const REAL_DATA = RAM_BASE + 0x100000;
const REAL_CODE = RAM_BASE + 0x200000;
const MEMORY_BYTES = REAL_CODE + CODE_BYTES;
const VSID = 0x4321_0007;
const TRAP = 0x7fe00008;
/** What a block may take before it counts as endless. */
const BUDGET = 20_000;
/** So many runs without a translation: there is none to come. */
const QUIET_RUNS = 300;

const isStorage = ({ mnemonic, fields }: Instruction): boolean =>
  /^(dcb[fsz]|dcbst)/.test(mnemonic) || (/^(l|st)/.test(mnemonic) && (fields.includes('RA0') || fields.includes('RA')));

const CHOICES = choicesOf(formsOf(LEVELS_POWER8), isStorage);

export interface BlockExecution {
  readonly state: State;
  readonly window: BigUint64Array;
  readonly words: readonly number[];
}

/** Code of some blocks, and executions of them. */
export class Blocks {
  readonly code = new Uint32Array(CODE_BYTES / 4);
  readonly executions: BlockExecution[] = [];
  #used = 0;

  /** Adds a block; false when there is no more room. */
  add(random: Random, executions: number): boolean {
    const writer = new BlockWriter(random, CHOICES, false);
    writer.write();
    if ((this.#used + writer.length + 2) * 4 > CODE_BYTES) return false;
    const address = CODE + this.#used * 4;
    const words = writer.words(address);
    this.code.set(
      words.map((word) => word >>> 0),
      this.#used,
    );
    this.code[this.#used + words.length] = TRAP;
    this.#used += words.length + 2;
    for (let i = 0; i < executions; i++) {
      const state = randomState(random, address);
      const set = (n: number, value: number): void => {
        state[n] = BigInt.asUintN(64, BigInt(value));
      };
      writer.aim(random, {
        setGpr: set,
        setCtr: (value) => set(STATE.ctr, value),
        setLr: (value) => set(STATE.lr, value),
      });
      const window = BigUint64Array.from({ length: WINDOW_BYTES / 8 }, () => interestingDoubleword(random));
      this.executions.push({ state, window, words });
    }
    return true;
  }
}

/** Translates at once, but delivers only when told to: until then everything is interpreted. */
class HeldTranslation implements TranslationPort {
  readonly #server: TranslationServer;
  #result: TranslationResult | undefined;
  held = true;
  posted = false;

  constructor({ wasm, order }: HostMemory) {
    this.#server = new TranslationServer({ memory: wasm, order, processor: 'power8', assist: false }, null);
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

/** All that can be seen of an execution, one line each. */
export type Outcome = readonly string[];

/** A processor with the address space of blocks. */
export class BlockMachine {
  readonly memory: HostMemory;
  readonly #cpu: ServerCpu;
  readonly #port: HeldTranslation;
  readonly #u64: BigUint64Array;

  constructor(order: 0 | 7, hotThreshold: number) {
    this.memory = HostMemory.create(MEMORY_BYTES, order);
    this.#u64 = new BigUint64Array(this.memory.wasm.buffer);
    this.#port = new HeldTranslation(this.memory);
    this.#cpu = createServerCpu({
      model: 'power8',
      memory: this.memory,
      base: VCPU_BLOCKS,
      assist: null,
      timebase: () => 0x1_2345_6789,
      translation: this.#port,
      hotThreshold,
    });
    this.#cpu.configureContext(0, { assist: false, sixtyFour: true, littleEndian: order === 0 });
    this.#cpu.slbWrite(0, 0, 0, VSID, SLB_VSID.KS);
    const enter = (address: number, real: number, flags: number): number =>
      enterPage(this.#cpu, { vsid: VSID, address: BigInt(address), real, flags });
    for (let page = 0; page < PAGES; page++) enter(CODE + page * 4096, REAL_CODE + page * 4096, HPTE.PP_READ_ONLY);
    // The two data pages do not follow each other in memory.
    for (const [page, flags] of [
      [DATA_PAGES, HPTE.PP_READ_WRITE],
      [DATA_PAGES + 0x1000, HPTE.PP_READ_WRITE],
      [READ_ONLY_PAGE, HPTE.PP_READ_ONLY],
    ] as const)
      enter(page, REAL_DATA + 3 * (page - DATA_PAGES), flags);
  }

  #real(address: number): number {
    const page = address - (address % 4096);
    return REAL_DATA + 3 * (page - DATA_PAGES) + (address % 4096);
  }

  load(blocks: Blocks): void {
    for (const [i, word] of blocks.code.entries()) this.memory.write32(REAL_CODE + 4 * i, word);
    this.#cpu.codeWritten(REAL_CODE, CODE_BYTES);
  }

  get regionEntries(): number {
    return this.#cpu.stats['region_entries'] as number;
  }

  /** Runs an execution; answers everything that can be seen of it. */
  execute({ state, window }: BlockExecution): Outcome {
    const { i32 } = this.memory;
    const u64 = this.#u64;
    const word = (offset: number): number => (VCPU_BLOCKS + offset) >> 2;
    const doubleword = (offset: number): number => (VCPU_BLOCKS + offset) >> 3;
    for (let n = 0; n < 32; n++) u64[doubleword(GPR) + n] = state[n] as bigint;
    u64[doubleword(CTR)] = state[STATE.ctr] as bigint;
    u64[doubleword(LR)] = state[STATE.lr] as bigint;
    u64[doubleword(PC)] = state[STATE.pc] as bigint;
    const xer = Number(state[STATE.xer]);
    const flags = [XER_SO, XER_OV, XER_CA];
    for (const [i, offset] of flags.entries()) i32[word(offset)] = (xer >>> (31 - i)) & 1;
    i32[word(XER_BYTE_COUNT)] = xer & 0x1fffffff;
    const cr = Number(state[STATE.cr]);
    for (let field = 0; field < 8; field++) i32[word(CR) + field] = (cr >>> (28 - 4 * field)) & 15;
    u64[doubleword(WIDE_RESERVE_ADDRESS)] = 1n;
    u64[doubleword(EXIT_ADDRESS)] = 0n;
    i32[word(EXIT_SYNDROME)] = 0;
    i32[word(USPRG0)] = 0;
    for (let n = 0; n < 128; n++)
      u64[doubleword(vsrHalfOffset(n >> 1, (n & 1) as 0 | 1))] = state[vsrPlace(n >> 1, (n & 1) as 0 | 1)] as bigint;
    i32[word(VSCR)] = Number(state[STATE.vscr]);
    // Exceptions enabled in some executions only: they end the block.
    i32[word(DECIMAL_ROUNDING)] = 0;
    i32[word(FPSCR)] = Number(state[STATE.fpscr]) & (Number(state[0]) & 1 ? -1 : ~0xf8);
    for (const name of [FLOAT_AVAILABLE, FLOAT_INTERRUPTS, VECTOR_AVAILABLE, VSX_AVAILABLE]) i32[word(name)] = 1;
    for (const [n, value] of window.entries()) this.memory.write64(this.#real(WINDOW + 8 * n), value);

    const before = this.#cpu.retired;
    const vector = this.#cpu.run(BUDGET);

    const lines = [`vector ${vector.toString(16)}`, `retired ${this.#cpu.retired - before}`];
    if (vector < 0) return ['endless'];
    const show = (name: string, value: bigint | number): number => lines.push(`${name} ${value.toString(16)}`);
    show('address', u64[doubleword(EXIT_ADDRESS)] as bigint);
    show('syndrome', i32[word(EXIT_SYNDROME)] as number);
    for (let n = 0; n < 32; n++) show(`r${n}`, u64[doubleword(GPR) + n] as bigint);
    for (const [name, offset] of [
      ['ctr', CTR],
      ['lr', LR],
      ['pc', PC],
    ] as const)
      show(name, u64[doubleword(offset)] as bigint);
    for (const offset of [...flags, XER_BYTE_COUNT, FPSCR, DECIMAL_ROUNDING, VSCR])
      show(`word ${offset}`, i32[word(offset)] as number);
    for (let field = 0; field < 8; field++) show(`cr${field}`, i32[word(CR) + field] as number);
    for (let n = 0; n < 128; n++) show(`vsr${n >> 1}.${n & 1}`, u64[doubleword(VSR) + n] as bigint);
    for (let n = 0; n < WINDOW_BYTES / 8; n++) show(`storage ${n}`, this.memory.read64(this.#real(WINDOW + 8 * n)));
    return lines;
  }

  /** Has everything translated that the executions find hot. */
  warmUp(executions: readonly BlockExecution[]): void {
    this.#port.held = true;
    let last: readonly number[] | undefined;
    let cleared = 0;
    for (const execution of executions) {
      if (execution.words === last) continue;
      last = execution.words;
      // The first interpretation makes a block hot: no two of them may share a counter.
      const pc = Number(execution.state[STATE.pc]);
      if (pc - cleared > 0x8000) {
        this.#clearProfile();
        cleared = pc;
      }
      this.execute(execution);
    }
    this.#clearProfile();
    this.#port.held = false;
    for (let quiet = 0; quiet < QUIET_RUNS; quiet++) {
      this.#port.posted = false;
      this.memory.i32[(VCPU_BLOCKS + BUDGET_WORD) >> 2] = 0;
      this.#cpu.run(0);
      if (this.#port.posted) quiet = 0;
    }
  }

  #clearProfile(): void {
    const from = VCPU_BLOCKS + PROFILE;
    this.memory.u8.fill(0, from, from + PROFILE_ENTRIES * 2);
  }
}
