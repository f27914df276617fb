/**
 * Hostile programs on whole machines: `Machine` with its boards, kernels of every format, console input, pauses of the world
 * outside; time is counted or the wall's, hot code is translated here or on a thread.
 */
import type { Accel } from '../../src/kvm/index.ts';
import { Machine } from '../../src/machine/index.ts';
import { Random } from '../truth/random.ts';
import { GuardedVms, type Translation } from './guarded-vm.ts';
import { CountedHost, WallHost } from './hosts.ts';
import { type CaseEnd, checkEnd, checkRefusal } from './judge.ts';
import { plainKernel } from './kernels.ts';
import { makeProgram, type Target } from './programs.ts';

const MiB = 2 ** 20;
const NS_PER_INSTRUCTION = 100;
/** What of RAM programs use on purpose. */
export const PROGRAM_BYTES = 8 * MiB;
/** Turns of the event loop in which a program runs. */
const MOST_TURNS = 8;

/** A board with one of its processors. */
export interface Place {
  readonly board: 'bamboo' | 'bare' | 'pseries';
  readonly cpu: string;
  readonly littleEndian: boolean;
}

export const PLACES: readonly Place[] = [
  { board: 'bamboo', cpu: '440ep', littleEndian: false },
  { board: 'bare', cpu: 'power8', littleEndian: false },
  { board: 'bare', cpu: '970', littleEndian: false },
  { board: 'bare', cpu: 'power7', littleEndian: true },
  { board: 'pseries', cpu: 'power8', littleEndian: true },
  { board: 'pseries', cpu: 'power7', littleEndian: false },
];

/** RAM of the machines, and what of KVM's hash table is theirs. */
export const MEMORY: Readonly<Record<Place['board'], { readonly bytes: number; readonly htab: number }>> = {
  bamboo: { bytes: 8 * MiB, htab: 0 },
  bare: { bytes: 8 * MiB, htab: 0 },
  pseries: { bytes: 64 * MiB, htab: 2 ** 19 },
};

export const DEVICES: Readonly<Record<Place['board'], readonly number[]>> = {
  bamboo: [0xef600300, 0xef600400, 0xeec00000, 0xef400000, 0xe8000000],
  bare: [0xf0000000, 0xf0001000, 0x10000000],
  pseries: [0x10000000, 0xfffffffc],
};

export class HostilePrograms {
  readonly #place: Place;
  readonly #accel: Accel;
  readonly #translation: Translation;
  readonly #vms: GuardedVms;
  readonly #target: Target;

  constructor(place: Place, accel: Accel, translation: Translation) {
    const { bytes, htab } = MEMORY[place.board];
    this.#place = place;
    this.#accel = accel;
    this.#translation = translation;
    this.#vms = new GuardedVms(translation, bytes, htab);
    this.#target = {
      family: place.board === 'bamboo' ? '440' : 'server',
      littleEndian: place.littleEndian,
      ramBytes: Math.min(bytes, PROGRAM_BYTES),
      devices: DEVICES[place.board],
    };
  }

  /** Runs the program of a seed. @throws whatever must not be thrown. */
  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    const { board, cpu } = this.#place;
    const program = makeProgram(random, this.#target);
    const counted = this.#translation === 'counted';
    let turns = 1 + random.below(MOST_TURNS);
    const onTurn = (): boolean => {
      disturb(random, machine);
      return --turns > 0;
    };
    const host = counted ? new CountedHost(onTurn) : new WallHost(onTurn);
    const machine = Machine.create({
      board,
      cpu,
      host,
      accel: this.#accel,
      memoryBytes: MEMORY[board].bytes,
      kernel: plainKernel(random, program, this.#target),
      createVm: this.#vms.createVm,
      noReboot: random.chance(0.7),
      ...(counted && { icount: NS_PER_INSTRUCTION }),
    });
    host.end = () => machine.quit();
    if (random.chance(0.2)) offerInput(random, machine);
    const end = checkEnd(await machine.run());
    this.#vms.check();
    return end;
  }

  checkAll(): void {
    this.#vms.checkAll();
  }
}

function offerInput(random: Random, machine: Machine): void {
  const length = random.below(random.chance(0.1) ? 100_000 : 40);
  const taken = machine.input(Uint8Array.from({ length }, () => random.below(256)));
  if (!(taken >= 0 && taken <= length)) throw new Error(`${taken} bytes of ${length} were taken`);
}

/** What the world outside does between two slices. */
function disturb(random: Random, machine: Machine): void {
  if (random.chance(0.3)) offerInput(random, machine);
  if (random.chance(0.05)) machine.vcpu.setRegs(machine.vcpu.getRegs());
  if (random.chance(0.05)) machine.restoreDevices(JSON.parse(JSON.stringify(machine.saveDevices())));
  if (random.chance(0.05)) machine.stats();
  if (random.chance(0.05)) machine.vm.memory.write32(4 * random.below(0x2000), random.word() >>> 0);
  if (random.chance(0.02)) machine.quit();
  if (random.chance(0.02))
    checkRefusalOf(() => machine.vm.memory.fill(random.below(0x10000), 2 ** random.below(40), 0));
}

function checkRefusalOf(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    checkRefusal(error);
  }
}
