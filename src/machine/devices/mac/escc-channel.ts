import {
  type ByteSink,
  type DeviceState,
  savedBoolean,
  savedNumber,
  savedNumbers,
  savedReal,
  savedRegisters,
} from '../../device.ts';
import { ByteQueue } from '../byte-queue.ts';

/** Write registers (Zilog SCC/ESCC User Manual, section 5.2). */
const INTERRUPTS = 1;
const RECEIVER = 3;
const TRANSMITTER = 5;
const DIVISOR_LOW = 12;
const DIVISOR_HIGH = 13;
const MISCELLANEOUS = 14;
const EXTERNAL = 15;
const REGISTERS = 16;

/** WR0: the pointer, and the commands in bits 3 to 5. */
const POINTER = 0x07;
const COMMAND = 0x38;
const POINT_HIGH = 0x08;
const RESET_TRANSMIT_INTERRUPT = 0x28;
const ENABLE_ON_NEXT = 0x20;

/** WR1. */
const TRANSMIT_INTERRUPT = 0x02;
const RECEIVE_MODE = 0x18;
const RECEIVE_FIRST = 0x08;
const RECEIVE_ALL = 0x10;

const RECEIVER_ON = 0x01;
const TRANSMITTER_ON = 0x08;
/** WR14: what is sent is received. */
const LOOPBACK = 0x10;

/** Read register 0: what is received, transmitter empty, transmit underrun. */
const RECEIVED = 0x01;
const EMPTY = 0x04;
const UNDERRUN = 0x40;
/** Read register 1: all is sent; the residue code of 8 bits. */
const ALL_SENT = 0x07;

/** A channel's bits in read register 3. */
export const PENDING = { EXTERNAL: 1, TRANSMIT: 2, RECEIVE: 4 } as const;

/** What the receiver holds. */
const FIFO_BYTES = 8;
/** What waits on the outside for room in it; `receive` takes no more than this. */
export const RECEIVE_QUEUE_BYTES = 65536;
/** From a piece of input's end to the next one, by the guest's clock: enough for a driver to see that there is no more. */
const PIECE_NS = 100_000;

/** What a reset leaves (table 5-2): one stop bit; clocks; all external interrupts on. */
const AT_RESET: Readonly<Record<number, number>> = { 4: 0x04, 11: 0x08, [MISCELLANEOUS]: 0x20, [EXTERNAL]: 0xf8 };

/**
 * One channel. Input comes in pieces, each some time after the guest has taken the one before, and not before the guest
 * listens, as at the other serial ports (`ns16550.ts` says why): with receive interrupts, or by asking for the status twice
 * without setting up or sending anything. What polling has brought goes back when the guest sets up something instead of reading it.
 */
export class EsccChannel {
  sink: ByteSink | undefined;
  readonly #now: () => number;
  readonly #changed: (isNew?: boolean) => void;
  readonly #fifo = new ByteQueue(FIFO_BYTES);
  /** Has room for what goes back. */
  readonly #queue = new ByteQueue(RECEIVE_QUEUE_BYTES + FIFO_BYTES);
  readonly #registers = new Uint8Array(REGISTERS);
  #pointer = 0;
  #transmitPending = false;
  /** "Receive interrupt on first character": the first has come since it was asked for. */
  #firstTaken = false;
  #polled = false;
  #polls = 0;
  #nextPiece = 0;
  #pieceBytes = 0;
  #transmitted = 0;
  #received = 0;

  /**
   * `now`: the guest's clock, nanoseconds; `changed`: called when `pending` may have changed, with true where the chip's line
   * would have been low for a while, as it is until a character is sent.
   */
  constructor(now: () => number, changed: (isNew?: boolean) => void) {
    this.#now = now;
    this.#changed = changed;
    this.reset();
  }

  /** Interrupts that are on and pending, as in read register 3. */
  get pending(): number {
    const control = this.#registers[INTERRUPTS] as number;
    const mode = control & RECEIVE_MODE;
    const receives = (mode === RECEIVE_ALL || (mode === RECEIVE_FIRST && !this.#firstTaken)) && this.#fifo.length > 0;
    const transmits = (control & TRANSMIT_INTERRUPT) !== 0 && this.#transmitPending;
    return (receives ? PENDING.RECEIVE : 0) | (transmits ? PENDING.TRANSMIT : 0);
  }

  receive(bytes: Uint8Array): number {
    const taken = Math.max(0, Math.min(bytes.length, RECEIVE_QUEUE_BYTES - this.#queue.length));
    for (let i = 0; i < taken; i++) this.#queue.push(bytes[i] as number);
    this.#received += taken;
    this.turn();
    return taken;
  }

  due(): number {
    return this.#fifo.length === 0 && this.#isComing() ? this.#nextPiece : Number.POSITIVE_INFINITY;
  }

  turn(): void {
    this.#fill();
    this.#changed();
  }

  get #interrupts(): boolean {
    return ((this.#registers[INTERRUPTS] as number) & RECEIVE_MODE) !== 0;
  }

  #isComing(): boolean {
    return (
      this.#queue.length > 0 &&
      ((this.#registers[RECEIVER] as number) & RECEIVER_ON) !== 0 &&
      ((this.#registers[MISCELLANEOUS] as number) & LOOPBACK) === 0 &&
      (this.#interrupts || this.#polls >= 2)
    );
  }

  #fill(): void {
    if (!this.#isComing()) return;
    if (this.#fifo.length === 0 && this.#pieceBytes === 0 && this.#now() < this.#nextPiece) return;
    const capacity = this.#interrupts ? FIFO_BYTES : 1;
    while (this.#queue.length > 0 && this.#fifo.length < capacity && this.#pieceBytes < capacity) {
      this.#fifo.push(this.#queue.shift());
      this.#pieceBytes++;
      this.#polled = !this.#interrupts;
    }
  }

  /** What the guest did not want goes back. */
  #giveBack(): void {
    while (this.#fifo.length > 0) this.#queue.unshift(this.#fifo.pop());
    this.#pieceBytes = 0;
    this.#polled = false;
  }

  /** The register that a control access is for; the next one is for register 0 again. */
  takePointer(): number {
    const register = this.#pointer;
    this.#pointer = 0;
    return register;
  }

  command(value: number): void {
    this.#pointer = value & POINTER;
    switch (value & COMMAND) {
      case POINT_HIGH:
        this.#pointer |= 8;
        break;
      case RESET_TRANSMIT_INTERRUPT:
        this.#transmitPending = false;
        break;
      case ENABLE_ON_NEXT:
        this.#firstTaken = false;
        break;
    }
    this.#changed();
  }

  readRegister(register: number): number {
    switch (register) {
      case 0:
      case 4:
        if (this.#polls < 2) this.#polls++;
        if (this.#fifo.length === 0) this.turn();
        return EMPTY | UNDERRUN | (this.#fifo.length > 0 ? RECEIVED : 0);
      case 1:
      case 5:
        return ALL_SENT;
      case 8:
        return this.readData();
      case 12:
        return this.#registers[DIVISOR_LOW] as number;
      case 9:
      case 13:
        return this.#registers[DIVISOR_HIGH] as number;
      case 11:
      case 15:
        return this.#registers[EXTERNAL] as number;
      default:
        return 0;
    }
  }

  writeRegister(register: number, value: number): void {
    if (register === 8) {
      this.writeData(value);
      return;
    }
    this.#registers[register] = value;
    if (register === INTERRUPTS) this.#firstTaken = false;
    this.#polls = 0;
    if (this.#polled) this.#giveBack();
    this.#fill();
    this.#changed();
  }

  readData(): number {
    const isLast = this.#fifo.length === 1;
    const byte = this.#fifo.shift();
    this.#polled = false;
    this.#firstTaken = true;
    if (isLast) {
      this.#pieceBytes = 0;
      this.#nextPiece = this.#now() + PIECE_NS;
    }
    this.#fill();
    this.#changed();
    return byte;
  }

  writeData(value: number): void {
    if (((this.#registers[TRANSMITTER] as number) & TRANSMITTER_ON) !== 0) {
      if (((this.#registers[MISCELLANEOUS] as number) & LOOPBACK) !== 0) this.#fifo.push(value);
      else {
        this.#transmitted++;
        this.sink?.writeByte(value);
      }
    }
    // Its being empty is what a sender asks the status for.
    this.#polls = 0;
    this.#transmitPending = true;
    this.#changed(true);
  }

  reset(): void {
    this.#giveBack();
    this.#registers.fill(0);
    for (const [register, value] of Object.entries(AT_RESET)) this.#registers[Number(register)] = value;
    this.#pointer = this.#polls = this.#nextPiece = 0;
    this.#transmitPending = this.#firstTaken = false;
    this.#changed();
  }

  save(): DeviceState {
    return {
      registers: Array.from(this.#registers),
      pointer: this.#pointer,
      transmitPending: this.#transmitPending,
      firstTaken: this.#firstTaken,
      polled: this.#polled,
      polls: this.#polls,
      nextPiece: this.#nextPiece,
      pieceBytes: this.#pieceBytes,
      fifo: this.#fifo.toArray(),
      queue: this.#queue.toArray(),
    };
  }

  restore(state: DeviceState): void {
    this.#registers.set(savedRegisters(state, 'registers', REGISTERS));
    this.#pointer = savedNumber(state, 'pointer') & 15;
    this.#transmitPending = savedBoolean(state, 'transmitPending');
    this.#firstTaken = savedBoolean(state, 'firstTaken');
    this.#polled = savedBoolean(state, 'polled');
    this.#polls = Math.min(2, savedNumber(state, 'polls'));
    this.#nextPiece = savedReal(state, 'nextPiece', Number.MAX_SAFE_INTEGER);
    this.#pieceBytes = Math.min(savedNumber(state, 'pieceBytes'), FIFO_BYTES);
    this.#fifo.set(savedNumbers(state, 'fifo', FIFO_BYTES));
    this.#queue.set(savedNumbers(state, 'queue', RECEIVE_QUEUE_BYTES + FIFO_BYTES));
    this.#changed();
  }

  counters(): Record<string, number> {
    return { bytes_transmitted: this.#transmitted, bytes_received: this.#received };
  }
}
