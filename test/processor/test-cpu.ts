/** A host processor for tests: code as assembly, pages as they are wanted, each test in both tiers. */
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import {
  type AssistTable,
  type CodeProfile,
  createHostCpu,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  gprOffset,
  type Host440Cpu,
  HostMemory,
  PC,
  RAM_BASE,
  TLB44X,
  type TranslationPort,
  VCPU_BLOCKS,
} from '../../src/processor/index.ts';

export type Tier = 'interpreted' | 'translated';

const RAM_BYTES = 0x400000;

/** Sizes of TLB entries, as word 0 has them. */
export const SIZE = {
  '1K': 0x00,
  '4K': 0x10,
  '16K': 0x20,
  '64K': 0x30,
  '256K': 0x40,
  '1M': 0x50,
  '16M': 0x70,
} as const;

const ACCESS = { r: TLB44X.UR, w: TLB44X.UW, x: TLB44X.UX } as const;

export interface PageOptions {
  readonly size?: keyof typeof SIZE;
  /** Letters out of r, w and x. */
  readonly access?: string;
  readonly space?: 0 | 1;
  readonly tid?: number;
}

/** What a run ended with. */
export interface Ending {
  readonly vector: number;
  readonly pc: number;
  readonly address: number;
  readonly syndrome: number;
  /** Instructions that retired. */
  readonly retired: number;
}

export interface TestCpuOptions {
  readonly assist?: AssistTable;
  readonly timebase?: () => number;
  readonly translation?: TranslationPort | readonly TranslationPort[];
  readonly profile?: CodeProfile;
  readonly translationMemory?: number;
}

/** RAM of 4 MB at real address 0 of its own; the real address space of the host begins lower. */
export class TestCpu {
  readonly memory = HostMemory.create(RAM_BASE + RAM_BYTES, 3);
  readonly cpu: Host440Cpu;
  readonly tier: Tier;

  constructor(tier: Tier, options: TestCpuOptions = {}) {
    this.tier = tier;
    this.cpu = createHostCpu({
      memory: this.memory,
      base: VCPU_BLOCKS,
      assist: options.assist ?? null,
      timebase: options.timebase ?? (() => 0),
      ...(options.translation && { translation: options.translation }),
      ...(options.profile && { profile: options.profile }),
      ...(options.translationMemory !== undefined && { translationMemory: options.translationMemory }),
      hotThreshold: tier === 'interpreted' ? Number.POSITIVE_INFINITY : 1,
    });
  }

  /** Maps a page: `real` counts from the start of RAM. */
  map(index: number, address: number, real: number, options: PageOptions = {}): void {
    const { size = '4K', access = 'rwx', space = 0, tid = 0 } = options;
    const word0 = address | TLB44X.VALID | (space ? TLB44X.TS : 0) | SIZE[size];
    const word2 = [...access].reduce((bits, letter) => bits | ACCESS[letter as keyof typeof ACCESS], 0);
    this.cpu.tlbWrite(index, word0, RAM_BASE + real, word2, tid);
  }

  /** Assembles code for an address and puts it at the same place in RAM, as a loader would. Answers its length. */
  load(address: number, source: string, real = address): number {
    const words = assembleWords(source, address);
    for (const [i, word] of words.entries()) this.memory.write32(RAM_BASE + real + 4 * i, word);
    this.cpu.codeWritten(RAM_BASE + real, words.length * 4);
    return words.length * 4;
  }

  /** RAM by its own addresses. */
  read32(real: number): number {
    return this.memory.read32(RAM_BASE + real);
  }
  write32(real: number, value: number): void {
    this.memory.write32(RAM_BASE + real, value);
  }

  #at(offset: number): number {
    return (this.cpu.base + offset) >> 2;
  }
  word(offset: number): number {
    return this.memory.u32[this.#at(offset)] as number;
  }
  setWord(offset: number, value: number): void {
    this.memory.u32[this.#at(offset)] = value;
  }
  gpr(n: number): number {
    return this.word(gprOffset(n));
  }
  setGpr(n: number, value: number): void {
    this.setWord(gprOffset(n), value);
  }
  setGprs(values: Readonly<Record<number, number>>): void {
    for (const [n, value] of Object.entries(values)) this.setGpr(Number(n), value);
  }

  /** Runs from an address. */
  run(pc: number, budget = 100_000): Ending {
    this.setWord(PC, pc);
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
      pc: this.word(PC),
      address: this.word(EXIT_ADDRESS),
      syndrome: this.word(EXIT_SYNDROME),
      retired: this.cpu.retired - before,
    };
  }

  /** Has what was run so far translated, in the tier that translates. */
  translate(): void {
    // Translations are looked after once in so many runs.
    const pc = this.word(PC);
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

  /** How often generated code of a region was entered from the interpreter. */
  get regionEntries(): number {
    return this.cpu.stats['region_entries'] as number;
  }
}

/** A test in both tiers. */
export function bothTiers(name: string, body: (cpu: TestCpu) => void): void {
  for (const tier of ['interpreted', 'translated'] as const) test(`${name}, ${tier}`, () => body(new TestCpu(tier)));
}
