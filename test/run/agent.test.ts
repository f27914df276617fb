/** What the guest's agent is told, and the streams between it and Node, without a guest. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type { GuestPort } from '../../src/machine/index.ts';
import { formatRequest } from '../../src/node/run/agent.ts';
import { run } from '../../src/node/run/index.ts';
import { InputPort, LinePort, OutputPort } from '../../src/node/run/streams.ts';

const request = {
  command: ['true'],
  environment: {},
  directory: '/',
  folder: undefined,
  isWritable: false,
  network: 'none',
  hasInput: false,
  isMerged: false,
  time: 0,
  random: new Uint8Array(64),
} as const;

test('a shell reads all words of a request as they were, whatever is in them', {
  skip: process.platform === 'win32',
}, () => {
  const word = fc.string({ unit: 'binary' }).map((text) => text.toWellFormed().replaceAll('\0', ''));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 5 }), word, word, (words, value, directory) => {
      const text = formatRequest({ ...request, command: ['x', ...words], environment: { A: value }, directory });
      const script = `env() { shift; printf '%s\\0' "$@"; }\n`;
      // The function stands in for the guest's programs setsid and env.
      const shell = `${script}${text.toString().replace('exec setsid env', 'env')}program=p; start; printf '%s\\0' "$directory"`;
      const { stdout } = spawnSync('sh', ['-s'], { input: shell });
      assert.deepEqual(stdout.toString().split('\0').slice(0, -1), [`A=${value}`, 'p', ...words, directory]);
    }),
    { numRuns: 30 },
  );
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

test('lines come whole, and endless ones are cut', () => {
  const lines: string[] = [];
  const port = new LinePort((line) => lines.push(line));
  for (const text of ['sta', 'tus 1\nerr', 'or x\n']) port.write(Buffer.from(text));
  assert.deepEqual(lines, ['status 1', 'error x']);
  for (let i = 0; i < 100; i++) port.write(Buffer.alloc(10_000, 'x'));
  port.write(Buffer.from('\n'));
  assert.ok((lines[2] as string).length <= 4096);
});

test('what is no command, variable, image or folder is refused in one line', async () => {
  const wrong: [RegExp, ...Parameters<typeof run>][] = [
    [/^a command is a list of strings/, []],
    [/^an argument has no zero byte/, ['a\0b']],
    [/^"A=B" is no variable/, ['true'], { env: { 'A=B': '' } }],
    [/^there is no image 'x'; there are: debian, debian-tools$/, ['true'], { image: 'x' }],
  ];
  for (const [message, ...words] of wrong) await assert.rejects(run(...words), { name: 'MachineError', message });
});
