import type { Vcpu, Vm } from '../../kvm/api.ts';
import type { Board, BoardConfiguration, TreeConfiguration } from '../board.ts';
import { onBus } from '../cards.ts';
import type { DeviceSpec, TreeNodeSpec } from '../device.ts';
import { spaprNvram } from '../devices/spapr-nvram.ts';
import { spaprPci, spaprPciNode, spaprPciTce } from '../devices/spapr-pci.ts';
import { spaprPlatform } from '../devices/spapr-platform.ts';
import { spaprProcessors } from '../devices/spapr-processors.ts';
import { spaprRng } from '../devices/spapr-rng.ts';
import { RTAS_PCI_CALLS, spaprRtas } from '../devices/spapr-rtas.ts';
import { spaprRtc } from '../devices/spapr-rtc.ts';
import { spaprVty } from '../devices/spapr-vty.ts';
import { xics } from '../devices/xics.ts';
import { VIRTIO_PCI_BARS, virtioPci, virtioPciIdentity } from '../virtio/pci.ts';
import { enterServer, hypervisorNode } from './server.ts';
import { power7, power8 } from './server-cpus.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** Units on the virtual bus. */
const VTY = 0x71000000;
const NVRAM = 0x71000001;

/** Interrupt source numbers; as on QEMU's board, those of virtual devices begin at 0x1100. */
const VTY_SOURCE = 0x1100;
const PCI_SOURCES = [0x1200, 0x1201, 0x1202, 0x1203] as const;
const PCI_MESSAGES = { first: 0x1300, count: 0x100 } as const;
const SOURCES = { first: 0x1000, count: 0x400, levels: PCI_SOURCES } as const;
const EDGE = 0;
const LEVEL = 1;

/** Slots of the PCI host bridge for devices. */
const PCI = 'pci0';
const PCI_SLOTS = 31;

/** Partitions' functions that KVM and the devices here serve (LoPAPR 1.1, table 241); the property makes a guest a partition. */
const HYPERTAS_FUNCTIONS = [
  'hcall-pft',
  'hcall-term',
  'hcall-dabr',
  'hcall-xdabr',
  'hcall-interrupt',
  'hcall-perfmon',
  'hcall-splpar',
  'hcall-bulk',
  'hcall-set-mode',
  'hcall-sprg0',
  'hcall-copy',
  'hcall-tce',
  'hcall-multi-tce',
  'hcall-debug',
];

/** log2 of the hash table's bytes: 1/128 of memory, as LoPAPR advises, and no less than hardware takes. */
export function log2HtabBytes(memoryBytes: number): number {
  return Math.max(18, Math.ceil(Math.log2(memoryBytes)) - 7);
}

/** The PCI host bridge and what is plugged into it; a partition without I/O slots has neither. */
function pciDevices({ cards }: BoardConfiguration): DeviceSpec[] {
  const specs = onBus(cards, 'pci');
  if (specs.length === 0) return [];
  const bridge = spaprPci({
    name: PCI,
    pins: PCI_SOURCES.map((input) => ({ controller: 'xics', input, sense: LEVEL })),
    messages: PCI_MESSAGES,
  });
  const functions = specs.map((spec, i) =>
    virtioPci(spec, {
      bridge: PCI,
      slot: i + 1,
      node: spaprPciNode(i + 1, virtioPciIdentity(spec), VIRTIO_PCI_BARS),
    }),
  );
  return [bridge, spaprPciTce('tce0'), ...functions];
}

function devices(configuration: BoardConfiguration): readonly DeviceSpec[] {
  const { memoryBytes, cpu } = configuration;
  const pci = pciDevices(configuration);
  return [
    xics({
      name: 'xics',
      outputs: [{ controller: 'cpu', input: 0 }],
      sources: SOURCES,
      timebaseFrequency: cpu.timebaseFrequency,
    }),
    spaprVty({ name: 'vty0', unit: VTY, interrupt: { controller: 'xics', input: VTY_SOURCE, sense: EDGE } }),
    spaprNvram({ name: 'nvram', unit: NVRAM }),
    spaprRtc({ name: 'rtc' }),
    spaprRng({ name: 'rng' }),
    spaprProcessors({ name: 'processors', count: 1 }),
    spaprPlatform({ name: 'platform', processors: 1, memoryBytes }),
    ...pci,
    spaprRtas({
      name: 'rtas',
      memoryBytes,
      devices: ['xics', 'vty0', 'nvram', 'rtc', 'processors', 'platform', ...(pci.length > 0 ? [PCI] : [])],
      hypertasFunctions: HYPERTAS_FUNCTIONS,
      absent: pci.length > 0 ? [] : RTAS_PCI_CALLS,
    }),
  ];
}

function treeNodes(configuration: TreeConfiguration): readonly TreeNodeSpec[] {
  const { memoryBytes, cpu, rngSeed } = configuration;
  return [
    {
      path: '/',
      properties: {
        '#address-cells': [2],
        '#size-cells': [2],
        device_type: 'chrp',
        model: 'IBM pSeries (emulated by Powervisor)',
        compatible: 'powervisor,pseries',
      },
    },
    { path: '/cpus', properties: { '#address-cells': [1], '#size-cells': [0] } },
    {
      path: cpu.node.path,
      properties: {
        'ibm,pft-size': [0, log2HtabBytes(memoryBytes)],
        'ibm,ppc-interrupt-server#s': [0],
        'ibm,ppc-interrupt-gserver#s': [0, 0],
      },
    },
    {
      path: '/vdevice',
      properties: {
        device_type: 'vdevice',
        compatible: 'IBM,vdevice',
        '#address-cells': [1],
        '#size-cells': [0],
        'interrupt-controller': true,
        '#interrupt-cells': [2],
      },
    },
    {
      path: '/ibm,platform-facilities',
      properties: { device_type: 'ibm,platform-facilities', '#address-cells': [1], '#size-cells': [0] },
    },
    {
      path: '/chosen',
      properties: {
        // The guest gives PCI devices their addresses: no firmware has.
        'linux,pci-probe-only': [0],
        ...(rngSeed.length > 0 && { 'rng-seed': rngSeed }),
      },
    },
    ...hypervisorNode(configuration),
  ];
}

function prepare(vm: Vm, vcpu: Vcpu, memoryBytes: number): void {
  vcpu.enableCap('papr');
  vm.allocateHtab(log2HtabBytes(memoryBytes));
}

/** A logical partition of an IBM Power server (PAPR), entered without firmware. */
export const pseries: Board = {
  name: 'pseries',
  description: 'partition of an IBM Power server (PAPR: hypercalls, RTAS, hvc console)',
  cpus: [power8, power7],
  accels: ['assist', 'pv', 'trap'],
  kernelBits: 64,
  memory: {
    defaultBytes: 512 * MiB,
    sizes: '64 MiB to 3.5 GiB in steps of 16 MiB',
    fits: (bytes) => bytes >= 64 * MiB && bytes <= 3.5 * GiB && bytes % (16 * MiB) === 0,
  },
  buses: { pci: PCI_SLOTS },
  devices,
  treeNodes,
  memoryNode: '/memory@0',
  serial: ['vty0'],
  boot: {
    deviceTree: 63 * MiB,
    initrd: 64 * MiB,
    deviceTreeLimit: 2 * GiB,
    initrdLimit: 2 * GiB,
    prepare,
    enter: enterServer,
  },
};
