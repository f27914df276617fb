import type { Clock, GuestMemory } from '../kvm/api.ts';
import { MachineError } from './error.ts';
import type { World } from './host.ts';
import type { Hypercall } from './hypercalls.ts';
import type { InterruptLine } from './interrupts.ts';
import type { Outside } from './outside/events.ts';
import type { PowerSwitch } from './power.ts';

/** A device's state by name, as JSON holds it. */
export type DeviceState = { [name: string]: number | boolean | string | readonly number[] | DeviceState };

/**
 * Registers in the memory map. `offset` counts from the region's start, `length` is 1, 2 or 4 bytes, values are unsigned.
 * The bus has already checked the range and turned bytes round for little-endian devices. Never throws.
 */
export interface MmioRegion {
  read(offset: number, length: number): number;
  write(offset: number, length: number, value: number): void;
}

/** The machine's memory map, for devices that pass accesses on; values in the machine's byte order. Never throws. */
export interface MmioBus {
  readMmio(address: number, length: number): number;
  writeMmio(address: number, length: number, value: number): void;
}

/** Device control registers (mfdcr/mtdcr). `offset` counts from the region's first DCR. Values are unsigned words. */
export interface DcrRegion {
  readDcr(offset: number): number;
  writeDcr(offset: number, value: number): void;
}

/** Where bytes for the outside go. */
export interface ByteSink {
  writeByte(byte: number): void;
}

/** A device that a console can be connected to. */
export interface ConsoleDevice extends Device {
  /** Receives the output; boards connect the console here. */
  sink: ByteSink | undefined;
  /** Bytes from outside. Returns how many were taken; the rest did not fit and should be offered again later. */
  receive(bytes: Uint8Array): number;
}

/** A device in which something happens at a time of its own, by the guest's clock. */
export interface TimedDevice extends Device {
  /** When `turn` has something to do, in nanoseconds of the guest's clock; Infinity: not by itself. */
  due(): number;
  /** Does what is due. */
  turn(): void;
}

/** The life of a device: created, reset, accessed; saved and restored while the guest is stopped. */
export interface Device {
  /** What the regions of the specification's `mmio` list answer with, in the same order. */
  readonly mmio?: readonly MmioRegion[];
  /** The same for its `dcr` list. */
  readonly dcr?: readonly DcrRegion[];
  /** The hypercalls that it serves. */
  readonly hypercalls?: readonly Hypercall[];
  /** The state after power-on. Deasserts every interrupt line. */
  reset(): void;
  save(): DeviceState;
  /** Takes what `save` gave. Throws MachineError when a name is missing. Lines follow the restored state. */
  restore(state: DeviceState): void;
  /**
   * The whole machine was restored from a snapshot, or is another one's fork, and is about to go on: time outside has passed,
   * and other machines may go on from the same state. What tells the time, or must be one machine's alone, is made anew.
   */
  restored?(): void;
  /** Event counters by name, for statistics. */
  counters?(): Record<string, number>;
}

/** A cell of a device-tree property: a number, or a reference to a device (or the processor, "cpu0") by name, or to a node by path. */
export type TreeCell = number | { readonly phandle: string };
/** A property: present without value, text, texts, cells, or bytes. */
export type TreeValue = true | string | readonly string[] | readonly TreeCell[] | Uint8Array;
/** A device-tree node: where it stands, and what it says. */
export interface TreeNodeSpec {
  readonly path: string;
  readonly properties: Readonly<Record<string, TreeValue>>;
}

/** Where an interrupt output of a device goes. */
export interface InterruptSpec {
  /** Name of the controller's device, or "cpu". */
  readonly controller: string;
  readonly input: number;
  /** The controller's sense cell in the device tree (UIC: 1 rising edge, 4 level high, 8 level low; XICS: 0 edge, 1 level). */
  readonly sense?: number;
}

/** A device on a board: what it is, where it is and how it is wired. */
export interface DeviceSpec {
  /** Unique on the board: the name in saved states and statistics. */
  readonly name: string;
  readonly mmio?: readonly {
    readonly base: number;
    readonly size: number;
    readonly littleEndian?: boolean;
    /** It answers where no other region does. */
    readonly isBackground?: boolean;
  }[];
  readonly dcr?: readonly { readonly base: number; readonly count: number }[];
  /** One for each interrupt output, in the device's own order. */
  readonly interrupts?: readonly InterruptSpec[];
  readonly node?: TreeNodeSpec;
  /** Memory of the device's own in the guest's physical address space, such as a frame buffer. Pages of 4 KB. */
  readonly memory?: { readonly base: number; readonly bytes: number };
  /** What firmware leaves in guest memory for it; the device tree reserves the place. */
  readonly firmware?: { readonly address: number; readonly reservedBytes: number; readonly bytes: Uint8Array };
  create(wiring: Wiring): Device;
}

/** What a board hands to a device when it is made. */
export interface Wiring {
  /** The device's interrupt outputs, as `DeviceSpec.interrupts` lists them. */
  readonly interrupts: readonly InterruptLine[];
  readonly memory: GuestMemory;
  readonly bus: MmioBus;
  /** The guest's time. */
  readonly clock: Clock;
  readonly world: World;
  readonly power: PowerSwitch;
  /** How what the outside says comes to the device. */
  readonly outside: Outside;
  /** The devices that stand before this one in the board's list, by name. */
  device(name: string): Device | undefined;
}

/** The `interrupts` property for a device whose node has the controller as its interrupt parent. */
export function interruptProperties(interrupts: readonly InterruptSpec[]): Record<string, TreeValue> {
  const first = interrupts[0];
  // The processor's own pins have no node.
  if (first === undefined || first.controller === 'cpu') return {};
  return {
    'interrupt-parent': [{ phandle: first.controller }],
    interrupts: interrupts.flatMap((one) => (one.sense === undefined ? [one.input] : [one.input, one.sense])),
  };
}

/** An unsigned word: what the registers of devices hold. */
const isWord = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffffffff;

/** What a saved state has under a name: a state comes from outside, and may be anything. */
function saved(state: unknown, name: string): unknown {
  return typeof state === 'object' && state !== null && Object.hasOwn(state, name)
    ? (state as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

/** Reads an unsigned word out of a saved state. */
export function savedNumber(state: DeviceState, name: string): number {
  const value = saved(state, name);
  if (!isWord(value)) throw new MachineError(`the saved state lacks the number "${name}"`);
  return value;
}

/** Reads a number that is no word (a time, a fraction) out of a saved state; its magnitude is at most `limit`. */
export function savedReal(state: DeviceState, name: string, limit = Number.MAX_VALUE): number {
  const value = saved(state, name);
  if (typeof value !== 'number' || !(Math.abs(value) <= limit))
    throw new MachineError(`the saved state lacks the number "${name}"`);
  return value;
}

/** Reads a truth value out of a saved state. */
export function savedBoolean(state: DeviceState, name: string): boolean {
  const value = saved(state, name);
  if (typeof value !== 'boolean') throw new MachineError(`the saved state lacks the truth value "${name}"`);
  return value;
}

/** Reads a list of at most `limit` unsigned words out of a saved state. */
export function savedNumbers(state: DeviceState, name: string, limit: number): number[] {
  const value = saved(state, name);
  // A copy without holes.
  const list = Array.isArray(value) && value.length <= limit ? Array.from<unknown>(value) : undefined;
  if (!list?.every(isWord))
    throw new MachineError(`the saved state lacks the list "${name}" of at most ${limit} numbers`);
  return list;
}

/** Reads the contents of `count` registers out of a saved state: unsigned words, no fewer and no more. */
export function savedRegisters(state: DeviceState, name: string, count: number): number[] {
  const list = savedNumbers(state, name, count);
  if (list.length !== count) throw new MachineError(`the saved state has ${list.length} of ${count} "${name}"`);
  return list;
}

/** Reads the state of a part out of a saved state. */
export function savedPart(state: DeviceState, name: string): DeviceState {
  const value = saved(state, name);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new MachineError(`the saved state lacks the part "${name}"`);
  return value as DeviceState;
}
