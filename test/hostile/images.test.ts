/** Some of the images of `npm run hostile`: they run on until they are stopped, in regions too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { INSTRUCTIONS } from '../../src/isa/index.ts';
import { Machine } from '../../src/machine/index.ts';
import { NodeHost } from '../../src/node/index.ts';
import { IMAGES } from './images.ts';

const SOME = ['recursion ld 60 1', 'recursion fmadd 200 8', 'straight lmw', 'straight bc', 'straight anything'];
const INSTRUCTIONS_AT_LEAST = 2e6;

for (const name of SOME)
  test(name, { timeout: 300_000 }, async () => {
    const host = new NodeHost({ write: () => {} }, () => {
      const { instructions = 0, translated_regions: regions = 0 } = machine.stats();
      if (instructions > INSTRUCTIONS_AT_LEAST && regions > 0) machine.quit('enough');
    });
    const kernel = IMAGES.get(name)?.() as Uint8Array;
    const machine = Machine.create({ board: 'bare', host, kernel, noReboot: true, icount: 1 });
    assert.deepEqual(await machine.run(), { cause: 'quit', message: 'enough' });
  });

test('every image can be made, and is what its name says', () => {
  for (const [name, make] of IMAGES) {
    const image = make();
    const [, mnemonic] = name.split(' ');
    const rows = INSTRUCTIONS.filter((one) => one.mnemonic === mnemonic);
    const word = new DataView(image.buffer).getUint32(0x3000) | 0;
    if (mnemonic !== 'anything')
      assert.ok(
        rows.some(({ mask, value }) => (word & mask) === (value | 0)),
        name,
      );
  }
});
