/**
 * Hostile drivers: rings, descriptors, requests and registers of every virtio device over both transports; saved and moved in
 * the midst of it. And hostile configuration of a partition's PCI bus by RTAS, its interrupts, and accesses to its windows.
 */
import { virtio9p } from '../../src/machine/devices/virtio-9p.ts';
import { virtioBalloon } from '../../src/machine/devices/virtio-balloon.ts';
import { virtioBlk } from '../../src/machine/devices/virtio-blk.ts';
import { virtioConsole } from '../../src/machine/devices/virtio-console.ts';
import { virtioNet } from '../../src/machine/devices/virtio-net.ts';
import { virtioRng } from '../../src/machine/devices/virtio-rng.ts';
import type { PacketLink } from '../../src/machine/outside/packets.ts';
import type { PortEnd } from '../../src/machine/outside/ports.ts';
import type { VirtioSpec } from '../../src/machine/virtio/device.ts';
import { spaprRig } from '../machine/spapr-rig.ts';
import { MemoryDisk } from '../machine/virtio/memory-disk.ts';
import { EVENT_IDX, INDIRECT_DESC, MEMORY_BYTES, Rig, type TransportName } from '../machine/virtio/rig.ts';
import { Random } from '../truth/random.ts';
import type { CaseEnd } from './judge.ts';

const MOST_ACTIONS = 80;
/** More events between two slices than a driver of so few actions can have caused: something goes on for ever. */
const MOST_TURNS = 2000;

/** A link that echoes what it can. */
const echo = (): PacketLink => ({
  receiver: undefined,
  takesSegments: true,
  send(frame) {
    this.receiver?.receive(frame, frame.length % 2 === 0 && this.receiver.takesSegments ? 100 : undefined);
  },
  roomAgain() {},
  reset() {},
  close() {},
});

const end = (): PortEnd => ({
  port: undefined,
  write(bytes) {
    this.port?.receive(bytes);
  },
});

const DEVICES: Readonly<Record<string, (random: Random) => VirtioSpec>> = {
  blk: (random) => virtioBlk('device', { store: new MemoryDisk(64 * 512, random.chance(0.1)), serial: 'x' }),
  net: () => virtioNet('device', { link: echo() }),
  '9p': (random) =>
    virtio9p('device', {
      tag: 'tag',
      server: {
        answer: (request, room) => {
          const answer = request.slice(0, room);
          return random.chance(0.5) ? answer : random.chance(0.2) ? undefined : Promise.resolve(answer);
        },
        reset() {},
        close() {},
      },
    }),
  rng: () => virtioRng('device'),
  console: () =>
    virtioConsole('device', [
      { name: 'one', end: end() },
      { name: 'two', end: end() },
    ]),
  balloon: () => virtioBalloon('device'),
};
export const DEVICE_KINDS = Object.keys(DEVICES);

/** A number that means something to a device, or any. */
function numberOf(random: Random): number {
  const special = [0, 1, 2, 3, 4, 8, 13, 15, 16, 512, 0x80, 0x8000, 0xffff, 0x10000, 0x80000, MEMORY_BYTES - 1];
  if (random.chance(0.6)) return random.pick(special);
  return random.chance(0.5) ? random.below(MEMORY_BYTES) : random.word() >>> 0;
}

function bytesOf(random: Random): Uint8Array {
  const bytes = new Uint8Array(random.chance(0.7) ? random.below(40) : random.below(3000));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 4 <= bytes.length; at += 4) view.setUint32(at, numberOf(random), true);
  return bytes;
}

export class HostileDrivers {
  readonly #device: string;
  readonly #transport: TransportName;

  constructor(device: string, transport: TransportName) {
    this.#device = device;
    this.#transport = transport;
  }

  /** Runs the driver of a seed. @throws whatever must not be thrown. */
  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    const make = (): Rig => {
      const spec = (DEVICES[this.#device] as (random: Random) => VirtioSpec)(random);
      return new Rig(spec, this.#transport);
    };
    let rig = make();
    const start = (): void =>
      rig.start([INDIRECT_DESC, EVENT_IDX, 0, 1, 2, 5, 7, 11, 15].filter(() => random.chance(0.7)));
    start();
    for (let actions = 1 + random.below(MOST_ACTIONS); actions > 0; actions--) {
      const queues = rig.transport.queues.length;
      const queue = random.below(queues);
      switch (random.below(10)) {
        case 0:
        case 1:
        case 2: {
          const readable = Array.from({ length: random.below(4) }, () => bytesOf(random));
          const room = Array.from({ length: random.below(4) }, () => random.below(random.chance(0.9) ? 600 : 5000));
          if (readable.length + room.length > 0) rig.put(queue, [...readable, ...room], random.chance(0.4));
          if (random.chance(0.7)) rig.registers.notify(queue);
          break;
        }
        case 3:
          rig.descriptor(
            queue,
            random.below(16),
            numberOf(random) + (random.chance(0.05) ? 2 ** 40 : 0),
            numberOf(random),
            random.below(8),
            numberOf(random) & 0xffff,
          );
          break;
        case 4:
          rig.offer(queue, random.chance(0.8) ? random.below(16) : random.below(65536));
          break;
        case 5:
          rig.view.setUint32(4 * random.below((0x2000 * Math.min(queues, 4)) / 4), numberOf(random), true);
          break;
        case 6: {
          const value = random.chance(0.5) ? numberOf(random) : undefined;
          const read = rig.registers.access(random.below(0x10000), random.pick([1, 2, 4]), value);
          if (value === undefined && !(Number.isInteger(read) && (read as number) >= 0 && (read as number) < 2 ** 32))
            throw new Error(`a register reads ${read}`);
          break;
        }
        case 7:
          rig = rig.moveTo(make());
          break;
        case 8:
          if (random.chance(0.5)) start();
          else await rig.settle();
          break;
        default:
          rig.registers.notify(random.below(queues + 2));
      }
      if (random.chance(0.7)) rig.outside.drain();
    }
    let turns = 0;
    for (; turns < MOST_TURNS && (rig.outside.pending || rig.outside.outstanding > 0); turns++) await rig.settle();
    if (turns === MOST_TURNS) throw new Error('a device goes on for ever');
    // The machine's reset brings it back, whatever was done to its registers.
    rig.powerOn();
    start();
    if (rig.isBroken) throw new Error('a reset does not bring the device back');
    return 'quit';
  }
}

const NAMES = [
  'read-pci-config',
  'write-pci-config',
  'ibm,read-pci-config',
  'ibm,write-pci-config',
  'ibm,change-msi',
  'ibm,query-interrupt-source-number',
] as const;
const SHAPES = { 0: [2, 2], 1: [3, 1], 2: [4, 2], 3: [5, 1], 4: [6, 4], 5: [4, 3] } as const;
const WINDOWS = [32 * 2 ** 40, 32 * 2 ** 40 + 2 ** 31, 33 * 2 ** 40] as const;
const H_TCE = [0x1c, 0x20, 0x138, 0x13c] as const;

export class HostileConfiguration {
  /** Configures and accesses at random. @throws whatever must not be thrown. */
  run(seed: number): CaseEnd {
    const random = new Random(seed);
    const cards = DEVICE_KINDS.slice(0, 4).map((kind, i) => ({
      device: { ...(DEVICES[kind] as (random: Random) => VirtioSpec)(random), name: `device${i}` },
      bus: 'pci',
    }));
    const rig = spaprRig(undefined, cards);
    for (let actions = random.below(200); actions > 0; actions--) {
      const address = random.chance(0.8)
        ? (random.below(6) << 11) | (random.pick([0x04, 0x10, 0x14, 0x20, 0x24, 0x3c, 0x40, 0x42]) + random.below(4))
        : random.word() >>> 0;
      switch (random.below(4)) {
        case 0:
        case 1: {
          const call = random.below(NAMES.length);
          const [args, results] = SHAPES[call as keyof typeof SHAPES];
          const words = [address, ...Array.from({ length: 5 }, () => numberOf(random))];
          if (call >= 2 && random.chance(0.9)) words.splice(1, 2, 0x08000000, 0x20000000);
          if (call < 4 && random.chance(0.9)) words[call < 2 ? 1 : 3] = random.pick([1, 2, 4]);
          rig.rtas(NAMES[call] as (typeof NAMES)[number], words.slice(0, args), results);
          break;
        }
        case 2: {
          const at = random.pick(WINDOWS) + (random.chance(0.8) ? random.below(0x20000) : random.word() >>> 1);
          if (random.chance(0.5)) rig.board.bus.writeMmio(at, random.pick([1, 2, 4]), numberOf(random));
          else rig.board.bus.readMmio(at, random.pick([1, 2, 4]));
          break;
        }
        default:
          if (random.chance(0.9))
            rig.call(random.pick(H_TCE), 0x80000000, numberOf(random), numberOf(random), numberOf(random));
          else rig.board.restore(JSON.parse(JSON.stringify(rig.board.save())));
      }
    }
    rig.board.reset();
    return 'quit';
  }
}
