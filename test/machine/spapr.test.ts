/** The devices of a partition: what they do, with arguments of all kinds, and their state. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NVRAM_BYTES } from '../../src/machine/devices/spapr-nvram.ts';
import { RTAS_TOKENS, type RtasName, type SpaprRtas } from '../../src/machine/devices/spapr-rtas.ts';
import { type SpaprVty, VTY_QUEUE_BYTES } from '../../src/machine/devices/spapr-vty.ts';
import { MachineError } from '../../src/machine/error.ts';
import { BLOCK, MEMORY_BYTES, spaprRig } from './spapr-rig.ts';

const H_GET_TERM_CHAR = 0x54;
const H_PUT_TERM_CHAR = 0x58;
const H_RANDOM = 0x300;
const UNIT = 0x71000000;
const [H_SUCCESS, H_HARDWARE, H_FUNCTION, H_PARAMETER] = [0n, -1n, -2n, -4n];
const [SUCCESS, NO_ERRORS, HARDWARE_ERROR, PARAMETER_ERROR] = [0, 1, -1, -3];
const names = Object.keys(RTAS_TOKENS) as RtasName[];

test('every token is served by a device, and nothing else is', () => {
  const { board } = spaprRig();
  assert.deepEqual((board.device('rtas') as SpaprRtas).names.sort(), [...names].sort());
});

test('a call of another shape, or without a name, is refused and changes only its status', () => {
  const rig = spaprRig();
  for (const name of names) {
    assert.equal(rig.block([RTAS_TOKENS[name], 9, 7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), H_SUCCESS);
    assert.equal(rig.word(BLOCK + 12 + 4 * 9) | 0, PARAMETER_ERROR, name);
    assert.equal(rig.board.power.pressed, undefined, name);
  }
  assert.equal(rig.block([0x1234, 0, 1]), H_SUCCESS);
  assert.equal(rig.word(BLOCK + 12) | 0, PARAMETER_ERROR);
  const { counters } = rig.board;
  assert.equal(counters.call(rig.board)['rtas_unknown_last'], 0x1234);
});

test('a block that is not there, or that says that it is too long, is no block', () => {
  const rig = spaprRig();
  const untouched = rig.vm.bytes.slice();
  for (const address of [MEMORY_BYTES, MEMORY_BYTES - 8, MEMORY_BYTES - 15, 0x7fffffff, 0xffffffff])
    assert.equal(rig.call(0xf000, address)[0], H_PARAMETER, `${address}`);
  assert.equal(rig.call(0xf000, 0)[0], H_PARAMETER, 'no room for a status');
  assert.deepEqual(rig.vm.bytes, untouched);
  for (const [args, results] of [
    [16, 1],
    [0, 17],
    [0xffffffff, 1],
    [0xffffffff, 0xffffffff],
    [1, 0],
  ] as const)
    assert.equal(rig.block([RTAS_TOKENS['power-off'], args, results]), H_PARAMETER);
  // The address is a 32-bit register's.
  assert.equal(rig.block([RTAS_TOKENS['ibm,int-on'], 1, 1, 0x1100]), H_SUCCESS);
  assert.equal(rig.call(0xf000, (7n << 32n) | BigInt(BLOCK))[0], H_SUCCESS);
});

test('NVRAM keeps what is stored over a reset, in whole and at its ends', () => {
  const rig = spaprRig();
  rig.vm.bytes.set([1, 2, 3, 4, 5, 6, 7, 8], 0x2000);
  assert.deepEqual(rig.rtas('nvram-store', [NVRAM_BYTES - 4, 0x2000, 8], 2), [SUCCESS, 4], 'as much as there is');
  rig.board.reset();
  assert.deepEqual(rig.rtas('nvram-fetch', [NVRAM_BYTES - 6, 0x3000, 100], 2), [SUCCESS, 6]);
  assert.deepEqual([...rig.vm.bytes.subarray(0x3000, 0x3008)], [0, 0, 1, 2, 3, 4, 0, 0]);
  // The first partition's header: signature 0x70, length 0x100 blocks, "common".
  assert.deepEqual(rig.rtas('nvram-fetch', [0, 0x3000, 16], 2), [SUCCESS, 16]);
  assert.deepEqual([rig.vm.bytes[0x3000], rig.vm.bytes[0x3002], rig.vm.bytes[0x3003]], [0x70, 1, 0]);
  for (const [offset, buffer, length] of [
    [NVRAM_BYTES, 0x2000, 1],
    [0xffffffff, 0x2000, 16],
    [0, 0x2000, 0],
    [0, MEMORY_BYTES - 4, 8],
    [0, 0xfffffff0, 0xffffffff],
  ] as const) {
    assert.deepEqual(rig.rtas('nvram-store', [offset, buffer, length], 2), [PARAMETER_ERROR, 0]);
    assert.deepEqual(rig.rtas('nvram-fetch', [offset, buffer, length], 2), [PARAMETER_ERROR, 0]);
  }
});

test("the calendar clock goes with the guest's time, can be set, and keeps its time over a reset", () => {
  const rig = spaprRig();
  assert.deepEqual(rig.rtas('get-time-of-day', [], 8), [SUCCESS, 1970, 1, 1, 0, 0, 0, 0]);
  rig.now = 61.5e9;
  assert.deepEqual(rig.rtas('get-time-of-day', [], 8), [SUCCESS, 1970, 1, 1, 0, 1, 1, 500_000_000]);
  assert.deepEqual(rig.rtas('set-time-of-day', [2024, 2, 29, 23, 59, 59, 0], 1), [SUCCESS]);
  rig.now += 1e9;
  rig.board.reset();
  assert.deepEqual(rig.rtas('get-time-of-day', [], 8), [SUCCESS, 2024, 3, 1, 0, 0, 0, 0]);
  const good = [2024, 2, 28, 12, 0, 0, 0];
  for (const [i, value] of [
    [0, 1969],
    [0, 10000],
    [0, 0xffffffff],
    [1, 0],
    [1, 13],
    [2, 0],
    [2, 31],
    [2, 0xffffffff],
    [3, 24],
    [4, 60],
    [5, 60],
    [6, 1e9],
  ] as const)
    assert.deepEqual(rig.rtas('set-time-of-day', good.with(i, value), 1), [PARAMETER_ERROR], `${i} ${value}`);
  assert.deepEqual(rig.rtas('get-time-of-day', [], 8), [SUCCESS, 2024, 3, 1, 0, 0, 0, 0]);
});

test('random numbers come from the host, or the call says that there are none', () => {
  const world = { unixTime: () => 0, random: (bytes: Uint8Array) => void bytes.set([1, 2, 3, 4, 5, 6, 7, 8]) };
  assert.deepEqual(spaprRig(world).call(H_RANDOM).slice(0, 2), [H_SUCCESS, 0x0403020108070605n]);
  assert.equal(spaprRig({ unixTime: () => 0, random: undefined }).call(H_RANDOM)[0], H_HARDWARE);
  const rig = spaprRig();
  assert.notEqual(rig.call(H_RANDOM)[1], rig.call(H_RANDOM)[1]);
});

test("the terminal gives up to sixteen bytes a call, takes as many, and no other unit's", () => {
  const rig = spaprRig();
  const vty = rig.board.device('vty0') as SpaprVty;
  let output = '';
  vty.sink = { writeByte: (byte) => (output += String.fromCharCode(byte)) };
  assert.deepEqual(rig.call(H_GET_TERM_CHAR, UNIT, 7, 7).slice(0, 4), [H_SUCCESS, 0n, 0n, 0n], 'nothing yet');
  vty.receive(Uint8Array.from({ length: 18 }, (_, i) => i + 1));
  assert.deepEqual(rig.call(H_GET_TERM_CHAR, 0).slice(0, 4), [
    H_SUCCESS,
    16n,
    0x0102030405060708n,
    0x090a0b0c0d0e0f10n,
  ]);
  assert.equal(rig.call(H_GET_TERM_CHAR, UNIT)[1], 0n, 'a driver that reads until nothing is there comes to an end');
  rig.now = vty.due() - 1;
  assert.equal(rig.call(H_GET_TERM_CHAR, UNIT)[1], 0n);
  rig.now = vty.due();
  assert.deepEqual(rig.call(H_GET_TERM_CHAR, UNIT).slice(0, 4), [H_SUCCESS, 2n, 0x1112000000000000n, 0n]);
  assert.equal(rig.call(H_PUT_TERM_CHAR, UNIT, 16, 0x4142434445464748n, 0x494a4b4c4d4e4f50n)[0], H_SUCCESS);
  assert.equal(rig.call(H_PUT_TERM_CHAR, UNIT, 0, -1)[0], H_SUCCESS);
  rig.rtas('display-character', [0x1151], 1);
  assert.equal(output, 'ABCDEFGHIJKLMNOPQ');
  for (const [unit, count] of [
    [UNIT, 17],
    [UNIT, -1],
    [UNIT, 1n << 32n],
    [UNIT + 1, 1],
    [(1n << 32n) + BigInt(UNIT), 1],
    [-1, 1],
  ] as const) {
    assert.equal(rig.call(H_PUT_TERM_CHAR, unit, count, -1)[0], H_PARAMETER);
    if (unit !== UNIT) assert.equal(rig.call(H_GET_TERM_CHAR, unit)[0], H_PARAMETER);
  }
  assert.equal(output.length, 17);
  assert.equal(vty.receive(new Uint8Array(VTY_QUEUE_BYTES + 5)), VTY_QUEUE_BYTES, 'the rest is offered again');
});

test('power, errors and processors', () => {
  const rig = spaprRig();
  const pressed = (): unknown => rig.board.power.release();
  assert.deepEqual(rig.rtas('power-off', [0, 0], 1), [SUCCESS]);
  assert.deepEqual(pressed(), { kind: 'shutdown', message: '' });
  rig.rtas('system-reboot', [], 1);
  assert.deepEqual(pressed(), { kind: 'reset', message: '' });
  rig.vm.bytes.set(Buffer.from('it\nburns\0no more'), 0x5000);
  rig.rtas('ibm,os-term', [0x5000], 1);
  assert.deepEqual(pressed(), { kind: 'crash', message: 'the guest crashed: it burns' });
  for (const address of [MEMORY_BYTES - 3, 0xffffffff]) {
    rig.rtas('ibm,os-term', [address], 1);
    assert.match((pressed() as { message: string }).message, /^the guest crashed: *$/);
  }
  rig.rtas('stop-self', [], 1);
  assert.deepEqual(pressed(), { kind: 'crash', message: 'the guest stopped its last processor' });
  assert.deepEqual(rig.rtas('event-scan', [0, 0, 0, 0], 1), [NO_ERRORS]);
  assert.deepEqual(rig.rtas('query-cpu-stopped-state', [0], 2), [SUCCESS, 2]);
  assert.deepEqual(rig.rtas('query-cpu-stopped-state', [1], 2), [PARAMETER_ERROR, 0]);
  assert.deepEqual(rig.rtas('start-cpu', [0, 0, 0], 1), [HARDWARE_ERROR]);
  assert.deepEqual(rig.rtas('start-cpu', [0xffffffff, 0, 0], 1), [PARAMETER_ERROR]);
  assert.equal(rig.call(0xe8, 1)[0], H_PARAMETER);
  assert.equal(rig.call(0xe8, 1n << 63n)[0], H_PARAMETER);
  // H_PERFMON: its one mode is always on.
  const on = 1n << 63n;
  assert.deepEqual(rig.call(0x7c, on, 0).slice(0, 2), [0n, on]);
  assert.deepEqual(rig.call(0x7c, 0, on).slice(0, 2), [0n, on]);
  assert.equal(rig.call(0x7c, on | 1n)[0], H_PARAMETER);
  assert.equal(rig.call(0x7c, 0, on >> 1n)[0], H_PARAMETER);
});

test('system parameters are cut to the room that there is', () => {
  const rig = spaprRig();
  assert.deepEqual(rig.rtas('ibm,get-system-parameter', [20, 0x5000, 6], 1), [SUCCESS]);
  assert.equal(Buffer.from(rig.vm.bytes.subarray(0x5002, 0x5008)).toString(), 'MaxE\0\0');
  assert.ok(rig.word(0x5000) >>> 16 > 20, "the length is the whole value's");
  assert.deepEqual(rig.rtas('ibm,get-system-parameter', [20, 0x5000, 1], 1), [PARAMETER_ERROR]);
  assert.deepEqual(rig.rtas('ibm,get-system-parameter', [20, MEMORY_BYTES - 2, 200], 1), [PARAMETER_ERROR]);
  assert.deepEqual(rig.rtas('ibm,get-system-parameter', [9999, 0x5000, 200], 1), [-3]);
});

test("the devices' state goes through JSON and back", () => {
  const rig = spaprRig();
  rig.rtas('nvram-store', [100, 0, 4000], 2);
  rig.rtas('set-time-of-day', [2030, 1, 2, 3, 4, 5, 6], 1);
  (rig.board.device('vty0') as SpaprVty).receive(Uint8Array.of(65, 66, 67));
  rig.rtas('ibm,set-xive', [0x1100, 0, 5], 1);
  const state = JSON.parse(JSON.stringify(rig.board.save()));
  const other = spaprRig();
  other.now = 12345e9;
  other.board.restore(state);
  assert.deepEqual(JSON.parse(JSON.stringify(other.board.save())), state);
  assert.deepEqual(other.rtas('get-time-of-day', [], 8).slice(0, 7), [SUCCESS, 2030, 1, 2, 3, 4, 5]);
  assert.deepEqual(other.call(H_GET_TERM_CHAR, UNIT).slice(0, 3), [H_SUCCESS, 3n, 0x4142430000000000n]);
  for (const [name, spoiled] of [
    ['nvram', { bytes: new Array(NVRAM_BYTES + 1).fill(0) }],
    ['nvram', {}],
    ['rtc', { unixTime: 'now' }],
    ['vty0', { queue: [1, 'x'], here: 0, next: 0 }],
    ['xics', {}],
  ] as const)
    assert.throws(() => other.board.restore({ ...state, [name]: spoiled }), MachineError, name);
  assert.throws(() => other.board.restore({}), MachineError);
});

test('any hypercall with any arguments gives a status, and any block is served or refused', () => {
  const rig = spaprRig();
  const statuses = new Set([H_SUCCESS, H_HARDWARE, H_FUNCTION, H_PARAMETER]);
  const number = fc.oneof(
    fc.constantFrom(0x54, 0x58, 0x64, 0x68, 0x6c, 0x70, 0x74, 0xe4, 0xe8, 0x1c8, 0x2fc, 0x300, 0xf000),
    fc.nat(),
  );
  const argument = fc.oneof(
    fc.constantFrom(0n, 1n, BigInt(UNIT), BigInt(BLOCK)),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  );
  const word = fc.oneof(fc.nat(20), fc.constantFrom(BLOCK, 0x1100, 0xffffffff, MEMORY_BYTES - 2), fc.nat(0xffffffff));
  fc.assert(
    fc.property(
      number,
      fc.array(argument, { maxLength: 9 }),
      fc.constantFrom(...names),
      fc.array(word, { minLength: 2, maxLength: 20 }),
      (nr, args, name, words) => {
        assert.ok(statuses.has(rig.call(nr, ...args)[0] as bigint));
        assert.ok(statuses.has(rig.block([RTAS_TOKENS[name], ...words])));
        rig.board.power.release();
      },
    ),
    { numRuns: 2000 },
  );
});
