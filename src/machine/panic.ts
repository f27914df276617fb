import type { ByteSink } from './device.ts';

const NEWLINE = 0x0a;
const OPENING = 0x5b;
const CLOSING = 0x5d;
/** More of a line is not looked at. */
const LINE_BYTES = 256;
const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const PANIC = bytesOf('Kernel panic - not syncing: ');
const HALTED = bytesOf('---[ end Kernel panic');
/** Slices of the guest's kernel, of 5 ms each, without a sign of life. */
const DEAD_SLICES = 100;

/**
 * Reads along on the console. A kernel whose board has no firmware to tell of its panic only prints what Linux prints; then it
 * waits in a loop for ever, or resets the board. So that a text that merely looks so does no harm, a panic is over as soon as
 * the guest shows life: it waits for an interrupt, or runs a program that makes system calls.
 */
export class PanicWatch implements ByteSink {
  readonly #sink: ByteSink;
  readonly #line = new Uint8Array(LINE_BYTES);
  #length = 0;
  #halted = false;
  #slices = 0;
  readonly #systemCalls: () => number;
  /** How many system calls there had been when it panicked. */
  #calls = 0;
  /** Why the kernel panicked; undefined: it has not. */
  reason: string | undefined;

  /** `systemCalls`: how many the guest has made. */
  constructor(sink: ByteSink, systemCalls: () => number) {
    this.#sink = sink;
    this.#systemCalls = systemCalls;
  }

  writeByte(byte: number): void {
    this.#sink.writeByte(byte);
    if (byte === NEWLINE) this.#endLine();
    else if (this.#length < LINE_BYTES) this.#line[this.#length++] = byte;
  }

  /** What the user is told of it. */
  get message(): string {
    return `the guest's kernel panicked: ${this.reason}`;
  }

  /** A slice is over, and whether the guest waits. True: its kernel is dead. */
  slice(waits: boolean): boolean {
    this.look(waits);
    return this.#halted && ++this.#slices >= DEAD_SLICES;
  }

  /** A panic is over when there is a sign of life. */
  look(waits = false): void {
    if (this.reason !== undefined && (waits || this.#systemCalls() !== this.#calls)) this.clear();
  }

  clear(): void {
    this.reason = undefined;
    this.#halted = false;
    this.#slices = 0;
  }

  #endLine(): void {
    const line = this.#line.subarray(0, this.#length);
    this.#length = 0;
    // Behind the time stamp, where there is one.
    const start = line[0] === OPENING ? line.indexOf(CLOSING) + 2 : 0;
    if (startsWith(line, start, PANIC)) {
      this.#calls = this.#systemCalls();
      this.reason = String.fromCharCode(...line.subarray(start + PANIC.length))
        .replace(/[^ -~]/g, '')
        .trim();
    } else if (this.reason !== undefined && startsWith(line, start, HALTED)) this.#halted = true;
  }
}

function startsWith(line: Uint8Array, start: number, text: Uint8Array): boolean {
  if (line.length < start + text.length) return false;
  for (let i = 0; i < text.length; i++) if (line[start + i] !== text[i]) return false;
  return true;
}
