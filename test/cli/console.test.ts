/** Consoles that nobody reads, that fail or that are closed: the guest waits or runs on, and whoever ends it does not wait. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { assembleWords } from '../../src/isa/index.ts';
import { Machine } from '../../src/machine/index.ts';
import { NodeHost } from '../../src/node/index.ts';
import { powervisor } from './command.ts';

/** Writes so many bytes to the bare board's serial port, and switches off. */
function flood(bytes: number): Uint8Array {
  const words = assembleWords(
    `lis r3,0xf000; clrldi r3,r3,32; lis r4,${bytes >> 16}; ori r4,r4,${bytes & 0xffff}; mtctr r4; li r5,65
    next: stb r5,0(r3); bdnz next
    ori r3,r3,0x1000; li r5,0x5555; stw r5,0(r3)`,
    0,
  );
  const image = new Uint8Array(words.length * 4);
  const view = new DataView(image.buffer);
  words.forEach((word, i) => {
    view.setUint32(4 * i, word);
  });
  return image;
}

/** More than a test has time for. */
const ENDLESS = 0x7fffffff;

const make = (console: Writable, bytes: number, onTurn?: () => void): Machine =>
  Machine.create({
    board: 'bare',
    memoryBytes: 8 * 2 ** 20,
    host: new NodeHost(console, onTurn),
    kernel: flood(bytes),
  });

/** A stream that takes one piece, and tells how to have it go on. */
class Stalled extends Writable {
  bytes = 0;
  #goOn: (() => void) | undefined;
  #open = false;

  constructor() {
    super({ highWaterMark: 64 });
  }

  override _write(piece: Uint8Array, _encoding: string, done: () => void): void {
    this.bytes += piece.length;
    if (this.#open) setImmediate(done);
    else this.#goOn = done;
  }

  open(): void {
    this.#open = true;
    this.#goOn?.();
  }
}

test('a guest waits for a stream that is full, keeps nothing more for it, and goes on when it is read', async () => {
  const stream = new Stalled();
  const turns: number[] = [];
  const bytes = 200_000;
  const machine = make(stream, bytes, () => turns.push(stream.writableLength));
  const run = machine.run();
  while (!stream.writableNeedDrain) await setTimeout(1);
  // What wakes a machine does not have it write.
  for (let i = 0; i < 20; i++) {
    machine.input(Uint8Array.of(65));
    await setTimeout(1);
  }
  stream.open();
  const first = turns.findIndex((length) => length >= stream.writableHighWaterMark);
  const waiting = turns.slice(first, first + 15);
  assert.ok(waiting.length === 15 && waiting.every((length) => length === waiting[0]), String(waiting));
  assert.equal((await run).cause, 'shutdown');
  stream.end();
  await new Promise((resolve) => stream.on('finish', resolve));
  assert.equal(stream.bytes, bytes);
});

test('a machine whose console is full can be quit, paused and timed out', async () => {
  const stalled = make(new Stalled(), ENDLESS);
  const run = stalled.run();
  await setTimeout(50);
  await stalled.pause();
  assert.equal(stalled.state, 'paused');
  stalled.resume();
  await setTimeout(10);
  stalled.quit();
  assert.equal((await run).cause, 'quit');
  const stream = new Stalled();
  const timed = Machine.create({
    board: 'bare',
    memoryBytes: 8 * 2 ** 20,
    host: new NodeHost(stream),
    kernel: flood(ENDLESS),
    timeoutNs: 100e6,
  });
  assert.equal((await timed.run()).cause, 'timeout');
});

for (const [what, spoil] of [
  ['fails', (stream: Writable) => stream.destroy(new Error('gone'))],
  ['is closed', (stream: Writable) => stream.destroy()],
  ['has ended', (stream: Writable) => stream.end()],
] as const)
  test(`a guest runs on when its console ${what}`, async () => {
    for (const early of [true, false]) {
      const stream = new Stalled();
      const machine = make(stream, 50_000);
      if (early) spoil(stream);
      const run = machine.run();
      while (!early && !stream.writableNeedDrain) await setTimeout(1);
      if (!early) spoil(stream);
      if (what === 'has ended') stream.open();
      assert.equal((await run).cause, 'shutdown');
    }
  });

const folder = mkdtempSync(join(tmpdir(), 'powervisor-'));
after(() => rmSync(folder, { recursive: true }));

for (const [how, words, end, status] of [
  ['Ctrl-A x', [], (child: ReturnType<typeof spawn>) => child.stdin?.write('\u0001x'), 0],
  ['SIGTERM', [], (child: ReturnType<typeof spawn>) => child.kill('SIGTERM'), 143],
  ['--timeout', ['--timeout', '1'], () => {}, 124],
] as const)
  test(`${how} ends the command while nobody reads its output`, { timeout: 60_000 }, async () => {
    const kernel = join(folder, 'flood');
    writeFileSync(kernel, flood(ENDLESS));
    const child = spawn(powervisor, ['boot', '--machine', 'bare', '--memory', '8M', '--kernel', kernel, ...words]);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.stdout.once('readable', () => end(child));
    assert.equal(await ended, status);
    child.stdout.destroy();
  });
