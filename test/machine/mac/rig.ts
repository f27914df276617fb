/** A Mac's board (mac99: a G5) on a fake processor and memory, with a clock that the test sets. */

import { g3beige } from '../../../src/machine/boards/g3beige.ts';
import { mac99 } from '../../../src/machine/boards/mac99.ts';
import type { CardOptions } from '../../../src/machine/cards.ts';
import { cardsOf, placeCards } from '../../../src/machine/cards.ts';
import { repeatableWorld } from '../../../src/machine/host.ts';
import type { Board, Device } from '../../../src/machine/index.ts';
import { BoardInstance } from '../../../src/machine/instance.ts';
import { OutsideEvents } from '../../../src/machine/outside/events.ts';
import { type FakeVm, makeFakeVm } from '../fake-vm.ts';

export const MAC_MEMORY = 2 ** 20;
/** Where the test puts the I/O chip. */
export const MACIO = 0x80800000;
export const MACS = { g3beige, mac99 } as const;

const reversed = (value: number): number => {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return view.getUint32(0, true);
};

export class MacRig {
  /** Nanoseconds. */
  time = 0;
  readonly vm: FakeVm;
  readonly instance: BoardInstance;
  readonly outside = new OutsideEvents(() => {}, false);
  readonly #name: keyof typeof MACS;

  constructor(name: keyof typeof MACS, cards: CardOptions = {}) {
    this.#name = name;
    const board: Board = MACS[name];
    this.vm = Object.assign(
      makeFakeVm(MAC_MEMORY, function* () {}),
      { clock: { now: () => this.time } },
    );
    const placed = placeCards(name, board.buses ?? {}, cardsOf(cards));
    const configuration = {
      memoryBytes: MAC_MEMORY,
      cpu: board.cpus.find(({ kernelBits }) => kernelBits === 64) ?? board.cpus[0],
      cards: placed,
    };
    const { vm, outside } = this;
    this.instance = new BoardInstance(board, configuration, vm, vm.createVcpu(0), repeatableWorld(), outside);
    this.instance.reset();
    this.placeChip();
  }

  /** As firmware does: the chip's memory at its address, and decoded. */
  placeChip(): void {
    const slot = this.#name === 'g3beige' ? 16 : 12;
    const [address, data] = this.#name === 'g3beige' ? [0xfec00000, 0xfee00000] : [0xf0800000, 0xf0c00000];
    const config = (register: number, value: number): void => {
      this.instance.bus.writeMmio(address, 4, reversed((0x80000000 | (slot << 11) | register) >>> 0));
      this.instance.bus.writeMmio(data, 4, reversed(value));
    };
    config(0x10, MACIO);
    config(0x04, 0x02);
  }

  device(name: string): Device {
    return this.instance.device(name) as Device;
  }

  /** The chip's registers: bytes, and little-endian words. */
  read8 = (offset: number): number => this.instance.bus.readMmio(MACIO + offset, 1);
  write8 = (offset: number, value: number): void => this.instance.bus.writeMmio(MACIO + offset, 1, value);
  read32 = (offset: number): number => reversed(this.instance.bus.readMmio(MACIO + offset, 4));
  write32 = (offset: number, value: number): void => this.instance.bus.writeMmio(MACIO + offset, 4, reversed(value));
  read16 = (offset: number): number => {
    const value = this.instance.bus.readMmio(MACIO + offset, 2);
    return (value >>> 8) | ((value & 0xff) << 8);
  };
  write16 = (offset: number, value: number): void =>
    this.instance.bus.writeMmio(MACIO + offset, 2, (value >>> 8) | ((value & 0xff) << 8));

  /** The processor's external interrupt. */
  get interrupted(): boolean {
    return this.vm.interrupts.at(-1) === 0xfffffffd;
  }

  /** So much time passes. */
  pass(nanoseconds: number): void {
    const end = this.time + nanoseconds;
    for (let i = 0; i < 1000; i++) {
      const due = this.instance.due();
      if (!(due <= end)) break;
      this.time = Math.max(this.time, due);
      this.instance.turn();
    }
    this.time = end;
    this.instance.turn();
  }

  /** What was asked of the outside is answered. */
  async settle(): Promise<void> {
    do {
      await new Promise((resolve) => setImmediate(resolve));
      this.outside.drain();
    } while (this.outside.outstanding > 0 || this.outside.pending);
  }
}
