import type { Device, DeviceSpec, DeviceState } from '../device.ts';
import { H_HARDWARE, H_SUCCESS, type Hypercall, type HypercallArguments } from '../hypercalls.ts';

/** The random number generator of a partition: 64 bits of the host's randomness for each H_RANDOM. */
export class SpaprRng implements Device {
  readonly hypercalls: readonly Hypercall[] = [{ number: 0x300, name: 'H_RANDOM', call: (args) => this.#random(args) }];
  readonly #source: ((bytes: Uint8Array) => void) | undefined;
  readonly #bytes = new Uint8Array(8);
  readonly #words = new Uint32Array(this.#bytes.buffer);

  /** `source`: fills bytes at random; without it every call says that the hardware fails. */
  constructor(source: ((bytes: Uint8Array) => void) | undefined) {
    this.#source = source;
  }

  #random(args: HypercallArguments): number {
    if (this.#source === undefined) return H_HARDWARE;
    this.#source(this.#bytes);
    args.set(0, this.#words[0] as number, this.#words[1] as number);
    return H_SUCCESS;
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {}
}

/** The generator on a board. */
export function spaprRng(options: { name: string }): DeviceSpec {
  return {
    name: options.name,
    node: { path: '/ibm,platform-facilities/ibm,random-v1', properties: { compatible: 'ibm,random' } },
    create: ({ world }) => new SpaprRng(world.random),
  };
}
