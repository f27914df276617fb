/** Snapshots that somebody made to do harm: whole in form, with right check sums, and anything for a state. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Machine, type SnapshotHeader } from '../../src/machine/index.ts';
import { crc32 } from '../../src/machine/loaders/crc32.ts';
import { counter, isRefusal } from './counter-guest.ts';
import { TurningHost } from './saved-runs.ts';

const PREFIX = 20;
const TURNS = 4;
const words = (text: string): string[] => text.split('.');

/** The snapshot with another header. */
function withHeader(snapshot: Uint8Array, change: (header: Record<string, unknown>) => void): Uint8Array {
  const view = new DataView(snapshot.buffer, snapshot.byteOffset, snapshot.byteLength);
  const length = view.getUint32(12, true);
  const header = JSON.parse(new TextDecoder().decode(snapshot.subarray(PREFIX, PREFIX + length)));
  change(header);
  const json = new TextEncoder().encode(JSON.stringify(header));
  const prefix = snapshot.slice(0, PREFIX);
  const out = new DataView(prefix.buffer);
  out.setUint32(12, json.length, true);
  out.setUint32(16, crc32(json), true);
  return Buffer.concat([prefix, json, snapshot.subarray(PREFIX + length)]);
}

/** The paths of everything in a state, lists as a whole and by their first place. */
function paths(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path];
  const names = Array.isArray(value) ? Object.keys(value).slice(0, 2) : Object.keys(value);
  return [
    ...(path === '' ? [] : [path]),
    ...names.flatMap((name) => paths((value as Record<string, unknown>)[name], path === '' ? name : `${path}.${name}`)),
  ];
}

const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(0, 1, -1, 0xffffffff, 2 ** 32, 2 ** 53, 1e300, -1e300, 0.5, '', [], {}, null, true),
  fc.integer(),
  fc.array(fc.integer({ min: 0, max: 0xffffffff }), { minLength: 64, maxLength: 64 }),
);

for (const board of ['bare', 'pseries', 'bamboo'] as const)
  test(`a header that is made up is refused, or is a machine that runs: ${board}`, async () => {
    const options = { board, memoryBytes: board === 'bare' ? 2 ** 22 : 2 ** 26, kernel: counter(), icount: 1000 };
    const made = Machine.create({ ...options, host: new TurningHost() });
    const snapshot = await made.save({ compression: 'none' });
    let header: unknown;
    withHeader(snapshot, (one) => (header = one));
    const places = paths(header as SnapshotHeader);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...places), odd), { minLength: 1, maxLength: 3 }),
        async (changes) => {
          const bytes = withHeader(snapshot, (one) => {
            for (const [path, value] of changes) {
              const names = words(path);
              const last = names.pop() as string;
              const target = names.reduce<unknown>((at, name) => Object(at)[name], one);
              if (typeof target === 'object' && target !== null) (target as Record<string, unknown>)[last] = value;
            }
          });
          let machine: Machine;
          const host = new TurningHost((turn) => {
            if (turn === TURNS) machine.quit();
          });
          try {
            machine = Machine.restore(bytes, { host });
          } catch (error) {
            assert.ok(isRefusal(error), String((error as Error).stack));
            return;
          }
          const end = await machine.run();
          assert.ok(!end.message.includes('\n'));
          assert.ok(!(end.cause === 'error' && /undefined|is not a function|Cannot/.test(end.message)), end.message);
          JSON.stringify(machine.stats());
        },
      ),
      { numRuns: Number(process.env['RUNS'] ?? 40) },
    );
  });
