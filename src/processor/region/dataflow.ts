/**
 * Which state is in locals only (dirty), and which locals will be needed (live), at each point of a region. Exits write
 * back what is dirty; entry and the return from a call load what is live. Both sets are small in most places, and that
 * the sets are exact keeps the engine's register pressure down: nothing is carried through a loop for an exit's sake
 * that the loop does not change.
 *
 * Outside of loops registers are *written through*: before the next place that control can leave at, once, rather than at
 * each exit behind it. Most exits have nothing to write back then, and flat code is a third smaller for it. In a loop that
 * would be a store in every round.
 */

import { copyOf, type StateSet, setOf, unite } from '../backend/effects.ts';
import { CTR, gprOffset, LR } from '../layout.ts';
import type { Block, Decoded } from './blocks.ts';
import { endsWithCall, isConditional } from './condition.ts';

export interface DataFlow {
  /** What may be dirty where each block begins. */
  readonly dirtyIn: readonly StateSet[];
  /** What must be in locals where each block begins. */
  readonly liveIn: readonly StateSet[];
}

/** What is written through: CR and XER are mostly dead, and cost something to compute. */
const REGISTERS: StateSet = setOf([...Array.from({ length: 32 }, (_, n) => gprOffset(n)), LR, CTR]);

/** The part of a set that is written through. */
export const registersOf = ({ low, high }: StateSet): StateSet => ({
  low: low & REGISTERS.low,
  high: high & REGISTERS.high,
});

/** The part of a set that is not. */
export const withoutRegisters = ({ low, high }: StateSet): StateSet => ({
  low: low & ~REGISTERS.low,
  high: high & ~REGISTERS.high,
});

const isEqual = (a: StateSet, b: StateSet): boolean => a.low === b.low && a.high === b.high;

/**
 * @param leaves whether a block has a way out of the region at its end (other than a call): there its dirty state is
 * written back.
 * @param inLoop blocks where registers are not written through.
 */
export function analyseState(
  blocks: readonly Block[],
  leaves: (index: number) => boolean,
  inLoop: ReadonlySet<number>,
): DataFlow {
  const dirtyIn: StateSet[] = blocks.map(() => ({ low: 0, high: 0 }));
  const seen = new Set([0]);
  for (const work = [0]; work.length > 0; ) {
    const index = work.pop() as number;
    const block = blocks[index] as Block;
    const at = dirtyAt(block, dirtyIn[index] as StateSet, !inLoop.has(index));
    const last = at[block.code.length] as StateSet;
    const out = inLoop.has(index) ? last : withoutRegisters(last);
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
      const live = liveBefore(blocks, index, dirtyIn[index] as StateSet, liveIn, leaves(index), !inLoop.has(index));
      if (isEqual(live, liveIn[index] as StateSet)) continue;
      liveIn[index] = live;
      changed = true;
    }
  }
  return { dirtyIn, liveIn };
}

/** What is dirty before each instruction, and behind the last one: before registers are written through there. */
function dirtyAt(block: Block, dirtyIn: StateSet, through: boolean): StateSet[] {
  const at: StateSet[] = [copyOf(dirtyIn)];
  for (const { effects } of block.code) {
    const before = at[at.length - 1] as StateSet;
    const dirty = through && effects.mayInterrupt ? withoutRegisters(before) : copyOf(before);
    unite(dirty, effects.writes);
    at.push(dirty);
  }
  return at;
}

function liveBefore(
  blocks: readonly Block[],
  index: number,
  dirtyIn: StateSet,
  liveIn: readonly StateSet[],
  leaves: boolean,
  through: boolean,
): StateSet {
  const block = blocks[index] as Block;
  const at = dirtyAt(block, dirtyIn, through);
  const last = at[block.code.length] as StateSet;
  const live: StateSet = { low: 0, high: 0 };
  const call = endsWithCall(block);
  if (leaves || call) unite(live, last);
  else if (through) unite(live, registersOf(last));
  if (!call || isConditional(block)) for (const next of block.successors) unite(live, liveIn[next] as StateSet);
  for (let i = block.code.length - 1; i >= 0; i--) {
    const { effects } = block.code[i] as (typeof block.code)[0];
    live.low = (live.low & ~effects.writes.low) | effects.reads.low;
    live.high = (live.high & ~effects.writes.high) | effects.reads.high;
    if (effects.mayInterrupt) unite(live, at[i] as StateSet);
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
