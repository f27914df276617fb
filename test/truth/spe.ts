/**
 * SPE against its model, through interpreter and translator: `node test/truth/spe.ts [EXECUTIONS [SEED]]`, two million if
 * nothing is said.
 */
import { pathToFileURL } from 'node:url';
import { fieldBits, INSTRUCTIONS, type Instruction } from '../../src/isa/index.ts';
import {
  ACCUMULATOR,
  BOOKE_VECTOR,
  createE500Cpu,
  E500_TLB0_ENTRIES,
  type HostE500Cpu,
  HostMemory,
  MAS1,
  MAS3,
  RAM_BASE,
  SPE_AVAILABLE,
  SPEFSCR,
  VCPU_BLOCKS,
} from '../../src/processor/index.ts';
import { CR, GPR, PC } from '../../src/processor/layout.ts';
import { random } from '../isa/words.ts';
import { runModel, type SpeOperands, type SpeState } from './spe-model.ts';

const CODE = 0x1000_0000;
const SC = 0x4400_0002;
/** Different words of each instruction. */
const WORDS = 4;

/** All instructions that only touch registers. */
const SUBJECTS: readonly Instruction[] = INSTRUCTIONS.filter(
  ({ level, mnemonic }) => level === 'spe' && !/^ev(ld|st|lh|lw)/.test(mnemonic),
);

const INTERESTING_WORDS = [
  0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_ffff, 0x8000, 0x7fff, 0x8000_8000, 0x7fff_8000, 0xffff, 31, 32,
  63,
];
const INTERESTING_SINGLES = [
  0, 0x8000_0000, 1, 0x007f_ffff, 0x8000_0001, 0x0080_0000, 0x8080_0000, 0x0080_0001, 0x3f80_0000, 0xbf80_0000,
  0x3f7f_ffff, 0x7f7f_ffff, 0xff7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_0001, 0x7f80_0001, 0x4eff_ffff,
  0x4f00_0000, 0xcf00_0000, 0xcf00_0001, 0x4f7f_ffff, 0x4f80_0000, 0x3f00_0000, 0x3effffff, 0x4b00_0001, 0x4b80_0001,
];
const INTERESTING_DOUBLES = [
  0n,
  1n << 63n,
  1n,
  0x000f_ffff_ffff_ffffn,
  0x0010_0000_0000_0000n,
  0x8010_0000_0000_0000n,
  0x3ff0_0000_0000_0000n,
  0xbff0_0000_0000_0000n,
  0x7fef_ffff_ffff_ffffn,
  0xffef_ffff_ffff_ffffn,
  0x7ff0_0000_0000_0000n,
  0xfff0_0000_0000_0000n,
  0x7ff8_0000_0000_0000n,
  0x7ff0_0000_0000_0001n,
  0x41df_ffff_ffc0_0000n,
  0x41e0_0000_0000_0000n,
  0xc1e0_0000_0020_0000n,
  0x41ef_ffff_fff0_0000n,
  0x47ef_ffff_e000_0000n,
  0x47ef_ffff_f000_0000n,
  0x3810_0000_0000_0000n,
  0x380f_ffff_ffff_ffffn,
  0x4330_0000_0000_0001n,
];

type Random = () => number;

function wordOf(next: Random): number {
  const kind = next() & 7;
  if (kind < 2) return INTERESTING_WORDS[(next() >>> 0) % INTERESTING_WORDS.length] as number;
  if (kind < 4) return INTERESTING_SINGLES[(next() >>> 0) % INTERESTING_SINGLES.length] as number;
  // Singles near to each other, so that sums cancel and round.
  if (kind < 6) return ((next() & 0x807f_ffff) | ((0x70 + ((next() >>> 0) % 32)) << 23)) >>> 0;
  return next() >>> 0;
}

function registerOf(next: Random): bigint {
  const kind = next() & 7;
  if (kind === 0) return INTERESTING_DOUBLES[(next() >>> 0) % INTERESTING_DOUBLES.length] as bigint;
  if (kind === 1) {
    const near = BigInt(0x3e0 + ((next() >>> 0) % 64)) << 52n;
    return near | (BigInt(next() & 0x800f_ffff & 0xf_ffff) << 32n) | BigInt(next() >>> 0) | (BigInt(next() & 1) << 63n);
  }
  return (BigInt(wordOf(next)) << 32n) | BigInt(wordOf(next));
}

/** SPEFSCR at first: all modes, interrupts mostly off, so that results are seen. */
function spefscrOf(next: Random): number {
  const mode = next() & 3;
  const enables = (next() & 3) === 0 ? next() & 0x7c : 0;
  return (next() & 0xff3f_ff00) | enables | mode;
}

class Tier {
  readonly memory = HostMemory.create(RAM_BASE + 0x20_0000, 3);
  readonly cpu: HostE500Cpu;

  constructor(translates: boolean, code: readonly number[]) {
    const { memory } = this;
    this.cpu = createE500Cpu({
      memory,
      base: VCPU_BLOCKS,
      assist: null,
      timebase: () => 0,
      hotThreshold: translates ? 1 : Number.POSITIVE_INFINITY,
    });
    const size = 5;
    this.cpu.tlbWrite(
      E500_TLB0_ENTRIES,
      MAS1.VALID | MAS1.TS | (size << MAS1.TSIZE_SHIFT),
      CODE,
      RAM_BASE | MAS3.UX | MAS3.UR | MAS3.UW,
    );
    memory.u32.set(code, RAM_BASE >> 2);
    this.cpu.codeWritten(RAM_BASE, code.length * 4);
  }

  /** Runs the instruction of an index from a state, which becomes what came of it. */
  run(index: number, state: SpeState): { vector: number; next: boolean } {
    const { i32 } = this.memory;
    const block = VCPU_BLOCKS >> 2;
    for (let n = 0; n < 32; n++) {
      const value = state.gpr[n] as bigint;
      i32[block + (GPR >> 2) + 2 * n] = Number(value & 0xffff_ffffn);
      i32[block + (GPR >> 2) + 2 * n + 1] = Number(value >> 32n);
    }
    for (let field = 0; field < 8; field++) i32[block + (CR >> 2) + field] = state.cr[field] as number;
    i32[block + (ACCUMULATOR >> 2)] = Number(state.accumulator & 0xffff_ffffn);
    i32[block + (ACCUMULATOR >> 2) + 1] = Number(state.accumulator >> 32n);
    i32[block + (SPEFSCR >> 2)] = state.spefscr;
    i32[block + (SPE_AVAILABLE >> 2)] = 1;
    const pc = CODE + index * 8;
    i32[block + (PC >> 2)] = pc;
    const vector = this.cpu.run(1000);
    const word = (offset: number): bigint => BigInt((i32[block + (offset >> 2)] as number) >>> 0);
    state.gpr = state.gpr.map((_, n) => (word(GPR + 8 * n + 4) << 32n) | word(GPR + 8 * n));
    state.cr = state.cr.map((_, field) => i32[block + (CR >> 2) + field] as number);
    state.accumulator = (word(ACCUMULATOR + 4) << 32n) | word(ACCUMULATOR);
    state.spefscr = i32[block + (SPEFSCR >> 2)] as number;
    return { vector, next: (i32[block + (PC >> 2)] as number) !== pc };
  }
}

const copyOf = (state: SpeState): SpeState => ({ ...state, gpr: [...state.gpr], cr: [...state.cr] });

function textOf({ gpr, accumulator, spefscr, cr }: SpeState): string {
  const registers = gpr.map((value, n) => `r${n} ${value.toString(16)}`).join(' ');
  return `acc ${accumulator.toString(16)} spefscr ${(spefscr >>> 0).toString(16)} cr ${cr.join()} ${registers}`;
}

function differences(expected: SpeState, found: SpeState): string {
  const [a, b] = [textOf(expected).split(' '), textOf(found).split(' ')];
  return a.flatMap((value, n) => (value === b[n] ? [] : [`${a[n - 1]}: ${value}, not ${b[n]}`])).join('; ');
}

const VECTORS: Readonly<Record<string, number>> = {
  data: BOOKE_VECTOR.speFloatData,
  round: BOOKE_VECTOR.speFloatRound,
};

export interface SpeReport {
  readonly executions: number;
  readonly instructions: number;
  readonly translatedRegions: number;
  readonly ends: Readonly<Record<string, number>>;
  /** At most so many as are worth reading. */
  readonly failures: readonly string[];
}

const MOST_FAILURES = 20;

/** Compares about so many executions, half of them in each tier. */
export function compareSpe(executions: number, seed: number): SpeReport {
  const next = random(seed);
  const words: { word: number; instruction: Instruction }[] = SUBJECTS.flatMap((instruction) =>
    Array.from({ length: WORDS }, () => ({
      instruction,
      word: ((next() & ~(instruction.mask | instruction.reserved)) | instruction.value) >>> 0,
    })),
  );
  const code = words.flatMap(({ word }) => [word, SC]);
  const tiers = [new Tier(false, code), new Tier(true, code)];
  const failures: string[] = [];
  const ends: Record<string, number> = {};
  const rounds = Math.ceil(executions / (2 * words.length));
  let done = 0;
  for (let round = 0; round < rounds && failures.length < MOST_FAILURES; round++)
    for (const [index, { word, instruction }] of words.entries()) {
      const start: SpeState = {
        gpr: Array.from({ length: 32 }, () => 0n),
        accumulator: registerOf(next),
        spefscr: spefscrOf(next) | 0,
        cr: Array.from({ length: 8 }, () => next() & 15),
      };
      const o: SpeOperands = {
        rt: fieldBits(word, 'RT'),
        ra: fieldBits(word, 'RA'),
        rb: fieldBits(word, 'RB'),
        bfs: fieldBits(word, 'BFS'),
      };
      for (const n of [o.rt, o.ra, o.rb]) start.gpr[n] = registerOf(next);
      const expected = copyOf(start);
      const end = runModel(instruction.mnemonic, o, expected);
      if (end === undefined) throw new Error(`the model does not know ${instruction.mnemonic}`);
      ends[end] = (ends[end] ?? 0) + 1;
      for (const [tier, machine] of tiers.entries()) {
        const found = copyOf(start);
        const { vector, next: moved } = machine.run(index, found);
        done++;
        const wanted = VECTORS[end] ?? BOOKE_VECTOR.systemCall;
        const different = differences(expected, found);
        if (vector !== wanted || moved !== (end !== 'data') || different !== '')
          failures.push(
            `${instruction.mnemonic} ${word.toString(16)} ${tier === 0 ? 'interpreted' : 'translated'}: ${end} (vector ${vector}); ${different}; from ${differences({ ...start, gpr: start.gpr.map(() => -1n), accumulator: -1n, spefscr: 1 }, start)}`,
          );
      }
    }
  const translatedRegions = (tiers[1] as Tier).cpu.stats['translated_regions'] as number;
  return { executions: done, instructions: SUBJECTS.length, translatedRegions, ends, failures };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [executions = '2000000', seed = '1'] = process.argv.slice(2);
  const report = compareSpe(Number(executions), Number(seed));
  for (const failure of report.failures) console.log(failure);
  const { executions: done, instructions, translatedRegions, ends } = report;
  console.log(
    `${done} executions of ${instructions} instructions (${translatedRegions} regions translated), ends ${JSON.stringify(ends)}, ${report.failures.length} failures`,
  );
  process.exitCode = report.failures.length > 0 ? 1 : 0;
}
