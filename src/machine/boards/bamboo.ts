import type { Vcpu } from '../../kvm/api.ts';
import type { Board, BoardConfiguration, BootEntry } from '../board.ts';
import { onBus } from '../cards.ts';
import type { DeviceSpec, TreeNodeSpec } from '../device.ts';
import { indirectDcrs, plainDcrs } from '../devices/dcr-registers.ts';
import { ns16550 } from '../devices/ns16550.ts';
import { ppc4xxPci } from '../devices/ppc4xx-pci.ts';
import { ppc4xxSdram, sdramBanks } from '../devices/ppc4xx-sdram.ts';
import { uic } from '../devices/uic.ts';
import { virtioMmio } from '../virtio/mmio.ts';
import { virtioPci } from '../virtio/pci.ts';

const MiB = 2 ** 20;

/** Frequencies in Hz. */
const CPU_CLOCK = 400_000_000;
const TIMEBASE = 400_000_000;
const PLB_CLOCK = 133_333_332;
const OPB_CLOCK = 66_666_666;
/** The board's serial oscillator and the speed that its firmware sets, bit/s. */
const SERIAL_CLOCK = 11_059_200;
const SERIAL_SPEED = 115_200;

/** UIC sense cells. */
const LEVEL_HIGH = 4;
const LEVEL_LOW = 8;

const PLB = '/plb';
const OPB = '/plb/opb';

/** Devices that are plugged in: slots of the PCI bridge with their interrupts (UIC 0), and places on the OPB with theirs. */
const PCI = 'pci0';
const PCI_INPUTS = [28, 27, 26, 25] as const;
const MMIO_BASE = 0xefb00000;
const MMIO_STRIDE = 0x1000;
const MMIO_INPUTS = [12, 13, 14, 15, 16, 17, 18, 19] as const;

/** Resets MAL_CFG[SR]: soft reset, done as soon as asked for. */
const MAL_SOFT_RESET = 0x80000000;

/** CPR0 clock dividers for 400 MHz out of a 33.3 MHz oscillator (PPC440EP User's Manual, "Clocking"): register, value. */
const CLOCK_REGISTERS = [
  [0x60, 0x0c020201], // PLLD0: feedback 12, forward A 2, forward B 2, local feedback 1
  [0x80, 0x01000000], // PRIMAD0: CPU / 1
  [0xa0, 0x03000000], // PRIMBD0: PLB / 3
  [0xc0, 0x02000000], // OPBD0: OPB / 2
  [0xe0, 0x02000000], // PERD0: EBC / 2
] as const;

function devices({ memoryBytes, cards }: BoardConfiguration): readonly DeviceSpec[] {
  const uic0 = (input: number, sense: number) => ({ controller: 'uic0', input, sense });
  return [
    uic({
      name: 'uic0',
      path: '/interrupt-controller0',
      compatible: ['ibm,uic-440ep', 'ibm,uic'],
      cellIndex: 0,
      dcrBase: 0xc0,
      outputs: [
        { controller: 'cpu', input: 0 },
        { controller: 'cpu', input: 1 },
      ],
    }),
    indirectDcrs({
      name: 'sdr0',
      dcrBase: 0x0e,
      node: { path: '/sdr', properties: { compatible: 'ibm,sdr-440ep', 'dcr-reg': [0x0e, 2] } },
    }),
    indirectDcrs({
      name: 'cpr0',
      dcrBase: 0x0c,
      initial: CLOCK_REGISTERS,
      node: { path: '/cpr', properties: { compatible: 'ibm,cpr-440ep', 'dcr-reg': [0x0c, 2] } },
    }),
    ppc4xxSdram({
      name: 'sdram0',
      path: `${PLB}/sdram`,
      compatible: ['ibm,sdram-440ep', 'ibm,sdram-405gp'],
      dcrBase: 0x10,
      memoryBytes,
    }),
    indirectDcrs({
      name: 'ebc0',
      dcrBase: 0x12,
      node: {
        path: `${OPB}/ebc`,
        properties: {
          compatible: ['ibm,ebc-440ep', 'ibm,ebc-440gp', 'ibm,ebc'],
          'dcr-reg': [0x12, 2],
          '#address-cells': [2],
          '#size-cells': [1],
          'clock-frequency': [OPB_CLOCK],
        },
      },
    }),
    // Bus arbiters, DMA and MAL: nothing is behind them, but a kernel may ask.
    plainDcrs({ name: 'plb0', dcrBase: 0x80, count: 0x10 }),
    plainDcrs({ name: 'pob0', dcrBase: 0xa0, count: 0x10 }),
    plainDcrs({
      name: 'dma0',
      dcrBase: 0x100,
      count: 0x27,
      node: {
        path: `${PLB}/dma`,
        properties: { compatible: ['ibm,dma-440ep', 'ibm,dma-440gp'], 'dcr-reg': [0x100, 0x27] },
      },
    }),
    plainDcrs({ name: 'mal0', dcrBase: 0x180, count: 0x62, selfClearing: MAL_SOFT_RESET }),
    ...[0, 1].map((n) =>
      ns16550({
        name: `serial${n}`,
        path: OPB,
        base: 0xef600300 + 0x100 * n,
        clock: SERIAL_CLOCK,
        speed: SERIAL_SPEED,
        interrupt: uic0(n, LEVEL_HIGH),
      }),
    ),
    ppc4xxPci({
      name: PCI,
      path: `${PLB}/pci@ec000000`,
      config: 0xeec00000,
      interruptAcknowledge: 0xeed00000,
      registers: 0xef400000,
      io: { base: 0xe8000000, size: 0x10000 },
      memory: { base: 0xa0000000, size: 0x20000000 },
      slots: PCI_INPUTS.map((input) => uic0(input, LEVEL_LOW)),
    }),
    ...onBus(cards, 'pci').map((spec, i) => virtioPci(spec, { bridge: PCI, slot: i + 1 })),
    ...onBus(cards, 'mmio').map((spec, i) =>
      virtioMmio(spec, {
        base: MMIO_BASE + i * MMIO_STRIDE,
        path: OPB,
        interrupt: uic0(MMIO_INPUTS[i] as number, LEVEL_HIGH),
      }),
    ),
  ];
}

/** 440 TLB words (PPC440 User's Manual, "TLB Entries"): size code 9 = 256 MiB; attributes; supervisor permissions. */
const TLB_VALID = 0x200;
const TLB_SIZE_256M = 9 << 4;
const TLB_ENTRY_BYTES = 256 * MiB;
const TLB_CACHE_INHIBITED = 0x400;
const TLB_GUARDED = 0x100;
const TLB_SUPERVISOR_RWX = 0x7;
const TLB_ENTRIES = 64;
/** Devices begin here; below is RAM. */
const DEVICE_SPACE = 0x80000000;

/** The stack pointer that firmware leaves. */
const STACK = 16 * MiB - 8;

/**
 * The state in which QEMU's board enters a kernel: translation space 0 maps every effective address to the same real
 * one, here with the sixteen 256 MiB entries that a 440 has for it. r3 = device tree, r1 = stack, the rest 0.
 */
function enter(vcpu: Vcpu, { address, deviceTree, memoryBytes }: BootEntry): void {
  for (let index = 0; index < TLB_ENTRIES; index++) {
    const base = index * TLB_ENTRY_BYTES;
    if (base >= 2 ** 32) {
      vcpu.setTlbEntry(index, { word0: 0, word1: 0, word2: 0, tid: 0 });
      continue;
    }
    const attributes = base >= DEVICE_SPACE ? TLB_CACHE_INHIBITED | TLB_GUARDED : 0;
    vcpu.setTlbEntry(index, {
      word0: (base | TLB_VALID | TLB_SIZE_256M) >>> 0,
      word1: base,
      word2: attributes | TLB_SUPERVISOR_RWX,
      tid: 0,
    });
  }
  const regs = vcpu.getRegs();
  regs.gpr = regs.gpr.map(() => 0n);
  regs.gpr[1] = BigInt(Math.min(STACK, memoryBytes - 8));
  regs.gpr[3] = BigInt(deviceTree);
  regs.pc = BigInt(address);
  regs.msr = 0n;
  vcpu.setRegs(regs);
}

/** AMCC's evaluation board for the 440EP, as QEMU's machine of the same name. */
export const bamboo: Board = {
  name: 'bamboo',
  description: 'AMCC 440EP evaluation board (PowerPC 440, two serial ports, PCI)',
  cpus: [
    {
      model: '440ep',
      clockFrequency: CPU_CLOCK,
      timebaseFrequency: TIMEBASE,
      node: {
        path: '/cpus/cpu@0',
        properties: {
          device_type: 'cpu',
          model: 'PowerPC,440EP',
          reg: [0],
          'i-cache-line-size': [32],
          'd-cache-line-size': [32],
          'i-cache-size': [32768],
          'd-cache-size': [32768],
          'dcr-controller': true,
          'dcr-access-method': 'native',
        },
      },
    },
  ],
  accels: ['assist', 'trap'],
  kernelBits: 32,
  memory: {
    defaultBytes: 256 * MiB,
    sizes: '8 MiB to 1 GiB, made of at most four banks of 8, 16, 32, 64, 128 or 256 MiB',
    fits: (bytes) => sdramBanks(bytes) !== undefined,
  },
  buses: { mmio: MMIO_INPUTS.length, pci: PCI_INPUTS.length },
  devices,
  treeNodes: (): readonly TreeNodeSpec[] => [
    {
      path: '/',
      properties: {
        '#address-cells': [2],
        '#size-cells': [1],
        model: 'amcc,bamboo',
        compatible: 'amcc,bamboo',
        'dcr-parent': [{ phandle: 'cpu0' }],
      },
    },
    { path: '/cpus', properties: { '#address-cells': [1], '#size-cells': [0] } },
    {
      path: PLB,
      properties: {
        compatible: ['ibm,plb-440ep', 'ibm,plb-440gp', 'ibm,plb4'],
        '#address-cells': [2],
        '#size-cells': [1],
        ranges: true,
        'clock-frequency': [PLB_CLOCK],
      },
    },
    {
      path: OPB,
      properties: {
        compatible: ['ibm,opb-440ep', 'ibm,opb-440gp', 'ibm,opb'],
        '#address-cells': [1],
        '#size-cells': [1],
        ranges: [0, 0, 0, 0x80000000, 0x80000000, 0, 0x80000000, 0x80000000],
        'clock-frequency': [OPB_CLOCK],
      },
    },
  ],
  memoryNode: '/memory',
  serial: ['serial0', 'serial1'],
  boot: {
    deviceTree: 0x1800000,
    initrd: 0x1900000,
    // Linux's head_44x.S pins one 256 MiB entry; low memory ends at 768 MiB.
    deviceTreeLimit: 256 * MiB,
    initrdLimit: 768 * MiB,
    enter,
  },
};
