import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isParted } from '../../src/isa/fields.ts';
import { FORMS } from '../../src/isa/forms.ts';
import {
  areCompatible,
  Decoder,
  define,
  E500_LEVELS,
  EMBEDDED_LEVELS,
  encodeField,
  FIELDS,
  type FieldName,
  INSTRUCTIONS,
  isOf,
  type Level,
  registersOf,
  SERVER_LEVELS,
  SPECIAL_REGISTERS,
} from '../../src/isa/index.ts';
import { LEVELS_OF } from '../../src/processor/levels.ts';
import { random } from './words.ts';

function bitsOf(name: FieldName): number {
  const { first, last } = FIELDS[name];
  return (2 ** (last - first + 1) - 1) << (31 - last);
}

const FAMILIES = [EMBEDDED_LEVELS, E500_LEVELS, SERVER_LEVELS].map((levels) => ({
  decoder: new Decoder(levels),
  rows: INSTRUCTIONS.filter((instruction) => isOf(instruction, levels)),
}));

test('each instruction is found by its word, whatever its operands are', () => {
  const next = random(1);
  for (const { decoder, rows } of FAMILIES) {
    for (const instruction of rows) {
      for (let i = 0; i < 50; i++) {
        const word = (next() & ~instruction.mask) | instruction.value;
        assert.equal(decoder.find(word), instruction, instruction.mnemonic);
        const valid = instruction.invalid?.(word) ? undefined : instruction;
        assert.equal(decoder.decode(word), valid, `${instruction.mnemonic} ${(word >>> 0).toString(16)}`);
      }
    }
  }
});

test('no word could be two instructions of one processor', () => {
  for (const [index, a] of INSTRUCTIONS.entries()) {
    for (const b of INSTRUCTIONS.slice(0, index)) {
      if (((a.value ^ b.value) & a.mask & b.mask) !== 0) continue;
      const both = new Set([a.level, b.level]);
      const meet = areCompatible(a.level, b.level) && isOf(a, both) && isOf(b, both);
      assert.ok(!meet, `${a.mnemonic} and ${b.mnemonic} overlap`);
    }
  }
});

test('a word has one instruction or none', () => {
  const next = random(2);
  for (const { decoder, rows } of FAMILIES) {
    for (let i = 0; i < 50_000; i++) {
      const word = next() | 0;
      const found = rows.filter(({ mask, value }) => (word & mask) === value);
      assert.ok(found.length <= 1, `${(word >>> 0).toString(16)}: ${found.map((row) => row.mnemonic).join(' and ')}`);
      assert.equal(decoder.find(word), found[0]);
    }
  }
});

/** 440, 970, POWER7, POWER8 and the widest of both families. */
const PROCESSORS = [...Object.values(LEVELS_OF), EMBEDDED_LEVELS, SERVER_LEVELS].map((levels) => ({
  levels,
  decoder: new Decoder(levels),
}));

test('no processor looks at a reserved bit', () => {
  for (const { levels, decoder } of PROCESSORS) {
    for (const instruction of INSTRUCTIONS) {
      if (!isOf(instruction, levels)) continue;
      const { mnemonic, value, mask, reserved } = instruction;
      assert.equal(mask & reserved, 0, mnemonic);
      for (let bit = 0; bit < 32; bit++) {
        const one = reserved & (1 << bit);
        if (one !== 0) assert.equal(decoder.find(value | one), instruction, `${mnemonic}, bit ${31 - bit}`);
      }
    }
  }
});

test('each bit of an instruction is its opcode’s, a field’s or reserved', () => {
  for (const { mnemonic, mask, fields, reserved } of INSTRUCTIONS) {
    let told = mask | reserved;
    for (const name of fields) told |= isParted(name) ? encodeField(name, 63) : bitsOf(name);
    assert.equal(told, -1, mnemonic);
  }
});

/** Words that compilers make for later processors, and what older ones take them for. */
const LATER = {
  mffs: [0xfc41048e, 0xfc54048e, 0xfc55048e, 0xfc56048e, 0xfc57048e, 0xfc58048e],
  subfme: [0x7ca409d0],
  neg: [0x7ca408d0],
  extsw: [0x7c850fb4],
  mulhdu: [0x7ca42412],
  popcntd: [0x7c8503f5],
  mtcrf: [0x7c8ff121],
  crorc: [0x4c011343],
  cmp: [0x7c242001],
  isync: [0x4c00092c],
};

test('forms of later architectures are what their reserved bits stand in', () => {
  for (const [mnemonic, words] of Object.entries(LATER))
    for (const word of words)
      for (const levels of [LEVELS_OF.power7, LEVELS_OF.power8])
        assert.equal(new Decoder(levels).decode(word | 0)?.mnemonic, mnemonic, word.toString(16));
});

test('values of opcode bits are not reserved ones', () => {
  const decoder = new Decoder(LEVELS_OF.power8);
  // stwcx. without its Rc; scv, of a later architecture; dcbf with a value of L that is reserved is still dcbf.
  for (const word of [0x7c00012c, 0x44000001]) assert.equal(decoder.decode(word), undefined, word.toString(16));
  assert.equal(decoder.decode(0x7c4018ac)?.mnemonic, 'dcbf');
});

test('an older row gives way to the newer one', () => {
  const mtfsf = (levels: ReadonlySet<Level>) => new Decoder(levels).decode(0xfffe_0d8e | 0);
  assert.equal(mtfsf(LEVELS_OF['970'])?.fields.includes('FPSCR_L'), false);
  assert.equal(mtfsf(LEVELS_OF.power7)?.fields.includes('FPSCR_L'), true);
});

test('one-field moves of the condition register are of servers', () => {
  const MFOCRF = 0x7c90_1026;
  assert.equal(new Decoder(LEVELS_OF['440']).decode(MFOCRF)?.mnemonic, 'mfcr');
  for (const name of ['970', 'power7', 'power8'] as const)
    assert.equal(new Decoder(LEVELS_OF[name]).decode(MFOCRF)?.mnemonic, 'mfocrf');
});

test('every operand is a field of the encoding', () => {
  for (const form of FORMS.flat()) {
    const encoded = new Set(form.instruction.fields.map((name) => `${FIELDS[name].first}-${FIELDS[name].last}`));
    for (const slot of form.slots) {
      for (const name of [slot.name, slot.base]) {
        if (name === null || name === 'n' || name === 'literal') continue;
        const { first, last } = FIELDS[name];
        const within = [...encoded].some((range) => {
          const [from, to] = range.split('-').map(Number) as [number, number];
          return first >= from && last <= to;
        });
        assert.ok(within, `${form.mnemonic}: ${name}`);
      }
    }
  }
});

test('an instruction without a meaning is privileged', () => {
  for (const { mnemonic, meaning, privileged } of INSTRUCTIONS)
    assert.equal(meaning === null, privileged === true, mnemonic);
});

test('each special register of a processor has one row', () => {
  for (const levels of Object.values(LEVELS_OF)) assert.ok(registersOf(levels).size > 20);
  for (const { name, read, write, mfspr, mtspr } of SPECIAL_REGISTERS) {
    if (read) assert.equal(mfspr, 'problem', name);
    if (write) assert.equal(mtspr, 'problem', name);
  }
});

test('a slip in an encoding is told when the table is loaded', () => {
  assert.throws(() => define('x', '31 RT RA RB 266:9 Rc', 'RT,RA,RB', null), /does not stand at bit|bits/);
  assert.throws(() => define('x', '31 RA RT RB OE 266:9 Rc', 'RT,RA,RB', null), /field RA does not stand at bit 6/);
  assert.throws(() => define('x', '31 RT RA RB OE 600:9 Rc', 'RT,RA,RB', null), /600:9 does not fit/);
});
