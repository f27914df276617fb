/**
 * Saved states: what a virtual machine has beside its memory, under names, as JSON holds it. They come from outside, so
 * that each value is looked at before any is taken.
 */
import { KvmError, type KvmState } from './api.ts';

/** The longest of what is counted (nanoseconds, ticks, instructions): what doubles tell apart. */
const LIMIT = 2 ** 53;

/** Words of a vCPU's block under one name. */
export interface SavedWords {
  readonly name: string;
  /** Index of the first, how many there are (default: 1), and how far apart pairs of them stand (default: together). */
  readonly word: number;
  readonly count?: number;
  readonly pairStride?: number;
  /** The bits that each can have. */
  readonly mask?: number;
}

const wordAt = ({ word, pairStride = 2 }: SavedWords, i: number): number => word + (i >> 1) * pairStride + (i & 1);

/** The rows' words as they are. */
export function saveWords(words: Int32Array, rows: readonly SavedWords[]): Record<string, number | number[]> {
  const state: Record<string, number | number[]> = {};
  for (const row of rows) {
    const { name, count } = row;
    if (count === undefined) state[name] = (words[row.word] as number) >>> 0;
    else state[name] = Array.from({ length: count }, (_, i) => (words[wordAt(row, i)] as number) >>> 0);
  }
  return state;
}

/** Looks at the rows of a state, and answers what puts them in their places. @throws KvmError when one is not there. */
export function readWords(state: unknown, rows: readonly SavedWords[]): (words: Int32Array) => void {
  const found = rows.map((row) => {
    const value = saved(state, row.name);
    const list = row.count === undefined ? [value] : Array.isArray(value) ? Array.from<unknown>(value) : [];
    if (list.length !== (row.count ?? 1) || !list.every(isWord)) throw lacks(row.name, `${row.count ?? 1} words`);
    return list as number[];
  });
  return (words) => {
    for (const [n, row] of rows.entries())
      for (const [i, value] of (found[n] as number[]).entries()) words[wordAt(row, i)] = value & (row.mask ?? -1);
  };
}

/** A number out of a state, from `least` on. */
export function savedNumber(state: unknown, name: string, least = -LIMIT, most = LIMIT): number {
  const value = saved(state, name);
  if (typeof value !== 'number' || !(value >= least && value <= most)) throw lacks(name, 'a number');
  return value;
}

/** A whole number out of a state. */
export function savedInteger(state: unknown, name: string, least = 0, most = LIMIT): number {
  const value = savedNumber(state, name, least, most);
  if (!Number.isInteger(value)) throw lacks(name, 'a whole number');
  return value;
}

export function savedBoolean(state: unknown, name: string): boolean {
  const value = saved(state, name);
  if (typeof value !== 'boolean') throw lacks(name, 'true or false');
  return value;
}

/** A part of a state. */
export function savedPart(state: unknown, name: string): KvmState {
  const value = saved(state, name);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw lacks(name, 'a part with names');
  return value as KvmState;
}

/** Parts of a state, `most` of them at the most. */
export function savedParts(state: unknown, name: string, most: number): readonly KvmState[] {
  const value = saved(state, name);
  if (!Array.isArray(value) || value.length > most) throw lacks(name, `a list of at most ${most} parts`);
  return Array.from<KvmState>(value);
}

const isWord = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;

function saved(state: unknown, name: string): unknown {
  if (typeof state !== 'object' || state === null || !Object.hasOwn(state, name)) return undefined;
  return (state as Readonly<Record<string, unknown>>)[name];
}

const lacks = (name: string, what: string): KvmError => new KvmError(`the saved state lacks "${name}", ${what}`);
