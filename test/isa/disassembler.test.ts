import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Decoder, disassemble, EMBEDDED_LEVELS, type Level, SERVER_LEVELS } from '../../src/isa/index.ts';
import { type Line, objdumpText, objdumpVersion, objdumpWords, recording, relocatable } from './objdump.ts';
import { DIALECTS, digest, namedForms, wordsOf } from './words.ts';

const recorded = recording();
const installed = objdumpVersion();
const live = installed === recorded.version ? false : `no objdump ${recorded.version} here (${installed ?? 'none'})`;
const folder = process.env['POWERVISOR_TEST_GUEST_440'];
const kernel = folder && join(folder, 'vmlinux');

/** Words with reserved bits have a text here, as the processor runs them; the reference has one for some. */
function hasReservedBits(word: number, levels: ReadonlySet<Level>): boolean {
  return ((new Decoder(levels).find(word | 0)?.reserved ?? 0) & word) !== 0;
}

/** The differences between our texts and the reference's, a few of them in words. */
function assertSameTexts(listing: readonly Line[], levels = EMBEDDED_LEVELS): void {
  const different = listing.filter(
    ({ word, address, text }) =>
      disassemble(word, address, levels) !== text && !(text.startsWith('.long') && hasReservedBits(word, levels)),
  );
  const shown = different.slice(0, 10).map(({ word, address, text }) => {
    return `${word.toString(16).padStart(8, '0')}: '${disassemble(word, address, levels)}', objdump '${text}'`;
  });
  assert.equal(different.length, 0, `${different.length} of ${listing.length} texts differ:\n${shown.join('\n')}`);
}

test('random words of each form have the texts that were recorded from objdump', () => {
  for (const [name, form] of namedForms()) {
    const expected = recorded.forms[name];
    assert.ok(expected, `${name} is not recorded: run test/isa/record.ts`);
    const address = 0x1000;
    const levels = DIALECTS.find(({ has }) => has(form))?.levels;
    const texts = wordsOf(form, recorded.wordsPerForm).map((word) =>
      relocatable({ address, word, text: disassemble(word, address, levels) }),
    );
    assert.equal(texts[0], expected.text, `${name}: ${expected.word}`);
    assert.equal(digest(texts.join('\n')), expected.digest, `${name}: some word's text is not objdump's`);
  }
});

test('random words of each form have objdump’s texts', { skip: live }, () => {
  for (const { dialect, levels, has } of DIALECTS) {
    const forms = namedForms().filter(([, form]) => has(form));
    assertSameTexts(
      objdumpWords(
        forms.flatMap(([, form]) => wordsOf(form, 200)),
        dialect,
      ),
      levels,
    );
  }
});

test('every word of a kernel has objdump’s text', { skip: live || !kernel || !existsSync(kernel) }, () => {
  const listing = objdumpText(kernel as string);
  assert.ok(listing.length > 100_000);
  assertSameTexts(listing);
});

test('a word without an instruction is a number', () => {
  assert.equal(disassemble(0, 0), '.long 0x0');
  assert.equal(disassemble(0x7fffffff, 0), '.long 0x7fffffff');
});

test('a word with reserved bits is written as the instruction that the processor takes it for', () => {
  assert.equal(disassemble(0xfc56048e, 0, SERVER_LEVELS), 'mffs    f2');
  assert.equal(disassemble(0xfc58048e, 0, SERVER_LEVELS), 'mffs    f2');
  assert.equal(disassemble(0x7ca408d0, 0), 'neg     r5,r4');
});

test('instructions of levels that a processor has not are numbers', () => {
  const levels = new Set([...EMBEDDED_LEVELS].filter((level) => level !== 'float'));
  assert.equal(disassemble(0xfc01102a, 0), 'fadd    f0,f1,f2');
  assert.equal(disassemble(0xfc01102a, 0, levels), '.long 0xfc01102a');
});
