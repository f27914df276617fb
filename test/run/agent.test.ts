/** What the guest's agent is told, and the streams between it and Node, without a guest. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type { GuestPort } from '../../src/machine/index.ts';
import { agentProgram } from '../../src/node/run/agent-code.ts';
import { formatRequest, type Request } from '../../src/node/run/agent-program.ts';
import { run } from '../../src/node/run/index.ts';
import { CALL, StepList } from '../../src/node/run/steps.ts';
import { InputPort, OutputPort, StatusPort } from '../../src/node/run/streams.ts';

const request: Request = {
  architecture: 'ppc64le',
  command: ['true'],
  environment: {},
  directory: '/',
  mounts: [],
  binds: [],
  covers: [],
  network: 'none',
  hasInput: false,
  isMerged: false,
  time: 0,
  random: new Uint8Array(64),
};

const folder = mkdtempSync(join(tmpdir(), 'agent-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The agent's code over a list, as a program of the host's QEMU. Never with a whole request: that ends in a power-off. */
function take(isLittle: boolean, make: (list: StepList) => void): string {
  const list = new StepList(isLittle);
  make(list);
  list.step(CALL.exitGroup, [0]);
  const [port, program] = [join(folder, 'list'), join(folder, 'agent')];
  writeFileSync(port, list.finish());
  writeFileSync(program, agentProgram(isLittle, port), { mode: 0o755 });
  const { status, stdout } = spawnSync(isLittle ? 'qemu-ppc64le' : 'qemu-ppc64', [program], { encoding: 'utf8' });
  assert.equal(status, 0);
  return stdout;
}

const isThere = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

for (const [name, isLittle] of [
  ['qemu-ppc64le', true],
  ['qemu-ppc64', false],
] as const)
  test(`the agent's steps: results, errors, zeroes and pseudo-steps (${name})`, { skip: !isThere(name) }, () => {
    const written = take(isLittle, (list) => {
      const say = (text: string): void => {
        list.step(CALL.write, [1, list.text(text), text.length]);
      };
      const skipped = (): void => say('wrong ');
      // A result, its negative, and the comparison of words.
      const [number, negative, count] = [list.words(0), list.words(0), list.words(3)];
      list.step(CALL.write, [1, list.text('one '), 4], { result: number });
      list.negate(negative, number);
      const [four, minus, copied] = [list.place(), list.place(), list.place()];
      list.ifEqual(list.low(number), 4, four);
      skipped();
      list.here(four);
      list.ifEqual(list.low(negative), -4, minus);
      skipped();
      list.here(minus);
      list.ifEqual(list.low(number), 5, copied);
      say('not equal ');
      list.copy(number, count);
      list.ifEqual(list.low(number), 3, copied);
      skipped();
      list.here(copied);
      // An error goes on, with its number, or elsewhere.
      const failed = list.words(0);
      list.step(CALL.close, [99], { result: failed });
      const bad = list.place();
      list.ifEqual(list.low(failed), -9, bad);
      skipped();
      list.here(bad);
      const onError = list.place();
      list.step(CALL.close, [99], { onError });
      skipped();
      list.here(onError);
      // Zero, and a step that is not the next one.
      const [onZero, last] = [list.place(), list.place()];
      list.step(CALL.dup2, [0, 0], { onZero });
      skipped();
      list.here(onZero);
      list.step(CALL.write, [1, list.text('next '), 5], { next: last });
      skipped();
      list.here(last);
      // A step writes the argument of another.
      const write = list.place();
      list.step(CALL.write, [1, list.text('now '), 4], { result: list.argument(write, 2) });
      list.step(CALL.write, [1, list.text('here!!!'), 0], {}, write);
    });
    assert.equal(written, 'one not equal next now here');
  });

test('a request has its words as they were, whatever is in them', () => {
  const word = fc.string({ unit: 'binary' }).map((text) => text.toWellFormed().replaceAll('\0', ''));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 5 }), word, word, (words, value, directory) => {
      const list = Buffer.from(
        formatRequest({ ...request, command: ['x', ...words], environment: { A: value }, directory }),
      );
      assert.equal(list.readBigUInt64LE(0), BigInt(list.length));
      for (const text of [...words, `A=${value}`, directory]) assert.ok(list.includes(`${text}\0`));
    }),
    { numRuns: 30 },
  );
});

test('a command that is longer than any that Linux takes is refused', () => {
  assert.throws(
    () => formatRequest({ ...request, command: ['x', 'y'.repeat(9 * 2 ** 20)] }),
    /arguments and variables are longer than Linux takes/,
  );
});

test('a status is read whatever pieces it comes in', () => {
  const ended: number[] = [];
  const problems: string[] = [];
  const portOf = (): StatusPort =>
    new StatusPort(
      true,
      (status) => ended.push(status),
      (text) => problems.push(text),
    );
  const bytes = Buffer.from('wait\x00\x07\x00\x00', 'latin1');
  for (let cut = 0; cut <= bytes.length; cut++) {
    const port = portOf();
    port.write(bytes.subarray(0, cut));
    if (cut < bytes.length) port.write(bytes.subarray(cut));
  }
  assert.deepEqual(
    ended,
    Array.from({ length: 9 }, () => 0x700),
  );
  const port = portOf();
  port.write(Buffer.from('error the guest '));
  port.write(Buffer.from('has none\n'));
  assert.deepEqual(problems, ['the guest has none']);
});

/** The guest's end, which takes so many bytes at once. */
class Port implements GuestPort {
  readonly taken: number[] = [];
  readonly connections: boolean[] = [];
  room: number;

  constructor(room: number) {
    this.room = room;
  }
  receive(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, this.room);
    this.taken.push(...taken);
    this.room -= taken.length;
    return taken.length;
  }
  roomAgain(): void {}
  connected(isConnected: boolean): void {
    this.connections.push(isConnected);
  }
}

test('input waits for the program in the guest, goes at its pace, and ends', async () => {
  const stream = new PassThrough();
  const input = new InputPort(stream);
  const port = new Port(3);
  input.port = port;
  stream.end(Buffer.from([1, 2, 3, 4, 5]));
  await delay(5);
  assert.deepEqual(port.taken, []);
  input.opened(true);
  await delay(5);
  assert.deepEqual([port.taken, port.connections], [[1, 2, 3], []]);
  port.room = 9;
  input.roomAgain();
  await delay(5);
  assert.deepEqual([port.taken, port.connections], [[1, 2, 3, 4, 5], [false]]);
});

test('an input that is there already is given and ends; one that stays does not', () => {
  const [whole, lines] = [new InputPort(Uint8Array.of(1, 2)), new InputPort(new Uint8Array(), { stays: true })];
  const [port, other] = [new Port(9), new Port(9)];
  whole.port = port;
  lines.port = other;
  lines.push(Uint8Array.of(7));
  for (const input of [whole, lines]) input.opened(true);
  lines.push(Uint8Array.of(8));
  assert.deepEqual([port.taken, port.connections], [[1, 2], [false]]);
  assert.deepEqual([other.taken, other.connections], [[7, 8], []]);
});

test('a stream that has enough holds the machine, and lets it go again', async () => {
  const stalls: boolean[] = [];
  const done: (() => void)[] = [];
  const slow = new Writable({ highWaterMark: 4, write: (_bytes, _encoding, next) => void done.push(next) });
  const output = new OutputPort(slow, (isStalled) => stalls.push(isStalled), assert.fail);
  output.write(new Uint8Array(3));
  assert.deepEqual(stalls, []);
  output.write(new Uint8Array(3));
  output.write(new Uint8Array(3));
  assert.deepEqual(stalls, [true]);
  for (let next = done.shift(); next !== undefined; next = done.shift()) {
    next();
    await delay(1);
  }
  assert.deepEqual(stalls, [true, false]);
});

test('a stream that breaks is told once and holds nothing', async () => {
  const told: string[] = [];
  const stalls: boolean[] = [];
  const broken = new Writable({
    highWaterMark: 1,
    write: (_bytes, _encoding, next) => void setImmediate(next, new Error('gone')),
  });
  const output = new OutputPort(
    broken,
    (isStalled) => stalls.push(isStalled),
    ({ message }) => told.push(message),
  );
  output.write(new Uint8Array(3));
  await delay(5);
  output.write(new Uint8Array(3));
  await output.drain();
  assert.deepEqual([told, stalls], [['gone'], [true, false]]);
});

test('a guest that writes without end to its status is not listened to', () => {
  const problems: string[] = [];
  const port = new StatusPort(
    true,
    () => {},
    (text) => problems.push(text),
  );
  port.write(Buffer.from('error '));
  for (let i = 0; i < 100; i++) port.write(Buffer.alloc(1000, 'x'));
  port.write(Buffer.from('\n'));
  assert.deepEqual(problems, []);
});

test('what is no command, variable, image or folder is refused in one line', async () => {
  const wrong: [RegExp, ...Parameters<typeof run>][] = [
    [/^a command is a list of strings/, []],
    [/^an argument has no zero byte/, ['a\0b']],
    [/^"A=B" is no variable/, ['true'], { env: { 'A=B': '' } }],
    [
      /^there is no image 'x'; there are: debian, debian-tools, ppc64, ppc, folders and archives by path, [^\n]*$/,
      ['true'],
      { image: 'x' },
    ],
  ];
  for (const [message, ...words] of wrong) await assert.rejects(run(...words), { name: 'MachineError', message });
});
