/** A slice of `npm run fuzz`: no guest throws, hangs, or ends in a way that there is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GuestEnd, HostileGuests } from './guests.ts';

const GUESTS = 150;

for (const accel of ['trap', 'assist'] as const) {
  test(`${GUESTS} hostile guests, ${accel}`, () => {
    const machine = new HostileGuests(accel);
    const ends = new Set<GuestEnd>();
    for (let seed = 1; seed <= GUESTS; seed++) ends.add(machine.run(seed));
    for (const end of ['limit', 'waiting', 'internal error'] satisfies GuestEnd[]) assert.ok(ends.has(end), end);
  });
}
