/** What generated code and its surroundings know of each other: functions, their types, flags of pages. */

import type { ProcessorModel } from '../model.ts';
import type { Import, Signature } from '../wasm/module.ts';

export const READ = 1;
export const WRITE = 2;
export const EXECUTE = 4;
/** Access bit of hardware entries that are smaller than 4 KB: used once, never cached. */
export const UNCACHED = 8;

/** Flags of a host page: it holds code that was decoded; a soft TLB may hold it as writable. */
export const HOLDS_CODE = 1;
export const MAY_BE_WRITTEN = 2;

/** Handler number of records that lead to a region (interpreter.ts, HANDLER). */
export const REGION_HANDLER = 2;

/** What a region answers: it was left for the address in PC, there is an interrupt, or code of its callers may have changed. */
export const REGION_RESULT = {
  left: 0,
  interrupted: 1,
  codeChanged: 2,
  /** The budget may end inside of it: the interpreter is to come to that place (`ProcessorModel.isExact`). */
  tooShort: 3,
} as const;

/** Types of the functions between generated code and its surroundings, on a processor with this word. */
function signatures<W extends 'i32' | 'i64'>(word: W) {
  return {
    run: { params: [], results: ['i32'] },
    region: { params: [word, 'i32'], results: ['i32'] },
    /** (address, access, bytes: negative in the second page of an access across pages). */
    refill: { params: [word, 'i32', 'i32'], results: ['i32'] },
    slowLoad: { params: [word, 'i32'], results: ['i32'] },
    slowStore: { params: [word, 'i32', 'i64'], results: ['i32'] },
    slowZeroBlock: { params: [word], results: ['i32'] },
    timebase: { params: [], results: ['f64'] },
    codeWritten: { params: ['i32', 'i32'], results: [] },
    newPage: { params: ['i32'], results: ['i32'] },
    decode: { params: ['i32'], results: [] },
    hot: { params: ['i32'], results: [] },
    /** (access, bytes) → WATCH_ANSWER, of an access to EXIT_ADDRESS. */
    watch: { params: ['i32', 'i32'], results: ['i32'] },
    /** (what remains of the budget) → the new budget, or 0: leave. */
    tick: { params: ['i32'], results: ['i32'] },
    regionAt: { params: [word], results: ['i32'] },
    link: { params: [word, 'i32'], results: ['i32'] },
    vector: { params: [], results: ['i32'] },
    stackProbe: { params: ['i32'], results: ['i32'] },
    /** (what remains of the budget) → ticks of the time base. */
    time: { params: ['i32'], results: ['f64'] },
  } as const satisfies Record<string, Signature>;
}

export const SIGNATURES = { i32: signatures('i32'), i64: signatures('i64') } as const;

/** Imports of the core module (interpreter and runtime), functions first by index. */
export const CORE_FUNCTION_IMPORTS = ['timebase', 'codeWritten', 'newPage', 'decode', 'hot', 'tick', 'watch'] as const;

/** More pages than any memory has: the core fits every one. */
const MAX_PAGES = 0x1_0000;

export function coreImports(word: 'i32' | 'i64'): Import[] {
  return [
    { name: 'memory', kind: 'memory', pages: 1, maximum: MAX_PAGES },
    { name: 'table', kind: 'table' },
    { name: 'vcpu', kind: 'global' },
    ...CORE_FUNCTION_IMPORTS.map((name) => ({ name, kind: 'function', signature: SIGNATURES[word][name] }) as const),
  ];
}

const FIRST = CORE_FUNCTION_IMPORTS.length;
/** Function indexes in the core module; the interpreter's `run` comes last. */
export const CORE = {
  timebase: 0,
  codeWritten: 1,
  newPage: 2,
  decode: 3,
  hot: 4,
  tick: 5,
  watch: 6,
  refill: FIRST,
  slowLoad: FIRST + 1,
  slowStore: FIRST + 2,
  slowZeroBlock: FIRST + 3,
  regionAt: FIRST + 4,
  link: FIRST + 5,
  vector: FIRST + 6,
  stackProbe: FIRST + 7,
  time: FIRST + 8,
  run: FIRST + 9,
} as const;

/** Functions of the core module that regions may import. */
const REGION_IMPORTS = ['time', 'slowLoad', 'slowStore', 'slowZeroBlock', 'regionAt', 'link', 'tick'] as const;

/** Functions that regions may import: of the core module, among them the routines that there are. */
export function regionFunctions({ word, routines }: ProcessorModel): { name: string; signature: Signature }[] {
  return [
    ...REGION_IMPORTS.map((name) => ({ name, signature: SIGNATURES[word][name] })),
    ...routines.map(({ name, params, result }) => ({ name, signature: { params, results: [result] } })),
  ];
}
