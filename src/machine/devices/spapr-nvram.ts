import type { GuestMemory } from '../../kvm/api.ts';
import { type Device, type DeviceSpec, type DeviceState, savedRegisters } from '../device.ts';
import { RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasArguments, type RtasCall } from './spapr-rtas.ts';

export const NVRAM_BYTES = 65536;

/** Partition headers (PowerPC CHRP binding, section 8.4): signature, check sum, length in 16-byte blocks, name. */
const BLOCK_BYTES = 16;
const CHECKSUM = 1;
const NAME_BYTES = 12;
const SIGNATURE_COMMON = 0x70;
const SIGNATURE_FREE = 0x7f;
const COMMON_BYTES = 4096;

function writePartition(bytes: Uint8Array, at: number, signature: number, name: string, length: number): void {
  const header = bytes.subarray(at, at + BLOCK_BYTES);
  header.set([signature, 0, length / BLOCK_BYTES / 256, length / BLOCK_BYTES]);
  header.set(
    Uint8Array.from(name.slice(0, NAME_BYTES), (character) => character.charCodeAt(0)),
    4,
  );
  let sum = 0;
  for (const byte of header) {
    sum += byte;
    if (sum > 0xff) sum -= 0xff;
  }
  header[CHECKSUM] = sum;
}

/** The non-volatile memory of a partition: kept over resets, read and written through RTAS. */
export class SpaprNvram implements Device {
  readonly rtas: readonly RtasCall[] = [
    { name: 'nvram-fetch', args: 3, results: 2, call: (args) => this.#fetch(args) },
    { name: 'nvram-store', args: 3, results: 2, call: (args) => this.#store(args) },
  ];
  readonly #memory: GuestMemory;
  readonly #bytes = new Uint8Array(NVRAM_BYTES);

  /** New memory has firmware's variables, none so far, and is free otherwise. */
  constructor(memory: GuestMemory) {
    this.#memory = memory;
    writePartition(this.#bytes, 0, SIGNATURE_COMMON, 'common', COMMON_BYTES);
    writePartition(this.#bytes, COMMON_BYTES, SIGNATURE_FREE, 'w'.repeat(NAME_BYTES), NVRAM_BYTES - COMMON_BYTES);
  }

  /** How many of the bytes that the guest names exist. */
  #length(offset: number, length: number): number {
    return Math.max(0, Math.min(length, NVRAM_BYTES - offset));
  }

  #fetch(args: RtasArguments): number {
    const offset = args.word(0);
    const length = this.#length(offset, args.word(2));
    if (length === 0 || !this.#memory.writeBytes(args.word(1), this.#bytes.subarray(offset, offset + length)))
      return RTAS_PARAMETER_ERROR;
    args.result(1, length);
    return RTAS_SUCCESS;
  }

  #store(args: RtasArguments): number {
    const offset = args.word(0);
    const length = this.#length(offset, args.word(2));
    const bytes = this.#memory.readBytes(args.word(1), length);
    if (length === 0 || bytes === undefined) return RTAS_PARAMETER_ERROR;
    this.#bytes.set(bytes, offset);
    args.result(1, length);
    return RTAS_SUCCESS;
  }

  reset(): void {}

  save(): DeviceState {
    return { bytes: Array.from(this.#bytes) };
  }

  restore(state: DeviceState): void {
    this.#bytes.set(savedRegisters(state, 'bytes', NVRAM_BYTES));
  }
}

/** NVRAM on a board; `unit` is its address on the virtual bus `/vdevice`. */
export function spaprNvram(options: { name: string; unit: number }): DeviceSpec {
  return {
    name: options.name,
    node: {
      path: `/vdevice/nvram@${options.unit.toString(16)}`,
      properties: { device_type: 'nvram', reg: [options.unit], '#bytes': [NVRAM_BYTES] },
    },
    create: ({ memory }) => new SpaprNvram(memory),
  };
}
