/**
 * CR fields in a region. Nearly every comparison is followed by a branch on it and by nothing else, but CR must be right
 * whenever the region is left. So a comparison only notes its operands; the four bits are computed where they are
 * needed, which mostly is the cold way out. A data-flow pass finds where in the region the kind of comparison that a
 * field holds is known while translating.
 */
import type { CrOrigin } from '../backend/effects.ts';
import type { Block } from './blocks.ts';

/** Knowledge of the eight fields. */
export type CrFields = readonly CrOrigin[];

const ALL_BITS: CrFields = new Array<CrOrigin>(8).fill('bits');

/** Whether the block ends with a call, after which the fields are loaded from the vCPU block again. */
export function endsWithCall(block: Block): boolean {
  const last = block.code[block.code.length - 1];
  return last !== undefined && last.instruction.ends === true && last.operands.LK === 1;
}

/** Whether the branch that ends a block can fall through: bc and its kin with a condition. */
export function isConditional(block: Block): boolean {
  const last = block.code[block.code.length - 1];
  return last?.operands.BO !== undefined && (last.operands.BO & 20) !== 20;
}

/** What the fields hold behind a block. A call leaves bits; one that is conditional can be passed by. */
function after(block: Block, fields: CrFields): CrFields {
  const result = [...fields];
  for (const { effects } of block.code) for (const [field, origin] of effects.crOrigins) result[field] = origin;
  if (!endsWithCall(block)) return result;
  return isConditional(block) ? meet(ALL_BITS, result) : ALL_BITS;
}

/** What the fields hold where each block begins. Block 0 is entered with bits. */
export function crAtBlocks(blocks: readonly Block[]): CrFields[] {
  const known: (CrFields | undefined)[] = blocks.map((_, index) => (index === 0 ? ALL_BITS : undefined));
  const work = [0];
  while (work.length > 0) {
    const index = work.pop() as number;
    const block = blocks[index] as Block;
    const out = after(block, known[index] as CrFields);
    for (const next of block.successors) {
      const before = known[next];
      const merged = before ? meet(before, out) : out;
      if (before && merged.every((origin, field) => origin === before[field])) continue;
      known[next] = merged;
      work.push(next);
    }
  }
  return known.map((fields) => fields ?? ALL_BITS);
}

export function meet(a: CrFields, b: CrFields): CrFields {
  return a.map((origin, field) => (origin === b[field] ? origin : 'mixed'));
}
