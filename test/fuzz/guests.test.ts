/** Slices of `npm run fuzz`: no guest throws, hangs, writes to what is not its own, or ends in a way that there is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostileGuests } from './guests.ts';
import type { GuestEnd } from './serve.ts';
import { HostileServers, SERVER_KINDS } from './servers.ts';

const GUESTS = 150;
const SERVERS = 12;

for (const accel of ['trap', 'assist'] as const) {
  test(`${GUESTS} hostile guests, ${accel}`, () => {
    const machine = new HostileGuests(accel);
    const ends = new Set<GuestEnd>();
    for (let seed = 1; seed <= GUESTS; seed++) ends.add(machine.run(seed));
    for (const end of ['limit', 'waiting', 'internal error'] satisfies GuestEnd[]) assert.ok(ends.has(end), end);
  });
}

for (const accel of ['trap', 'pv', 'assist'] as const) {
  test(`${SERVERS} hostile guests on each kind of server, ${accel}`, () => {
    const ends = new Set<GuestEnd>();
    for (const kind of SERVER_KINDS) {
      const machine = new HostileServers(accel, kind);
      for (let seed = 1; seed <= SERVERS; seed++) ends.add(machine.run(seed));
      machine.checkAll();
    }
    for (const end of ['limit', 'exits'] satisfies GuestEnd[]) assert.ok(ends.has(end), end);
  });
}
