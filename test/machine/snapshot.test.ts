/** Snapshots: what is saved goes on as if nothing had been, and what does not fit is refused with one line. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import manifest from '../../package.json' with { type: 'json' };
import { assembleWords } from '../../src/isa/index.ts';
import { Machine, MachineError, type MachineOptions } from '../../src/machine/index.ts';
import { VERSION } from '../../src/machine/version.ts';
import { nodeCodecs } from '../../src/node/codecs.ts';
import { bareGuest } from './bare-guest.ts';
import { counter, isRefusal, MAP_MAGIC_PAGE } from './counter-guest.ts';
import { runSaved, TurningHost } from './saved-runs.ts';

const MiB = 2 ** 20;

const small = (): Omit<MachineOptions, 'host'> => ({
  board: 'bare',
  memoryBytes: 4 * MiB,
  kernel: counter(),
  icount: 10_000,
});

/** A snapshot of the small machine on its way. */
async function snapshotOf(options: Partial<MachineOptions> = {}): Promise<Uint8Array> {
  let snapshot: Promise<Uint8Array> | undefined;
  const host = new TurningHost((turn) => {
    if (turn === 3) snapshot = machine.save();
    if (turn === 5) machine.quit();
  });
  const machine = Machine.create({ ...small(), ...options, host });
  await machine.run();
  assert.ok(snapshot !== undefined);
  return snapshot;
}

for (const accel of ['trap', 'pv', 'assist'] as const)
  test(`a guest that checks itself finds everything in order wherever it was saved: ${accel}`, async () => {
    const options: Omit<MachineOptions, 'host'> = {
      board: 'bare',
      accel,
      memoryBytes: 320 * MiB,
      icount: 50_000,
      kernel: bareGuest({ paravirt: accel !== 'trap' }),
    };
    const whole = await runSaved(options, () => false);
    const saved = await runSaved(options, (turn) => turn % 4 === 0);
    assert.ok(saved.saves > 1, String(saved.saves));
    assert.match(saved.output, /^OK /);
    assert.deepEqual({ ...saved, saves: 0 }, whole);
  });

test('a machine is saved, goes on, and its snapshot goes on as well', async () => {
  const whole = await runSaved(small(), () => false);
  assert.equal(whole.output, 'abcdefghij');
  for (let every = 1; every < 4; every++) {
    const saved = await runSaved(small(), (turn) => turn % every === 0);
    assert.deepEqual({ ...saved, saves: 0 }, whole);
  }
});

test('each way to compress gives the same machine', async () => {
  for (const compression of ['none', 'deflate', 'zstd'] as const) {
    const made = Machine.create({ ...small(), host: new TurningHost() });
    const snapshot = await Object.assign(made).save({ compression: compression === 'zstd' ? 'none' : compression });
    const host = Object.assign(new TurningHost(), nodeCodecs);
    const machine = Machine.restore(snapshot, { host });
    const again = await machine.save({ compression });
    const other = Machine.restore(again, { host });
    assert.equal((await other.run()).cause, 'shutdown');
    assert.equal(host.output, 'abcdefghij');
    host.output = '';
  }
  const plain = new TurningHost();
  await assert.rejects(Machine.create({ ...small(), host: plain }).save({ compression: 'zstd' }), isRefusal);
  await assert.rejects(Machine.create({ ...small(), host: plain }).save({ compression: 'rar' as 'none' }), isRefusal);
});

test('snapshots that are cut off or have one bit turned are refused', async () => {
  const snapshot = await snapshotOf();
  const host = new TurningHost();
  const restore = (bytes: Uint8Array): Machine => Machine.restore(bytes, { host });
  restore(snapshot);
  for (let length = 0; length < snapshot.length; length = Math.ceil(length * 1.07) + 1)
    assert.throws(() => restore(snapshot.subarray(0, length)), isRefusal, String(length));
  for (let bit = 5; bit < snapshot.length * 8; bit = Math.ceil(bit * 1.04) + 3) {
    const flipped = snapshot.slice();
    (flipped[bit >> 3] as number) ^= 1 << (bit & 7);
    assert.throws(() => restore(flipped), isRefusal, String(bit));
  }
  assert.throws(() => restore(Buffer.concat([snapshot, Buffer.alloc(1)])), /damaged/);
  assert.throws(() => restore(new Uint8Array(100)), /no snapshot/);
});

test('what a snapshot needs is said where it is not there', async () => {
  const snapshot = await snapshotOf();
  const host = new TurningHost();
  assert.throws(() => Machine.restore(snapshot, { host, board: 'pseries' }), /is of the board bare, not pseries/);
  assert.throws(() => Machine.restore(snapshot, { host, kernel: counter() } as never), /no option "kernel"/);
  assert.throws(() => Machine.restore(snapshot, {} as never), /option host is missing/);
  // The format's number stands behind the signature.
  const newer = snapshot.slice();
  newer[8] = 2;
  assert.throws(() => Machine.restore(newer, { host }), /has format 2; this program reads format 1/);
  assert.equal(VERSION, manifest.version);
});

test('a machine goes on with another accel, but for a guest that has the paravirtual interface', async () => {
  const snapshot = await snapshotOf({ accel: 'pv' });
  for (const accel of ['trap', 'assist'] as const) {
    const host = new TurningHost();
    assert.equal((await Machine.restore(snapshot, { host, accel }).run()).cause, 'shutdown');
    assert.ok(host.output !== '' && 'abcdefghij'.endsWith(host.output));
  }
  const paravirtual = await snapshotOf({ accel: 'pv', kernel: counter(MAP_MAGIC_PAGE) });
  const host = new TurningHost();
  assert.throws(
    () => Machine.restore(paravirtual, { host, accel: 'trap' }),
    /accel trap has not; pv, assist would fit/,
  );
  assert.equal((await Machine.restore(paravirtual, { host, accel: 'assist' }).run()).cause, 'shutdown');
  assert.ok(host.output !== '' && 'abcdefghij'.endsWith(host.output));
});

test('forks go on by themselves', async () => {
  const forks: Promise<Machine>[] = [];
  const hosts = [1, 2, 3].map(() => new TurningHost());
  const host = new TurningHost((turn) => {
    if (turn === 2) for (const other of hosts) forks.push(machine.fork({ host: other, noReboot: true }));
  });
  const machine = Machine.create({ ...small(), host });
  const first = machine.run();
  assert.equal((await first).cause, 'shutdown');
  assert.equal(host.output, 'abcdefghij');
  assert.equal(forks.length, hosts.length);
  const machines = await Promise.all(forks);
  const ends = await Promise.all(machines.map((fork) => fork.run()));
  for (const [i, end] of ends.entries()) {
    assert.equal(end.cause, 'shutdown');
    assert.ok('abcdefghij'.endsWith(hosts[i]?.output ?? 'x'));
    assert.equal(hosts[i]?.output, hosts[0]?.output);
    assert.equal(machines[i]?.vm.clock.now(), machine.vm.clock.now());
  }
});

test('who saves does not end a pause of somebody else, and goes on where nobody paused', async () => {
  const host = new TurningHost();
  const machine = Machine.create({ ...small(), host });
  // Before the first run, too.
  await machine.save();
  assert.equal(machine.state, 'created');
  const run = machine.run();
  const saving = machine.save();
  await machine.pause();
  await Promise.all([saving, machine.save(), machine.save()]);
  assert.equal(machine.state, 'paused');
  machine.resume();
  assert.equal((await run).cause, 'shutdown');
  await assert.rejects(machine.save(), /has ended/);
  await assert.rejects(machine.fork({ host }), /has ended/);
});

test('what cannot be written ends the saving, and the machine goes on', async () => {
  const host = new TurningHost();
  const machine = Machine.create({ ...small(), host });
  const run = machine.run();
  const full = (): never => {
    throw new MachineError('the disk is full');
  };
  await assert.rejects(machine.saveTo(full), /the disk is full/);
  assert.equal((await run).cause, 'shutdown');
});

test('a reset of a machine that was restored ends it: there is no kernel to boot again', async () => {
  const words = assembleWords('lis r5,0xf000; clrldi r5,r5,32; addi r5,r5,0x1000; li r6,0x7777; stw r6,0(r5)', 0);
  const kernel = new Uint8Array(words.length * 4);
  for (const [i, word] of words.entries()) new DataView(kernel.buffer).setUint32(4 * i, word);
  const made = Machine.create({ ...small(), kernel, host: new TurningHost() });
  const machine = Machine.restore(await made.save(), { host: new TurningHost() });
  assert.equal((await machine.run()).cause, 'reset');
});
