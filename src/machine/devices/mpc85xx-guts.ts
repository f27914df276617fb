import type { Device, DeviceSpec, DeviceState, MmioRegion } from '../device.ts';
import type { PowerSwitch } from '../power.ts';

/** Registers, words (MPC8544E Reference Manual, chapter "Global Utilities"). */
const PVR = 0xa0;
const SVR = 0xa4;
const RSTCR = 0xb0;
const REGION_BYTES = 0x1000;

const RSTCR_HRESET_REQ = 0x02;

/** Global utilities: which processor this is, and reset. What else there is of the chip's configuration reads as zero. */
export class Mpc85xxGuts implements Device, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #power: PowerSwitch;
  readonly #pvr: number;
  readonly #svr: number;

  constructor(power: PowerSwitch, pvr: number, svr: number) {
    this.#power = power;
    this.#pvr = pvr;
    this.#svr = svr;
  }

  read(offset: number, length: number): number {
    if (length !== 4) return 0;
    return offset === PVR ? this.#pvr : offset === SVR ? this.#svr : 0;
  }

  write(offset: number, length: number, value: number): void {
    if (length === 4 && offset === RSTCR && (value & RSTCR_HRESET_REQ) !== 0) this.#power.press('reset');
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {}
}

/** The block on a board. `path`: of the bus, in which it stands at `offset`. */
export function mpc85xxGuts(options: {
  name: string;
  path: string;
  compatible: string;
  base: number;
  offset: number;
  pvr: number;
  svr: number;
}): DeviceSpec {
  const { name, path, compatible, base, offset, pvr, svr } = options;
  return {
    name,
    mmio: [{ base, size: REGION_BYTES }],
    node: {
      path: `${path}/global-utilities@${offset.toString(16)}`,
      properties: { compatible, reg: [offset, REGION_BYTES], 'fsl,has-rstcr': true },
    },
    create: ({ power }) => new Mpc85xxGuts(power, pvr, svr),
  };
}
