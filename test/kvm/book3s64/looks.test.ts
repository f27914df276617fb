/** How often KVM looks at the clock, however quick the guest's code seems: any of it may be the slowest next. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCELS, LittleGuest } from './little-guest.ts';

const LOOPS = 1_000_000;
/** Instructions that any engine carries out in a fourth of a second, where each is a sum of decimal numbers. */
const MOST = 50_000;

for (const accel of ACCELS)
  test(`between two looks no more is done than may take 250 ms, ${accel}`, () => {
    let looks = 0;
    const clock = {
      now: () => {
        looks++;
        return 0;
      },
    };
    const guest = new LittleGuest('power8', accel, { clock });
    // Once to have it translated.
    for (let i = 0; i < 2; i++) {
      looks = 0;
      guest.run('mtctr r5; addi r6,r6,1; bdnz .-4', { 5: BigInt(LOOPS) });
    }
    assert.ok(looks >= (2 * LOOPS) / MOST, `${looks} looks`);
    assert.ok(looks < (2 * LOOPS) / 5000, `${looks} looks`);
  });
