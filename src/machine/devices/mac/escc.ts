import {
  type ByteSink,
  type ConsoleDevice,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedNumber,
  savedPart,
  type TimedDevice,
} from '../../device.ts';
import type { InterruptLine } from '../../interrupts.ts';
import { EsccChannel, PENDING } from './escc-channel.ts';

/** Offsets of a register's kind and channel: control and data, B and A. */
const DATA_SHIFT = 4;
const CHANNEL_SHIFT = 5;
export const ESCC_BYTES = 0x100;
/** The older layout of the same: control B, control A, data B, data A, two bytes apart. */
export const ESCC_LEGACY_BYTES = 0x100;

/** Registers that both channels share (Zilog SCC/ESCC User Manual, section 5). */
const VECTOR = 2;
const MASTER_CONTROL = 9;
const PENDING_BITS = 3;

/** WR9. */
const STATUS_HIGH = 0x10;
const STATUS_LOW_VECTOR = 0x01;
const MASTER_ENABLE = 0x08;
const RESET_B = 0x40;
const RESET_A = 0x80;

/** What RR2 of channel B says beside the vector: nothing pending of any kind (table 5-4). */
const NOTHING = 0b011;

/**
 * Zilog's enhanced serial communications controller as macs have it: channel A is the console's, nothing is connected to B.
 * What is written is sent at once.
 */
export class Escc implements ConsoleDevice, TimedDevice {
  readonly #a: EsccChannel;
  readonly #b: EsccChannel;
  readonly #lines: readonly [InterruptLine, InterruptLine];
  /** WR2 and WR9. */
  #vector = 0;
  #control = 0;

  /** `lines`: the interrupts of channels A and B. */
  constructor(lines: readonly [InterruptLine, InterruptLine], now: () => number) {
    this.#lines = lines;
    this.#a = new EsccChannel(now, (isNew) => this.#update(isNew === true ? 0 : undefined));
    this.#b = new EsccChannel(now, (isNew) => this.#update(isNew === true ? 1 : undefined));
    const region = (isData: (offset: number) => boolean, isA: (offset: number) => boolean): MmioRegion => ({
      read: (offset) => this.#read(isA(offset), isData(offset)),
      write: (offset, _length, value) => this.#write(isA(offset), isData(offset), value & 0xff),
    });
    this.mmio = [
      region(
        (offset) => ((offset >> DATA_SHIFT) & 1) !== 0,
        (offset) => ((offset >> CHANNEL_SHIFT) & 1) !== 0,
      ),
      region(
        (offset) => (offset & 4) !== 0,
        (offset) => (offset & 2) !== 0,
      ),
    ];
  }

  readonly mmio: readonly MmioRegion[];

  get sink(): ByteSink | undefined {
    return this.#a.sink;
  }

  set sink(sink: ByteSink | undefined) {
    this.#a.sink = sink;
  }

  receive(bytes: Uint8Array): number {
    return this.#a.receive(bytes);
  }

  due(): number {
    return this.#a.due();
  }

  turn(): void {
    this.#a.turn();
  }

  /** `renewed`: the line that interrupts anew, for controllers that hear of edges. */
  #update(renewed?: 0 | 1): void {
    if (renewed !== undefined) this.#lines[renewed].deassert();
    const isOn = (this.#control & MASTER_ENABLE) !== 0;
    this.#lines[0].set(isOn && this.#a.pending !== 0);
    this.#lines[1].set(isOn && this.#b.pending !== 0);
  }

  /** The vector with the most urgent interrupt in it, as channel B reads it. */
  #modifiedVector(): number {
    const a = this.#a.pending;
    const b = this.#b.pending;
    const code =
      a & PENDING.RECEIVE
        ? 0b110
        : a & PENDING.TRANSMIT
          ? 0b100
          : a & PENDING.EXTERNAL
            ? 0b101
            : b & PENDING.RECEIVE
              ? 0b010
              : b & PENDING.TRANSMIT
                ? 0b000
                : b & PENDING.EXTERNAL
                  ? 0b001
                  : NOTHING;
    if ((this.#control & STATUS_LOW_VECTOR) === 0) return this.#vector;
    if ((this.#control & STATUS_HIGH) === 0) return (this.#vector & ~0x0e) | (code << 1);
    const reversed = ((code & 1) << 2) | (code & 2) | (code >> 2);
    return (this.#vector & ~0x70) | (reversed << 4);
  }

  #read(isA: boolean, isData: boolean): number {
    const channel = isA ? this.#a : this.#b;
    if (isData) return channel.readData();
    const register = channel.takePointer();
    switch (register) {
      case VECTOR:
        return isA ? this.#vector : this.#modifiedVector();
      case PENDING_BITS:
        return isA ? (this.#a.pending << 3) | this.#b.pending : 0;
      default:
        return channel.readRegister(register);
    }
  }

  #write(isA: boolean, isData: boolean, value: number): void {
    const channel = isA ? this.#a : this.#b;
    if (isData) {
      channel.writeData(value);
      return;
    }
    const register = channel.takePointer();
    switch (register) {
      case 0:
        channel.command(value);
        return;
      case VECTOR:
        this.#vector = value;
        return;
      case MASTER_CONTROL:
        this.#control = value & ~(RESET_A | RESET_B);
        if ((value & RESET_A) !== 0) this.#a.reset();
        if ((value & RESET_B) !== 0) this.#b.reset();
        this.#update();
        return;
      default:
        channel.writeRegister(register, value);
    }
  }

  reset(): void {
    this.#vector = this.#control = 0;
    this.#a.reset();
    this.#b.reset();
    this.#update();
  }

  save(): DeviceState {
    return { vector: this.#vector, control: this.#control, a: this.#a.save(), b: this.#b.save() };
  }

  restore(state: DeviceState): void {
    this.#vector = savedNumber(state, 'vector') & 0xff;
    this.#control = savedNumber(state, 'control') & 0x3f;
    this.#a.restore(savedPart(state, 'a'));
    this.#b.restore(savedPart(state, 'b'));
    this.#update();
  }

  counters(): Record<string, number> {
    return this.#a.counters();
  }
}

/** The controller in a macio chip. */
export function escc(options: { name: string; interrupts: readonly [InterruptSpec, InterruptSpec] }): DeviceSpec {
  return {
    name: options.name,
    interrupts: options.interrupts,
    create: ({ interrupts: [a, b], clock }) => new Escc([a as InterruptLine, b as InterruptLine], () => clock.now()),
  };
}
