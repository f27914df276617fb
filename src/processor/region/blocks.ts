/** Finds the basic blocks of a region: what is reachable from its entry within one page, as far as it was ever run. */
import type { Instruction } from '../../isa/define.ts';
import { FIELDS, type FieldName, fieldBits, fieldValue } from '../../isa/fields.ts';
import type { Meaning, Operands } from '../../isa/semantics.ts';
import { type Effects, effectsOf, TRAPS } from '../backend/effects.ts';
import { branchesNear } from '../interpreter/code-cache.ts';
import type { HandlerTable } from '../interpreter/handlers.ts';
import { canonicalBo } from '../interpreter/variants.ts';
import { ZERO_REGISTER } from '../layout.ts';
import type { ProcessorModel } from '../model.ts';

/** An instruction with its operands known. */
export interface Decoded {
  readonly instruction: Instruction;
  /** Null: it traps as privileged. */
  readonly meaning: Meaning | null;
  /** The meaning is KVM's, which may change the mode that code runs in. */
  readonly assisted: boolean;
  readonly operands: Operands;
  readonly effects: Effects;
}

export interface Block {
  /** Offset in the page of the first instruction, and behind the last. */
  readonly start: number;
  end: number;
  readonly code: Decoded[];
  /** Block indexes of the successors inside the region. */
  successors: number[];
  /** Offset where the block hands over to the interpreter (an instruction that is not translated), or -1. */
  stopsAt: number;
}

/** Reads the page that is being translated. */
export interface PageSource {
  /** The instruction word at an offset. */
  word(offset: number): number;
  /** Whether the instruction was ever reached. */
  reached(offset: number): boolean;
  /** How often the interpreter came to an offset by a branch, as far as is known. */
  branchesTo(offset: number): number;
  /** Whether a region of some size begins there already: it is gone to, not translated again. */
  hasRegion(offset: number): boolean;
  /** Where an earlier run's region had its blocks: this one has no others. */
  readonly remembered?: ReadonlySet<number>;
}

export interface RegionLimits {
  readonly blocks: number;
  /** Where there are so many, no further block begins. */
  readonly instructions: number;
  /** Where there are so many, the region ends. */
  readonly length: number;
}

/** Decodes words for translation, remembering what it found: code repeats itself. */
export class RegionDecoder {
  readonly #handlers: HandlerTable;
  readonly #meaningOf: (instruction: Instruction, word: number) => Meaning | null;
  readonly #model: ProcessorModel;
  readonly #known = new Map<number, Decoded | null>();

  constructor(
    handlers: HandlerTable,
    meaningOf: (instruction: Instruction, word: number) => Meaning | null,
    model: ProcessorModel,
  ) {
    this.#handlers = handlers;
    this.#meaningOf = meaningOf;
    this.#model = model;
  }

  /** Null: not for the translator (illegal, or the interpreter's). */
  decode(word: number): Decoded | null {
    const known = this.#known.get(word);
    if (known !== undefined) return known;
    const decoded = this.#decode(word);
    if (this.#known.size > 20000) this.#known.clear();
    this.#known.set(word, decoded);
    return decoded;
  }

  #decode(word: number): Decoded | null {
    const instruction = this.#handlers.decoder.decode(word);
    if (!instruction || instruction.interpreted) return null;
    const meaning = this.#meaningOf(instruction, word);
    const operands = operandsOf(instruction, word);
    const effects = meaning ? effectsOf(meaning, operands, this.#model) : TRAPS;
    return { instruction, meaning, assisted: meaning !== instruction.meaning, operands, effects };
  }
}

/** All operands as numbers, with (RA|0) and BO in the forms that the builder takes. */
function operandsOf(instruction: Instruction, word: number): Operands {
  const operands: Partial<Record<FieldName, number>> = {};
  for (const name of instruction.fields) {
    const kind = FIELDS[name].kind;
    if (kind === 'gpr0' || kind === 'zeroGpr') operands[name] = fieldBits(word, name) || ZERO_REGISTER;
    else if (name === 'BO') operands[name] = canonicalBo(fieldBits(word, name));
    else operands[name] = fieldValue(word, name);
  }
  if (operands.MB !== undefined && operands.ME !== undefined) operands.MASK = fieldValue(word, 'MASK');
  return operands as Operands;
}

/** Offset in the page of a near relative branch's target. */
function nearTarget(word: number, offset: number): number {
  const opcode = word >>> 26;
  return offset + fieldValue(word, opcode === 18 ? 'LI' : 'BD');
}

/** Where control can go inside the page after the instruction at an offset that ends a block. */
function successorOffsets(instruction: Instruction, word: number, offset: number): number[] {
  const next = offset + 4;
  const link = (word & 1) === 1;
  switch (instruction.mnemonic) {
    case 'b':
    case 'bc': {
      const always = instruction.mnemonic === 'b' || ((word >>> 21) & 20) === 20;
      if (link) return [next];
      const targets = branchesNear(instruction, word, offset) ? [nearTarget(word, offset)] : [];
      return always ? targets : [...targets, next];
    }
    case 'bclr':
    case 'bcctr':
    case 'bctar':
      return link || ((word >>> 21) & 20) !== 20 ? [next] : [];
    case 'isync':
    case 'icbi':
      return [next];
    default:
      return [];
  }
}

/** A branch that was taken so many times less often than the entry was come to leads out of the region. */
const COLD = 128;

/** The region's blocks, entry first; null when its first instruction can't be translated. */
export function findBlocks(
  source: PageSource,
  decoder: RegionDecoder,
  entry: number,
  limits: RegionLimits,
): Block[] | null {
  const leaders = new Set<number>([entry]);
  const found = new Map<number, { end: number; exits: number[]; stopsAt: number }>();
  const queue = [entry];
  const runs = source.branchesTo(entry);
  let instructions = 0;
  // First the extents, with all leaders known at the end …
  const most = Math.min(limits.instructions, limits.length);
  while (queue.length > 0 && found.size < limits.blocks && instructions < most) {
    const start = queue.shift() as number;
    if (found.has(start)) continue;
    let offset = start;
    let exits: number[] = [];
    let stopsAt = -1;
    for (;;) {
      if (offset >= 4096 || !source.reached(offset)) {
        stopsAt = offset;
        break;
      }
      const word = source.word(offset);
      const decoded = decoder.decode(word);
      if (!decoded) {
        stopsAt = offset;
        break;
      }
      instructions++;
      offset += 4;
      if (decoded.instruction.ends) {
        exits = successorOffsets(decoded.instruction, word, offset - 4);
        break;
      }
      if (leaders.has(offset) || source.hasRegion(offset) || instructions >= limits.length) {
        exits = [offset];
        break;
      }
    }
    found.set(start, { end: offset, exits, stopsAt });
    for (const exit of exits) {
      if (exit < 0 || exit >= 4096 || !source.reached(exit)) continue;
      if (exit !== entry && source.hasRegion(exit)) continue;
      if (source.remembered) {
        if (!source.remembered.has(exit)) continue;
      } else if (exit !== found.get(start)?.end && source.branchesTo(exit) * COLD < runs) continue;
      if (!leaders.has(exit)) leaders.add(exit);
      queue.push(exit);
    }
  }
  // … then the blocks, cut where a leader was found later.
  const starts = [...found.keys()].sort((a, b) => a - b);
  const isStart = new Set(starts);
  const blocks: Block[] = [];
  const indexOf = new Map<number, number>();
  for (const start of [entry, ...starts.filter((offset) => offset !== entry)]) {
    const extent = found.get(start) as { end: number; exits: number[]; stopsAt: number };
    let end = extent.end;
    for (let offset = start + 4; offset < extent.end; offset += 4) {
      if (isStart.has(offset)) {
        end = offset;
        break;
      }
    }
    const cut = end < extent.end;
    const code: Decoded[] = [];
    for (let offset = start; offset < end; offset += 4) code.push(decoder.decode(source.word(offset)) as Decoded);
    indexOf.set(start, blocks.length);
    blocks.push({ start, end, code, successors: cut ? [end] : extent.exits, stopsAt: cut ? -1 : extent.stopsAt });
  }
  for (const block of blocks)
    block.successors = block.successors.map((offset) => indexOf.get(offset) ?? -1).filter((index) => index >= 0);
  const first = blocks[0] as Block;
  return first.code.length === 0 ? null : reachable(blocks);
}

/** Keeps what is reachable from block 0 (a cut can leave none behind, a limit can). */
function reachable(blocks: Block[]): Block[] {
  const keep = new Set<number>([0]);
  for (const index of keep) for (const next of (blocks[index] as Block).successors) keep.add(next);
  if (keep.size === blocks.length) return blocks;
  const position = new Map([...keep].sort((a, b) => a - b).map((index, at) => [index, at]));
  return [...position.keys()].map((index) => {
    const block = blocks[index] as Block;
    return { ...block, successors: block.successors.map((next) => position.get(next) as number) };
  });
}
