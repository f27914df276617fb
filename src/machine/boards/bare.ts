import { KVM_REG_PPC } from '../../kvm/index.ts';
import type { Board } from '../board.ts';
import { onBus } from '../cards.ts';
import { ns16550 } from '../devices/ns16550.ts';
import { powerRegister } from '../devices/power-register.ts';
import { virtioMmio } from '../virtio/mmio.ts';
import { enterServer, hypervisorNode } from './server.ts';
import { power7, power8, ppc970 } from './server-cpus.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** Devices, above all RAM. */
const SERIAL = 0xf0000000;
const POWER = 0xf0001000;
/** Devices that are plugged in, each on a page of its own. */
const VIRTIO = 0xf0100000;
const VIRTIO_STRIDE = 0x1000;
const VIRTIO_PLACES = 32;
/** Clock of the serial port's oscillator, and the speed that it is set to, bit/s. */
const SERIAL_CLOCK = 1_843_200;
const SERIAL_SPEED = 115_200;

/** A 64-bit server processor with as little around it as possible, for guests that own all of it. */
export const bare: Board = {
  name: 'bare',
  description: '64-bit server processor with RAM, a serial port at 0xf0000000 and a power register at 0xf0001000',
  cpus: [power8, power7, ppc970],
  accels: ['assist', 'pv', 'trap'],
  kernelBits: 64,
  memory: {
    defaultBytes: 128 * MiB,
    sizes: '1 MiB to 2 GiB in steps of 1 MiB',
    fits: (bytes) => bytes >= MiB && bytes <= 2 * GiB && bytes % MiB === 0,
  },
  buses: { mmio: VIRTIO_PLACES },
  devices: ({ cards }) => [
    ns16550({
      name: 'serial0',
      path: '',
      base: SERIAL,
      clock: SERIAL_CLOCK,
      speed: SERIAL_SPEED,
      interrupt: { controller: 'cpu', input: 0 },
    }),
    powerRegister({ name: 'power', base: POWER }),
    ...onBus(cards, 'mmio').map((spec, i) =>
      virtioMmio(spec, { base: VIRTIO + i * VIRTIO_STRIDE, path: '', interrupt: { controller: 'cpu', input: 0 } }),
    ),
  ],
  treeNodes: (configuration) => [
    {
      path: '/',
      properties: {
        '#address-cells': [1],
        '#size-cells': [1],
        model: 'bare',
        compatible: 'powervisor,bare',
      },
    },
    { path: '/cpus', properties: { '#address-cells': [1], '#size-cells': [0] } },
    ...hypervisorNode(configuration),
  ],
  memoryNode: '/memory@0',
  serial: ['serial0'],
  boot: {
    deviceTree: 32 * MiB,
    initrd: 33 * MiB,
    deviceTreeLimit: 2 * GiB,
    initrdLimit: 2 * GiB,
    enter: (vcpu, entry) => {
      // Interrupts begin in RAM; there is no ROM where HIOR points after power-on.
      vcpu.setOneReg(KVM_REG_PPC.HIOR, 0n);
      enterServer(vcpu, entry);
    },
  },
};
