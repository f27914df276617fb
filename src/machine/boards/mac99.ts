import type { Board, BoardConfiguration } from '../board.ts';
import { ideDrives, onBus } from '../cards.ts';
import type { DeviceSpec } from '../device.ts';
import { cuda } from '../devices/mac/cuda.ts';
import { ESCC_BYTES, ESCC_LEGACY_BYTES, escc } from '../devices/mac/escc.ts';
import { GPIO_BYTES, macGpio } from '../devices/mac/gpio.ts';
import { keylargoPic } from '../devices/mac/keylargo-pic.ts';
import { macio } from '../devices/mac/macio.ts';
import { MAC_NVRAM_BYTES, macNvram } from '../devices/mac/nvram.ts';
import { pmu } from '../devices/mac/pmu.ts';
import { uninorthPci, uninorthRegisters } from '../devices/mac/uninorth.ts';
import { VIA_BYTES } from '../devices/mac/via.ts';
import { OPENPIC_BYTES } from '../devices/openpic.ts';
import { vga } from '../devices/vga.ts';
import { virtioPci } from '../virtio/pci.ts';
import { FIRMWARE_TREE, GiB, MACHINE_ID, MiB, macFwCfg, NVRAM, openBios, VIA } from './mac.ts';
import { g4, g4Later, g5 } from './mac-cpus.ts';
import { macIdeParts, macIdes } from './mac-ide.ts';

const BUS_FREQUENCY = 100_000_000;
const NVRAM_STRIDE = 2;
const IO = { base: 0xf2000000, size: 0x800000 } as const;
const CONFIG = {
  agp: { address: 0xf0800000, data: 0xf0c00000 },
  main: { address: 0xf2800000, data: 0xf2c00000 },
  internal: { address: 0xf4800000, data: 0xf4c00000 },
} as const;
const KEYLARGO = 0x0022;

/** The bus with the devices, and what follows its bridge on it. */
const PCI = 'pci0';
const MACIO_SLOT = 12;
const DISPLAY_SLOT = 14;
/** Where OpenBIOS puts the display's memory. */
const DISPLAY_MEMORY = 0x81000000;
const FIRST_CARD_SLOT = 15;
const CARD_SLOTS = 32 - FIRST_CARD_SLOT;

/** Inputs of the interrupt controller. */
const INPUT = {
  via: 0x19,
  esccA: 0x25,
  esccB: 0x24,
  pci: [0x1b, 0x1c, 0x1d, 0x1e],
  external: [0x2f, 0x37],
  ide: [0x0d, 0x0e],
} as const;

const pic = (input: number) => ({ controller: 'pic', input });

/** `isU3`: the memory controller of a G5, which has one bus. */
function bridges(isU3: boolean): DeviceSpec[] {
  const pins = INPUT.pci.map(pic);
  const memory = { base: 0x80000000, size: isU3 ? 0x70000000 : 0x10000000 };
  if (isU3) return [uninorthPci({ name: PCI, kind: 'u3', config: CONFIG.agp, io: IO, memory, pins })];
  return [
    uninorthPci({ name: PCI, kind: 'main', config: CONFIG.main, io: IO, memory, pins }),
    uninorthPci({ name: 'agp0', kind: 'agp', config: CONFIG.agp, pins: [] }),
    uninorthPci({ name: 'pci1', kind: 'internal', config: CONFIG.internal, pins: [] }),
  ];
}

function devicesOf(configuration: BoardConfiguration, wanted: number | undefined): readonly DeviceSpec[] {
  const isU3 = configuration.cpu.kernelBits === 64;
  // 64-bit Linux has no driver for CUDA.
  const via = wanted ?? (isU3 ? VIA.PMU : VIA.CUDA);
  return [
    keylargoPic({ name: 'pic', output: { controller: 'cpu', input: 0 } }),
    escc({ name: 'escc', interrupts: [pic(INPUT.esccA), pic(INPUT.esccB)] }),
    macNvram({ name: 'nvram', stride: NVRAM_STRIDE, base: NVRAM }),
    macGpio({ name: 'gpio', interrupts: [pic(INPUT.external[0]), pic(INPUT.external[1])] }),
    via === VIA.CUDA
      ? cuda({ name: 'via', interrupt: pic(INPUT.via) })
      : pmu({
          name: 'via',
          interrupts: [pic(INPUT.via), { controller: 'gpio', input: 1 }],
          hasAdb: via === VIA.PMU_ADB,
        }),
    ...macIdes(ideDrives(configuration.cards), INPUT.ide, pic),
    uninorthRegisters({ name: 'uninorth', base: 0xf8000000 }),
    ...bridges(isU3),
    macio({
      name: 'macio',
      bridge: PCI,
      slot: MACIO_SLOT,
      deviceId: KEYLARGO,
      parts: [
        { device: 'gpio', offset: 0x50, size: GPIO_BYTES, bigEndian: true },
        { device: 'escc', region: 1, offset: 0x12000, size: ESCC_LEGACY_BYTES, bigEndian: true },
        { device: 'escc', offset: 0x13000, size: ESCC_BYTES, bigEndian: true },
        { device: 'via', offset: 0x16000, size: VIA_BYTES, bigEndian: true },
        ...macIdeParts,
        { device: 'pic', offset: 0x40000, size: OPENPIC_BYTES },
      ],
    }),
    ...(configuration.display === true
      ? [vga({ name: 'vga', bridge: PCI, slot: DISPLAY_SLOT, memory: DISPLAY_MEMORY })]
      : []),
    ...onBus(configuration.cards, 'pci').map((spec, i) => virtioPci(spec, { bridge: PCI, slot: FIRST_CARD_SLOT + i })),
    macFwCfg(configuration, {
      machineId: isU3 ? MACHINE_ID.MAC99_U3 : MACHINE_ID.MAC99,
      busFrequency: BUS_FREQUENCY,
      via,
      hasDisplay: configuration.display === true,
      nvram: NVRAM,
    }),
  ];
}

/** `via`: the system controller; the processor's customary one if absent. */
function board(name: string, description: string, via?: number): Board {
  return {
    name,
    description,
    cpus: [g4, g4Later, g5],
    accels: ['assist', 'pv', 'trap'],
    kernelBits: 32,
    memory: {
      defaultBytes: 512 * MiB,
      sizes: '64 MiB to 2 GiB in steps of 1 MiB',
      fits: (bytes) => bytes >= 64 * MiB && bytes <= 2 * GiB && bytes % MiB === 0,
    },
    hasDisplay: true,
    buses: { ide: 4, pci: CARD_SLOTS },
    devices: (configuration) => devicesOf(configuration, via),
    ...FIRMWARE_TREE,
    serial: ['escc'],
    boot: openBios(NVRAM_STRIDE * MAC_NVRAM_BYTES),
  };
}

/** Power Mac G4 and G5, as QEMU's machine of the same name. */
export const mac99 = board('mac99', 'Power Mac G4 (UniNorth, CUDA) or G5 (U3, PMU) with OpenBIOS');
