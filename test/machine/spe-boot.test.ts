/** Linux makes of SPE what IEEE 754 wants (arch/powerpc/math-emu/math_efp.c): by data interrupts and round interrupts. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootGuest } from './boot-guest.ts';
import { expected, SUMS, speInitrd } from './spe-program.ts';

const folder = process.env['POWERVISOR_TEST_GUEST_E500'];
const kernel = folder && join(folder, 'uImage');
const skip = kernel && existsSync(kernel) ? false : 'no e500 guest (POWERVISOR_TEST_GUEST_E500)';

test("a program's sums with denormals, infinities and all rounding modes are IEEE 754's", { skip }, async () => {
  const { output } = await bootGuest({
    board: 'ppce500',
    kernel: readFileSync(kernel as string),
    initrd: speInitrd(),
    append: 'console=ttyS0 quiet',
    noReboot: true,
  });
  const lines = output.match(/^[0-9a-f]{16}\r?$/gm)?.map((line) => line.trim());
  const texts = SUMS.map((sum) => `${sum.operation} ${sum.mode} ${sum.a.toString(16)} ${sum.b.toString(16)}`);
  const found = SUMS.map((_, n) => `${texts[n]}: ${lines?.[n]}`);
  const wanted = SUMS.map((sum, n) => `${texts[n]}: ${expected(sum)}`);
  assert.deepEqual(found, wanted, output.slice(-2000));
});
