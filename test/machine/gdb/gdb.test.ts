/** The gdb server, asked packet by packet, on small programs. `session.test.ts` has gdb itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { assembleWords } from '../../../src/isa/index.ts';
import { GdbConnection, Machine, type MachineEnd } from '../../../src/machine/index.ts';
import { NodeHost, serveGdb } from '../../../src/node/index.ts';
import { GdbClient, registersOf, toHex } from './client.ts';

/** Where `bare` has its power register, in r28 of the programs. */
const POWER = 'lis r28,0xf000; clrldi r28,r28,32; ori r28,r28,0x1000';
/** Counts in r4 and in memory at 0x8000, calls a subroutine each time, and switches off at 0x1000. */
const COUNTER = `
    ${POWER}
    li r9,0; ori r9,r9,0x8000; li r4,0
  again:
    addi r4,r4,1
    bl store
    cmpdi r4,0x1000; bne again
    li r6,0x5555; stw r6,0(r28)
  forever: b forever
  store:
    stw r4,0(r9)
    lwz r5,0(r9)
    blr`;
/** Addresses in it. */
const AGAIN = 0x18n;
const STORE = 0x34n;

function kernelOf(source: string, littleEndian = false): Uint8Array {
  const words = assembleWords(source, 0);
  const bytes = new Uint8Array(words.length * 4);
  for (const [i, word] of words.entries()) new DataView(bytes.buffer).setUint32(4 * i, word, littleEndian);
  return bytes;
}

interface Session {
  readonly machine: Machine;
  readonly client: GdbClient;
  readonly connection: GdbConnection;
  readonly run: Promise<MachineEnd>;
}

/** A machine that begins under a debugger, which is connected. */
function start(options: { source?: string; cpu?: string; monitor?: (line: string) => Promise<string> } = {}): Session {
  const machine = Machine.create({
    board: 'bare',
    cpu: options.cpu ?? 'power8',
    memoryBytes: 8 * 2 ** 20,
    kernel: kernelOf(options.source ?? COUNTER),
    host: new NodeHost({ write: () => {} }),
    timeoutNs: 30e9,
  });
  const client = new GdbClient();
  const target = { debugger: machine.debugger, ...(options.monitor && { monitor: options.monitor }) };
  const connection = new GdbConnection(target, {
    write: (bytes) => client.receive(bytes),
    close: () => {},
  });
  client.wire = { send: (bytes) => connection.receive(bytes) };
  return { machine, client, connection, run: machine.run() };
}

const SUPPORTED = 'qSupported:multiprocess+;swbreak+;hwbreak+';
const hex = (value: bigint | number, digits = 16): string => value.toString(16).padStart(digits, '0');

/** A register of the client's target description. */
async function register(client: GdbClient, name: string): Promise<bigint> {
  const found = registersOf(await client.transfer('features', 'target.xml')).get(name);
  assert.ok(found, name);
  return BigInt(`0x${await client.ask(`p${found.number.toString(16)}`)}`);
}

test('a client is told what there is, and sees where the guest stands', async () => {
  const { machine, client, run } = start();
  const features = (await client.ask(SUPPORTED)).split(';');
  for (const one of ['QStartNoAckMode+', 'qXfer:features:read+', 'vContSupported+', 'binary-upload+', 'multiprocess+'])
    assert.ok(features.includes(one), one);
  const size = Number.parseInt(/PacketSize=(.*)/.exec(features[0] ?? '')?.[1] ?? '', 16);
  assert.ok(size >= 0x4000);
  await client.withoutAcknowledgements();
  assert.equal(await client.ask('vMustReplyEmpty'), '');
  assert.match(await client.ask('?'), /^T02.*40:0{16};.*thread:p1\.1;$/);
  assert.equal(await client.ask('qAttached:1'), '1');
  assert.equal(await client.ask('qfThreadInfo'), 'mp1.1');
  assert.equal(await client.ask('qsThreadInfo'), 'l');
  assert.equal(await client.ask('qC'), 'QCp1.1');
  assert.match(await client.transfer('threads', ''), /id="p1\.1"/);
  assert.match(await client.transfer('memory-map', ''), /<memory type="ram" start="0x0"/);
  assert.equal(await client.ask('Hgp1.1'), 'OK');
  assert.equal(await client.ask('Hgp1.7'), 'E02');
  assert.equal(await client.ask('vCont?'), 'vCont;c;C;s;S;r');
  // lldb's.
  assert.match(await client.ask('qHostInfo'), /endian:big;ptrsize:8;.*watchpoint_exceptions_received:before;$/);
  assert.match(await client.ask('qProcessInfo'), /^pid:1;/);
  assert.equal(
    await client.ask('qMemoryRegionInfo:c000000000000000'),
    'start:0;size:ffffffffffff0000;permissions:rwx;',
  );
  assert.equal(await client.ask('qMemoryRegionInfo:ffffffffffff0000'), 'start:ffffffffffff0000;size:ffff;');
  assert.equal(await client.ask('qXfer:features:read:nothing.xml:0,100'), 'E00');
  assert.equal(machine.state, 'paused');
  client.post('k');
  assert.deepEqual(await run, { cause: 'quit', message: 'killed by gdb' });
});

test('target descriptions have the features that gdb knows, with its numbers', async () => {
  const expected = {
    '970': ['core', 'fpu', 'altivec'],
    power7: ['core', 'fpu', 'altivec', 'vsx'],
    power8: ['core', 'fpu', 'altivec', 'vsx'],
  };
  for (const [cpu, features] of Object.entries(expected)) {
    const { client, run } = start({ cpu });
    const description = await client.transfer('features', 'target.xml');
    const named = [...description.matchAll(/<feature name="([^"]*)"/g)].map(([, name]) => name);
    assert.deepEqual(named, [...features.map((name) => `org.gnu.gdb.power.${name}`), 'org.powervisor.power.special']);
    assert.match(description, /<architecture>powerpc:common64<\/architecture>/);
    const registers = registersOf(description);
    const numbers = { r0: 0, r31: 31, f0: 32, f31: 63, pc: 64, msr: 65, cr: 66, lr: 67, ctr: 68, xer: 69, fpscr: 70 };
    for (const [name, number] of Object.entries(numbers)) assert.equal(registers.get(name)?.number, number, name);
    assert.deepEqual(registers.get('vr0'), { number: 71, bits: 128 });
    assert.equal(new Set([...registers.values()].map(({ number }) => number)).size, registers.size);
    for (const name of ['srr0', 'sprg3', 'dar', 'dsisr', 'pvr']) assert.ok(registers.has(name), name);
    client.post('k');
    await run;
  }
});

test('breakpoints stop the guest, and nobody sees them in its memory', async () => {
  const { client, run } = start();
  await client.ask(SUPPORTED);
  const before = await client.ask(`m${STORE.toString(16)},4`);
  assert.equal(await client.ask(`Z0,${STORE.toString(16)},4`), 'OK');
  assert.match(await client.ask('vCont;c'), new RegExp(`^T05.*40:${hex(STORE)};.*swbreak:;$`));
  assert.equal(await client.ask(`m${STORE.toString(16)},4`), before);
  assert.equal(await register(client, 'r4'), 1n);
  // Goes on from the breakpoint, which is still set, to the next time.
  await client.ask('vCont;c');
  assert.equal(await register(client, 'r4'), 2n);
  assert.equal(await client.ask(`z0,${STORE.toString(16)},4`), 'OK');
  assert.equal(await client.ask(`Z1,${AGAIN.toString(16)},4`), 'OK');
  assert.match(await client.ask('c'), new RegExp(`^T05.*40:${hex(AGAIN)};.*hwbreak:;$`));
  client.post('k');
  await run;
});

test('there is room for many breakpoints, and an answer when there is none', async () => {
  const { client, run } = start();
  let refused = '';
  let count = 0;
  for (; count < 400 && refused === ''; count++) {
    const reply = await client.ask(`Z0,${(0x10_0000 + 4 * count).toString(16)},4`);
    if (reply !== 'OK') refused = reply;
  }
  assert.equal(refused, 'E1c');
  assert.ok(count > 100);
  client.post('k');
  await run;
});

test('steps go one instruction on, over branches and interrupts, and ranges to their end', async () => {
  const { client, run } = start();
  const pcs: bigint[] = [];
  for (let i = 0; i < 9; i++) {
    assert.match(await client.ask(i % 2 === 0 ? 's' : 'vCont;s:1'), /^T05/);
    pcs.push(await register(client, 'pc'));
  }
  assert.deepEqual(pcs, [4n, 8n, 12n, 16n, 20n, AGAIN, 0x1cn, STORE, STORE + 4n]);
  assert.match(await client.ask(`vCont;r${hex(STORE)},${hex(STORE + 12n)}`), new RegExp(`40:${hex(0x20)};`));
  client.post('k');
  await run;
});

test('watched data stop the guest in front of the access, whichever is watched', async () => {
  const { client, run } = start();
  assert.equal(await client.ask('Z2,8000,4'), 'OK');
  assert.match(await client.ask('c'), new RegExp(`^T05.*40:${hex(STORE)};.*watch:8000;$`));
  assert.equal(await client.ask('m8000,4'), '00000000');
  await client.ask('s');
  assert.equal(await client.ask('m8000,4'), '00000001');
  assert.match(await client.ask('c'), /;watch:8000;$/);
  assert.equal(await client.ask('z2,8000,4'), 'OK');
  assert.equal(await client.ask('Z3,8002,1'), 'OK');
  assert.match(await client.ask('c'), new RegExp(`^T05.*40:${hex(STORE + 4n)};.*rwatch:8002;$`));
  assert.equal(await client.ask('z3,8002,1'), 'OK');
  assert.equal(await client.ask('Z4,8003,1'), 'OK');
  assert.match(await client.ask('c'), new RegExp(`40:${hex(STORE)};.*awatch:8003;$`));
  assert.match(await client.ask('c'), new RegExp(`40:${hex(STORE + 4n)};.*awatch:8003;$`));
  client.post('k');
  await run;
});

test('registers are written one by one and together, of all kinds', async () => {
  const { client, run } = start();
  const registers = registersOf(await client.transfer('features', 'target.xml'));
  const skipped = new Set(['msr', 'pc', 'lpcr', 'pvr', 'dpdes', 'tir', 'purr', 'spurr', 'ic', 'vtb', 'dec', 'hior']);
  const kept = new Set<string>();
  for (const [name, { number, bits }] of registers) {
    if (skipped.has(name)) continue;
    const value = hex(BigInt.asUintN(bits, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210n), bits / 4);
    const reply = await client.ask(`P${number.toString(16)}=${value}`);
    assert.ok(reply === 'OK' || reply === 'E16', `${name}: ${reply}`);
    if ((await client.ask(`p${number.toString(16)}`)) === value) kept.add(name);
  }
  for (const name of ['r0', 'r31', 'lr', 'ctr', 'cr', 'f7', 'vr31', 'vs3h', 'srr1', 'sprg2', 'dar', 'dsisr', 'tar'])
    assert.ok(kept.has(name), name);
  const all = await client.ask('g');
  assert.equal(all.length, (38 - 2) * 16 + 2 * 8 + 32 * 16 + 8);
  const changed = `${hex(0x77)}${all.slice(16)}`;
  assert.equal(await client.ask(`G${changed}`), 'OK');
  assert.equal(await client.ask('g'), changed);
  assert.equal(await client.ask('P0=12'), 'E16');
  assert.equal(await client.ask('Pffff=12'), 'E02');
  assert.equal(await client.ask('pffff'), 'E02');
  client.post('k');
  await run;
});

test('memory is read and written in every form, and where there is none is an error', async () => {
  const { client, run } = start();
  assert.equal(await client.ask('M9000,4:01020304'), 'OK');
  assert.equal(await client.ask('m9000,4'), '01020304');
  assert.equal(await client.ask('x9000,4'), 'b\x01\x02\x03\x04');
  const odd = '}#$*\0\xff';
  assert.equal(await client.ask(`X9001,${odd.length}:${odd}`), 'OK');
  assert.equal(await client.ask('x9000,8'), `b\x01${odd}\0`);
  assert.equal(await client.ask('X9000,0:'), 'OK');
  assert.equal(await client.ask('m800000,4'), 'E0e');
  assert.equal(await client.ask('M800000,1:00'), 'E0e');
  // What of it there is.
  assert.equal(await client.ask('m7ffffe,8'), '0000');
  assert.equal(await client.ask('M7ffffe,4:01010101'), 'E0e');
  assert.equal(await client.ask('m7ffffe,2'), '0000');
  assert.equal((await client.ask('m0,ffff')).length, 2 * 0xfffc);
  assert.equal(await client.ask('M9000,4:0102'), 'E16');
  assert.equal(await client.ask('mxyz'), 'E16');
  assert.equal(await client.ask('Qqemu.PhyMemMode:1'), 'OK');
  assert.equal(await client.ask('qqemu.PhyMemMode'), '1');
  assert.equal(await client.ask('m9000,2'), '017d');
  client.post('k');
  await run;
});

test('Ctrl-C stops a guest that runs, which then goes on and ends', async () => {
  const { client, run } = start({
    source: `${POWER}; again: lwz r5,0x7ff4(0); cmpwi r5,0; beq again; li r6,0x5555; stw r6,0(r28)`,
  });
  await client.ask(SUPPORTED);
  client.post('vCont;c');
  assert.equal(await client.ask('m0,4'), 'E10');
  client.interrupt();
  assert.match(await client.reply(), /^T02/);
  assert.equal(await client.ask('M7ff4,4:00000001'), 'OK');
  assert.equal(await client.ask('vCont;c'), 'W00;process:1');
  assert.deepEqual(await run, { cause: 'shutdown', message: 'the guest shut down' });
});

test('a client that leaves takes its breakpoints with it', async () => {
  const { client, connection, run } = start();
  await client.ask(`Z0,${STORE.toString(16)},4`);
  assert.equal(await client.ask('D'), 'OK');
  connection.close();
  assert.deepEqual(await run, { cause: 'shutdown', message: 'the guest shut down' });
});

test('what is garbled is asked for again, and what is cut is put together', async () => {
  const { client, connection, run } = start();
  const wire: string[] = [];
  client.wire = { send: () => {} };
  const heard = client.receive.bind(client);
  client.receive = (bytes) => {
    wire.push(Buffer.from(bytes).toString('latin1'));
    heard(bytes);
  };
  connection.receive(Buffer.from('noise$qC#00'));
  assert.equal(wire.join(''), '-');
  for (const byte of Buffer.from('$qC#b4')) connection.receive(Uint8Array.of(byte));
  assert.equal(await client.reply(), 'QC1');
  connection.receive(Buffer.from('-'));
  assert.equal(await client.reply(), 'QC1');
  client.wire = { send: (bytes) => connection.receive(bytes) };
  client.post('k');
  await run;
});

test('`monitor` lines come to whoever serves them', async () => {
  const lines: string[] = [];
  const { client, run } = start({
    monitor: async (line) => {
      lines.push(line);
      return 'ä'.repeat(5000);
    },
  });
  assert.equal(await client.monitor('info registers'), 'ä'.repeat(5000));
  assert.deepEqual(lines, ['info registers']);
  assert.equal(await client.ask(`qRcmd,${toHex('x').slice(1)}`), 'E16');
  client.post('k');
  await run;
});

test('typed calls do what packets do', async () => {
  const { machine, connection, run } = start();
  const { debugger: debug } = machine;
  connection.close();
  await debug.stop();
  debug.addBreakpoint(STORE);
  const stops: string[] = [];
  const next = (): Promise<string> =>
    new Promise((resolve) => {
      const end = debug.onStop(({ cause }) => {
        end();
        resolve(cause);
      });
    });
  for (const go of [() => debug.go(), () => debug.step(), () => debug.go()]) {
    const stop = next();
    go();
    stops.push(await stop);
  }
  assert.deepEqual(stops, ['breakpoint', 'step', 'breakpoint']);
  assert.equal(debug.registers.pc, STORE);
  assert.equal(debug.memory.number(STORE, 4), 0x9089_0000n);
  // The machine's own pauses leave a guest that the debugger has stopped where it is.
  await machine.pause();
  machine.resume();
  assert.equal(machine.state, 'paused');
  await machine.save();
  assert.equal(machine.state, 'paused');
  debug.detach();
  assert.equal((await run).cause, 'shutdown');
});

test('a socket serves one client at a time', async () => {
  const { machine, connection, run } = start();
  connection.close();
  const server = await serveGdb(machine, { port: 0 });
  assert.equal(server.host, '127.0.0.1');
  await assert.rejects(serveGdb(machine, { port: server.port }), /^MachineError: cannot serve gdb on 127\.0\.0\.1:/);
  const socket = connect(server.port, server.host);
  const client = new GdbClient();
  client.wire = { send: (bytes) => void socket.write(bytes) };
  socket.on('data', (bytes) => client.receive(bytes as Buffer));
  assert.match(await client.ask('?'), /^T02/);
  const other = connect(server.port, server.host);
  await once(other, 'close');
  assert.equal(await client.ask('m0,4'), '3f80f000');
  client.post('k');
  await run;
  server.close();
});

test("an e500's registers have SPE's halves, on its own board", async () => {
  const machine = Machine.create({
    board: 'ppce500',
    memoryBytes: 64 * 2 ** 20,
    kernel: kernelOf('forever: b forever'),
    host: new NodeHost({ write: () => {} }),
    timeoutNs: 30e9,
  });
  const client = new GdbClient();
  const connection = new GdbConnection(machine, { write: (bytes) => client.receive(bytes), close: () => {} });
  client.wire = { send: (bytes) => connection.receive(bytes) };
  const run = machine.run();
  const description = await client.transfer('features', 'target.xml');
  assert.match(description, /<architecture>powerpc:e500<\/architecture>.*org\.gnu\.gdb\.power\.spe/s);
  const number = (name: string): string => registersOf(description).get(name)?.number.toString(16) ?? '';
  assert.deepEqual(registersOf(description).get('ev0h'), { number: 32, bits: 32 });
  assert.equal(number('acc'), '49');
  await client.ask(`P${number('ev5h')}=01020304`);
  await client.ask(`P${number('acc')}=1122334455667788`);
  await client.ask('P5=0a0b0c0d');
  assert.equal(await client.ask(`p${number('ev5h')}`), '01020304');
  assert.equal(await client.ask('p5'), '0a0b0c0d');
  assert.equal(await client.ask(`p${number('acc')}`), '1122334455667788');
  assert.equal((await client.ask(`p${number('spefscr')}`)).length, 8);
  client.post('k');
  await run;
});
