import type { Vcpu } from '../../kvm/api.ts';
import type { Board, BoardConfiguration, BootEntry, TreeConfiguration } from '../board.ts';
import { onBus } from '../cards.ts';
import { type DeviceSpec, type InterruptSpec, interruptProperties, type TreeNodeSpec } from '../device.ts';
import { ds1338 } from '../devices/ds1338.ts';
import { mpcI2c } from '../devices/mpc-i2c.ts';
import { mpc8xxxGpio } from '../devices/mpc8xxx-gpio.ts';
import { mpc85xxGuts } from '../devices/mpc85xx-guts.ts';
import { mpc85xxPci } from '../devices/mpc85xx-pci.ts';
import { mpic, mpicMessages } from '../devices/mpic.ts';
import { ns16550 } from '../devices/ns16550.ts';
import { spinTable } from '../devices/spin-table.ts';
import { PCI_DEVICES } from '../pci/bus.ts';
import { virtioMmio } from '../virtio/mmio.ts';
import { virtioPci } from '../virtio/pci.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const TWO_32 = 2 ** 32;

/** The memory map above RAM, which is QEMU's generic e500 platform's: all of it beyond 32 bits. */
const PCI_MEMORY = { base: 0xc_0000_0000, bus: 0xe000_0000, size: 512 * MiB } as const;
const PLATFORM_BUS = { base: 0xf_0000_0000, size: 128 * MiB } as const;
const CCSR = { base: 0xf_e000_0000, size: MiB } as const;
const PCI_IO = { base: 0xf_e100_0000, size: 0x10000 } as const;
const SPIN_TABLE = 0xf_ef00_0000;

/** Blocks of the chip's registers, by their offset from CCSR. */
const I2C = 0x3000;
const SERIAL = [0x4500, 0x4600] as const;
const SERIAL_BYTES = 0x100;
const PCI = 0x8000;
const MPIC = 0x40000;
const GUTS = 0xe0000;
const GPIO = 0xff000;
/** Devices that are plugged in, where the chip has nothing. */
const VIRTIO = 0x80000;
const VIRTIO_STRIDE = 0x1000;
const VIRTIO_PLACES = 32;
/** All but the bridge's own. */
const PCI_SLOTS = PCI_DEVICES - 1;

/** Sources of the interrupt controller: the first twelve are pins, the others blocks of the chip. */
const PCI_PINS = [1, 2, 3, 4] as const;
const PCI_ERROR_SOURCE = 24;
const SERIAL_SOURCE = 42;
const I2C_SOURCE = 43;
const GPIO_SOURCE = 47;
const VIRTIO_SOURCE = 80;
/** Sense cells: those of the chip's blocks count for nothing. */
const LEVEL_LOW = 1;
const LEVEL_HIGH = 2;

/** Frequencies in Hz. */
const CPU_CLOCK = 400_000_000;
const TIMEBASE = 400_000_000;
const PCI_CLOCK = 66_666_666;
const SERIAL_SPEED = 115_200;

/** What the processor says of itself, and the chip, which is none of Freescale's. */
const PVR_E500V2 = 0x8021_0030;
const NO_SVR = 0;

const POWER_OFF_PIN = 0;
const RTC_ADDRESS = 0x68;

const SOC = `/soc@${CCSR.base.toString(16)}`;
const BRIDGE = 'pci0';

const wide = (value: number): number[] => [Math.floor(value / TWO_32), value >>> 0];

function devices({ cards }: BoardConfiguration): readonly DeviceSpec[] {
  const source = (input: number, sense: number): InterruptSpec => ({ controller: 'mpic0', input, sense });
  const block = (offset: number) => ({ path: SOC, base: CCSR.base + offset, offset });
  const serialInterrupt = source(SERIAL_SOURCE, LEVEL_HIGH);
  return [
    mpic({
      name: 'mpic0',
      ...block(MPIC),
      outputs: [
        { controller: 'cpu', input: 0 },
        { controller: 'cpu', input: 1 },
      ],
    }),
    ...SERIAL.map((offset, i) =>
      ns16550({
        name: `serial${i}`,
        path: SOC,
        base: CCSR.base + offset,
        clock: CPU_CLOCK,
        speed: SERIAL_SPEED,
        // Both ports have the same.
        interrupt: serialInterrupt,
        node: {
          path: `${SOC}/serial@${offset.toString(16)}`,
          properties: {
            device_type: 'serial',
            compatible: 'ns16550',
            reg: [offset, SERIAL_BYTES],
            'cell-index': [i],
            'clock-frequency': [CPU_CLOCK],
            ...interruptProperties([serialInterrupt]),
          },
        },
      }),
    ),
    mpcI2c({ name: 'i2c0', ...block(I2C), interrupt: source(I2C_SOURCE, LEVEL_HIGH) }),
    ds1338({
      name: 'rtc0',
      bus: 'i2c0',
      path: `${SOC}/i2c@${I2C.toString(16)}`,
      compatible: 'pericom,pt7c4338',
      address: RTC_ADDRESS,
    }),
    mpc85xxGuts({ name: 'guts0', ...block(GUTS), compatible: 'fsl,mpc8544-guts', pvr: PVR_E500V2, svr: NO_SVR }),
    mpc8xxxGpio({
      name: 'gpio0',
      ...block(GPIO),
      interrupt: source(GPIO_SOURCE, LEVEL_HIGH),
      powerOffPin: POWER_OFF_PIN,
    }),
    spinTable({ name: 'spin0', base: SPIN_TABLE }),
    mpc85xxPci({
      name: BRIDGE,
      base: CCSR.base + PCI,
      ccsr: CCSR.base,
      memory: PCI_MEMORY,
      io: PCI_IO,
      clock: PCI_CLOCK,
      pins: PCI_PINS.map((pin) => source(pin, LEVEL_LOW)),
      error: source(PCI_ERROR_SOURCE, LEVEL_HIGH),
      messages: MESSAGES.path,
    }),
    ...onBus(cards, 'pci').map((spec, i) => virtioPci(spec, { bridge: BRIDGE, slot: i + 1 })),
    ...onBus(cards, 'mmio').map((spec, i) =>
      virtioMmio(spec, {
        ...block(VIRTIO + i * VIRTIO_STRIDE),
        interrupt: source(VIRTIO_SOURCE + i, LEVEL_HIGH),
      }),
    ),
  ];
}

const MESSAGES = mpicMessages({ path: SOC, controller: 'mpic0', offset: MPIC });

function treeNodes({ hcallInstructions, rngSeed, kernel }: TreeConfiguration): readonly TreeNodeSpec[] {
  const nodes: TreeNodeSpec[] = [
    {
      path: '/',
      properties: {
        '#address-cells': [2],
        '#size-cells': [2],
        model: 'QEMU ppce500',
        compatible: 'fsl,qemu-e500',
      },
    },
    {
      path: '/chosen',
      properties: {
        ...(kernel !== undefined && { 'qemu,boot-kernel': [...wide(kernel.address), ...wide(kernel.bytes)] }),
        ...(rngSeed.length > 0 && { 'rng-seed': rngSeed }),
      },
    },
    { path: '/cpus', properties: { '#address-cells': [1], '#size-cells': [0] } },
    {
      path: SOC,
      properties: {
        device_type: 'soc',
        compatible: ['fsl,mpc8544-immr', 'simple-bus'],
        '#address-cells': [1],
        '#size-cells': [1],
        ranges: [0, ...wide(CCSR.base), CCSR.size],
        'bus-frequency': [0],
      },
    },
    MESSAGES,
    {
      path: `${SOC}/power-off`,
      properties: { compatible: 'gpio-poweroff', gpios: [{ phandle: 'gpio0' }, POWER_OFF_PIN, 0] },
    },
    {
      path: `/platform@${PLATFORM_BUS.base.toString(16)}`,
      properties: {
        compatible: ['qemu,platform', 'simple-bus'],
        '#address-cells': [1],
        '#size-cells': [1],
        ranges: [0, ...wide(PLATFORM_BUS.base), PLATFORM_BUS.size],
        'interrupt-parent': [{ phandle: 'mpic0' }],
      },
    },
    {
      path: '/aliases',
      properties: {
        pci0: `/pci@${(CCSR.base + PCI).toString(16)}`,
        i2c: `${SOC}/i2c@${I2C.toString(16)}`,
        rtc: `i2c/rtc@${RTC_ADDRESS.toString(16)}`,
      },
    },
  ];
  if (hcallInstructions !== undefined)
    nodes.push({
      path: '/hypervisor',
      properties: { compatible: 'linux,kvm', 'hcall-instructions': hcallInstructions, 'has-idle': true },
    });
  return nodes;
}

/** MAS1 and MAS3 (EREF, "MMU Assist Registers"): sizes are 4^n KiB. Entries of TLB1 follow those of TLB0. */
const MAS1_VALID = 0x8000_0000;
const MAS1_IPROT = 0x4000_0000;
const MAS1_TSIZE_SHIFT = 8;
const MAS3_SUPERVISOR_RWX = 0x15;
const TLB0_ENTRIES = 256;
/** ePAPR 1.1, section 5.4.1: "EPAP". */
const EPAPR_MAGIC = 0x4550_4150n;
const STACK = 16 * MiB - 8;

/** log4 of the KiB of the smallest mapping from 0 that has everything below `end`. */
function mappingSize(end: number): number {
  return Math.max(1, Math.ceil(Math.log2(end / 1024) / 2));
}

/** Entered as ePAPR has it for the boot processor: r3 = device tree, r6 = magic number, r7 = bytes that are mapped from 0. */
function enter(vcpu: Vcpu, { address, deviceTree, deviceTreeBytes }: BootEntry): void {
  const size = mappingSize(Math.max(deviceTree + deviceTreeBytes, address + 4));
  vcpu.setTlbEntry(TLB0_ENTRIES, {
    mas1: (MAS1_VALID | MAS1_IPROT | (size << MAS1_TSIZE_SHIFT)) >>> 0,
    mas2: 0,
    mas3: MAS3_SUPERVISOR_RWX,
    mas7: 0,
  });
  const regs = vcpu.getRegs();
  regs.gpr = regs.gpr.map(() => 0n);
  regs.gpr[1] = BigInt(STACK);
  regs.gpr[3] = BigInt(deviceTree);
  regs.gpr[6] = EPAPR_MAGIC;
  regs.gpr[7] = BigInt(1024 * 4 ** size);
  regs.pc = BigInt(address);
  regs.msr = 0n;
  vcpu.setRegs(regs);
}

/** A generic e500 machine without a chip's quirks, as QEMU's board of this name. */
export const ppce500: Board = {
  name: 'ppce500',
  description: 'generic e500 machine (MPIC, two serial ports, PCI, ePAPR entry)',
  cpus: [
    {
      model: 'e500v2',
      clockFrequency: CPU_CLOCK,
      timebaseFrequency: TIMEBASE,
      node: {
        path: '/cpus/PowerPC,8544@0',
        properties: {
          device_type: 'cpu',
          reg: [0],
          status: 'okay',
          'd-cache-line-size': [32],
          'i-cache-line-size': [32],
          'd-cache-size': [0x8000],
          'i-cache-size': [0x8000],
          'bus-frequency': [0],
        },
      },
    },
  ],
  accels: ['assist', 'pv', 'trap'],
  kernelBits: 32,
  memory: {
    defaultBytes: 256 * MiB,
    sizes: '64 MiB to 2 GiB in steps of 64 MiB',
    fits: (bytes) => bytes >= 64 * MiB && bytes <= 2 * GiB && bytes % (64 * MiB) === 0,
  },
  buses: { pci: PCI_SLOTS, mmio: VIRTIO_PLACES },
  devices,
  treeNodes,
  memoryNode: '/memory',
  serial: ['serial0', 'serial1'],
  boot: {
    deviceTree: 0x1c00000,
    initrd: 0x4000000,
    // Linux's first mapping (fsl_booke_entry_mapping.S) ends here, its low memory at 768 MiB.
    deviceTreeLimit: 64 * MiB,
    initrdLimit: 768 * MiB,
    // The MPIC says whether it gives vectors (mpic.ts).
    prepare: (_vm, vcpu) => void vcpu.enableCap('epr', 1),
    enter,
    // U-Boot keeps what is below to itself.
    firmware: { rom: { address: TWO_32 - MiB, bytes: MiB }, kernel: 32 * MiB },
  },
};
