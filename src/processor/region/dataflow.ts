/**
 * Which state is in locals only (dirty), and which locals will be needed (live), at each point of a region. Exits write
 * back what is dirty; entry and the return from a call load what is live. Both sets are small in most places, and that
 * the sets are exact keeps the engine's register pressure down: nothing is carried through a loop for an exit's sake
 * that the loop does not change.
 */
import { copyOf, type StateSet, unite } from '../backend/effects.ts';
import type { Block, Decoded } from './blocks.ts';
import { endsWithCall, isConditional } from './condition.ts';

export interface DataFlow {
  /** What may be dirty where each block begins. */
  readonly dirtyIn: readonly StateSet[];
  /** What must be in locals where each block begins. */
  readonly liveIn: readonly StateSet[];
}

const isEqual = (a: StateSet, b: StateSet): boolean => a.low === b.low && a.high === b.high;

/**
 * @param leaves whether a block has a way out of the region at its end (other than a call): there its dirty state is
 * written back.
 */
export function analyseState(blocks: readonly Block[], leaves: (index: number) => boolean): DataFlow {
  const dirtyIn: StateSet[] = blocks.map(() => ({ low: 0, high: 0 }));
  const seen = new Set([0]);
  for (const work = [0]; work.length > 0; ) {
    const index = work.pop() as number;
    const block = blocks[index] as Block;
    const out = dirtyAfter(block, dirtyIn[index] as StateSet);
    // What a call leaves in memory is clean; a conditional call can be passed by.
    const passed = endsWithCall(block) && !isConditional(block) ? { low: 0, high: 0 } : out;
    for (const next of block.successors) {
      const into = dirtyIn[next] as StateSet;
      const before = copyOf(into);
      unite(into, passed);
      if (seen.has(next) && isEqual(before, into)) continue;
      seen.add(next);
      work.push(next);
    }
  }

  const liveIn: StateSet[] = blocks.map(() => ({ low: 0, high: 0 }));
  for (let changed = true; changed; ) {
    changed = false;
    for (let index = blocks.length - 1; index >= 0; index--) {
      const live = liveBefore(blocks, index, dirtyIn[index] as StateSet, liveIn, leaves(index));
      if (isEqual(live, liveIn[index] as StateSet)) continue;
      liveIn[index] = live;
      changed = true;
    }
  }
  return { dirtyIn, liveIn };
}

function dirtyAfter(block: Block, dirtyIn: StateSet): StateSet {
  const dirty = copyOf(dirtyIn);
  for (const { effects } of block.code) unite(dirty, effects.writes);
  return dirty;
}

function liveBefore(
  blocks: readonly Block[],
  index: number,
  dirtyIn: StateSet,
  liveIn: readonly StateSet[],
  leaves: boolean,
): StateSet {
  const block = blocks[index] as Block;
  const dirtyAt: StateSet[] = [copyOf(dirtyIn)];
  for (const { effects } of block.code) {
    const dirty = copyOf(dirtyAt[dirtyAt.length - 1] as StateSet);
    unite(dirty, effects.writes);
    dirtyAt.push(dirty);
  }
  const live: StateSet = { low: 0, high: 0 };
  const call = endsWithCall(block);
  if (leaves || call) unite(live, dirtyAt[block.code.length] as StateSet);
  if (!call || isConditional(block)) for (const next of block.successors) unite(live, liveIn[next] as StateSet);
  for (let i = block.code.length - 1; i >= 0; i--) {
    const { effects } = block.code[i] as (typeof block.code)[0];
    live.low = (live.low & ~effects.writes.low) | effects.reads.low;
    live.high = (live.high & ~effects.writes.high) | effects.reads.high;
    if (effects.mayInterrupt) unite(live, dirtyAt[i] as StateSet);
  }
  return live;
}

/** Facilities that are known to be available behind an instruction. What KVM's meanings do may take one away. */
export const facilitiesAfter = ({ assisted, effects }: Decoded, before: number): number =>
  assisted ? 0 : before | effects.facilities;

/** The facilities that are known to be available where each block begins: none at the entry and behind calls. */
export function facilitiesAtBlocks(blocks: readonly Block[]): number[] {
  const known: number[] = blocks.map((_, index) => (index === 0 ? 0 : -1));
  for (const work = [0]; work.length > 0; ) {
    const index = work.pop() as number;
    const block = blocks[index] as Block;
    let out = known[index] as number;
    for (const decoded of block.code) out = facilitiesAfter(decoded, out);
    if (endsWithCall(block)) out = 0;
    for (const next of block.successors) {
      const merged = (known[next] as number) & out;
      if (merged === known[next]) continue;
      known[next] = merged;
      work.push(next);
    }
  }
  return known;
}
