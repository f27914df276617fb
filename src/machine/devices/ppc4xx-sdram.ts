import {
  type DcrRegion,
  type Device,
  type DeviceSpec,
  type DeviceState,
  savedNumber,
  savedRegisters,
} from '../device.ts';

/** DCRs: an address and a data register in front of the controller's own (PPC440EP User's Manual, "DDR SDRAM Controller"). */
const CFGADDR = 0;
const CFGDATA = 1;

/** Indirect registers. */
const CFG = 0x20;
const STATUS = 0x24;
const B0CR = 0x40; // B0CR-B3CR: bank base | size code << 17 | enabled
const REGISTERS = 0x100;

/** CFG[DCE]: the controller is on. */
const CFG_ENABLED = 0x80000000;
/** STATUS: the memory modules have been initialised. */
const STATUS_READY = 0x80000000;
const BANK_ENABLED = 1;

/** The sizes that a bank can have, in MiB; a bank's size code is log2(size / 4 MiB). */
export const SDRAM_BANK_MIB = [256, 128, 64, 32, 16, 8] as const;
export const SDRAM_BANKS = 4;

/** Divides RAM into bank sizes (bytes), largest first; undefined when four banks cannot make exactly this size. */
export function sdramBanks(memoryBytes: number): number[] | undefined {
  const banks: number[] = [];
  let left = memoryBytes;
  for (const mebibytes of SDRAM_BANK_MIB) {
    while (left >= mebibytes * 2 ** 20 && banks.length < SDRAM_BANKS) {
      banks.push(mebibytes * 2 ** 20);
      left -= mebibytes * 2 ** 20;
    }
  }
  return left === 0 && banks.length > 0 ? banks : undefined;
}

/**
 * The memory controller, as firmware left it: on, with a bank register for each part of RAM. Guests read it to find out
 * how much RAM there is; writing moves no memory.
 */
export class Ppc4xxSdram implements Device, DcrRegion {
  readonly dcr: readonly DcrRegion[] = [this];
  readonly #banks: readonly number[];
  readonly #registers = new Uint32Array(REGISTERS / 4);
  #address = 0;

  constructor(memoryBytes: number) {
    this.#banks = sdramBanks(memoryBytes) ?? [];
    this.reset();
  }

  readDcr(offset: number): number {
    if (offset === CFGADDR) return this.#address;
    if (this.#address === STATUS) return STATUS_READY;
    return this.#registers[this.#address >>> 2] ?? 0;
  }

  writeDcr(offset: number, value: number): void {
    if (offset === CFGADDR) this.#address = value & (REGISTERS - 1);
    else if (offset === CFGDATA) this.#registers[this.#address >>> 2] = value;
  }

  reset(): void {
    this.#address = 0;
    this.#registers.fill(0);
    this.#registers[CFG >>> 2] = CFG_ENABLED;
    let base = 0;
    this.#banks.forEach((size, i) => {
      const code = Math.log2(size / 2 ** 22);
      this.#registers[(B0CR >>> 2) + i] = base | (code << 17) | BANK_ENABLED;
      base += size;
    });
  }

  save(): DeviceState {
    return { address: this.#address, registers: Array.from(this.#registers) };
  }

  restore(state: DeviceState): void {
    this.#address = savedNumber(state, 'address') & (REGISTERS - 1);
    this.#registers.set(savedRegisters(state, 'registers', this.#registers.length));
  }
}

/** The controller on a board with this much RAM from address 0. */
export function ppc4xxSdram(options: {
  name: string;
  path: string;
  compatible: readonly string[];
  dcrBase: number;
  memoryBytes: number;
}): DeviceSpec {
  return {
    name: options.name,
    dcr: [{ base: options.dcrBase, count: 2 }],
    node: { path: options.path, properties: { compatible: options.compatible, 'dcr-reg': [options.dcrBase, 2] } },
    create: () => new Ppc4xxSdram(options.memoryBytes),
  };
}
