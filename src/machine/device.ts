import { MachineError } from './error.ts';
import type { InterruptLine } from './interrupts.ts';

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

/** Device control registers (mfdcr/mtdcr). `offset` counts from the region's first DCR. Values are unsigned words. */
export interface DcrRegion {
  readDcr(offset: number): number;
  writeDcr(offset: number, value: number): void;
}

/** The life of a device: created, reset, accessed; saved and restored while the guest is stopped. */
export interface Device {
  /** What the regions of the specification's `mmio` list answer with, in the same order. */
  readonly mmio?: readonly MmioRegion[];
  /** The same for its `dcr` list. */
  readonly dcr?: readonly DcrRegion[];
  /** The state after power-on. Deasserts every interrupt line. */
  reset(): void;
  save(): DeviceState;
  /** Takes what `save` gave. Throws MachineError when a name is missing. Lines follow the restored state. */
  restore(state: DeviceState): void;
  /** Event counters by name, for statistics. */
  counters?(): Record<string, number>;
}

/** A cell of a device-tree property: a number, or a reference to a device (or the processor, "cpu0") by name. */
export type TreeCell = number | { readonly phandle: string };
/** A property: present without value, text, texts, or cells. */
export type TreeValue = true | string | readonly string[] | readonly TreeCell[];
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
  /** The controller's sense cell in the device tree (UIC: 1 rising edge, 4 level high, 8 level low). */
  readonly sense?: number;
}

/** A device on a board: what it is, where it is and how it is wired. */
export interface DeviceSpec {
  /** Unique on the board: the name in saved states and statistics. */
  readonly name: string;
  readonly mmio?: readonly { readonly base: number; readonly size: number; readonly littleEndian?: boolean }[];
  readonly dcr?: readonly { readonly base: number; readonly count: number }[];
  /** One for each interrupt output, in the device's own order. */
  readonly interrupts?: readonly InterruptSpec[];
  readonly node?: TreeNodeSpec;
  create(wiring: Wiring): Device;
}

/** What a board hands to a device when it is made. */
export interface Wiring {
  /** The device's interrupt outputs, as `DeviceSpec.interrupts` lists them. */
  readonly interrupts: readonly InterruptLine[];
}

/** The `interrupts` property for a device whose node has the controller as its interrupt parent. */
export function interruptProperties(interrupts: readonly InterruptSpec[]): Record<string, TreeValue> {
  const first = interrupts[0];
  if (first === undefined) return {};
  return {
    'interrupt-parent': [{ phandle: first.controller }],
    interrupts: interrupts.flatMap((one) => (one.sense === undefined ? [one.input] : [one.input, one.sense])),
  };
}

/** Reads a number out of a saved state, as an unsigned word. */
export function savedNumber(state: DeviceState, name: string): number {
  const value = state[name];
  if (typeof value !== 'number') throw new MachineError(`the saved state lacks the number "${name}"`);
  return value >>> 0;
}

/** Reads a truth value out of a saved state. */
export function savedBoolean(state: DeviceState, name: string): boolean {
  const value = state[name];
  if (typeof value !== 'boolean') throw new MachineError(`the saved state lacks the truth value "${name}"`);
  return value;
}

/** Reads a list of at most `limit` unsigned words out of a saved state. */
export function savedNumbers(state: DeviceState, name: string, limit: number): number[] {
  const value = state[name];
  if (!Array.isArray(value) || value.length > limit || value.some((one) => typeof one !== 'number'))
    throw new MachineError(`the saved state lacks the list "${name}" of at most ${limit} numbers`);
  return (value as number[]).map((one) => one >>> 0);
}
