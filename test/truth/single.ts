/** Random executions of single instructions, made from the instruction table. */

import { SUFFIXES } from '../../src/isa/forms.ts';
import {
  EMBEDDED_LEVELS,
  FIELDS,
  type FieldName,
  fieldBits,
  fieldValue,
  INSTRUCTIONS,
  type Instruction,
  isOf,
} from '../../src/isa/index.ts';
import { type Batch, TRAP } from './batch.ts';
import {
  DATA_PAGES,
  interestingWord,
  NOWHERE,
  READ_ONLY_PAGE,
  STATE,
  type State,
  seededState,
  WINDOW,
  WINDOW_BYTES,
} from './machine-state.ts';
import type { Random } from './random.ts';

/** Fields that make forms of their own, each of which gets its share. */
const FORM_FIELDS: readonly FieldName[] = ['OE', 'Rc', 'VECTOR_RC', 'LK', 'AA'];

/** One instruction in one form. */
export interface Form {
  readonly name: string;
  readonly instruction: Instruction;
  /** Bits that are the form's. */
  readonly mask: number;
  readonly value: number;
}

const fieldMask = (name: FieldName): number => {
  const { first, last } = FIELDS[name];
  return (2 ** (last - first + 1) - 1) << (31 - last);
};

/** All forms of all instructions but `sc`, which the oracle carries out. */
export function formsOf(levels = EMBEDDED_LEVELS): Form[] {
  const forms: Form[] = [];
  for (const instruction of INSTRUCTIONS) {
    if (instruction.mnemonic === 'sc' || !isOf(instruction, levels)) continue;
    const fields = FORM_FIELDS.filter((name) => instruction.fields.includes(name));
    for (let bits = 0; bits < 1 << fields.length; bits++) {
      let { mask, value } = instruction;
      let suffix = '';
      for (const [i, name] of fields.entries()) {
        mask |= fieldMask(name);
        if (!(bits & (1 << i))) continue;
        value |= fieldMask(name);
        suffix += SUFFIXES.find(([field]) => field === name)?.[1];
      }
      forms.push({ name: instruction.mnemonic + suffix, instruction, mask, value });
    }
  }
  return forms;
}

const TIME_BASE: ReadonlySet<number> = new Set([268, 269]);
const joinSplit = (number: number): number => ((number & 31) << 5) | (number >>> 5);

/** User registers, and some that are not. */
const REGISTERS = [1, 8, 9, 1, 8, 9, 256, 260, 261, 262, 263, 22, 26, 272, 286, 318, 400];

const MTFSF_L = 0x0200_0000;

/** A word of the form with random operands. */
export function randomWord(random: Random, form: Form): number {
  const { instruction } = form;
  const free = random.chance(0.15) ? ~form.mask : ~form.mask & ~instruction.reserved;
  let word = form.value | (random.word() & free);
  const set = (name: FieldName, bits: number): void => {
    const { last } = FIELDS[name];
    word = (word & ~fieldMask(name)) | (bits << (31 - last));
  };
  const has = (name: FieldName): boolean => instruction.fields.includes(name);
  // One register for two operands, and the same one again.
  if (random.chance(0.15)) {
    const fields = (['RT', 'RS', 'RA', 'RA0', 'RB'] as const).filter(has);
    const register = random.below(32);
    for (const name of fields) if (random.chance(0.7)) set(name, register);
  }
  if (has('SPR')) set('SPR', joinSplit(random.pick(REGISTERS)));
  if (has('TBR')) set('TBR', joinSplit(random.pick(REGISTERS)));
  if (has('SI') && random.chance(0.3)) set('SI', interestingWord(random) & 0xffff);
  if (has('UI') && random.chance(0.3)) set('UI', interestingWord(random) & 0xffff);
  if (has('FXM') && random.chance(0.6)) set('FXM', 1 << random.below(8));
  if (has('TO') && random.chance(0.5)) set('TO', 1 << random.below(5));
  // Reserved before version 2.05; the oracle writes all fields where it is set.
  if (instruction.mnemonic === 'mtfsf' && instruction.level === 'float') word &= ~MTFSF_L;
  // The lengths of lmw and stmw: most registers are few.
  if (/^(lmw|stmw)$/.test(instruction.mnemonic) && random.chance(0.7)) set('RT', 24 + random.below(8));
  return word;
}

/** Bytes that a storage instruction touches. 0: none, or not one access. */
function accessBytes(instruction: Instruction, word: number, state: State): number {
  const { access, mnemonic } = instruction;
  if (access) return access.bytes;
  switch (mnemonic) {
    case 'lmw':
    case 'stmw':
      return 4 * (32 - fieldBits(word, 'RT'));
    case 'lswi':
    case 'stswi':
      return fieldBits(word, 'NB') || 32;
    case 'lswx':
    case 'stswx':
      return (state[STATE.xer] as number) & 127;
    case 'lwarx':
    case 'stwcx.':
      return 4;
    default:
      return 1;
  }
}

export const isStorage = (instruction: Instruction): boolean =>
  instruction.access !== undefined ||
  /^(lmw|stmw|l?stswi|lsw[ix]|stsw[ix]|lwarx|stwcx\.|dcb.*|icb.*)$/.test(instruction.mnemonic);

/** Instructions of several accesses: the architecture leaves open how much of them was done when one fails. */
const isMultiple = (instruction: Instruction): boolean => /^(lmw|stmw|lsw|stsw)/.test(instruction.mnemonic);

const PAGE_BOUNDARY = DATA_PAGES + 0x1000;

/** An address for an access: mostly in the window, some across the page boundary, some where it faults. */
function randomAddress(random: Random, instruction: Instruction, bytes: number): number {
  const aligned = /^(lwarx|stwcx\.)$/.test(instruction.mnemonic) ? -4 : -1;
  const kind = random.below(20);
  if (kind < 13) return (WINDOW + random.below(WINDOW_BYTES - bytes + 1)) & aligned;
  if (kind < 17) return (PAGE_BOUNDARY - Math.min(bytes - 1, 8) + random.below(Math.min(bytes, 8))) & aligned;
  if (kind === 17) return (READ_ONLY_PAGE + random.below(0x1000 - bytes)) & aligned;
  if (kind === 18 && bytes > 1 && !isMultiple(instruction))
    return (DATA_PAGES + 0x2000 - 1 - random.below(bytes - 1)) & aligned;
  return (NOWHERE + random.below(0x10000)) & aligned;
}

/** The address next to an odd one that is inside of the window if the odd one is, and outside if it is not. */
function evenAddress(address: number): number {
  const inside = address >= WINDOW && address < WINDOW + WINDOW_BYTES;
  return inside ? address & -2 : (address + 1) & -2;
}

/** Sets base and index registers so that the access goes to an address. */
function aim(random: Random, instruction: Instruction, word: number, state: State, address: number): void {
  const ra = fieldBits(word, 'RA');
  const zero = instruction.fields.includes('RA0') && ra === 0;
  if (instruction.fields.includes('RB')) {
    const rb = fieldBits(word, 'RB');
    if (zero) state[rb] = address;
    else if (ra === rb) state[ra] = (evenAddress(address) >>> 1) | (random.word() & -0x80000000);
    else {
      state[ra] = random.chance(0.5) ? address - random.below(64) : interestingWord(random);
      state[rb] = address - (state[ra] as number);
    }
  } else if (!zero) {
    const displacement = instruction.fields.includes('D') ? (word << 16) >> 16 : 0;
    state[ra] = address - displacement;
  }
}

/** Traps before and behind a branch, so that it can land on either side. */
const BRANCH_ROOM = 16;

/** Not onto the branch itself: that would be for ever. */
const nearDistance = (random: Random): number => 4 * (random.below(2 * BRANCH_ROOM) - BRANCH_ROOM || 1);

function aimBranch(random: Random, word: number, state: State, address: number): void {
  const near = (): number => address + nearDistance(random) + random.below(4);
  if (word >>> 26 === 19) {
    if (random.chance(0.9)) state[STATE.lr] = near();
    if (random.chance(0.9)) state[STATE.ctr] = near();
    // bclr may decrement CTR as well.
    if (((word >>> 1) & 1023) === 16 && random.chance(0.8)) state[STATE.ctr] = random.below(3);
  } else if (random.chance(0.8)) state[STATE.ctr] = random.below(3);
}

/**
 * A branch's displacement: to the traps around it, for b sometimes to where nothing is mapped. Absolute targets of bc
 * are never mapped.
 */
function near(random: Random, word: number, address: number): number {
  const absolute = word & 2 ? address : 0;
  if (word >>> 26 === 16) return (word & ~0xfffc) | (nearDistance(random) & 0xfffc);
  const far = random.chance(0.05);
  const distance = far ? NOWHERE + 4 * random.below(0x4000) - address : nearDistance(random);
  return (word & ~0x03fffffc) | ((distance + absolute) & 0x03fffffc);
}

/** Adds a case of a form, with `executions` executions. */
export function addSingle(random: Random, batch: Batch, form: Form, executions: number): void {
  const { instruction } = form;
  const branches = /^bc?(lr|ctr)?$/.test(instruction.mnemonic);
  const relative = /^bc?$/.test(instruction.mnemonic);
  const room = branches ? BRANCH_ROOM + 1 : 1;
  const place = batch.reserve(1, room, room);
  const { address } = place;
  let word = randomWord(random, form);
  while (instruction.fields.includes('SPR') || instruction.fields.includes('TBR')) {
    if (!TIME_BASE.has(fieldValue(word, 'SPR'))) break;
    word = randomWord(random, form);
  }
  if (relative) word = near(random, word, address);
  const subject = batch.add(form.name, place, [word], instruction.mnemonic);
  for (let i = 0; i < executions; i++) {
    const seed = random.word();
    const state = seededState(seed);
    state[STATE.pc] = address;
    if (isStorage(instruction)) {
      const bytes = accessBytes(instruction, word, state);
      aim(random, instruction, word, state, randomAddress(random, instruction, Math.max(bytes, 1)));
    } else if (branches) aimBranch(random, word, state, address);
    batch.executions.push({ seed, state, window: random.below(batch.windows.length), subject });
  }
}

export { TRAP };
