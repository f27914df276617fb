import type { Device, DeviceSpec, DeviceState, MmioRegion } from '../device.ts';
import type { PowerSwitch } from '../power.ts';

/** The register takes words: what is written says what happens. It reads as zero. */
export const POWER_REGISTER_SIZE = 4;
export const POWER_OFF = 0x5555;
export const POWER_RESET = 0x7777;

/** A register that switches the machine off, or resets it. Other values, and other sizes, do nothing. */
export class PowerRegister implements Device, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #power: PowerSwitch;

  constructor(power: PowerSwitch) {
    this.#power = power;
  }

  read(): number {
    return 0;
  }

  write(_offset: number, length: number, value: number): void {
    if (length !== POWER_REGISTER_SIZE) return;
    if (value === POWER_OFF) this.#power.press('shutdown');
    else if (value === POWER_RESET) this.#power.press('reset');
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {}
}

/** The register on a board. */
export function powerRegister(options: { name: string; base: number }): DeviceSpec {
  return {
    name: options.name,
    mmio: [{ base: options.base, size: POWER_REGISTER_SIZE }],
    node: {
      path: `/power@${options.base.toString(16)}`,
      properties: { compatible: 'powervisor,power', reg: [options.base, POWER_REGISTER_SIZE] },
    },
    create: ({ power }) => new PowerRegister(power),
  };
}
