import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { assembleWords } from '../../src/isa/index.ts';
import { compile, packAndInstall, readmePrograms } from '../npm/project.ts';
import { findBrowser, openPage } from './browser.ts';

const guest = process.env['POWERVISOR_TEST_GUEST_440'];
const browser = findBrowser();
const noBrowser = browser === undefined ? 'there is no Chromium' : false;
const skip = noBrowser || (guest === undefined ? 'no 440 guest (POWERVISOR_TEST_GUEST_440); npm test says why' : false);

const IMPORTS = {
  'powervisor/browser': '/app/node_modules/powervisor/dist/browser.js',
  'powervisor/browser/worker': '/app/node_modules/powervisor/dist/browser-worker.js',
  powervisor: '/app/node_modules/powervisor/dist/index.js',
};

/** Prints A to Z, slowly enough to be saved in between, and switches off. */
const LETTERS = assembleWords(
  `lis r3,0xf000; clrldi r3,r3,32; li r5,65
  next: stb r5,0(r3); addi r5,r5,1
  lis r6,20; mtctr r6
  wait: bdnz wait
  cmpdi r5,91; blt next
  ori r3,r3,0x1000; li r5,0x5555; stw r5,0(r3)`,
  0,
);

/** What a page does with a machine, in each way that there is to run one. */
const PAGE = `
import { type BrowserMachine, createMachine, MachineError, restoreMachine, type ServedDisk } from 'powervisor/browser';

const fetchBytes = async (url: string): Promise<Uint8Array> => new Uint8Array(await (await fetch(url)).arrayBuffer());

/** Boots to the shell, and has a conversation with it, a pause in its midst. */
export async function converse(worker: false | undefined) {
  let text = '';
  const machine: BrowserMachine = await createMachine({
    board: 'bamboo',
    worker,
    console: { write: (bytes) => { text += new TextDecoder('latin1').decode(bytes); } },
    kernel: await fetchBytes('/guest/uImage'),
    initrd: await fetchBytes('/guest/initramfs.cpio.gz'),
    append: 'console=ttyS0 quiet',
  });
  const until = async (mark: string): Promise<void> => {
    while (!text.includes(mark)) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  const ended = machine.run();
  await until('# ');
  await machine.pause();
  const state = await machine.state();
  const regs = await machine.getRegs();
  // The kernel is at address 0, in the processor's own byte order.
  const memory = await machine.readMemory(0, 4);
  const nowhere = await machine.readMemory(2 ** 30, 4);
  await machine.resume();
  await machine.input(new TextEncoder().encode('echo be$((1))gin $((6 * 7))\\n'));
  await until('be1gin 42');
  const second = await machine.run().catch((error) => error instanceof MachineError && error.message);
  await machine.quit('enough');
  const end = await ended;
  const stats = await machine.stats();
  machine.close();
  const closed = await machine.stats().catch((error) => error instanceof MachineError && error.message);
  return {
    state, end, second, closed, nowhere: nowhere === undefined, memory: memory?.length, hasPc: regs.pc > 0n,
    regions: (stats['translated_regions'] ?? 0) > 0, translationWorker: machine.description.translationWorker,
    isolated: crossOriginIsolated,
  };
}

/** A machine that is saved while it runs, and one that goes on from there. */
export async function saved(worker: false | undefined) {
  const kernel = new Uint8Array(${LETTERS.length} * 4);
  for (const [i, word] of ${JSON.stringify([...LETTERS].map((word) => word >>> 0))}.entries())
    new DataView(kernel.buffer).setUint32(4 * i, word);
  const texts = ['', ''];
  const consoleOf = (n: number) => ({ write: (bytes: Uint8Array) => { texts[n] += new TextDecoder().decode(bytes); } });
  const machine = await createMachine({ board: 'bare', worker, memoryBytes: 2 ** 22, console: consoleOf(0), kernel });
  const run = machine.run();
  while (!texts[0]?.includes('B')) await new Promise((resolve) => setTimeout(resolve, 1));
  const snapshot = await machine.save({ compression: 'deflate' });
  await run;
  const other = await restoreMachine(snapshot, { worker, console: consoleOf(1) });
  const end = await other.run();
  machine.close();
  other.close();
  const damaged = await refusal(() => restoreMachine(snapshot.subarray(0, 3000), { worker, console: consoleOf(1) }));
  return { whole: texts[0], isEnd: texts[1] !== '' && texts[0]?.endsWith(texts[1] ?? ''), cause: end.cause, damaged };
}

/** A guest with a disk of each kind that a page has, and a network whose other end is the page: it answers ARP. */
export async function withDevices(worker: false | undefined) {
  const bytes = new Uint8Array(2 ** 18).map((_, i) => (i >>> 9) + i * 7);
  const md5 = async (part: Uint8Array<ArrayBuffer>) =>
    [...new Uint8Array(await crypto.subtle.digest('SHA-256', part))].map((one) => one.toString(16).padStart(2, '0')).join('');
  const disks: ServedDisk[] = [
    { file: new File([bytes], 'chosen.raw'), serial: 'chosen' },
    { file: new File([bytes], 'over.raw'), snapshot: true, serial: 'over' },
    { file: '/ranges/disk.raw', serial: 'server' },
  ];
  let own: FileSystemFileHandle | undefined;
  if (worker === undefined) {
    own = await (await navigator.storage.getDirectory()).getFileHandle('own.raw', { create: true });
    const stream = await own.createWritable();
    await stream.write(bytes);
    await stream.close();
    disks.push({ file: own, serial: 'own' });
  }
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }: MessageEvent<Uint8Array>) => {
    // A request of ARP: answered with a made-up address.
    if (data[12] !== 8 || data[13] !== 6 || data[21] !== 1) return;
    const answer = data.slice(0, 42);
    answer.set(data.subarray(6, 12), 0);
    answer.set([2, 0, 0, 0, 0, 9], 6);
    answer[21] = 2;
    answer.set([2, 0, 0, 0, 0, 9], 22);
    answer.set(data.subarray(38, 42), 28);
    answer.set(data.subarray(22, 32), 32);
    port1.postMessage(answer);
  };
  let text = '';
  const commands = [
    'disk() { for one in /sys/block/vd*; do [ "$(cat $one/serial)" = $1 ] && echo /dev/\${one##*/}; done; }',
    'mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev',
    'for one in chosen server; do echo $one $(sha256sum <$(disk $one)); done',
    'for one in over \${OWN}; do dd if=/dev/zero of=$(disk $one) bs=4096 count=1 seek=3; sync; echo 3 >/proc/sys/vm/drop_caches; echo $one $(sha256sum <$(disk $one)); done',
    'ifconfig eth0 10.9.0.1 up; ping -c 1 10.9.0.2; cat /proc/net/arp; reboot -f',
  ];
  const machine = await createMachine({
    board: 'bamboo',
    worker,
    console: { write: (piece) => { text += new TextDecoder('latin1').decode(piece); } },
    kernel: await fetchBytes('/guest/uImage'),
    initrd: await fetchBytes('/guest/initramfs.cpio.gz'),
    append: 'console=ttyS0 quiet rdinit=/bin/sh',
    noReboot: true,
    disks,
    network: { port: port2, mac: '52:54:00:00:00:07' },
  });
  const run = machine.run();
  await machine.input(new TextEncoder().encode('OWN=' + (own ? 'own; ' : '; ') + commands.join('; ') + '\\n'));
  const { cause } = await run;
  const changed = bytes.slice();
  changed.fill(0, 3 * 4096, 4 * 4096);
  const kept = own && new Uint8Array(await (await own.getFile()).arrayBuffer());
  const sums = [await md5(bytes), await md5(changed)];
  machine.close();
  return {
    cause, text,
    read: ['chosen', 'server'].every((name) => text.includes(name + ' ' + sums[0])),
    written: ['over', ...(own ? ['own'] : [])].every((name) => text.includes(name + ' ' + sums[1])),
    kept: kept === undefined || (await md5(kept)) === sums[1],
    network: text.includes('02:00:00:00:00:09'),
  };
}

/** gdb's protocol through a port: asks one packet of a machine that does not run yet, and ends it. */
export async function debugged(worker: false | undefined) {
  const kernel = Uint8Array.of(0x38, 0x60, 0, 1, 0x48, 0, 0, 0);
  const machine = await createMachine({ board: 'bare', worker, console: { write: () => {} }, kernel });
  const port = await machine.serveGdb();
  let said = '';
  let closed = (): void => {};
  const end = new Promise<void>((resolve) => { closed = resolve; });
  port.onmessage = ({ data }) => { if (data === null) closed(); else said += new TextDecoder('latin1').decode(data); };
  const run = machine.run();
  port.postMessage(new TextEncoder().encode('$s#73'));
  while (!said.includes('thread:')) await new Promise((resolve) => setTimeout(resolve, 5));
  port.postMessage(new TextEncoder().encode('+$m4,4#01$p3#a3$k#6b'));
  await end;
  return { cause: (await run).cause, memory: said.includes('$480*"#'), said };
}

/** The line of what goes wrong. */
async function refusal(make: () => Promise<unknown>): Promise<string> {
  try {
    await make();
    return 'nothing was refused';
  } catch (error) {
    return error instanceof MachineError ? error.message : 'not a MachineError: ' + String(error);
  }
}

export async function refusals() {
  const console = { write: () => {} };
  const kernel = new Uint8Array(64);
  const make = createMachine as (options: unknown) => Promise<BrowserMachine>;
  const controller = new AbortController();
  const machine = await createMachine({ board: 'bare', console, kernel: Uint8Array.of(0x48, 0, 0, 0) });
  const run = machine.run({ signal: controller.signal });
  controller.abort(new MachineError('aborted by the page'));
  return [
    await refusal(() => make({ board: 'bamboo', kernel })),
    await refusal(() => make({ board: 'bamboo', console })),
    await refusal(() => make({ board: 'bamboo', console, kernel: '/guest/uImage' })),
    await refusal(() => make({ board: 'mine', console, kernel })),
    await refusal(() => make({ board: 'bamboo', console, kernel, memory: 1 })),
    await refusal(() => make({ board: 'bamboo', console, kernel, extra: () => {} })),
    await refusal(() => make({ board: 'bamboo', console, kernel, worker: 'w.js' })),
    await refusal(() => make({ board: 'bare', console, kernel, worker: new Worker('/nowhere.js', { type: 'module' }) })),
    await refusal(() => make({ board: 'bamboo', console, kernel, disks: [{ file: '/nowhere.raw' }] })),
    await refusal(() => make({ board: 'bamboo', console, kernel, disks: [{ file: new Blob([]), size: 1 }] })),
    await refusal(() => make({ board: 'bamboo', console, kernel, network: {} })),
    await refusal(() => run),
  ];
}

/** A board of one's own, in a worker script of one's own. */
export async function ownBoard() {
  const kernel = new Uint8Array(8 * 4);
  // li 3,0; oris 3,3,0xf000; ori 3,3,0x1000; li 4,0x5555; stw 4,0(3)
  for (const [i, word] of [0x38600000, 0x6463f000, 0x60631000, 0x38805555, 0x90830000].entries())
    new DataView(kernel.buffer).setUint32(4 * i, word);
  const worker = new Worker('/app/out-bundler/bundled/own-worker.js', { type: 'module' });
  const machine = await createMachine({ board: 'mine', console: { write: () => {} }, kernel, worker });
  const end = await machine.run();
  const devices = Object.keys(await machine.saveDevices());
  machine.close();
  return { end, devices };
}
`;

const WORKER = `
import { type DeviceSpec, findBoard } from 'powervisor';
import { serveMachine } from 'powervisor/browser/worker';

const nothing: DeviceSpec = { name: 'nothing', create: () => ({ reset() {}, save: () => ({}), restore() {} }) };
const bare = findBoard('bare');
serveMachine({ boards: [{ ...bare, name: 'mine', devices: (machine) => [...bare.devices(machine), nothing] }] });
`;

let folder = '';

before(async () => {
  if (noBrowser) return;
  ({ folder } = await packAndInstall());
  const [, program = ''] = readmePrograms('ts');
  writeFileSync(join(folder, 'page.ts'), program);
  mkdirSync(join(folder, 'ranges'));
  const disk = Uint8Array.from({ length: 2 ** 18 }, (_, i) => (i >>> 9) + i * 7);
  writeFileSync(join(folder, 'ranges/disk.raw'), disk);
  writeFileSync(join(folder, 'checks.ts'), PAGE);
  writeFileSync(join(folder, 'own-worker.ts'), WORKER);
  for (const resolution of ['nodenext', 'bundler'] as const)
    assert.equal(await compile(folder, resolution, ['page.ts', 'checks.ts', 'own-worker.ts'], true), '');
  // Import maps do not reach workers. This bundler takes no notice of further workers and cores, which are then not there.
  await build({
    entryPoints: [join(folder, 'own-worker.ts')],
    bundle: true,
    format: 'esm',
    outfile: join(folder, 'out-bundler/bundled/own-worker.js'),
    logLevel: 'error',
  });
});
after(() => rmSync(folder, { recursive: true, force: true }));

function open(script: string, isolated: boolean, asked?: Set<string>): Promise<unknown> {
  const folders = { ranges: join(folder, 'ranges'), app: folder, guest: guest ?? '/nowhere', '': guest ?? '/nowhere' };
  return openPage(browser ?? '', { isolated, folders, imports: IMPORTS, script, ...(asked && { asked }) });
}

for (const isolated of [true, false]) {
  const how = isolated ? 'with COOP and COEP' : 'without COOP and COEP';

  test(`README's page boots Linux ${how}`, { skip, timeout: 300_000 }, async () => {
    const script = `await import('/app/out-bundler/page.js'); result = document.body.innerText;`;
    const asked = new Set<string>();
    const text = await open(script, isolated, asked);
    assert.ok(typeof text === 'string', JSON.stringify(text));
    assert.match(text, /GUEST-READY/);
    assert.match(text, /the guest reset the machine/);
    assert.ok(
      asked.has('machine-worker.js') && asked.has('440-3-usual-assist.wasm'),
      'the package brings worker and core',
    );
    assert.equal(asked.has('translation-worker.js'), isolated);
  });

  for (const worker of [undefined, false] as const)
    test(`a conversation ${how}, ${worker === false ? "on the page's thread" : 'in a worker'}`, {
      skip,
      timeout: 300_000,
    }, async () => {
      const script = `const { converse } = await import('/app/out-bundler/checks.js'); result = await converse(${worker});`;
      assert.deepEqual(await open(script, isolated), {
        state: 'paused',
        end: { cause: 'quit', message: 'enough' },
        second: 'the machine runs already; its first run has not ended',
        closed: 'the machine was closed',
        nowhere: true,
        memory: 4,
        hasPc: true,
        regions: true,
        translationWorker: isolated,
        isolated,
      });
    });
}

for (const worker of [undefined, false] as const)
  test(`a machine is saved and goes on, ${worker === false ? "on the page's thread" : 'in a worker'}`, {
    skip: noBrowser,
    timeout: 120_000,
  }, async () => {
    const script = `const { saved } = await import('/app/out-bundler/checks.js'); result = await saved(${worker});`;
    assert.deepEqual(await open(script, true), {
      whole: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
      isEnd: true,
      cause: 'shutdown',
      damaged: 'the snapshot is incomplete: its end is missing',
    });
  });

for (const worker of [undefined, false] as const)
  test(`disks and a network of a page's, ${worker === false ? "on the page's thread" : 'in a worker'}`, {
    skip,
    timeout: 300_000,
  }, async () => {
    const script = `const { withDevices } = await import('/app/out-bundler/checks.js'); result = await withDevices(${worker});`;
    const { text, ...found } = (await open(script, true)) as { text: string };
    const right = { cause: 'reset', read: true, written: true, kept: true, network: true };
    assert.deepEqual(found, right, text);
  });

for (const worker of [undefined, false] as const)
  test(`gdb's protocol through a port, ${worker === false ? "on the page's thread" : 'in a worker'}`, {
    skip: noBrowser,
    timeout: 120_000,
  }, async () => {
    const script = `const { debugged } = await import('/app/out-bundler/checks.js'); result = await debugged(${worker});`;
    const { cause, memory, said } = (await open(script, true)) as { cause: string; memory: boolean; said: string };
    assert.equal(cause, 'quit');
    assert.ok(memory, said);
  });

test('what a page does wrong is told in one line', { skip: noBrowser, timeout: 120_000 }, async () => {
  const script = `const { refusals } = await import('/app/out-bundler/checks.js'); result = await refusals();`;
  const lines = await open(script, true);
  assert.ok(Array.isArray(lines), JSON.stringify(lines));
  const wanted = [
    /^the option console is missing/,
    /^the option kernel is missing/,
    /^the option kernel is the string "\/guest\/uImage"; the file's contents/,
    /^there is no board "mine"/,
    /^there is no option "memory"; the options are/,
    /^what a machine's worker is given must be data/,
    /^the option worker is neither a Worker nor false$/,
    /^the machine's worker failed: its script does not load$/,
    /^cannot read the disk image '\/nowhere\.raw': its server answers 404$/,
    /^a page's disk has no option 'size'; file, format, readOnly, snapshot, serial fit$/,
    /^the option network has no port; a MessagePort would fit$/,
    /^aborted by the page$/,
  ];
  assert.equal(lines.length, wanted.length);
  for (const [i, pattern] of wanted.entries()) assert.match(String(lines[i]), pattern);
});

test("a worker of one's own, bundled without the package's, has boards of one's own", {
  skip: noBrowser,
  timeout: 120_000,
}, async () => {
  const script = `const { ownBoard } = await import('/app/out-bundler/checks.js'); result = await ownBoard();`;
  assert.deepEqual(await open(script, true), {
    end: { cause: 'shutdown', message: 'the guest shut down' },
    devices: ['serial0', 'power', 'nothing'],
  });
});
