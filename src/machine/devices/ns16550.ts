import type { Clock } from '../../kvm/api.ts';
import {
  type ByteSink,
  type ConsoleDevice,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  interruptProperties,
  type MmioRegion,
  savedBoolean,
  savedNumber,
  savedNumbers,
  savedReal,
  type TimedDevice,
  type TreeNodeSpec,
} from '../device.ts';
import type { InterruptLine } from '../interrupts.ts';
import { ByteQueue } from './byte-queue.ts';

/** Registers (National Semiconductor PC16550D data sheet, section 8). DLAB is LCR bit 7. */
const RBR_THR_DLL = 0; // receive buffer | transmit holding | divisor low (DLAB)
const IER_DLM = 1; // interrupt enable | divisor high (DLAB)
const IIR_FCR = 2; // interrupt identification (read) | FIFO control (write)
const LCR = 3; // line control
const MCR = 4; // modem control
const LSR = 5; // line status
const MSR = 6; // modem status
const SCR = 7; // scratch
export const NS16550_SIZE = 8;

const IER_ERBFI = 0x01;
const IER_ETBEI = 0x02;
const IER_ELSI = 0x04;
const IER_EDSSI = 0x08;

const IIR_NONE = 0x01;
const IIR_MODEM = 0x00;
const IIR_THRE = 0x02;
const IIR_RECEIVED = 0x04;
const IIR_LINE = 0x06;
const IIR_TIMEOUT = 0x0c;
const IIR_FIFOS = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVER = 0x02;
const FCR_TRIGGER_SHIFT = 6;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

const LCR_DLAB = 0x80;
const MCR_LOOP = 0x10;

const LSR_DR = 0x01;
const LSR_OE = 0x02;
const LSR_ERRORS = 0x1e;
/** Transmitter holding register and transmitter empty: always, since sending takes no time here. */
const LSR_EMPTY = 0x60;

/** MSR while the modem inputs are connected: carrier, data set ready, clear to send. */
const MSR_CONNECTED = 0xb0;
const MSR_RI = 0x40;
const MSR_TERI = 0x04;

const FIFO_BYTES = 16;
/** What waits on the outside for room in the FIFO; `receive` takes no more than this. */
export const RECEIVE_QUEUE_BYTES = 65536;

/** As much input comes at a time, with or without FIFOs. */
const PIECE_BYTES = FIFO_BYTES;
/** From a piece of input's end to the next one, by the guest's clock: enough for a driver to see that there is no more. */
const PIECE_NS = 100_000;

/**
 * A 16550A. What is written is sent at once, and the receiver's time-out, which is four character times on the chip, comes
 * as soon as no further input waits. Input comes in pieces of a FIFO at most, faster than the line that the guest has set
 * up (without FIFOs, a character as soon as the one before is read), but each piece some time after the guest has taken the one
 * before: a driver that reads until nothing is there comes to an end, however much waits outside.
 *
 * Input from a pipe is there before the guest has a driver, which throws away what it finds in the receiver when it starts.
 * So the line stays quiet until the guest listens: until receive interrupts are on, or it has read LSR twice without
 * setting up anything, as polling does. What it clears out of the FIFO counts as not yet sent, and so does what polling
 * brought when it sets up something instead of reading it. Nothing is ever overrun.
 */
export class Ns16550 implements ConsoleDevice, TimedDevice, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #interrupt: InterruptLine;
  readonly #divisorAtReset: number;
  sink: ByteSink | undefined;
  readonly #fifo = new ByteQueue(FIFO_BYTES);
  /** Has room for what a cleared FIFO gives back. */
  readonly #queue = new ByteQueue(RECEIVE_QUEUE_BYTES + FIFO_BYTES);
  #ier = 0;
  #fifoEnabled = false;
  #trigger = 1;
  #lcr = 0;
  #mcr = 0;
  #errors = 0;
  #msr = MSR_CONNECTED;
  #scr = 0;
  #divisor: number;
  /** The THRE interrupt stands: set when the transmitter empties, cleared by reading it from IIR or writing THR. */
  #threPending = false;
  /** The FIFO has characters of the chip's own transmitter. */
  #looped = false;
  /** The FIFO has one character, which came because of polling. */
  #polled = false;
  /** LSR reads since the guest last set something up. */
  #polls = 0;
  readonly #clock: Clock;
  /** When the next piece may come, and what of the present one has. */
  #nextPiece = 0;
  #pieceBytes = 0;
  #transmitted = 0;
  #received = 0;

  /** `divisorAtReset`: the baud divisor that the board's firmware leaves; `clock`: the guest's. */
  constructor(interrupt: InterruptLine, divisorAtReset: number, clock: Clock) {
    this.#interrupt = interrupt;
    this.#divisorAtReset = divisorAtReset;
    this.#clock = clock;
    this.#divisor = divisorAtReset;
  }

  receive(bytes: Uint8Array): number {
    const taken = Math.max(0, Math.min(bytes.length, RECEIVE_QUEUE_BYTES - this.#queue.length));
    for (let i = 0; i < taken; i++) this.#queue.push(bytes[i] as number);
    this.#received += taken;
    this.#fill();
    this.#update();
    return taken;
  }

  due(): number {
    return this.#fifo.length === 0 && this.#isComing() ? this.#nextPiece : Number.POSITIVE_INFINITY;
  }

  turn(): void {
    this.#fill();
    this.#update();
  }

  #capacity(): number {
    return this.#fifoEnabled ? FIFO_BYTES : 1;
  }

  /** Whether input waits for a guest that listens; in loopback mode the receiver is cut off from the outside. */
  #isComing(): boolean {
    if (this.#queue.length === 0 || (this.#mcr & MCR_LOOP) !== 0) return false;
    return (this.#ier & IER_ERBFI) !== 0 || this.#polls >= 2;
  }

  /** Moves waiting input into the FIFO, as much as the present piece may have. */
  #fill(): void {
    if (!this.#isComing()) return;
    if (this.#fifo.length === 0 && this.#pieceBytes === 0 && this.#clock.now() < this.#nextPiece) return;
    const interrupts = (this.#ier & IER_ERBFI) !== 0;
    const capacity = interrupts ? this.#capacity() : 1;
    const piece = interrupts ? PIECE_BYTES : 1;
    while (this.#queue.length > 0 && this.#fifo.length < capacity && this.#pieceBytes < piece) {
      this.#fifo.push(this.#queue.shift());
      this.#pieceBytes++;
      this.#polled = !interrupts;
    }
  }

  #clearFifo(): void {
    if (!this.#looped) while (this.#fifo.length > 0) this.#queue.unshift(this.#fifo.pop());
    this.#pieceBytes = 0;
    this.#fifo.clear();
    this.#looped = this.#polled = false;
  }

  /** The most urgent enabled interrupt (data sheet, table V), or IIR_NONE. */
  #identify(): number {
    if ((this.#ier & IER_ELSI) !== 0 && (this.#errors & LSR_ERRORS) !== 0) return IIR_LINE;
    if ((this.#ier & IER_ERBFI) !== 0 && this.#fifo.length > 0)
      return !this.#fifoEnabled || this.#fifo.length >= this.#trigger ? IIR_RECEIVED : IIR_TIMEOUT;
    if ((this.#ier & IER_ETBEI) !== 0 && this.#threPending) return IIR_THRE;
    if ((this.#ier & IER_EDSSI) !== 0 && (this.#msr & 0x0f) !== 0) return IIR_MODEM;
    return IIR_NONE;
  }

  #update(): void {
    this.#interrupt.set(this.#identify() !== IIR_NONE);
  }

  /** The modem inputs: in loopback mode they see the outputs RTS, DTR, OUT1, OUT2. */
  #setModemInputs(): void {
    const mcr = this.#mcr;
    const inputs =
      (mcr & MCR_LOOP) === 0
        ? MSR_CONNECTED
        : ((mcr & 0x02) << 3) | ((mcr & 0x01) << 5) | ((mcr & 0x04) << 4) | ((mcr & 0x08) << 4);
    const changed = (this.#msr ^ inputs) & 0xf0;
    // The ring indicator only counts when it ends.
    let deltas = (changed >>> 4) & 0x0b;
    if ((changed & MSR_RI) !== 0 && (inputs & MSR_RI) === 0) deltas |= MSR_TERI;
    this.#msr = inputs | (this.#msr & 0x0f) | deltas;
  }

  #transmit(byte: number): void {
    if ((this.#mcr & MCR_LOOP) === 0) {
      this.#transmitted++;
      this.sink?.writeByte(byte);
    } else {
      if (this.#fifo.length >= this.#capacity()) {
        this.#errors |= LSR_OE;
        // Without FIFOs the newer character overwrites the older one; with them it is lost.
        if (!this.#fifoEnabled) this.#fifo.clear();
      }
      if (this.#fifo.length < this.#capacity()) this.#fifo.push(byte);
      this.#looped = true;
      this.#polled = false;
    }
    this.#threPending = true;
  }

  #readReceiver(): number {
    const polled = this.#polled;
    const byte = this.#fifo.shift();
    this.#polled = false;
    if (this.#fifo.length === 0 && (polled || this.#pieceBytes >= PIECE_BYTES || this.#queue.length === 0)) {
      this.#pieceBytes = 0;
      this.#nextPiece = this.#clock.now() + PIECE_NS;
    }
    this.#fill();
    this.#update();
    return byte;
  }

  #writeFifoControl(value: number): void {
    const enabled = (value & FCR_ENABLE) !== 0;
    // Turning the FIFOs on or off empties them, as FCR bit 1 does.
    if (enabled !== this.#fifoEnabled || (value & FCR_CLEAR_RECEIVER) !== 0) this.#clearFifo();
    this.#fifoEnabled = enabled;
    if (enabled) this.#trigger = TRIGGER_LEVELS[(value >>> FCR_TRIGGER_SHIFT) as 0 | 1 | 2 | 3];
  }

  read(offset: number, _length: number): number {
    const dlab = (this.#lcr & LCR_DLAB) !== 0;
    switch (offset) {
      case RBR_THR_DLL:
        return dlab ? this.#divisor & 0xff : this.#readReceiver();
      case IER_DLM:
        return dlab ? this.#divisor >>> 8 : this.#ier;
      case IIR_FCR: {
        const source = this.#identify();
        if (source === IIR_THRE) {
          this.#threPending = false;
          this.#update();
        }
        return source | (this.#fifoEnabled ? IIR_FIFOS : 0);
      }
      case LCR:
        return this.#lcr;
      case MCR:
        return this.#mcr;
      case LSR: {
        if (this.#polls < 2) this.#polls++;
        if (this.#fifo.length === 0) this.turn();
        const value = LSR_EMPTY | this.#errors | (this.#fifo.length > 0 ? LSR_DR : 0);
        if (this.#errors !== 0) {
          this.#errors = 0;
          this.#update();
        }
        return value;
      }
      case MSR: {
        const value = this.#msr;
        if ((value & 0x0f) !== 0) {
          this.#msr &= 0xf0;
          this.#update();
        }
        return value;
      }
      case SCR:
        return this.#scr;
      default:
        return 0;
    }
  }

  write(offset: number, _length: number, value: number): void {
    const byte = value & 0xff;
    const dlab = (this.#lcr & LCR_DLAB) !== 0;
    switch (offset) {
      case RBR_THR_DLL:
        if (dlab) this.#divisor = (this.#divisor & 0xff00) | byte;
        else this.#transmit(byte);
        break;
      case IER_DLM:
        if (dlab) this.#divisor = (this.#divisor & 0x00ff) | (byte << 8);
        else {
          // Enabling the THRE interrupt with an empty transmitter raises it, also a second time.
          if ((byte & ~this.#ier & IER_ETBEI) !== 0) this.#threPending = true;
          this.#ier = byte & 0x0f;
        }
        break;
      case IIR_FCR:
        this.#writeFifoControl(byte);
        break;
      case LCR:
        this.#lcr = byte;
        break;
      case MCR:
        this.#mcr = byte & 0x1f;
        this.#setModemInputs();
        break;
      case SCR:
        this.#scr = byte;
        break;
      default:
        // LSR and MSR are for reading; writing them is a factory test.
        return;
    }
    if (offset >= IER_DLM && offset <= MCR) {
      this.#polls = 0;
      if (this.#polled) this.#clearFifo();
      this.#fill();
    }
    this.#update();
  }

  reset(): void {
    this.#clearFifo();
    this.#polls = 0;
    this.#ier = this.#lcr = this.#mcr = this.#errors = this.#scr = 0;
    this.#fifoEnabled = this.#threPending = false;
    this.#trigger = 1;
    this.#nextPiece = 0;
    this.#msr = MSR_CONNECTED;
    this.#divisor = this.#divisorAtReset;
    this.#update();
  }

  save(): DeviceState {
    return {
      ier: this.#ier,
      fifoEnabled: this.#fifoEnabled,
      trigger: this.#trigger,
      lcr: this.#lcr,
      mcr: this.#mcr,
      errors: this.#errors,
      msr: this.#msr,
      scr: this.#scr,
      divisor: this.#divisor,
      threPending: this.#threPending,
      looped: this.#looped,
      polled: this.#polled,
      polls: this.#polls,
      fifo: this.#fifo.toArray(),
      queue: this.#queue.toArray(),
      nextPiece: this.#nextPiece,
      pieceBytes: this.#pieceBytes,
    };
  }

  restore(state: DeviceState): void {
    const fifo = savedNumbers(state, 'fifo', FIFO_BYTES);
    const queue = savedNumbers(state, 'queue', RECEIVE_QUEUE_BYTES + FIFO_BYTES);
    this.#ier = savedNumber(state, 'ier') & 0x0f;
    this.#fifoEnabled = savedBoolean(state, 'fifoEnabled');
    this.#trigger = TRIGGER_LEVELS.find((level) => level === savedNumber(state, 'trigger')) ?? 1;
    this.#lcr = savedNumber(state, 'lcr') & 0xff;
    this.#mcr = savedNumber(state, 'mcr') & 0x1f;
    this.#errors = savedNumber(state, 'errors') & LSR_ERRORS;
    this.#msr = savedNumber(state, 'msr') & 0xff;
    this.#scr = savedNumber(state, 'scr') & 0xff;
    this.#divisor = savedNumber(state, 'divisor') & 0xffff;
    this.#threPending = savedBoolean(state, 'threPending');
    this.#looped = savedBoolean(state, 'looped');
    this.#polled = savedBoolean(state, 'polled');
    this.#polls = Math.min(savedNumber(state, 'polls'), 2);
    this.#nextPiece = savedReal(state, 'nextPiece', Number.MAX_SAFE_INTEGER);
    this.#pieceBytes = Math.min(savedNumber(state, 'pieceBytes'), FIFO_BYTES);
    this.#fifo.set(fifo);
    this.#queue.set(queue);
    this.#update();
  }

  counters(): Record<string, number> {
    return { bytes_transmitted: this.#transmitted, bytes_received: this.#received };
  }
}

/** A 16550 on a board. `clock` in Hz, `speed` in bit/s: what firmware has set it to. `node`: if not as on a flat bus. */
export function ns16550(options: {
  name: string;
  path: string;
  base: number;
  clock: number;
  speed: number;
  interrupt: InterruptSpec;
  node?: TreeNodeSpec;
}): DeviceSpec {
  return {
    name: options.name,
    mmio: [{ base: options.base, size: NS16550_SIZE }],
    interrupts: [options.interrupt],
    node: options.node ?? {
      path: `${options.path}/serial@${options.base.toString(16)}`,
      properties: {
        device_type: 'serial',
        compatible: 'ns16550',
        reg: [options.base, NS16550_SIZE],
        'virtual-reg': [options.base],
        'clock-frequency': [options.clock],
        'current-speed': [options.speed],
        ...interruptProperties([options.interrupt]),
      },
    },
    create: ({ interrupts: [interrupt], clock }) =>
      new Ns16550(interrupt as InterruptLine, Math.round(options.clock / (16 * options.speed)), clock),
  };
}
