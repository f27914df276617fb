/** The bare guest's own checks, under each accel: real KVM, real processor, no firmware. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Accel } from '../../src/kvm/index.ts';
import { Machine } from '../../src/machine/index.ts';
import { NodeHost } from '../../src/node/index.ts';
import { bareGuest } from './bare-guest.ts';

const MiB = 2 ** 20;
/** Checks that the guest makes of itself: eleven more where the paravirtual framework is. */
const CHECKS = { plain: 522, paravirt: 533 };

async function run(cpu: string, accel: Accel) {
  let output = '';
  const machine = Machine.create({
    board: 'bare',
    cpu,
    accel,
    // The talk's address, 12000380, is in it.
    memoryBytes: 320 * MiB,
    host: new NodeHost({ write: (bytes: Uint8Array) => void (output += Buffer.from(bytes).toString('latin1')) }),
    kernel: bareGuest({ paravirt: accel !== 'trap' }),
    timeoutNs: 60e9,
  });
  const end = await machine.run();
  return { output, end };
}

for (const cpu of ['power8', 'power7', '970'])
  for (const accel of ['trap', 'pv', 'assist'] as const)
    test(`a guest that owns its hash table finds everything in order: ${cpu}, ${accel}`, async () => {
      const { output, end } = await run(cpu, accel);
      assert.match(output, /^OK [0-9a-f]{16}\n$/);
      assert.equal(end.cause, 'shutdown');
      const checks = Number.parseInt(output.slice(3), 16);
      assert.equal(checks, accel === 'trap' ? CHECKS.plain : CHECKS.paravirt);
    });
