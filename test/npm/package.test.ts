import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compile, oldestNode, packAndInstall, readmePrograms, root, runProgram } from './project.ts';

const guest = process.env['POWERVISOR_TEST_GUEST_440'];
const skip = guest === undefined ? 'no 440 guest (POWERVISOR_TEST_GUEST_440); npm test says why' : false;

let files: readonly string[] = [];
let folder = '';

before(async () => {
  ({ files, folder } = await packAndInstall());
});
after(() => rmSync(folder, { recursive: true, force: true }));

test('the package has entries, types, threads and cores, and nothing else', () => {
  const strays = files.filter(
    (file) =>
      !/^(package\.json|README\.md|LICENSE|bin\/[\w.]+|dist\/[\w-]+\.m?js|dist\/LICENSES\.txt)$/.test(file) &&
      !/^dist\/(cores\/[\w-]+\.(wasm|tables)|types\/[\w/-]+\.d\.ts)$/.test(file),
  );
  assert.deepEqual(strays, []);
  const { exports, dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | Record<string, string>>;
    dependencies?: object;
  };
  assert.equal(dependencies, undefined, 'all that runs is in the bundles');
  for (const target of Object.values(exports).flatMap((one) => (typeof one === 'string' ? one : Object.values(one))))
    assert.ok(files.includes(target.slice('./'.length)), target);
  for (const file of ['bin/powervisor', 'dist/powervisor.mjs', 'dist/translation-thread.js', 'dist/LICENSES.txt'])
    assert.ok(files.includes(file), file);
  const cores = files.filter((file) => file.endsWith('.wasm'));
  assert.ok(cores.length >= 14);
  for (const core of cores) assert.ok(files.includes(core.replace(/wasm$/, 'tables')), core);
  for (const name of ['commander', 'fflate'])
    assert.match(readFileSync(join(folder, 'node_modules/powervisor/dist/LICENSES.txt'), 'utf8'), new RegExp(name));
});

/** Uses what each entry declares, as programs with machines, boards and devices of their own do. */
const USER = `
import { readFileSync } from 'node:fs';
import {
  type Board, boards, type Device, type DeviceSpec, type DeviceState, findBoard, type InterruptLine, KvmError, Machine,
  type MachineEnd, MachineError, type MachineHost, type MachineOptions, type MmioRegion, savedNumber, type Wiring,
} from 'powervisor';
import { type Clock, createVm, KVM_EXIT, type KvmRegs, KvmError as SameError, type Vcpu, type Vm } from 'powervisor/kvm';
import { createMachine, NodeHost, type NodeMachineOptions } from 'powervisor/node';
import { type RunResult, run } from 'powervisor/run';

class Latch implements Device, MmioRegion {
  readonly mmio = [this];
  readonly #line: InterruptLine | undefined;
  #value = 0;
  constructor({ interrupts }: Wiring) { this.#line = interrupts[0]; }
  read(): number { return this.#value; }
  write(_offset: number, _length: number, value: number): void { this.#value = value; this.#line?.set(value !== 0); }
  reset(): void { this.write(0, 4, 0); }
  save(): DeviceState { return { value: this.#value }; }
  restore(state: DeviceState): void { this.#value = savedNumber(state, 'value'); }
}
const spec: DeviceSpec = { name: 'latch', mmio: [{ base: 0xe0000000, size: 4 }], create: (wiring) => new Latch(wiring) };
const bare = findBoard('bare');
const mine: Board = { ...bare, name: 'mine', devices: (configuration) => [...bare.devices(configuration), spec] };

// Stores 7 into the latch, loads it, and switches off: li 3,0; oris 3,3,0xe000; li 4,7; stw 4,0(3); lwz 5,0(3); li 6,0;
// oris 6,6,0xf000; ori 6,6,0x1000; li 7,0x5555; stw 7,0(6)
const words = [
  0x38600000, 0x6463e000, 0x38800007, 0x90830000, 0x80a30000, 0x38c00000, 0x64c6f000, 0x60c61000, 0x38e05555, 0x90e60000,
];
const kernel = new Uint8Array(4 * words.length);
for (const [i, word] of words.entries()) new DataView(kernel.buffer).setUint32(4 * i, word);
const options: NodeMachineOptions = { board: mine, console: process.stdout, kernel, timeoutNs: 60e9 };
const machine: Machine = createMachine(options);
const refused: RunResult | string = await run(['true'], { image: 'none' }).catch((error: Error) => error.message);
if (!String(refused).startsWith("there is no image 'none'; there are: debian, ")) throw new Error(String(refused));
const end: MachineEnd = await machine.run();
const regs: KvmRegs = machine.vcpu.getRegs();
console.log(end.cause, regs.gpr[5], machine.saveDevices()['latch'], boards.some(({ name }) => name === "bamboo"), KVM_EXIT.MMIO);
const vm: Vm = createVm({ cpu: '440ep', accel: 'trap', clock: new NodeHost(process.stdout).clock, timebaseFrequency: 1e6, maxMemory: 65536 });
const vcpu: Vcpu = vm.createVcpu(0);
console.log(vcpu.id, KvmError === SameError);
export type Unused = Clock | MachineHost | MachineOptions;
try {
  createMachine({ board: 'bamboo', console: process.stdout, kernel: 'uImage' as unknown as Uint8Array });
} catch (error) {
  console.log(error instanceof MachineError);
}
readFileSync(new URL(import.meta.url));
`;

for (const resolution of ['nodenext', 'bundler'] as const) {
  test(`README's program and one with a device of its own compile under ${resolution}`, async () => {
    const [program = ''] = readmePrograms('ts');
    writeFileSync(join(folder, 'program.ts'), program);
    writeFileSync(join(folder, 'user.ts'), USER);
    assert.equal(await compile(folder, resolution, ['program.ts', 'user.ts'], false), '');
  });
}

const nodes: readonly (readonly [string, () => Promise<string | undefined>])[] = [
  ['this Node', async () => process.execPath],
  ['Node 24', oldestNode],
];
for (const [name, find] of nodes) {
  test(`they run on ${name}`, { skip, timeout: 600_000 }, async (t) => {
    const node = await find();
    if (node === undefined) return t.skip('npm did not give this Node');
    const images = join(folder, 'images');
    rmSync(images, { recursive: true, force: true });
    mkdirSync(images);
    for (const file of ['uImage', 'initramfs.cpio.gz']) symlinkSync(join(guest ?? '', file), join(images, file));
    assert.ok(existsSync(join(images, 'uImage')));
    const user = await runProgram(folder, node, ['out-nodenext/user.js']);
    assert.equal(user.stderr, '');
    assert.equal(user.stdout, 'shutdown 7n { value: 7 } true 6\n0 true\ntrue\n');
    const boot = () => runProgram(images, node, ['../out-nodenext/program.js']);
    let readme = await boot();
    // On a busy computer the boot may be over before the thread has done anything.
    for (let i = 0; i < 5 && !/translated_regions: [1-9]/.test(readme.stdout); i++) readme = await boot();
    assert.equal(readme.stderr, '');
    assert.match(readme.stdout, /^GUEST-READY /m);
    assert.match(readme.stdout, /cause: 'reset'/);
    // It had the thread and the cores: nothing else compiles regions in the background.
    assert.match(readme.stdout, /translated_regions: [1-9]/);
    const command = await runProgram(folder, node, ['node_modules/powervisor/bin/powervisor.mjs', 'machines']);
    assert.equal(command.status, 0);
    assert.match(command.stdout, /^ *bamboo/m);
  });
}
