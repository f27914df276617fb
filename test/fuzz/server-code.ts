/** Random code of 64-bit guests: any instruction of the table, and in larger shares what only their kernels do. */
import { assembleWords, INSTRUCTIONS, SERVER_LEVELS } from '../../src/isa/index.ts';
import type { Random } from '../truth/random.ts';
import { type Form, randomWord } from '../truth/single.ts';
import { CODE, HTAB, MAGIC, PLACES, RTAS_BLOCKS } from './server-places.ts';

const FORMS: readonly Form[] = INSTRUCTIONS.filter(({ level }) => SERVER_LEVELS.has(level)).map((instruction) => {
  const { mnemonic, mask, value } = instruction;
  return { name: mnemonic, instruction, mask, value };
});
const PRIVILEGED = FORMS.filter(
  ({ instruction }) => instruction.privileged || /^m[ft]spr$|^sc$/.test(instruction.mnemonic),
);

/** Special registers with side effects, and some that stand in the magic page. */
const REGISTERS = [1, 3, 8, 9, 18, 19, 22, 25, 26, 27, 29, 152, 153, 157, 272, 273, 274, 275, 285, 311, 318, 770, 896];

/** Hypercalls that KVM or a device serves, and some that nobody does (LoPAPR 1.1, table 241). */
const HYPERCALLS = [
  ...[0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x28, 0x2c, 0x3c, 0x40, 0x54, 0x58, 0x64, 0x68, 0x6c, 0x70],
  ...[0x74, 0xdc, 0xe0, 0xe4, 0xe8, 0x124, 0x134, 0x1c8, 0x2fc, 0x300, 0x31c, 0x05, 0xefff, 0xfff0],
];

const load = (register: number, value: number): string =>
  `lis r${register},${value >> 16}; ori r${register},r${register},${value & 0xffff}`;
const wide = (register: number, high: number, low: number): string =>
  `lis r${register},${high >> 16}; ori r${register},r${register},${high & 0xffff}; sldi r${register},r${register},32; ` +
  `oris r${register},r${register},${low >>> 16}; ori r${register},r${register},${low & 0xffff}`;

/** Sequences of what needs more than one instruction to do harm. Registers that they do not set have anything. */
const SEQUENCES: readonly Uint32Array[] = [
  ...HYPERCALLS.flatMap((nr) => [`${load(3, nr)}; sc 1`, `${load(3, nr)}; mr r4,r5; sc 1`]),
  // The hash table's calls with few entries, so that they meet.
  ...[0x04, 0x0c, 0x10, 0x14, 0x18].map((nr) => `li r3,${nr}; andi. r5,r5,63; sc 1`),
  'li r3,8; li r4,0; andi. r5,r5,0x78; clrldi r6,r6,52; ori r6,r6,1; clrldi r7,r7,42; sc 1',
  'li r3,8; li r4,-1; andi. r5,r5,0x78; sc 1',
  // RTAS.
  ...Array.from({ length: 8 }, (_, i) => `${load(3, 0xf000)}; ${load(4, RTAS_BLOCKS + 64 * i)}; sc 1`),
  `${load(3, 0xf000)}; sc 1`,
  // The paravirtual interface; its hypercalls come with any arguments.
  ...[3, 4, 4, 4, 99].map((nr) => `${load(0, 0x4b564d21)}; ${load(11, 0x2a0000 + nr)}; sc`),
  `${load(0, 0x4b564d21)}; ${load(11, 0x10010)}; sc`,
  ...PLACES.map(
    (place) => `${load(0, 0x4b564d21)}; ${load(11, 0x2a0004)}; ${wide(3, place[0], place[1])}; mr r4,r3; sc`,
  ),
  `${load(0, 0x4b564d21)}; ${load(11, 0x2a0004)}; li r3,${MAGIC}; li r4,${MAGIC}; ori r4,r4,1; sc`,
  ...Array.from({ length: 16 }, (_, i) => `ld r5,${MAGIC + 8 * i}(0)`),
  ...Array.from({ length: 16 }, (_, i) => `std r5,${MAGIC + 8 * i}(0)`),
  `stw r6,${MAGIC + 0x60}(0); stw r7,${MAGIC + 0x64}(0)`,
  // Modes.
  'mfmsr r9; mtmsrd r9',
  'mtmsrd r9',
  'mtmsr r9',
  'mtmsrd r9,1',
  'rfid',
  'mtspr 27,r9; rfid',
  'mfmsr r9; ori r9,r9,0x30; mtmsrd r9',
  'mfmsr r9; xori r9,r9,0x10; mtmsrd r9',
  'mfmsr r9; xori r9,r9,0x20; mtmsrd r9',
  'mfmsr r9; ori r9,r9,0x4000; mtspr 27,r9; rfid',
  'mfmsr r9; xori r9,r9,1; mtspr 27,r9; rfid',
  'mfmsr r9; ori r9,r9,0x8000; mtmsrd r9,1',
  'mfmsr r9; oris r9,r9,0x280; ori r9,r9,0x2000; mtmsrd r9',
  // Segments and tables.
  'slbia',
  'slbie r9',
  'slbmte r9,r10',
  'slbmfee r9,r10',
  'slbmfev r9,r10',
  ...Array.from(
    { length: 8 },
    (_, i) => `${wide(9, [0, 0xc0000000, 0xf0000000, 1][i & 3] as number, 0x08000000 + i)}; slbmte r10,r9`,
  ),
  'tlbie r9,r10',
  'tlbiel r9',
  'tlbsync; sync',
  `${load(9, HTAB)}; mtspr 25,r9`,
  'mtspr 25,r9',
  `${load(9, HTAB)}; clrldi r10,r10,46; andi. r11,r10,0xfff8; stdx r12,r9,r11`,
  // Time.
  'li r9,1; mtspr 22,r9',
  'li r9,-1; mtspr 22,r9',
  `${load(9, 500)}; mtspr 22,r9`,
  'mfspr r9,22',
  'mfspr r9,268',
].map((text) => assembleWords(text, 0));

/** Interrupt handlers with which a guest goes on: behind the instruction, or anywhere in its code and in real mode. */
const GO_ON = assembleWords('mfspr r31,26; addi r31,r31,4; mtspr 26,r31; rfid', 0);
const START_AGAIN = assembleWords(
  `mfspr r30,22; mfspr r31,268; add r30,r30,r31; andi. r30,r30,0x1ffc; addi r30,r30,${CODE}; mtspr 26,r30; mfmsr r31; mtspr 27,r31; rfid`,
  0,
);
const GONE = new Set([0x200, 0x400, 0x480]);

/** Fills the page of interrupt vectors: with handlers, or like code. */
export function fillVectors(random: Random, words: Int32Array): void {
  fillCode(random, words, 1);
  if (random.chance(0.2)) return;
  for (let vector = 0x100; vector < 0x1000; vector += 0x80) {
    if (random.chance(0.05)) continue;
    words.set(GONE.has(vector) ? START_AGAIN : GO_ON, vector / 4);
  }
}

/** Fills `words` with code of a kind; kind 0 is noise and nothing else, as an image taken for a kernel would be. */
export function fillCode(random: Random, words: Int32Array, kind: number): void {
  for (let at = 0; at < words.length; ) {
    if (kind === 0) {
      words[at++] = random.word();
      continue;
    }
    const choice = random.below(100);
    if (choice < 25) {
      for (const word of random.pick(SEQUENCES)) if (at < words.length) words[at++] = word;
    } else words[at++] = oneWord(random, choice);
  }
}

function oneWord(random: Random, choice: number): number {
  if (choice < 28) return random.word();
  if (choice < 38) return randomWord(random, random.pick(PRIVILEGED));
  if (choice < 44) {
    const spr = random.chance(0.2) ? random.below(1024) : random.pick(REGISTERS);
    const move = random.chance(0.5) ? 0x7c0002a6 : 0x7c0003a6;
    return move | (random.below(32) << 21) | ((spr & 31) << 16) | ((spr >> 5) << 11);
  }
  if (choice < 48) return (18 << 26) | ((4 * (random.below(128) - 64)) & 0x03fffffc) | random.below(2);
  if (choice < 54) return (16 << 26) | (random.below(1024) << 16) | ((4 * (random.below(64) - 32)) & 0xfffc);
  if (choice < 60) return ((32 + random.below(24)) << 26) | (random.below(1024) << 16) | random.below(0x1000);
  if (choice < 64) return ((random.chance(0.5) ? 58 : 62) << 26) | (random.below(1024) << 16) | random.below(0x1000);
  return randomWord(random, random.pick(FORMS));
}
