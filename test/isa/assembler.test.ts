import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssemblerError, assemble, assembleWords, disassemble } from '../../src/isa/index.ts';
import { DIALECTS, namedForms, wordsOf } from './words.ts';

const hex = (words: Iterable<number>): string[] => [...words].map((word) => word.toString(16).padStart(8, '0'));
const one = (source: string, origin = 0): string => hex(assembleWords(source, origin)).join(' ');
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** Words whose text stands for another word too, which the assembler then chooses. */
function isAmbiguous(word: number): boolean {
  const opcode = word >>> 26;
  const bo = (word >>> 21) & 31;
  // Bits of BO that the branch does not look at.
  if (opcode === 16) return (bo & 20) === 4 ? (bo & 2) !== 0 : (bo & 24) === 24;
  // SPRG4–SPRG7 by their supervisor numbers: reading them is written as reading the user's copies.
  return (word & 0xfc1ff7ff) >>> 0 === 0x7c1442a6 || (word & 0xfc1cffff) >>> 0 === 0x7c1442a6;
}

test('what the disassembler writes, the assembler reads back to the same word', () => {
  for (const [name, form] of namedForms()) {
    for (const [index, word] of wordsOf(form, 100).entries()) {
      if (isAmbiguous(word)) continue;
      const address = (0xfffff000 + 4 * index) >>> 0;
      const written = disassemble(word, address, DIALECTS.find(({ has }) => has(form))?.levels);
      assert.equal(one(written, address), hex([word])[0], `${name}: ${written}`);
    }
  }
});

test('labels, local labels and expressions', () => {
  const source = `
start:  li      r3, 3           # a comment
1:      addi    r3, r3, -1      // another
        cmpwi   r3, 0; bne 1b
        b       1f
        .long   start, end - start, 2 + 3 * 4, (2 + 3) * 4, 1 << 4 | 1, -1, 'A', .
1:      blr
end:`;
  assert.deepEqual(hex(assembleWords(source, 0x1000)), [
    ...['38600003', '3863ffff', '2c030000', '4082fff8', '48000024'],
    ...['00001000', '00000038', '0000000e', '00000014', '00000011', 'ffffffff', '00000041', '00001030'],
    '4e800020',
  ]);
});

test('parts of addresses', () => {
  assert.equal(one('lis r3, target@ha; addi r3, r3, target@l; .set target, 0x1234fedc'), '3c601235 3863fedc');
  assert.equal(
    one('lis r3, 0xc0008000@h; ori r3, r3, 0xc0008000@l; lwz r4, 0xc0008000@l(r3)'),
    '3c60c000 60638000 80838000',
  );
});

test('data, strings and places', () => {
  assert.equal(text(assemble('.ascii "a,#;\\n\\x41\\101"; .asciz "b"')), 'a,#;\nAAb\0');
  assert.deepEqual(
    [...assemble('.byte 1, -1; .align 2; .short 0x1234; .org 8; .quad 1; .space 1')],
    [...[1, 255, 0, 0, 0x12, 0x34, 0, 0], ...[0, 0, 0, 0, 0, 0, 0, 1, 0]],
  );
  assert.equal(assemble('.org 0x1010; nop', 0x1000).length, 0x14);
});

test('names that only the assembler knows', () => {
  assert.equal(one('sub r3,r4,r5; subi r3,r4,1; la r3,8(r4); tlbwelo r3,r4'), '7c652050 3864ffff 38640008 7c640fa4');
  assert.equal(one('bun cr1,0x10; bng 0x10; sync; eieio'), '41870010 4081000c 7c0004ac 7c0006ac');
});

test('predictions turn with the direction', () => {
  assert.equal(
    one('beq 8; beq+ 8; beq- 12; .org 0x10; beq+ 0; beq- 0'),
    '41820008 41a20004 41820004 00000000 4182fff0 41a2ffec',
  );
});

test('mistakes are told in one line, with the line’s number', () => {
  const cases: readonly (readonly [source: string, message: RegExp])[] = [
    ['nop\nfrobnicate r1', /^line 2: there is no instruction 'frobnicate'$/],
    ['add r1,r2', /^line 1: add takes other operands than these 2$/],
    ['addi r1,r2,40000', /^line 1: 40000 does not fit addi$/],
    ['addi r1,r2,r3', /^line 1: 'r3' is a register, not a number$/],
    ['add r1,f2,r3', /^line 1: 'f2' is not one of r0 and so on$/],
    ['add r1,r32,r3', /^line 1: /],
    ['lwz r1,4', /^line 1: '4' is not of the form offset\(register\)$/],
    ['b nowhere', /^line 1: 'nowhere' is not defined$/],
    ['b 2', /^line 1: the target 2 is not a multiple of 4$/],
    ['beq 0x10000', /^line 1: the target 0x10000 is too far away$/],
    ['x: nop\nx: nop', /^line 2: 'x' is defined twice$/],
    ['.org 8\n.org 4', /^line 2: 0x4 lies behind$/],
    ['.space 1 << 40', /^line 1: the program is too large$/],
    ['.frob', /^line 1: there is no directive '.frob'$/],
    ['.long 1 +', /^line 1: an expression is missing or incomplete$/],
    ['.long 1 / 0', /^line 1: division by zero$/],
    ['.long (1', /^line 1: '\)' is missing$/],
    ['.asciz hello', /^line 1: hello is not a string in quotes$/],
    ['.byte 256', /^line 1: 256 does not fit 1 bytes$/],
    ['li r3, 1@q', /^line 1: '@q' is not known/],
    ['slwi r3,r4,32', /^line 1: 32 does not fit slwi$/],
  ];
  for (const [source, message] of cases) {
    assert.throws(
      () => assemble(source),
      (error) => error instanceof AssemblerError && message.test(error.message) && !error.message.includes('\n'),
      source,
    );
  }
});
