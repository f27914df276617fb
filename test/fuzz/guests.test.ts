/** Slices of `npm run fuzz`: nothing throws, hangs, writes to what is not its own, or ends in a way that there is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KINDS } from './kinds.ts';

/** Cases of a group, by the first word of its kinds' names; and ends that there must be among theirs. */
const SLICES: Readonly<Record<string, { readonly cases: number; readonly ends: readonly string[] }>> = {
  440: { cases: 300, ends: ['limit', 'waiting', 'internal error'] },
  e500: { cases: 240, ends: ['limit', 'waiting', 'watchdog'] },
  server: { cases: 180, ends: ['limit', 'exits'] },
  program: { cases: 51, ends: ['quit'] },
  kernel: { cases: 120, ends: ['quit', 'refused'] },
  tree: { cases: 120, ends: ['quit', 'refused'] },
  initrd: { cases: 80, ends: ['quit', 'refused'] },
  streams: { cases: 60, ends: ['quit', 'shutdown'] },
  gdb: { cases: 120, ends: ['quit'] },
  packets: { cases: 100, ends: ['carried', 'answered'] },
  chip: { cases: 90, ends: ['quit', 'shutdown'] },
  messages: { cases: 240, ends: ['accepted'] },
  states: { cases: 80, ends: ['accepted', 'refused'] },
};

for (const [group, { cases, ends: wanted }] of Object.entries(SLICES)) {
  test(`${cases} hostile cases of the kind ${group}`, async () => {
    const kinds = KINDS.filter(({ name }) => name.startsWith(`${group} `));
    assert.ok(kinds.length > 0);
    const ends = new Set<string>();
    for (const { make } of kinds) {
      const machine = make();
      for (let seed = 1; seed <= cases / kinds.length; seed++) ends.add(await machine.run(seed));
      machine.checkAll?.();
    }
    for (const end of wanted) assert.ok(ends.has(end), end);
  });
}
