/** A server processor for tests of generated code: code as assembly, one segment, each test in both tiers and orders. */
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import {
  type AssistTable,
  createServerCpu,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  FLOAT_AVAILABLE,
  gprOffset,
  HostMemory,
  HPTE,
  PC,
  RAM_BASE,
  type ServerCpu,
  type ServerModelName,
  SLB_VSID,
  type TranslationPort,
  VCPU_BLOCKS,
} from '../../src/processor/index.ts';
import { enterPage } from './server-pages.ts';
import type { Tier } from './test-cpu.ts';

/** Effective addresses of the tests are in this segment; RAM's address 0 is mapped to its start where pages are entered. */
export const SEGMENT = 0xc000_0000_0000_0000n;
/** The virtual segment that it is. */
export const VSID = 0x12345_0001;
const RAM_BYTES = 0x40_0000;

export interface Ending {
  readonly vector: number;
  /** PC and address within the segment. */
  readonly pc: number;
  readonly address: number;
  readonly syndrome: number;
  readonly retired: number;
}

export interface TestServerOptions {
  readonly order?: 0 | 7;
  readonly assist?: AssistTable;
  readonly translation?: TranslationPort | readonly TranslationPort[];
  readonly model?: ServerModelName;
  readonly timebase?: () => number;
  readonly timebaseStep?: number;
}

export class TestServer {
  readonly memory: HostMemory;
  readonly cpu: ServerCpu;
  readonly tier: Tier;
  readonly #u64: BigUint64Array;

  constructor(tier: Tier, options: TestServerOptions = {}) {
    const { order = 7, assist, translation, model = 'power8', timebase = () => 0, timebaseStep = 0 } = options;
    this.tier = tier;
    this.memory = HostMemory.create(RAM_BASE + RAM_BYTES, order);
    this.#u64 = new BigUint64Array(this.memory.wasm.buffer);
    this.cpu = createServerCpu({
      model,
      memory: this.memory,
      base: VCPU_BLOCKS,
      assist: assist ?? null,
      timebase,
      timebaseStep,
      ...(translation && { translation }),
      hotThreshold: tier === 'interpreted' ? Number.POSITIVE_INFINITY : 1,
    });
    this.cpu.configureContext(0, { assist: assist !== undefined, sixtyFour: true, littleEndian: order === 0 });
    this.cpu.slbWrite(0, 0, Number(SEGMENT >> 28n), VSID, SLB_VSID.KS);
    this.setWord(FLOAT_AVAILABLE, 1);
  }

  /** Maps `pages` pages from an address in the segment to the same address in RAM, or another. */
  map(address: number, pages = 1, real = address, flags: number = HPTE.PP_READ_WRITE): void {
    for (let i = 0; i < pages; i++)
      enterPage(this.cpu, {
        vsid: VSID,
        address: SEGMENT + BigInt(address + i * 4096),
        real: RAM_BASE + real + i * 4096,
        flags,
      });
  }

  /** Assembles code for an address and puts it at the same place in RAM, as a loader would. Answers its length. */
  load(address: number, source: string): number {
    return this.place(address, assembleWords(source, address));
  }

  place(address: number, words: Uint32Array): number {
    for (const [i, word] of words.entries()) this.memory.write32(RAM_BASE + address + 4 * i, word);
    this.cpu.codeWritten(RAM_BASE + address, words.length * 4);
    return words.length * 4;
  }

  read32(address: number): number {
    return this.memory.read32(RAM_BASE + address);
  }
  write32(address: number, value: number): void {
    this.memory.write32(RAM_BASE + address, value);
  }
  read64(address: number): bigint {
    return this.memory.read64(RAM_BASE + address);
  }
  write64(address: number, value: bigint): void {
    this.memory.write64(RAM_BASE + address, value);
  }

  word(offset: number): number {
    return this.memory.u32[(this.cpu.base + offset) >> 2] as number;
  }
  setWord(offset: number, value: number): void {
    this.memory.u32[(this.cpu.base + offset) >> 2] = value;
  }
  doubleword(offset: number): bigint {
    return this.#u64[(this.cpu.base + offset) >> 3] as bigint;
  }
  setDoubleword(offset: number, value: bigint): void {
    this.#u64[(this.cpu.base + offset) >> 3] = value;
  }
  gpr(n: number): bigint {
    return this.doubleword(gprOffset(n));
  }
  setGprs(values: Readonly<Record<number, bigint | number>>): void {
    for (const [n, value] of Object.entries(values)) this.setDoubleword(gprOffset(Number(n)), BigInt(value));
  }

  /** Runs from an address in the segment. */
  run(pc: number, budget = 100_000): Ending {
    this.setDoubleword(PC, SEGMENT + BigInt(pc));
    return this.resume(budget);
  }

  resume(budget = 100_000): Ending {
    return this.#ending(() => this.cpu.run(budget));
  }

  /** Runs one instruction. */
  step(): Ending {
    return this.#ending(() => this.cpu.step(1000));
  }

  #ending(run: () => number): Ending {
    const before = this.cpu.retired;
    const vector = run();
    return {
      vector,
      pc: Number(this.doubleword(PC) - SEGMENT),
      address: Number(this.doubleword(EXIT_ADDRESS) - SEGMENT),
      syndrome: this.word(EXIT_SYNDROME),
      retired: this.cpu.retired - before,
    };
  }

  /** Has what was run so far translated, in the tier that translates. */
  translate(): void {
    const pc = Number(this.doubleword(PC) - SEGMENT);
    for (let i = 0; i < 1500; i++) this.run(pc, 0);
  }

  /** Runs once to find the code and once more as the tier has it. `prepare` sets what the first run changes. */
  runTwice(pc: number, prepare: () => void, budget?: number): Ending {
    prepare();
    this.run(pc, budget);
    this.translate();
    prepare();
    return this.run(pc, budget);
  }

  get regionEntries(): number {
    return this.cpu.stats['region_entries'] as number;
  }
}

/** A test in both tiers and byte orders. */
export function everyServer(name: string, body: (cpu: TestServer) => void): void {
  for (const tier of ['interpreted', 'translated'] as const)
    for (const order of [7, 0] as const)
      test(`${name}, ${tier}, ${order === 0 ? 'little' : 'big'}-endian`, () => body(new TestServer(tier, { order })));
}
