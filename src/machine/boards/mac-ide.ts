/** The IDE channels of macio chips, and the DMA that both use. */
import type { DeviceSpec, InterruptSpec } from '../device.ts';
import type { MakeDrive } from '../devices/ide/drive.ts';
import { DBDMA_BYTES, dbdma } from '../devices/mac/dbdma.ts';
import { MAC_IDE_BYTES, macIde } from '../devices/mac/ide.ts';
import type { MacioPart } from '../devices/mac/macio.ts';

/** Channels of the DMA, and their interrupts. */
const DMA = { channels: [0x16, 0x1a], inputs: [0x02, 0x03] } as const;

/** `drives`: two a channel; `inputs`: the channels' interrupts. */
export function macIdes(
  drives: readonly (MakeDrive | undefined)[],
  inputs: readonly [number, number],
  pic: (input: number) => InterruptSpec,
): DeviceSpec[] {
  return [
    dbdma({ name: 'dma', interrupts: DMA.channels.map((channel, i) => [channel, pic(DMA.inputs[i] as number)]) }),
    ...inputs.map((input, i) =>
      macIde({
        name: `ide${i}`,
        interrupt: pic(input),
        drives: drives.slice(2 * i, 2 * i + 2),
        dma: { device: 'dma', channel: DMA.channels[i] as number },
      }),
    ),
  ];
}

/** Where they are in the chip. */
export const macIdeParts: readonly MacioPart[] = [
  { device: 'dma', offset: 0x8000, size: DBDMA_BYTES },
  { device: 'ide0', offset: 0x20000, size: MAC_IDE_BYTES },
  { device: 'ide1', offset: 0x21000, size: MAC_IDE_BYTES },
];
