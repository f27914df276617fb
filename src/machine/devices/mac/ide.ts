import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  type MmioRegion,
  savedNumber,
  savedPart,
  type Wiring,
} from '../../device.ts';
import type { InterruptLine } from '../../interrupts.ts';
import { IdeChannel } from '../ide/channel.ts';
import type { MakeDrive } from '../ide/drive.ts';
import type { Dbdma } from './dbdma.ts';

/** Registers stand 16 bytes apart; behind the command block are device control and timing. */
const REGISTER_SHIFT = 4;
const COMMAND_BLOCK = 8;
/** Firmware made for QEMU's machine knows device control here, too. */
const CONTROL_TOO = 8;
const CONTROL = 0x16;
const TIMING = 0x20;
export const MAC_IDE_BYTES = 0x1000;

/** An IDE channel of a macio chip, whose data DMA can move. */
export class MacIde implements Device, MmioRegion {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly #channel: IdeChannel;
  #timing = 0;

  constructor(
    line: InterruptLine,
    { outside }: Pick<Wiring, 'outside'>,
    drives: readonly (MakeDrive | undefined)[],
    dma: Dbdma,
    number: number,
  ) {
    this.#channel = new IdeChannel(line, outside, drives);
    this.#channel.onDma = () => dma.run(number);
    dma.connect(number, this.#channel);
  }

  read(offset: number, length: number): number {
    const register = offset >> REGISTER_SHIFT;
    if (register < COMMAND_BLOCK) return this.#channel.read(register, length);
    if (register === CONTROL || register === CONTROL_TOO) return this.#channel.readAlternateStatus();
    return register === TIMING && length === 4 ? this.#timing : 0;
  }

  write(offset: number, length: number, value: number): void {
    const register = offset >> REGISTER_SHIFT;
    if (register < COMMAND_BLOCK) this.#channel.write(register, length, value);
    else if (register === CONTROL || register === CONTROL_TOO) this.#channel.writeControl(value & 0xff);
    else if (register === TIMING && length === 4) this.#timing = value;
  }

  reset(): void {
    this.#timing = 0;
    this.#channel.reset();
  }

  save(): DeviceState {
    return { timing: this.#timing, channel: this.#channel.save() };
  }

  restore(state: DeviceState): void {
    this.#timing = savedNumber(state, 'timing');
    this.#channel.restore(savedPart(state, 'channel'));
  }

  counters(): Record<string, number> {
    return this.#channel.counters();
  }
}

/** A channel in a macio chip. `dma`: name of the DMA's device, which stands before it, and the channel's number there. */
export function macIde(options: {
  name: string;
  interrupt: InterruptSpec;
  drives: readonly (MakeDrive | undefined)[];
  dma: { readonly device: string; readonly channel: number };
}): DeviceSpec {
  return {
    name: options.name,
    interrupts: [options.interrupt],
    create: (wiring) =>
      new MacIde(
        wiring.interrupts[0] as InterruptLine,
        wiring,
        options.drives,
        wiring.device(options.dma.device) as Dbdma,
        options.dma.channel,
      ),
  };
}
