/**
 * Hostile accesses to all devices of a Mac at once: registers, DMA programs, packets to the system controller, drives that wait;
 * saved and moved in the midst of it.
 */
import { MachineError } from '../../src/machine/index.ts';
import { MAC_MEMORY, MACIO, type MACS, MacRig } from '../machine/mac/rig.ts';
import { MemoryDisk } from '../machine/virtio/memory-disk.ts';
import { Random } from '../truth/random.ts';
import type { CaseEnd } from './judge.ts';

const ACTIONS = 400;
/** More turns of the outside than so few actions can have caused: something goes on for ever. */
const MOST_TURNS = 500;

/** Where the chip has registers, and how far they reach. */
const PLACES = [
  [0x00, 0x80],
  [0x8b00, 0x80],
  [0x8d00, 0x80],
  [0x8000, 0x1000],
  [0x12000, 0x10],
  [0x13000, 0x40],
  [0x16000, 0x2000],
  [0x20000, 0x180],
  [0x21000, 0x180],
  [0x40000, 0x40000],
  [0x41000, 0x200],
  [0x50000, 0x800],
  [0x60000, 0x100],
] as const;
const HOSTS = [
  [0xfec00000, 4],
  [0xfee00000, 4],
  [0xf0800000, 4],
  [0xf0c00000, 8],
  [0xf0000510, 3],
  [0xfff04000, 0x4000],
] as const;

function numberOf(random: Random): number {
  if (random.chance(0.5)) return random.word() >>> 0;
  const special = [
    0,
    1,
    8,
    0x10,
    0x20,
    0x50,
    0xa0,
    0xc8,
    0xca,
    0xec,
    0xff,
    0x1000,
    0x8000,
    0x80008000,
    0x20008000,
    MAC_MEMORY,
  ];
  return special[random.below(special.length)] as number;
}

export class HostileMacDevices {
  readonly #name: keyof typeof MACS;

  constructor(name: keyof typeof MACS) {
    this.#name = name;
  }

  #make(random: Random): MacRig {
    const disks = [
      { store: new MemoryDisk(256 * 512, random.chance(0.2)) },
      { store: new MemoryDisk(64 * 2048), media: 'cdrom' as const },
    ];
    return new MacRig(this.#name, { disks });
  }

  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    let rig = this.#make(random);
    for (let at = 0; at < MAC_MEMORY; at += 4) if (random.chance(0.05)) rig.vm.memory.write32(at, random.word() >>> 0);
    for (let i = 0; i < ACTIONS; i++) {
      const { bus } = rig.instance;
      const [base, reach] = random.chance(0.9)
        ? (PLACES[random.below(PLACES.length)] as readonly [number, number])
        : (HOSTS[random.below(HOSTS.length)] as readonly [number, number]);
      const length = [1, 1, 2, 4, 4][random.below(5)] as number;
      const address = (base < 0x80000 ? MACIO + base : base) + Math.floor(random.below(reach) / length) * length;
      if (random.chance(0.6)) bus.writeMmio(address, length, numberOf(random) >>> (32 - 8 * length));
      else {
        const value = bus.readMmio(address, length);
        if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * length))
          throw new Error(`${address} read ${value}`);
      }
      if (random.chance(0.05)) rig.pass(random.below(3e7));
      if (random.chance(0.05)) await this.#settle(rig);
      if (random.chance(0.01)) rig.placeChip();
      if (random.chance(0.005)) rig = this.#move(rig, random);
      rig.instance.power.release();
    }
    await this.#settle(rig);
    return 'shutdown';
  }

  async #settle(rig: MacRig): Promise<void> {
    for (let turns = 0; rig.outside.outstanding > 0 || rig.outside.pending; turns++) {
      if (turns > MOST_TURNS) throw new Error('the outside is asked for ever');
      await new Promise((resolve) => setImmediate(resolve));
      rig.outside.drain();
    }
  }

  /** Saves, perhaps damages, and goes on in another machine. */
  #move(rig: MacRig, random: Random): MacRig {
    let text = JSON.stringify(rig.instance.save());
    if (random.chance(0.5)) {
      const at = random.below(text.length);
      text =
        text.slice(0, at) + text.slice(at).replace(/\d+/, () => String((random.word() >>> 0) >>> random.below(32)));
    }
    const other = this.#make(random);
    other.vm.bytes.set(rig.vm.bytes);
    other.time = rig.time;
    try {
      other.instance.restore(JSON.parse(text));
    } catch (error) {
      if (!(error instanceof MachineError)) throw error;
    }
    return other;
  }
}
