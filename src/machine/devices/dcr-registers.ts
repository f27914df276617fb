import {
  type DcrRegion,
  type Device,
  type DeviceSpec,
  type DeviceState,
  savedNumber,
  savedRegisters,
  type TreeNodeSpec,
} from '../device.ts';

/** Indirect pairs address at most this many registers; more address bits are not decoded. */
const INDIRECT_REGISTERS = 1024;

/** Registers behind an address DCR and a data DCR (CPR0, SDR0, EBC0): they keep what is written and do nothing. */
export class IndirectDcrs implements Device, DcrRegion {
  readonly dcr: readonly DcrRegion[] = [this];
  readonly #initial: readonly (readonly [number, number])[];
  readonly #registers = new Uint32Array(INDIRECT_REGISTERS);
  #address = 0;

  /** `initial`: register number and the value that firmware leaves in it. */
  constructor(initial: readonly (readonly [number, number])[]) {
    this.#initial = initial;
    this.reset();
  }

  readDcr(offset: number): number {
    return offset === 0 ? this.#address : (this.#registers[this.#address % INDIRECT_REGISTERS] as number);
  }

  writeDcr(offset: number, value: number): void {
    if (offset === 0) this.#address = value >>> 0;
    else this.#registers[this.#address % INDIRECT_REGISTERS] = value;
  }

  reset(): void {
    this.#address = 0;
    this.#registers.fill(0);
    for (const [number, value] of this.#initial) this.#registers[number] = value;
  }

  save(): DeviceState {
    return { address: this.#address, registers: Array.from(this.#registers) };
  }

  restore(state: DeviceState): void {
    this.#address = savedNumber(state, 'address');
    this.#registers.set(savedRegisters(state, 'registers', INDIRECT_REGISTERS));
  }
}

/** Registers that are DCRs themselves (bus arbiters, DMA, MAL): they keep what is written, but for self-clearing bits. */
export class PlainDcrs implements Device, DcrRegion {
  readonly dcr: readonly DcrRegion[] = [this];
  readonly #registers: Uint32Array;
  readonly #selfClearing: number;

  /** `selfClearing`: bits of register 0 that read as zero after writing, such as a reset bit. */
  constructor(count: number, selfClearing = 0) {
    this.#registers = new Uint32Array(count);
    this.#selfClearing = selfClearing;
  }

  readDcr(offset: number): number {
    return this.#registers[offset] ?? 0;
  }

  writeDcr(offset: number, value: number): void {
    this.#registers[offset] = offset === 0 ? value & ~this.#selfClearing : value;
  }

  reset(): void {
    this.#registers.fill(0);
  }

  save(): DeviceState {
    return { registers: Array.from(this.#registers) };
  }

  restore(state: DeviceState): void {
    this.#registers.set(savedRegisters(state, 'registers', this.#registers.length));
  }
}

/** An address/data pair on a board. */
export function indirectDcrs(options: {
  name: string;
  dcrBase: number;
  initial?: readonly (readonly [number, number])[];
  node?: TreeNodeSpec;
}): DeviceSpec {
  return {
    name: options.name,
    dcr: [{ base: options.dcrBase, count: 2 }],
    ...(options.node && { node: options.node }),
    create: () => new IndirectDcrs(options.initial ?? []),
  };
}

/** A row of plain registers on a board. */
export function plainDcrs(options: {
  name: string;
  dcrBase: number;
  count: number;
  selfClearing?: number;
  node?: TreeNodeSpec;
}): DeviceSpec {
  return {
    name: options.name,
    dcr: [{ base: options.dcrBase, count: options.count }],
    ...(options.node && { node: options.node }),
    create: () => new PlainDcrs(options.count, options.selfClearing),
  };
}
