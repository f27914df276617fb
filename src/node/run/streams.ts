/** Node's streams behind the console ports of a run. */
import type { Readable, Writable } from 'node:stream';
import type { GuestPort, PortEnd } from '../../machine/index.ts';

interface InputOptions {
  /** More may come by `push`, and it does not hang up. */
  readonly stays?: boolean;
  /** What is to be done when the guest is ready for the first byte. */
  readonly beforeFirst?: () => Promise<void>;
}

/** Bytes for the guest from a stream, or bytes that are there already; then it hangs up. */
export class InputPort implements PortEnd {
  port: GuestPort | undefined;
  readonly #stream: Readable | undefined;
  readonly #first: Uint8Array | (() => Uint8Array) | undefined;
  #pending: Uint8Array[] = [];
  readonly #beforeFirst: (() => Promise<void>) | undefined;
  #isOpen = false;
  #isAsked = false;
  #hasEnded = false;

  /** A function is asked when the guest is ready. */
  constructor(source: Readable | Uint8Array | (() => Uint8Array), { stays = false, beforeFirst }: InputOptions = {}) {
    this.#beforeFirst = beforeFirst;
    this.#hasEnded = !stays;
    if (typeof source === 'function' || ArrayBuffer.isView(source)) {
      this.#first = source;
      return;
    }
    this.#hasEnded = false;
    this.#stream = source;
  }

  /** Nobody in the guest gets what is written to this end. */
  write(): void {}

  push(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.roomAgain();
  }

  /** Only now: what comes before the guest's driver is lost. */
  opened(isOpen: boolean): void {
    if (!isOpen || this.#isAsked) return;
    this.#isAsked = true;
    if (this.#beforeFirst === undefined) this.#begin();
    else void this.#beforeFirst().then(() => this.#begin());
  }

  #begin(): void {
    this.#isOpen = true;
    if (this.#first) this.#pending.unshift(typeof this.#first === 'function' ? this.#first() : this.#first);
    this.#stream?.on('data', this.#heard).on('end', this.#ended).on('error', this.#ended);
    this.roomAgain();
  }

  readonly #heard = (bytes: Buffer | string): void => {
    this.#stream?.pause();
    this.push(typeof bytes === 'string' ? Buffer.from(bytes) : bytes);
  };

  readonly #ended = (): void => {
    this.#hasEnded = true;
    this.roomAgain();
  };

  roomAgain(): void {
    if (!this.#isOpen || this.port === undefined) return;
    for (let first = this.#pending[0]; first !== undefined; first = this.#pending[0]) {
      const taken = this.port.receive(first);
      if (taken < first.length) {
        this.#pending[0] = first.subarray(taken);
        return;
      }
      this.#pending.shift();
    }
    if (this.#hasEnded) this.port.connected(false);
    else this.#stream?.resume();
  }

  close(): void {
    this.#stream?.off('data', this.#heard).off('end', this.#ended).off('error', this.#ended).pause();
  }
}

/** What the guest writes, to a stream. While that has enough, the machine is to stand still. */
export class OutputPort implements PortEnd {
  port: GuestPort | undefined;
  readonly #stream: Writable;
  readonly #stall: (isStalled: boolean) => void;
  readonly #onBroken: (error: NodeJS.ErrnoException) => void;
  #isStalled = false;
  #isBroken = false;

  constructor(stream: Writable, stall: (isStalled: boolean) => void, onBroken: (error: NodeJS.ErrnoException) => void) {
    this.#stream = stream;
    this.#stall = stall;
    this.#onBroken = onBroken;
    stream.on('drain', this.#drained).on('error', this.#failed);
  }

  write(bytes: Uint8Array): void {
    if (this.#isBroken || this.#stream.write(bytes) || this.#isStalled) return;
    this.#isStalled = true;
    this.#stall(true);
  }

  readonly #drained = (): void => {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    this.#stall(false);
  };

  readonly #failed = (error: NodeJS.ErrnoException): void => {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#onBroken(error);
    this.#drained();
  };

  /** Resolves when the stream has taken everything, or never will. */
  async drain(): Promise<void> {
    if (!this.#isBroken)
      await new Promise<void>((resolve) => {
        this.#stream.once('error', () => resolve());
        this.#stream.write('', () => resolve());
      });
    this.#stream.off('drain', this.#drained);
  }
}

/** What the guest says of the command's end: "wait" and its status as wait(2) has it, or "error TEXT" and a line feed. */
export class StatusPort implements PortEnd {
  port: GuestPort | undefined;
  readonly #ended: (status: number) => void;
  readonly #failed: (problem: string) => void;
  readonly #isLittle: boolean;
  #bytes = new Uint8Array();

  constructor(isLittle: boolean, ended: (status: number) => void, failed: (problem: string) => void) {
    this.#isLittle = isLittle;
    this.#ended = ended;
    this.#failed = failed;
  }

  write(bytes: Uint8Array): void {
    if (this.#bytes.length > LINE_CHARACTERS) return;
    this.#bytes = Uint8Array.from([...this.#bytes, ...bytes]);
    const text = Buffer.from(this.#bytes).toString('utf8');
    if (text.startsWith('wait') && this.#bytes.length >= WAIT_BYTES)
      this.#ended(new DataView(this.#bytes.buffer).getInt32(4, this.#isLittle));
    else if (text.startsWith('error ') && text.includes('\n')) this.#failed(text.slice(6, text.indexOf('\n')));
  }
}
const WAIT_BYTES = 8;
const LINE_CHARACTERS = 4096;
