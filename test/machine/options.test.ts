import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_EXIT } from '../../src/kvm/api.ts';
import { Machine, MachineError, type MachineHost, type MachineOptions } from '../../src/machine/index.ts';
import { createMachine } from '../../src/node/index.ts';
import { makeFakeHost, makeFakeVm } from './fake-vm.ts';
import { makeUImage } from './images.ts';

const memoryBytes = 64 * 2 ** 20;
const kernel = makeUImage(Uint8Array.of(0x48, 0, 0, 0, 1, 2, 3, 4), { load: 0, entry: 4 });
const good = (): MachineOptions => ({
  board: 'bamboo',
  host: makeFakeHost(),
  memoryBytes,
  kernel,
  createVm: () => makeFakeVm(memoryBytes, function* () {}),
});

/** The one line that creating a machine ends with. */
function refusal(create: () => unknown): string {
  try {
    create();
  } catch (error) {
    assert.ok(error instanceof MachineError, String(error));
    assert.ok(!error.message.includes('\n'), error.message);
    return error.message;
  }
  throw new assert.AssertionError({ message: 'the options were taken' });
}

test('every wrong option is refused with its name and what would fit', () => {
  const wrong: [unknown, RegExp][] = [
    [undefined, /^a machine's options are an object, not undefined$/],
    ['bamboo', /^a machine's options are an object, not the string "bamboo"$/],
    [{}, /^the option board is missing: the name of a board/],
    [{ board: 'bamboo', kernel }, /^the option host is missing: a host would fit$/],
    [{ board: 'bamboo', host: makeFakeHost() }, /^the option kernel is missing: a Uint8Array would fit$/],
    [{ ...good(), kernel: 'uImage' }, /^the option kernel is the string "uImage"; the file's contents, a Uint8Array/],
    [{ ...good(), kernel: kernel.buffer }, /^the option kernel is an object \(ArrayBuffer\); a Uint8Array would fit$/],
    [{ ...good(), kernel: new Uint8Array() }, /^the kernel has 0 bytes/],
    [{ ...good(), initrd: 'x' }, /^the option initrd is the string "x"; the file's contents/],
    [{ ...good(), initrd: null }, /^the option initrd is null; a Uint8Array would fit$/],
    [{ ...good(), dtb: [1, 2] }, /^the option dtb is an object \(Array\); a Uint8Array/],
    [{ ...good(), append: 5 }, /^the option append is 5; a string would fit$/],
    [{ ...good(), memoryBytes: '256M' }, /^the option memoryBytes is the string "256M"; a number of bytes/],
    [{ ...good(), memoryBytes: Number.NaN }, /cannot have NaN bytes of memory; 8 MiB to/],
    [{ ...good(), memoryBytes: 0 }, /cannot have 0 bytes of memory/],
    [{ ...good(), cpu: 5 }, /^the option cpu is 5; a string would fit$/],
    [{ ...good(), cpu: 'power8' }, /no processor "power8"; 440ep would fit$/],
    [{ ...good(), accel: 'x' }, /accel "x"; assist, trap would fit$/],
    [{ ...good(), accel: 'x'.repeat(1000) }, /accel "x{64}"/],
    [{ ...good(), icount: Number.NaN }, /^the option icount is NaN; a number of nanoseconds above 0/],
    [{ ...good(), icount: 0 }, /^the option icount is 0;/],
    [{ ...good(), icount: -5 }, /^the option icount is -5;/],
    [{ ...good(), timeoutNs: Number.NaN }, /^the option timeoutNs is NaN;/],
    [{ ...good(), timeoutNs: -1 }, /^the option timeoutNs is -1;/],
    [{ ...good(), noReboot: 'yes' }, /^the option noReboot is the string "yes"; true or false/],
    [
      { ...good(), host: {} },
      /^the option host is an object \(Object\); a host would fit, which has a function clock.now$/,
    ],
    [{ ...good(), translation: {} }, /^the option translation .* which has a function start$/],
    [{ ...good(), cores: 1 }, /^the option cores is 1; an object would fit$/],
    [{ ...good(), createVm: {} }, /^the option createVm is an object \(Object\); a function would fit$/],
    [{ ...good(), memory: 64 }, /^there is no option "memory"; the options are: board, .*memoryBytes/],
    [{ ...good(), board: 'Bamboo' }, /^there is no board "Bamboo"; the boards are: bamboo/],
    [{ ...good(), board: '__proto__' }, /^there is no board "__proto__"/],
    [{ ...good(), board: { name: 'mine' } }, /^the option board .* which has a function devices$/],
  ];
  for (const [options, message] of wrong)
    assert.match(
      refusal(() => Machine.create(options as MachineOptions)),
      message,
    );
  Machine.create(good());
});

test('the options of powervisor/node too', () => {
  const create = createMachine as (options?: unknown) => Machine;
  const console = { write() {} };
  assert.match(
    refusal(() => create()),
    /^the option console is missing; process.stdout would fit/,
  );
  assert.match(
    refusal(() => create({ board: 'bamboo', kernel })),
    /^the option console is missing/,
  );
  assert.match(
    refusal(() => create({ ...good(), host: undefined, console: 5 })),
    /^the option console has no function/,
  );
  assert.match(
    refusal(() => create({ board: 'bamboo', kernel, console, threads: 2 })),
    /^there is no option "threads"/,
  );
  assert.match(
    refusal(() => create({ ...good(), console, translationThreads: -1 })),
    /translationThreads is a number from 0 to 16/,
  );
  assert.match(
    refusal(() => create({ board: 'bamboo', console })),
    /^the option kernel is missing/,
  );
});

/** A machine whose guest works for ever, and counts its runs. */
function busy() {
  const vm = makeFakeVm(memoryBytes, function* () {});
  const host = makeFakeHost();
  return { vm, host, machine: Machine.create({ ...good(), host, createVm: () => vm }) };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

test('a run is paused, stands still with its clock, and goes on', async () => {
  const { vm, machine, host } = busy();
  assert.equal(machine.state, 'created');
  const ended = machine.run();
  assert.equal(machine.state, 'running');
  await turn();
  await machine.pause();
  assert.equal(machine.state, 'paused');
  const { runs } = vm;
  await turn();
  await turn();
  assert.equal(vm.runs, runs);
  await machine.pause();
  machine.resume();
  await turn();
  assert.ok(vm.runs > runs);
  assert.equal(machine.state, 'running');
  // A pause that is taken back before it came about holds nobody up.
  const both = machine.pause();
  machine.resume();
  await both;
  machine.quit();
  assert.equal((await ended).cause, 'quit');
  assert.equal(machine.state, 'ended');
  await machine.pause();
  machine.resume();
  assert.ok(host.yields > 0);
});

test("a pause is not the guest's time, nor of the time limit", async () => {
  const host: MachineHost & { now: number } = {
    ...makeFakeHost(),
    now: 0,
    clock: { now: () => host.now },
    sleep: () => turn(),
  };
  const times: number[] = [];
  const machine = Machine.create({
    ...good(),
    host,
    timeoutNs: 1e9,
    createVm: ({ clock }) => {
      const vm = makeFakeVm(memoryBytes, function* () {
        for (;;) {
          times.push(clock.now());
          yield KVM_EXIT.HLT;
        }
      });
      return vm;
    },
  });
  const ended = machine.run();
  await turn();
  await machine.pause();
  host.now = 5e9;
  machine.resume();
  await turn();
  assert.deepEqual(new Set(times), new Set([0]));
  host.now = 5.5e9;
  await turn();
  assert.equal(times.at(-1), 0.5e9);
  host.now = 6e9;
  assert.equal((await ended).cause, 'timeout');
});

test('what the guest was to read is in its registers before it stands still', async () => {
  const order: string[] = [];
  const host = makeFakeHost();
  const vm = makeFakeVm(memoryBytes, function* (run) {
    Object.assign(run.mmio, { physAddr: 0xef600305, data: 0, len: 1, isWrite: false });
    yield KVM_EXIT.MMIO;
    order.push('the read is complete');
    for (;;) yield KVM_EXIT.INTR;
  });
  // The slice ends with the first exit.
  let now = 0;
  host.clock.now = () => (now += 1e9);
  const machine = Machine.create({ ...good(), host, createVm: () => vm });
  const ended = machine.run();
  void machine.pause().then(() => order.push('it stands still'));
  while (machine.state !== 'paused') await turn();
  await turn();
  assert.deepEqual(order, ['the read is complete', 'it stands still']);
  machine.quit();
  await ended;
});

test('a machine that does not run yet begins paused', async () => {
  const { vm, machine } = busy();
  await machine.pause();
  const ended = machine.run();
  await turn();
  assert.equal(machine.state, 'paused');
  assert.ok(vm.runs <= 1, 'no more than it takes to be told of the pause');
  machine.quit();
  assert.equal((await ended).cause, 'quit');
});

test('a signal aborts the run, which rejects with its reason', async () => {
  const { machine } = busy();
  const reason = new Error('enough');
  const controller = new AbortController();
  const ended = machine.run({ signal: controller.signal });
  await turn();
  controller.abort(reason);
  await assert.rejects(ended, reason);
  assert.equal(machine.state, 'ended');
  const paused = busy().machine;
  const second = new AbortController();
  const run = paused.run({ signal: second.signal });
  await paused.pause();
  second.abort(reason);
  await assert.rejects(run, reason);
  const never = busy().machine;
  await assert.rejects(never.run({ signal: AbortSignal.abort(reason) }), reason);
  assert.equal(never.state, 'created');
});

test('two runs at once are refused, and so is one after the end', async () => {
  const { machine } = busy();
  const first = machine.run();
  await assert.rejects(machine.run(), { name: 'MachineError', message: /runs already/ });
  machine.quit('enough');
  assert.deepEqual(await first, { cause: 'quit', message: 'enough' });
  await assert.rejects(machine.run(), { name: 'MachineError', message: /^the machine has ended \(enough\)/ });
});

test("the translation thread is closed at the run's end, and by quit() where there was none", async () => {
  for (const runs of [true, false]) {
    let closed = 0;
    const translation = { start() {}, post() {}, poll: () => undefined, close: () => void closed++ };
    const machine = Machine.create({ ...good(), translation });
    if (runs) {
      const ended = machine.run();
      await turn();
      assert.equal(closed, 0);
      machine.quit();
      await ended;
    } else machine.quit();
    assert.equal(closed, 1);
  }
});
