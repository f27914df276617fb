import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_EXIT, type KvmRun } from '../../src/kvm/api.ts';
import { log2HtabBytes } from '../../src/machine/boards/pseries.ts';
import { RTAS_TOKENS } from '../../src/machine/devices/spapr-rtas.ts';
import { type FdtNode, parseFdt } from '../../src/machine/fdt.ts';
import { Machine, MachineError, type MachineOptions } from '../../src/machine/index.ts';
import { makeFakeHost, makeFakeVm, type Script } from './fake-vm.ts';
import { makeElf64 } from './images.ts';

const MiB = 2 ** 20;
const memoryBytes = 128 * MiB;
const BASE = 0xc000000000000000n;
const code = Uint8Array.of(0x48, 0, 0, 0, 1, 2, 3, 4);
const kernel = makeElf64([{ virtual: BASE, physical: 0n, bytes: code }], BASE);

function make(script: Script, options: Partial<MachineOptions> = {}, pvinfo?: readonly number[]) {
  const host = makeFakeHost();
  const vm = makeFakeVm(memoryBytes, script);
  vm.pvinfo = pvinfo;
  const machine = Machine.create({ board: 'pseries', host, memoryBytes, kernel, createVm: () => vm, ...options });
  const tree = (): FdtNode => parseFdt(vm.bytes.subarray(Number(vm.regs.gpr[3]))).root;
  return { host, vm, machine, tree };
}

/** A hypercall: the return code and r4 … afterwards. */
function* hypercall(
  run: KvmRun,
  nr: number,
  ...args: readonly (number | bigint)[]
): Generator<typeof KVM_EXIT.PAPR_HCALL, { code: bigint; results: BigUint64Array }, void> {
  const call = run.paprHcall;
  call.nr = nr;
  call.args.fill(0n);
  args.forEach((value, i) => {
    call.args[i] = BigInt(value);
  });
  yield KVM_EXIT.PAPR_HCALL;
  return { code: BigInt.asIntN(64, call.ret), results: call.args };
}

/** An RTAS call through its hypercall, with the argument block at 64 KiB: the results, the status first. */
function* rtas(
  vm: () => { bytes: Uint8Array },
  run: KvmRun,
  name: keyof typeof RTAS_TOKENS,
  args: readonly number[],
  results: number,
): Generator<typeof KVM_EXIT.PAPR_HCALL, number[], void> {
  const view = new DataView(vm().bytes.buffer, 65536);
  [RTAS_TOKENS[name], args.length, results, ...args].forEach((word, i) => {
    view.setUint32(4 * i, word);
  });
  const { code } = yield* hypercall(run, 0xf000, 65536);
  assert.equal(code, 0n);
  return Array.from({ length: results }, (_, i) => view.getInt32(12 + 4 * (args.length + i)));
}

test('a kernel is entered as kexec enters it, with a hash table and the byte order of its file', () => {
  const { vm } = make(function* () {}, { append: 'quiet', initrd: Uint8Array.of(1, 2, 3) });
  assert.deepEqual(vm.bytes.subarray(0, 8), code);
  assert.deepEqual(vm.capabilities, ['papr']);
  assert.deepEqual(vm.htabs, [20]);
  const { gpr, pc, msr } = vm.regs;
  assert.deepEqual([pc, gpr[4], gpr[5], gpr[8], gpr[9]], [0n, 0n, 0n, 0n, 0n]);
  assert.equal(msr, (1n << 63n) | 0x1000n);
  const little = makeElf64([{ virtual: BASE, physical: 0n, bytes: code }], BASE, true);
  let littleEndian: boolean | undefined;
  const other = makeFakeVm(memoryBytes, function* () {});
  const createVm: MachineOptions['createVm'] = (options) => {
    littleEndian = options.littleEndian;
    return other;
  };
  make(function* () {}, { kernel: little, createVm });
  assert.equal(littleEndian, true);
  assert.equal(other.regs.msr, (1n << 63n) | 0x1001n);
});

test('the hash table has a 128th of memory, rounded up, and no less than hardware takes', () => {
  assert.deepEqual(
    [16, 64, 512, 768, 2048].map((mebibytes) => log2HtabBytes(mebibytes * MiB)),
    [18, 19, 22, 23, 24],
  );
});

test('the tree says what Linux asks for when it is entered without firmware', () => {
  const { vm, tree } = make(function* () {}, { append: 'quiet', cpu: 'power7' }, [1, 2, 3, 4]);
  const root = tree();
  assert.equal(root.text('device_type'), 'chrp');
  assert.deepEqual(root.find('/memory@0')?.cells('reg'), [0, 0, 0, memoryBytes]);
  const cpu = root.find('/cpus/PowerPC,POWER7@0');
  assert.deepEqual(cpu?.cells('timebase-frequency'), [512_000_000]);
  assert.deepEqual(cpu?.cells('ibm,pft-size'), [0, 20]);
  assert.equal(cpu?.properties.get('ibm,pa-features')?.length, 8);
  assert.equal(root.find('/chosen')?.text('stdout-path'), '/vdevice/vty@71000000');
  assert.equal(root.find('/chosen')?.text('bootargs'), 'quiet');
  assert.deepEqual(root.find('/hypervisor')?.cells('hcall-instructions'), [1, 2, 3, 4]);
  const [base] = root.find('/rtas')?.cells('linux,rtas-base') ?? [];
  assert.deepEqual(root.find('/rtas')?.cells('linux,rtas-entry'), [base]);
  const view = new DataView(vm.bytes.buffer, base);
  assert.equal(view.getUint32(12), 0x44000022, 'sc 1');
  const { reservations } = parseFdt(vm.bytes.subarray(Number(vm.regs.gpr[3])));
  assert.deepEqual(reservations, [{ address: BigInt(base as number), size: 65536n }]);
  assert.equal(
    make(function* () {}, { accel: 'trap' }, [1, 2, 3, 4])
      .tree()
      .find('/hypervisor'),
    undefined,
  );
});

test('the console is a virtual terminal, and its input interrupts through XICS', async () => {
  const seen: unknown[] = [];
  const { machine, host, vm } = make(function* (run) {
    const here = (): typeof vm => vm;
    yield* hypercall(run, 0x58, 0x71000000, 5, 0x68656c6c6f000000n);
    assert.equal((yield* hypercall(run, 0x58, 0x71000000, 17)).code, -4n);
    yield* rtas(here, run, 'ibm,set-xive', [0x1100, 0, 5], 1);
    yield* hypercall(run, 0x68, 0xff);
    run.hlt.wakeAt = Number.POSITIVE_INFINITY;
    yield KVM_EXIT.HLT;
    seen.push((yield* hypercall(run, 0x74)).results[0]);
    const { results } = yield* hypercall(run, 0x54, 0x71000000);
    seen.push(results[0], results[1]);
    yield* hypercall(run, 0x64, 0xff001100);
    seen.push(yield* rtas(here, run, 'power-off', [0, 0], 1));
  });
  host.idle = () => assert.equal(machine.input(Uint8Array.of(0x41, 0x42)), 2);
  assert.deepEqual(await machine.run(), { cause: 'shutdown', message: 'the guest shut down' });
  assert.equal(host.output, 'hello');
  assert.deepEqual(seen, [0xff001100n, 2n, 0x4142000000000000n]);
  assert.deepEqual(vm.interrupts, [0xfffffffd, 0xfffffffe]);
  const stats = machine.stats();
  assert.equal(stats.hypercall_H_PUT_TERM_CHAR, 2);
  assert.equal(stats['rtas_power-off'], 1);
});

test('a hypercall that does not exist says so, and is counted', async () => {
  const { machine } = make(
    function* (run) {
      assert.equal((yield* hypercall(run, 0x1234)).code, -2n);
    },
    { timeoutNs: 1e6 },
  );
  assert.equal((await machine.run()).cause, 'timeout');
  assert.equal(machine.stats().hypercall_unknown_last, 0x1234);
});

test('a processor that a partition cannot have is refused', () => {
  assert.throws(() => make(function* () {}, { cpu: '970' }), MachineError);
});
