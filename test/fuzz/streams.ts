/**
 * The host of Node's with streams that end, fail, stall and dawdle: the command's own console, terminal and input, or a stream
 * that a program gave to `NodeHost`. Guests write what they can; machines are quit, paused and timed out at any time.
 */
import type { EventEmitter } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { ConsoleInput } from '../../src/cli/console-input.ts';
import { ConsoleOutput } from '../../src/cli/output.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { assembleWords } from '../../src/isa/index.ts';
import { Machine } from '../../src/machine/index.ts';
import { NodeHost } from '../../src/node/index.ts';
import { Random } from '../truth/random.ts';
import { GuardedVms } from './guarded-vm.ts';
import { type CaseEnd, checkEnd } from './judge.ts';
import { MEMORY } from './machines.ts';
import { inOrder } from './programs.ts';

const SERIAL = 'lis r3,0xf000; clrldi r3,r3,32';
/** Guests: one writes for ever, one says what it hears, one waits and never listens, one says a little and switches off. */
const GUESTS = [
  `${SERIAL}; li r5,65; again: stb r5,0(r3); b again`,
  `${SERIAL}; again: lbz r5,5(r3); andi. r5,r5,1; beq again; lbz r6,0(r3); stb r6,0(r3); b again`,
  'again: b again',
  `${SERIAL}; li r5,66; li r6,5000; mtctr r6; again: stb r5,0(r3); bdnz again; ori r3,r3,0x1000; li r5,0x5555; stw r5,0(r3)`,
].map((source) => inOrder(Int32Array.from(assembleWords(source, 0)), false));

/** What may wait in a stream for its reader: the command's bound, and what a slice of a guest brings. */
const MOST_WAITING_BYTES = 2 ** 21;
/** A machine that was told to end has ended after so long, on however busy a computer. */
const END_MS = 20_000;

/** A writable stream of some character. */
class Reader extends Writable {
  readonly #random: Random;
  #left: number;

  constructor(random: Random) {
    super({ highWaterMark: random.pick([1, 64, 16384]), autoDestroy: random.chance(0.5) });
    this.#random = random;
    this.#left = random.below(random.chance(0.5) ? 3 : 1000);
  }

  override _write(_piece: unknown, _encoding: string, done: (error?: Error) => void): void {
    const code = this.#random.pick(['EPIPE', 'EIO', 'ENOSPC']);
    if (this.#left-- > 0) this.#random.chance(0.5) ? done() : setImmediate(done);
    else if (this.#random.chance(0.4)) done(Object.assign(new Error(code), { code }));
    else if (this.#random.chance(0.3)) this.destroy(this.#random.chance(0.5) ? new Error(code) : undefined);
    else if (this.#random.chance(0.5)) setTimeout(done, this.#random.below(20)).unref();
    // Else it has stalled.
  }
}

/** Standard input: a pipe, or a terminal, whose mode cannot always be set. */
class Keyboard extends PassThrough {
  readonly isTTY: boolean;
  readonly #random: Random;

  constructor(random: Random) {
    super();
    this.#random = random;
    this.isTTY = random.chance(0.3);
  }

  setRawMode(): this {
    if (this.#random.chance(0.3)) throw Object.assign(new Error('setRawMode EIO'), { code: 'EIO' });
    return this;
  }
}

export class HostileStreams {
  readonly #vms = new GuardedVms('here', MEMORY.bare.bytes, 0);

  /** Runs a guest between the streams of a seed. @throws whatever must not be thrown. */
  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    const reader = new Reader(random);
    const keyboard = new Keyboard(random);
    keyboard.on('error', () => {});
    const command = random.chance(0.5);
    const quit = (): void => machine.quit();
    const output = command
      ? new ConsoleOutput(reader as unknown as NodeJS.WriteStream, quit, () => host.wake())
      : reader;
    let worst = 0;
    const host = new NodeHost(output, () => {
      worst = Math.max(worst, reader.writableLength);
      input.offer();
    });
    const stdin = keyboard as unknown as NodeJS.ReadStream;
    const input = new ConsoleInput(stdin, (bytes) => machine.input(bytes));
    const machine = Machine.create({
      board: 'bare',
      memoryBytes: MEMORY.bare.bytes,
      host,
      kernel: random.pick(GUESTS),
      createVm: this.#vms.createVm,
      ...(random.chance(0.2) && { timeoutNs: 1e6 * (1 + random.below(40)) }),
    });
    const terminal = new Terminal(stdin, {
      input: (bytes) => input.push(bytes),
      quit,
      save: () => {},
      monitor: () => {},
      picture: () => {},
      say: () => {},
    });
    const run = machine.run();
    for (let steps = random.below(6); steps > 0; steps--) {
      step(random, machine, reader, keyboard);
      await wait(random.below(8));
    }
    if (random.chance(0.3)) keyboard.write('\u0001x');
    machine.quit();
    const late = new AbortController();
    const end = await Promise.race([run, wait(END_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
    terminal.close();
    if (end === undefined) throw new Error('a machine that was told to end goes on');
    if (output instanceof ConsoleOutput) await output.drain(1);
    if (worst > MOST_WAITING_BYTES) throw new Error(`${worst} bytes wait for a reader`);
    reader.destroy();
    keyboard.destroy();
    this.#vms.check();
    return checkEnd(end);
  }

  checkAll(): void {
    this.#vms.checkAll();
  }
}

/** Something happens to the streams or to the machine. */
function step(random: Random, machine: Machine, reader: Reader, keyboard: Keyboard): void {
  switch (random.below(9)) {
    case 0:
      keyboard.write(Buffer.alloc(random.below(random.chance(0.1) ? 2 ** 20 : 100), random.below(256)));
      break;
    case 1:
      keyboard.end();
      break;
    case 2:
      keyboard.destroy(random.chance(0.5) ? new Error('EIO') : undefined);
      break;
    case 3:
      reader.destroy(random.chance(0.5) ? new Error('EPIPE') : undefined);
      break;
    case 4:
      reader.end();
      break;
    case 5:
      void machine.pause();
      break;
    case 6:
      machine.resume();
      break;
    case 7:
      machine.input(new Uint8Array(random.below(100)));
      break;
    default:
      (reader as EventEmitter).emit('drain');
  }
}
