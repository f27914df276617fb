import type { GuestMemory } from '../../../kvm/api.ts';
import { swapBytes } from '../../bus.ts';
import {
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedRegisters,
  type TimedDevice,
} from '../../device.ts';
import type { InterruptLine } from '../../interrupts.ts';

/** Channels, and bytes of each one's registers (Apple, Macintosh Technology in the Common Hardware Reference Platform, chapter 12). */
const CHANNELS = 32;
const CHANNEL_BYTES = 0x80;
export const DBDMA_BYTES = CHANNELS * CHANNEL_BYTES;

/** Registers of a channel, as words; they are little-endian. */
const CONTROL = 0;
const STATUS = 1;
const COMMAND_POINTER = 3;
const INTERRUPT_SELECT = 4;
const BRANCH_SELECT = 5;
const WAIT_SELECT = 6;
const REGISTERS = 7;

const RUN = 0x8000;
const PAUSE = 0x4000;
const FLUSH = 0x2000;
const WAKE = 0x1000;
const DEAD = 0x0800;
const ACTIVE = 0x0400;
const BRANCHED = 0x0100;
/** What CONTROL can set: run, pause, flush, wake, and the device's own bits. */
const SETTABLE = RUN | PAUSE | FLUSH | WAKE | 0xff;

/** A command: count, flags and operation; address; what depends on it; what is left, and the status. Words are little-endian. */
const COMMAND_BYTES = 16;
const OP = { OUTPUT: 0, OUTPUT_LAST: 1, INPUT: 2, INPUT_LAST: 3, STORE: 4, LOAD: 5, NOP: 6, STOP: 7 } as const;
/** Fields of the operation's word: when to interrupt, branch and wait. */
const INTERRUPT_SHIFT = 20;
const BRANCH_SHIFT = 18;
const WAIT_SHIFT = 16;
const NEVER = 0;
const IF_SET = 1;
const IF_CLEAR = 2;

/** A program may go round in a circle: after so many commands the guest has its turn, and it goes on so much later. */
const COMMANDS_AT_ONCE = 1024;
const TURN_NS = 100_000;
const PIECE_BYTES = 0x10000;

/** A device that a channel moves bytes for. */
export interface DmaDevice {
  /** Gives bytes for memory: as many as it has and fit; 0: none now. */
  dmaRead(into: Uint8Array): number;
  /** How many bytes from memory it takes now. */
  readonly dmaRoom: number;
  /** Takes as many as there was room for, or fewer. */
  dmaWrite(bytes: Uint8Array): void;
}

/** One channel: a program of commands in memory. */
class Channel {
  device: DmaDevice | undefined;
  readonly words = new Uint32Array(REGISTERS);
  /** Bytes of the command under way that have gone. */
  done = 0;
  /** The program was left in the midst, to go on by itself. */
  isLeft = false;
  isRunning = false;
}

/** The descriptor-based DMA of macio chips. */
export class Dbdma implements TimedDevice, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #memory: GuestMemory;
  readonly #now: () => number;
  readonly #lines: ReadonlyMap<number, InterruptLine>;
  readonly #channels = Array.from({ length: CHANNELS }, () => new Channel());
  readonly #buffer = new Uint8Array(PIECE_BYTES);
  readonly #swaps: boolean;
  #nextTurn = Number.POSITIVE_INFINITY;
  #commands = 0;

  /** `lines`: the interrupts of those channels that have one. */
  constructor(memory: GuestMemory, now: () => number, lines: ReadonlyMap<number, InterruptLine>) {
    this.#memory = memory;
    this.#now = now;
    this.#lines = lines;
    this.#swaps = !memory.littleEndian;
  }

  connect(channel: number, device: DmaDevice): void {
    (this.#channels[channel] as Channel).device = device;
  }

  due(): number {
    return this.#nextTurn;
  }

  turn(): void {
    if (this.#now() < this.#nextTurn) return;
    this.#nextTurn = Number.POSITIVE_INFINITY;
    for (const [i, channel] of this.#channels.entries()) if (channel.isLeft) this.run(i);
  }

  read(offset: number, length: number): number {
    const channel = this.#channels[Math.floor(offset / CHANNEL_BYTES)];
    const register = (offset % CHANNEL_BYTES) >> 2;
    if (channel === undefined || length !== 4) return 0;
    return register === CONTROL ? 0 : (channel.words[register] ?? 0);
  }

  write(offset: number, length: number, value: number): void {
    const index = Math.floor(offset / CHANNEL_BYTES);
    const channel = this.#channels[index];
    const register = (offset % CHANNEL_BYTES) >> 2;
    if (channel === undefined || length !== 4 || register >= REGISTERS) return;
    const { words } = channel;
    const status = words[STATUS] as number;
    switch (register) {
      case CONTROL:
        this.#control(index, channel, value >>> 16, value & 0xffff);
        break;
      case STATUS:
        break;
      case COMMAND_POINTER:
        if ((status & (RUN | ACTIVE)) === 0) {
          words[COMMAND_POINTER] = value & ~15;
          channel.done = 0;
        }
        break;
      default:
        words[register] = value;
    }
  }

  #control(index: number, channel: Channel, mask: number, value: number): void {
    const { words } = channel;
    let status = words[STATUS] as number;
    const settable = mask & SETTABLE;
    status = (status & ~settable) | (value & settable);
    if ((status & RUN) === 0) {
      status &= ~(ACTIVE | DEAD | WAKE);
      channel.isLeft = false;
      channel.done = 0;
    } else if ((status & PAUSE) !== 0) status &= ~ACTIVE;
    else if ((status & DEAD) === 0) status |= ACTIVE;
    // What was moved is in memory already.
    const flushes = (status & FLUSH) !== 0;
    status &= ~(FLUSH | WAKE);
    words[STATUS] = status;
    if (flushes && channel.done > 0) this.#report(channel, channel.done);
    if ((status & ACTIVE) !== 0) this.run(index);
  }

  #word(address: number): number | undefined {
    const value = this.#memory.read32(address);
    return value === undefined || !this.#swaps ? value : swapBytes(value, 4);
  }

  #put(address: number, value: number): void {
    this.#memory.write32(address, this.#swaps ? swapBytes(value >>> 0, 4) : value >>> 0);
  }

  /** The result of the command under way: how many bytes of its count have not gone, and the status. */
  #report(channel: Channel, moved: number): void {
    const { words } = channel;
    const at = words[COMMAND_POINTER] as number;
    const count = (this.#word(at) ?? 0) & 0xffff;
    this.#put(at + 12, ((words[STATUS] as number) << 16) | Math.max(0, count - moved));
  }

  /** Goes on with a channel's program: its device has something to move, or it was set going. */
  run(index: number): void {
    const channel = this.#channels[index] as Channel;
    // A device that goes on while its bytes are moved is heard by the loop that moves them.
    if (channel.isRunning) return;
    channel.isRunning = true;
    channel.isLeft = false;
    let left = COMMANDS_AT_ONCE;
    while (((channel.words[STATUS] as number) & ACTIVE) !== 0 && this.#step(index, channel)) {
      this.#commands++;
      if (--left > 0) continue;
      channel.isLeft = true;
      this.#nextTurn = Math.min(this.#nextTurn, this.#now() + TURN_NS);
      break;
    }
    channel.isRunning = false;
  }

  #die(channel: Channel): false {
    channel.words[STATUS] = ((channel.words[STATUS] as number) & ~ACTIVE) | DEAD;
    return false;
  }

  /** Does the command under way as far as it goes. False: the channel waits, or has stopped. */
  #step(index: number, channel: Channel): boolean {
    const { words } = channel;
    const at = words[COMMAND_POINTER] as number;
    const operation = this.#word(at);
    const address = this.#word(at + 4);
    const depends = this.#word(at + 8);
    if (
      operation === undefined ||
      address === undefined ||
      depends === undefined ||
      !this.#memory.contains(at, COMMAND_BYTES)
    )
      return this.#die(channel);
    const count = operation & 0xffff;
    switch (operation >>> 28) {
      case OP.OUTPUT:
      case OP.OUTPUT_LAST:
        if (!this.#moveOut(channel, address, count)) return false;
        break;
      case OP.INPUT:
      case OP.INPUT_LAST:
        if (!this.#moveIn(channel, address, count)) return false;
        break;
      case OP.STORE:
        this.#move(depends, address, count);
        break;
      case OP.LOAD: {
        const value = this.#load(address, count);
        if (value !== undefined) this.#put(at + 8, value);
        break;
      }
      case OP.NOP:
        break;
      case OP.STOP:
        words[STATUS] = (words[STATUS] as number) & ~(ACTIVE | BRANCHED);
        channel.done = 0;
        return false;
      default:
        return this.#die(channel);
    }
    if (this.#condition(words, operation >>> WAIT_SHIFT, WAIT_SELECT)) return false;
    this.#report(channel, channel.done);
    channel.done = 0;
    if (this.#condition(words, operation >>> INTERRUPT_SHIFT, INTERRUPT_SELECT)) {
      // An edge is what the line tells.
      const line = this.#lines.get(index);
      line?.assert();
      line?.deassert();
    }
    const branches = this.#condition(words, operation >>> BRANCH_SHIFT, BRANCH_SELECT);
    words[STATUS] = branches ? (words[STATUS] as number) | BRANCHED : (words[STATUS] as number) & ~BRANCHED;
    words[COMMAND_POINTER] = branches ? depends & ~15 : at + COMMAND_BYTES;
    return true;
  }

  /** A field of two bits says when; the select register, which bits of the status and what they are to be. */
  #condition(words: Uint32Array, field: number, select: number): boolean {
    const when = field & 3;
    if (when === NEVER) return false;
    const selected = words[select] as number;
    const mask = (selected >>> 16) & 0xff;
    const isSet = (((words[STATUS] as number) ^ selected) & mask) === 0;
    return when === IF_SET ? isSet : when === IF_CLEAR ? !isSet : true;
  }

  /** Memory to device. False: it takes no more now. */
  #moveOut(channel: Channel, address: number, count: number): boolean {
    while (channel.done < count) {
      const room = Math.min(channel.device?.dmaRoom ?? 0, count - channel.done, PIECE_BYTES);
      if (room === 0) return false;
      const bytes = this.#buffer.subarray(0, room);
      if (!this.#memory.readInto(address + channel.done, bytes)) return this.#die(channel);
      channel.done += room;
      channel.device?.dmaWrite(bytes);
    }
    return true;
  }

  /** Device to memory. False: it has no more now. */
  #moveIn(channel: Channel, address: number, count: number): boolean {
    while (channel.done < count) {
      const room = Math.min(count - channel.done, PIECE_BYTES);
      if (!this.#memory.contains(address + channel.done, room)) return this.#die(channel);
      const moved = channel.device?.dmaRead(this.#buffer.subarray(0, room)) ?? 0;
      if (moved === 0) return false;
      this.#memory.writeBytes(address + channel.done, this.#buffer.subarray(0, moved));
      channel.done += moved;
    }
    return true;
  }

  /** STORE_QUAD: one, two or four bytes of the command go to an address. */
  #move(value: number, address: number, count: number): void {
    if ((count & 4) !== 0) this.#put(address, value);
    else if ((count & 2) !== 0)
      this.#memory.write16(address, this.#swaps ? swapBytes(value & 0xffff, 2) : value & 0xffff);
    else if ((count & 1) !== 0) this.#memory.write8(address, value & 0xff);
  }

  #load(address: number, count: number): number | undefined {
    if ((count & 4) !== 0) return this.#word(address);
    if ((count & 2) !== 0) {
      const half = this.#memory.read16(address);
      return half === undefined || !this.#swaps ? half : swapBytes(half, 2);
    }
    return (count & 1) !== 0 ? this.#memory.read8(address) : undefined;
  }

  reset(): void {
    for (const channel of this.#channels) {
      channel.words.fill(0);
      channel.done = 0;
      channel.isLeft = false;
    }
    this.#nextTurn = Number.POSITIVE_INFINITY;
  }

  save(): DeviceState {
    return {
      words: this.#channels.flatMap(({ words }) => Array.from(words)),
      done: this.#channels.map(({ done }) => done),
      left: this.#channels.map(({ isLeft }) => (isLeft ? 1 : 0)),
    };
  }

  restore(state: DeviceState): void {
    const words = savedRegisters(state, 'words', CHANNELS * REGISTERS);
    const done = savedRegisters(state, 'done', CHANNELS);
    const left = savedRegisters(state, 'left', CHANNELS);
    this.#nextTurn = left.some((one) => one !== 0) ? this.#now() + TURN_NS : Number.POSITIVE_INFINITY;
    this.#channels.forEach((channel, i) => {
      channel.words.set(words.slice(i * REGISTERS, (i + 1) * REGISTERS));
      channel.done = (done[i] as number) & 0xffff;
      channel.isLeft = left[i] !== 0;
    });
  }

  counters(): Record<string, number> {
    return { commands: this.#commands };
  }
}

/** The DMA of a macio chip. `interrupts`: by channel. */
export function dbdma(options: {
  name: string;
  interrupts: readonly (readonly [channel: number, InterruptSpec])[];
}): DeviceSpec {
  return {
    name: options.name,
    interrupts: options.interrupts.map(([, interrupt]) => interrupt),
    create: ({ memory, clock, interrupts }) => {
      const lines = options.interrupts.map(([channel], i) => [channel, interrupts[i] as InterruptLine] as const);
      return new Dbdma(memory, () => clock.now(), new Map(lines));
    },
  };
}
