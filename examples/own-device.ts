/**
 * A board with a device of one's own: a bare POWER8 with a register that multiplies, and a program of a few instructions
 * that uses it.
 *
 *     node examples/own-device.ts
 */
import { assembleWords } from '../src/isa/index.ts';
import {
  type Board,
  type Device,
  type DeviceSpec,
  type DeviceState,
  findBoard,
  type MmioRegion,
  savedNumber,
} from '../src/machine/index.ts';
import { createMachine } from '../src/node/index.ts';

/** Registers, words: what is written to FACTOR is multiplied with what was written to it before; PRODUCT has the result. */
const FACTOR = 0;
const PRODUCT = 4;

class Multiplier implements Device, MmioRegion {
  readonly mmio = [this];
  #last = 0;
  #product = 0;

  read(offset: number): number {
    return offset === PRODUCT ? this.#product : 0;
  }

  write(offset: number, _length: number, value: number): void {
    if (offset !== FACTOR) return;
    this.#product = Math.imul(this.#last, value) >>> 0;
    this.#last = value;
  }

  reset(): void {
    this.#last = this.#product = 0;
  }

  save(): DeviceState {
    return { last: this.#last, product: this.#product };
  }

  restore(state: DeviceState): void {
    this.#last = savedNumber(state, 'last');
    this.#product = savedNumber(state, 'product');
  }
}

/** Where it is, and what the device tree says of it. A device with interrupts would list them here. */
const multiplier: DeviceSpec = {
  name: 'multiplier',
  mmio: [{ base: 0xf0010000, size: 8 }],
  node: { path: '/multiplier@f0010000', properties: { compatible: 'example,multiplier', reg: [0xf0010000, 8] } },
  create: () => new Multiplier(),
};

const bare = findBoard('bare');
const board: Board = {
  ...bare,
  name: 'bare-with-multiplier',
  devices: (configuration) => [...bare.devices(configuration), multiplier],
};

const program = assembleWords(`
  li 3,0; oris 3,3,0xf001
  li 4,6; stw 4,0(3)
  li 4,7; stw 4,0(3)
  lwz 5,4(3)
  li 6,0; oris 6,6,0xf000; ori 6,6,0x1000
  li 7,0x5555; stw 7,0(6)`);
const kernel = new Uint8Array(4 * program.length);
for (const [i, word] of program.entries()) new DataView(kernel.buffer).setUint32(4 * i, word);

const machine = createMachine({ board, console: process.stdout, kernel, timeoutNs: 10e9 });
const end = await machine.run();
console.log(`${end.cause}; 6 * 7 is ${machine.vcpu.getRegs().gpr[5]}; saved: ${JSON.stringify(machine.saveDevices())}`);
