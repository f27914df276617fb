import type { Board, BoardConfiguration } from '../board.ts';
import { ideDrives, onBus } from '../cards.ts';
import type { DeviceSpec } from '../device.ts';
import { cuda } from '../devices/mac/cuda.ts';
import { ESCC_BYTES, ESCC_LEGACY_BYTES, escc } from '../devices/mac/escc.ts';
import { grackle } from '../devices/mac/grackle.ts';
import { HEATHROW_BYTES, heathrowPic } from '../devices/mac/heathrow-pic.ts';
import { macio } from '../devices/mac/macio.ts';
import { MAC_NVRAM_BYTES, macNvram } from '../devices/mac/nvram.ts';
import { VIA_BYTES } from '../devices/mac/via.ts';
import { vga } from '../devices/vga.ts';
import { virtioPci } from '../virtio/pci.ts';
import { FIRMWARE_TREE, GiB, MACHINE_ID, MiB, macFwCfg, openBios, VIA } from './mac.ts';
import { g3, ppc604 } from './mac-cpus.ts';
import { macIdeParts, macIdes } from './mac-ide.ts';

const BUS_FREQUENCY = 66_000_000;
const NVRAM_STRIDE = 16;

/** The bus: bridge, cards, and the I/O chip at its place. */
const PCI = 'pci0';
const MACIO_SLOT = 16;
const HEATHROW = 0x0010;
const DISPLAY_SLOT = 1;
/** Where OpenBIOS puts the display's memory. */
const DISPLAY_MEMORY = 0x80000000;
const FIRST_CARD_SLOT = 2;
const CARD_SLOTS = MACIO_SLOT - FIRST_CARD_SLOT;

/** Inputs of the interrupt controller. */
const INPUT = { via: 0x12, esccA: 0x0f, esccB: 0x10, pci: [0x15, 0x16, 0x17, 0x18], ide: [0x0d, 0x0e] } as const;

const pic = (input: number) => ({ controller: 'pic', input });

function devices(configuration: BoardConfiguration): readonly DeviceSpec[] {
  return [
    heathrowPic({ name: 'pic', output: { controller: 'cpu', input: 0 } }),
    escc({ name: 'escc', interrupts: [pic(INPUT.esccA), pic(INPUT.esccB)] }),
    cuda({ name: 'via', interrupt: pic(INPUT.via) }),
    macNvram({ name: 'nvram', stride: NVRAM_STRIDE }),
    ...macIdes(ideDrives(configuration.cards), INPUT.ide, pic),
    grackle({ name: PCI, pins: INPUT.pci.map(pic) }),
    macio({
      name: 'macio',
      bridge: PCI,
      slot: MACIO_SLOT,
      deviceId: HEATHROW,
      parts: [
        { device: 'pic', offset: 0, size: HEATHROW_BYTES },
        { device: 'escc', region: 1, offset: 0x12000, size: ESCC_LEGACY_BYTES, bigEndian: true },
        { device: 'escc', offset: 0x13000, size: ESCC_BYTES, bigEndian: true },
        { device: 'via', offset: 0x16000, size: VIA_BYTES, bigEndian: true },
        ...macIdeParts,
        { device: 'nvram', offset: 0x60000, size: NVRAM_STRIDE * MAC_NVRAM_BYTES, bigEndian: true },
      ],
    }),
    ...(configuration.display === true
      ? [vga({ name: 'vga', bridge: PCI, slot: DISPLAY_SLOT, memory: DISPLAY_MEMORY })]
      : []),
    ...onBus(configuration.cards, 'pci').map((spec, i) => virtioPci(spec, { bridge: PCI, slot: FIRST_CARD_SLOT + i })),
    macFwCfg(configuration, {
      machineId: MACHINE_ID.HEATHROW,
      busFrequency: BUS_FREQUENCY,
      via: VIA.CUDA,
      hasDisplay: configuration.display === true,
    }),
  ];
}

/** Power Macintosh G3 of 1997, as QEMU's machine of the same name. */
export const g3beige: Board = {
  name: 'g3beige',
  description: 'Power Macintosh G3 (Grackle, Heathrow, CUDA) with OpenBIOS',
  cpus: [g3, ppc604],
  accels: ['assist', 'pv', 'trap'],
  kernelBits: 32,
  memory: {
    defaultBytes: 256 * MiB,
    sizes: '64 MiB to 2047 MiB in steps of 1 MiB',
    fits: (bytes) => bytes >= 64 * MiB && bytes < 2 * GiB && bytes % MiB === 0,
  },
  hasDisplay: true,
  buses: { ide: 4, pci: CARD_SLOTS },
  devices,
  ...FIRMWARE_TREE,
  serial: ['escc'],
  boot: openBios(),
};
