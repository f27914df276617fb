/**
 * Hostile accesses to an e500 machine's chip: its interrupt controller, all blocks of its registers, and the windows of its
 * PCI bridge, wherever a guest puts them; saved and moved in the midst of it.
 */
import { virtioConsole } from '../../src/machine/devices/virtio-console.ts';
import { virtioRng } from '../../src/machine/devices/virtio-rng.ts';
import { CCSR, type Ppce500Rig, ppce500Rig } from '../machine/ppce500-rig.ts';
import { Random } from '../truth/random.ts';
import type { CaseEnd } from './judge.ts';

const MOST_ACTIONS = 400;
/** More events than timers at their hastiest have in the time that a case lasts. */
const MOST_TURNS = 4 * MOST_ACTIONS;
/** A state does not grow by what is done: characters of it as JSON. */
const MOST_STATE = 2 ** 16;

const MPIC = CCSR + 0x40000;
const PCI = CCSR + 0x8000;
const BLOCKS = [0x3000, 0x4500, 0x4600, 0x8000, 0x8c00, 0x40000, 0x80000, 0xe00a0, 0xff000] as const;
const MPIC_REGISTERS = [
  0, 0x40, 0x80, 0xa0, 0xb0, 0x1000, 0x1020, 0x10a0, 0x10e0, 0x10f0, 0x1600, 0x1720, 0x1740,
] as const;
/** Words of the windows, base addresses and attributes among them, and command and BARs of functions. */
const WINDOW_WORDS = [
  0x8004400b, 0x8004403f, 0x8008801c, 0xa0f5500b, 0xa0f5503f, 0xc00000, 0xe0000, 0xfe0000, 0xfe0040, 0xfe0041, 0xffffff,
];
const CONFIGURATION = [0x04, 0x10, 0x14, 0x20, 0x24, 0x40, 0x42] as const;
const WINDOWS = [0xc20, 0xc40, 0xc60, 0xc80, 0xda0, 0xdc0, 0xde0] as const;

export const CHIP_PARTS = ['mpic', 'registers', 'windows'] as const;
type Part = (typeof CHIP_PARTS)[number];

function addressOf(random: Random, part: Part): number {
  if (random.chance(0.05)) return random.below(2 ** 32) * 16 + random.below(16);
  if (part === 'mpic')
    switch (random.below(4)) {
      case 0:
        return MPIC + random.pick(MPIC_REGISTERS) + 16 * random.below(8);
      case 1:
        return MPIC + 0x1100 + 16 * random.below(16);
      case 2:
        return MPIC + 0x10000 + 8 * random.below(0x400);
      default:
        return MPIC + 0x20000 + 16 * random.below(16) + random.below(2) * 0x1000;
    }
  if (part === 'registers') return CCSR + random.pick(BLOCKS) + random.below(random.chance(0.8) ? 0x20 : 0x1000);
  switch (random.below(4)) {
    case 0:
      return PCI + random.pick(WINDOWS) + 4 * random.below(8);
    case 1:
      return PCI + random.below(8);
    case 2:
      return CCSR + random.below(2 ** 20);
    default:
      return random.pick([0, 0x80000000, 0xc_0000_0000, 0xf_e100_0000, 0xf_f000_0000]) + random.below(0x20000);
  }
}

function wordOf(random: Random, part: Part): number {
  if (random.chance(0.2)) return random.word() >>> 0;
  if (part !== 'windows')
    return random.pick([0, 1, 2, 3, 0x1f, 0x80, 0xb0, 0xd0, 0xd1, 0x8000_0000, 0x6000_0000, 0x50042]);
  const config = 0x80000000 | (random.below(4) << 11) | random.pick(CONFIGURATION);
  return random.chance(0.5) ? config >>> 0 : random.pick([...WINDOW_WORDS, 0x06000000, 0x000000e0, 0x0000f0df, 0xe0]);
}

const make = (): Ppce500Rig => {
  const end = { port: undefined, write: () => {} };
  return ppce500Rig({
    cards: [
      { device: virtioRng('rng0'), bus: 'pci' },
      { device: virtioConsole('console0', [{ name: 'one', end }]), bus: 'pci' },
      { device: virtioRng('rng1'), bus: 'mmio' },
    ],
  });
};

export class HostileChips {
  readonly #part: Part;

  constructor(part: Part) {
    this.#part = part;
  }

  /** Accesses at random. @throws whatever must not be thrown. */
  run(seed: number): CaseEnd {
    const random = new Random(seed);
    const part = this.#part;
    let rig = make();
    let turns = 0;
    let hasEnded = false;
    for (let actions = 1 + random.below(MOST_ACTIONS); actions > 0; actions--) {
      const length = random.pick([1, 2, 4, 4, 4]);
      const address = addressOf(random, part);
      if (random.chance(0.7)) {
        const value = wordOf(random, part);
        rig.write(address, length === 4 ? value : value % 2 ** (8 * length), length);
      } else {
        const value = rig.read(address, length);
        if (!(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * length)))
          throw new Error(`${length} bytes at ${address.toString(16)} read ${value}`);
      }
      if (random.chance(0.3)) rig.now += random.below(100_000);
      while (rig.board.due() <= rig.now) {
        rig.board.turn();
        if (++turns > MOST_TURNS) throw new Error('a device goes on for ever');
        rig.now++;
      }
      if (rig.board.power.release() !== undefined) hasEnded = true;
      if (random.chance(0.01)) rig = moved(rig);
      if (random.chance(0.005)) rig.board.reset();
    }
    moved(rig);
    return hasEnded ? 'shutdown' : 'quit';
  }
}

/** Another one with the same state. @throws Error when it has not. */
function moved(from: Ppce500Rig): Ppce500Rig {
  const text = JSON.stringify(from.board.save());
  if (text.length > MOST_STATE) throw new Error(`the state has ${text.length} characters`);
  const to = make();
  to.now = from.now;
  to.vm.bytes.set(from.vm.bytes);
  to.board.restore(JSON.parse(text));
  if (JSON.stringify(to.board.save()) !== text) throw new Error('a state is another one after it was restored');
  if (to.interrupted() !== from.interrupted() || to.critical() !== from.critical())
    throw new Error("the processor's inputs are others after a state was restored");
  return to;
}
