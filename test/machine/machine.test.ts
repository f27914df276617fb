import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_EXIT, KVM_INTERRUPT, KVM_SYSTEM_EVENT, type KvmRun } from '../../src/kvm/api.ts';
import type { BootSpec } from '../../src/machine/board.ts';
import { bamboo } from '../../src/machine/boards/bamboo.ts';
import { placeImages } from '../../src/machine/boot.ts';
import type { DeviceState } from '../../src/machine/device.ts';
import { parseFdt } from '../../src/machine/fdt.ts';
import { Machine, MachineError, type MachineOptions } from '../../src/machine/index.ts';
import { makeFakeHost, makeFakeVm, type Script } from './fake-vm.ts';
import { makeUImage } from './images.ts';

const MiB = 2 ** 20;
const UART = 0xef600300;
const memoryBytes = 64 * MiB;
const kernel = makeUImage(Uint8Array.of(0x48, 0, 0, 0, 1, 2, 3, 4), { load: 0, entry: 4 });

function make(script: Script, options: Partial<MachineOptions> = {}) {
  const host = makeFakeHost();
  const vm = makeFakeVm(memoryBytes, script);
  const machine = Machine.create({ board: 'bamboo', host, memoryBytes, kernel, createVm: () => vm, ...options });
  return { host, vm, machine };
}

function* write(run: KvmRun, physAddr: number, data: number) {
  Object.assign(run.mmio, { physAddr, data, len: 1, isWrite: true });
  yield KVM_EXIT.MMIO;
}

function* read(run: KvmRun, physAddr: number): Generator<typeof KVM_EXIT.MMIO, number, void> {
  Object.assign(run.mmio, { physAddr, data: 0xdead, len: 1, isWrite: false });
  yield KVM_EXIT.MMIO;
  return run.mmio.data;
}

function* dcr(run: KvmRun, dcrn: number, value?: number): Generator<typeof KVM_EXIT.DCR, number, void> {
  Object.assign(run.dcr, { dcrn, data: value ?? 0, isWrite: value !== undefined });
  yield KVM_EXIT.DCR;
  return run.dcr.data;
}

function* event(run: KvmRun, type: number) {
  run.systemEvent.type = type;
  yield KVM_EXIT.SYSTEM_EVENT;
}

test('kernel, initrd and device tree are in memory, and the processor is at the entry', () => {
  const initrd = Uint8Array.of(1, 2, 3, 4, 5);
  const { vm } = make(function* () {}, { initrd, append: 'quiet' });
  assert.deepEqual([...vm.bytes.subarray(0, 8)], [0x48, 0, 0, 0, 1, 2, 3, 4]);
  assert.deepEqual(vm.bytes.subarray(0x1900000, 0x1900005), initrd);
  const chosen = parseFdt(vm.bytes.subarray(0x1800000, 0x1900000)).root.find('/chosen');
  assert.equal(chosen?.text('bootargs'), 'quiet');
  assert.deepEqual(chosen?.cells('linux,initrd-start'), [0x1900000]);
  assert.deepEqual(chosen?.cells('linux,initrd-end'), [0x1900005]);
  assert.equal(vm.regs.pc, 4n);
  assert.equal(vm.regs.msr, 0n);
  assert.deepEqual(vm.regs.gpr.slice(0, 8), [0n, BigInt(16 * MiB - 8), 0n, 0x1800000n, 0n, 0n, 0n, 0n]);
  // One valid supervisor mapping of 256 MiB, address space 0, for every address to itself.
  assert.deepEqual(vm.tlb.get(0), { word0: 0x290, word1: 0, word2: 7, tid: 0 });
  assert.deepEqual(vm.tlb.get(14), { word0: 0xe0000290, word1: 0xe0000000, word2: 0x507, tid: 0 });
  assert.deepEqual(vm.tlb.get(16), { word0: 0, word1: 0, word2: 0, tid: 0 });
  assert.equal(vm.tlb.size, 64);
});

test('device accesses reach the board, and what the guest prints reaches the console', async () => {
  const seen: number[] = [];
  const { machine, host } = make(function* (run) {
    for (const byte of 'hello') yield* write(run, UART, byte.charCodeAt(0));
    seen.push(yield* read(run, UART + 5));
    seen.push(yield* read(run, 0x90000000));
    yield* dcr(run, 0xc2, 0x80000000);
    seen.push(yield* dcr(run, 0xc2));
    seen.push(yield* dcr(run, 0x3ff));
    yield* event(run, KVM_SYSTEM_EVENT.SHUTDOWN);
  });
  assert.deepEqual(await machine.run(), { cause: 'shutdown', message: 'the guest shut down' });
  assert.equal(host.output, 'hello');
  assert.deepEqual(seen, [0x60, 0, 0x80000000, 0]);
  const stats = machine.stats();
  assert.equal(stats.serial0_bytes_transmitted, 5);
  assert.equal(stats.bus_unassigned_mmio, 1);
  assert.equal(stats.bus_unassigned_dcr, 1);
  assert.equal(stats.sum_exits, 5);
  assert.equal(stats.vm_counter, 1);
});

test('input wakes a sleeping guest with an interrupt', async () => {
  const seen: number[] = [];
  const { machine, host, vm } = make(function* (run) {
    yield* write(run, UART + 1, 1); // receive interrupts on
    yield* dcr(run, 0xc2, 0x80000000); // UIC input 0 on
    run.hlt.wakeAt = 5e9;
    yield KVM_EXIT.HLT;
    run.hlt.wakeAt = Number.POSITIVE_INFINITY;
    yield KVM_EXIT.HLT;
    seen.push(yield* read(run, UART));
    yield* event(run, KVM_SYSTEM_EVENT.SHUTDOWN);
  });
  host.idle = () => assert.equal(machine.input(Uint8Array.of(0x41)), 1);
  assert.equal((await machine.run()).cause, 'shutdown');
  assert.deepEqual(host.sleeps, [5e9, Number.POSITIVE_INFINITY]);
  assert.deepEqual(seen, [0x41]);
  assert.deepEqual(vm.interrupts, [KVM_INTERRUPT.SET_LEVEL, KVM_INTERRUPT.UNSET]);
});

test('counted time is not slept through', async () => {
  const { machine, host } = make(
    function* (run) {
      run.hlt.wakeAt = 5e9;
      yield KVM_EXIT.HLT;
      yield* event(run, KVM_SYSTEM_EVENT.SHUTDOWN);
    },
    { icount: 10 },
  );
  await machine.run();
  assert.deepEqual(host.sleeps, []);
});

test("counted time does not keep the host's event loop waiting: the guest runs by pieces of some instructions", async () => {
  const script: Script = function* (run) {
    for (let i = 0; i < 100; i++) yield KVM_EXIT.INTR;
    yield* event(run, KVM_SYSTEM_EVENT.SHUTDOWN);
  };
  const counted = make(script, { icount: 10 });
  await counted.machine.run();
  assert.equal(counted.vm.longest, 1e5 * 10);
  const timed = make(script);
  await timed.machine.run();
  assert.equal(timed.vm.longest, 5e6);
});

test('a reset boots again, or ends the run', async () => {
  const script: Script = function* (run) {
    yield* write(run, UART + 7, 0x77);
    yield* event(run, KVM_SYSTEM_EVENT.RESET);
    yield* write(run, UART, yield* read(run, UART + 7));
    yield KVM_EXIT.WATCHDOG;
    yield* event(run, KVM_SYSTEM_EVENT.SHUTDOWN);
  };
  const one = make(script);
  one.vm.bytes.fill(0xff, 0, 8);
  assert.equal((await one.machine.run()).cause, 'shutdown');
  assert.equal(one.vm.resets, 3);
  assert.deepEqual([...one.vm.bytes.subarray(0, 4)], [0x48, 0, 0, 0], 'the kernel was loaded again');
  assert.equal(one.host.output, '\0', 'the devices were reset');
  assert.equal(one.machine.stats().machine_resets, 2);
  const two = make(script, { noReboot: true });
  assert.deepEqual(await two.machine.run(), { cause: 'reset', message: 'the guest reset the machine' });
});

test('errors, crashes and unexpected exits end the run with a message', async () => {
  const ends = async (script: Script): Promise<string> => {
    const end = await make(script).machine.run();
    assert.equal(end.cause, 'error');
    return end.message;
  };
  const internal: Script = function* (run) {
    Object.assign(run.internal, { message: 'no such thing', pc: 0xc0000100 });
    yield KVM_EXIT.INTERNAL_ERROR;
  };
  assert.equal(await ends(internal), 'no such thing (at 0xc0000100)');
  assert.match(await ends((run) => event(run, KVM_SYSTEM_EVENT.CRASH)), /crashed/);
  const debug: Script = function* () {
    yield KVM_EXIT.DEBUG;
  };
  assert.match(await ends(debug), /exit reason 4/);
});

test('a busy guest yields to the event loop, can be quit, and stops at its time limit', async () => {
  const busy: Script = function* (run) {
    for (;;) yield* read(run, UART + 5);
  };
  const one = make(busy);
  setTimeout(() => one.machine.quit(), 5);
  assert.deepEqual(await one.machine.run(), { cause: 'quit', message: 'quit by the user' });
  assert.ok(one.host.yields > 0);
  assert.ok(one.vm.runs / one.host.yields > 1000, 'not for every exit');
  const two = make(busy, { timeoutNs: 50e6 });
  assert.equal((await two.machine.run()).cause, 'timeout');
  const asleep: Script = function* () {
    for (;;) yield KVM_EXIT.HLT;
  };
  const three = make(asleep, { timeoutNs: 50e6 });
  assert.equal((await three.machine.run()).cause, 'timeout');
});

test('the state of all devices comes back', async () => {
  const { machine } = make(function* (run) {
    yield* write(run, UART + 7, 0x5a);
    yield* dcr(run, 0xc2, 0x12345678);
    yield* event(run, KVM_SYSTEM_EVENT.SHUTDOWN);
  });
  await machine.run();
  const states = machine.saveDevices();
  const other = make(function* () {}).machine;
  assert.notDeepEqual(other.saveDevices(), states);
  other.restoreDevices(JSON.parse(JSON.stringify(states)));
  assert.deepEqual(other.saveDevices(), states);
  assert.throws(() => other.restoreDevices({ ...states, uic0: {} }), MachineError);
  assert.throws(() => other.restoreDevices({}), MachineError);
});

test('a state that is no state is refused with one line, and changes nothing', () => {
  const { machine } = make(function* () {});
  const states = machine.saveDevices();
  const uart = states['serial0'] as DeviceState;
  const registers = (states['cpr0'] as DeviceState)['registers'] as number[];
  const wrong: unknown[] = [
    ...[undefined, null, 5, 'x', [], {}],
    ...[undefined, null, 5, 'x', []].map((part) => ({ ...states, pci0: part })),
    ...[undefined, null, 5, 'x', []].map((bridge) => ({ ...states, pci0: { ...states['pci0'], bridge } })),
    ...[Number.NaN, -1, 0.5, 2 ** 32, '5', null].map((scr) => ({ ...states, serial0: { ...uart, scr } })),
    ...[[Number.NaN], [-1], new Array(2), { length: 0 }].map((fifo) => ({ ...states, serial0: { ...uart, fifo } })),
    ...[[], registers.slice(1), [...registers, 0]].map((list) => ({
      ...states,
      cpr0: { address: 0, registers: list },
    })),
    // The first devices' states are right, and different.
    { ...states, uic0: { ...states['uic0'], er: 5 }, pci0: {} },
  ];
  for (const one of wrong) {
    assert.throws(() => machine.restoreDevices(one as typeof states), MachineError, JSON.stringify(one)?.slice(0, 99));
    assert.deepEqual(machine.saveDevices(), states);
  }
});

test("a user's mistakes give one line that says what would fit", () => {
  const refuses = (options: Partial<MachineOptions>, message: RegExp): void => {
    assert.throws(
      () => make(function* () {}, options),
      (error) => {
        assert.ok(error instanceof MachineError, String(error));
        assert.match(error.message, message);
        assert.ok(!error.message.includes('\n'));
        return true;
      },
    );
  };
  refuses({ board: 'bambu' }, /no board "bambu"; the boards are: bamboo/);
  refuses({ memoryBytes: 100 * MiB + 1 }, /8 MiB to 1 GiB/);
  refuses({ memoryBytes: Number.NaN }, /cannot have/);
  refuses({ memoryBytes: -5 }, /cannot have/);
  refuses({ append: 'x'.repeat(2048) }, /2048 characters; at most 2047/);
  refuses({ append: 'console=☃' }, /character/);
  refuses({ dtb: Uint8Array.of(1, 2, 3) }, /device tree is not usable/);
  refuses({ initrd: new Uint8Array(63 * MiB) }, /the initrd has 63 MiB.*more memory would fit/);
});

test('images go to the customary addresses, or behind the kernel, or nowhere', () => {
  const place = (kernelEnd: number, initrd: number, memory: number) =>
    placeImages(bamboo.boot as BootSpec, kernelEnd, 4000, initrd, memory);
  assert.deepEqual(place(5 * MiB, MiB, 256 * MiB), { deviceTree: 0x1800000, initrd: 0x1900000 });
  for (const [kernelEnd, initrd, memory] of [
    [5 * MiB, MiB, 16],
    [30 * MiB, MiB, 64],
    [5 * MiB, 200 * MiB, 256],
    [5 * MiB, 0, 8],
    [5 * MiB, 700 * MiB, 1024],
  ] as const) {
    const { deviceTree, initrd: at } = place(kernelEnd, initrd, memory * MiB);
    assert.ok(deviceTree >= kernelEnd + MiB && deviceTree + 4000 <= Math.min(memory, 256) * MiB);
    assert.ok(initrd === 0 || (at >= deviceTree + 4000 && at + initrd <= Math.min(memory, 768) * MiB));
  }
  assert.throws(() => place(5 * MiB, 3 * MiB, 8 * MiB), /more memory would fit/);
  assert.throws(() => place(7.5 * MiB, 0, 8 * MiB), /no room for the device tree/);
  assert.throws(() => place(5 * MiB, 800 * MiB, 1024 * MiB), /a smaller one would fit/);
});

test('a clock that stands still does not keep the event loop from its work', async () => {
  const host = { ...makeFakeHost(), clock: { now: () => 1000 } };
  const { machine } = make(
    function* () {
      for (;;) yield KVM_EXIT.INTR;
    },
    { host },
  );
  const run = machine.run();
  await new Promise((resolve) => setTimeout(resolve));
  machine.quit();
  assert.equal((await run).cause, 'quit');
});
