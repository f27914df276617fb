import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMS } from '../../src/isa/forms.ts';
import {
  Decoder,
  define,
  EMBEDDED_LEVELS,
  FIELDS,
  INSTRUCTIONS,
  registersOf,
  SERVER_LEVELS,
  SPECIAL_REGISTERS,
} from '../../src/isa/index.ts';
import { LEVELS_OF } from '../../src/processor/levels.ts';
import { random } from './words.ts';

const FAMILIES = [EMBEDDED_LEVELS, SERVER_LEVELS].map((levels) => ({
  decoder: new Decoder(levels),
  rows: INSTRUCTIONS.filter(({ level }) => levels.has(level)),
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
