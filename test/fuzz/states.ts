/**
 * Hostile saved states: real ones with parts replaced, dropped and added, and any JSON. A machine takes one, and then runs on
 * with it; or refuses it with one line, and has the state that it had.
 */
import { Machine } from '../../src/machine/index.ts';
import { Random } from '../truth/random.ts';
import { GuardedVms } from './guarded-vm.ts';
import { CountedHost } from './hosts.ts';
import { type CaseEnd, checkEnd, checkRefusal } from './judge.ts';
import { plainKernel } from './kernels.ts';
import { DEVICES, MEMORY, type Place, PROGRAM_BYTES } from './machines.ts';
import { makeProgram } from './programs.ts';

/** More than any machine's state has, as JSON: it may not grow by being restored. */
const MOST_STATE_CHARACTERS = 2 ** 21;
const NS_PER_INSTRUCTION = 1000;
const MOST_STATES = 3;

type States = Parameters<Machine['restoreDevices']>[0];

export class HostileStates {
  readonly #place: Place;
  readonly #vms: GuardedVms;

  constructor(place: Place) {
    const { bytes, htab } = MEMORY[place.board];
    this.#place = place;
    this.#vms = new GuardedVms('counted', bytes, htab);
  }

  /** Offers the states of a seed to a machine that runs. @throws whatever must not be thrown. */
  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    const { board, cpu, littleEndian } = this.#place;
    const { bytes } = MEMORY[board];
    const family = board === 'bamboo' ? '440' : 'server';
    const target = { family, littleEndian, ramBytes: PROGRAM_BYTES, devices: DEVICES[board] } as const;
    let taken = false;
    let turns = 1 + random.below(MOST_STATES);
    const host = new CountedHost(() => {
      if (random.chance(0.5)) machine.input(Uint8Array.from({ length: random.below(300) }, () => random.below(256)));
      if (offer(random, machine)) taken = true;
      return --turns > 0;
    });
    const machine = Machine.create({
      board,
      cpu,
      host,
      memoryBytes: bytes,
      kernel: plainKernel(random, makeProgram(random, target), target),
      createVm: this.#vms.createVm,
      icount: NS_PER_INSTRUCTION,
      rng: true,
      balloon: true,
    });
    host.end = () => machine.quit();
    const cause = checkEnd(await machine.run());
    this.#vms.check();
    return cause === 'quit' ? (taken ? 'accepted' : 'refused') : cause;
  }

  checkAll(): void {
    this.#vms.checkAll();
  }
}

/** Offers a machine a damaged state of its own, or any JSON. Answers whether it was taken. */
function offer(random: Random, machine: Machine): boolean {
  const before = machine.saveDevices();
  const state = random.chance(0.9) ? damagedState(random, before) : (anything(random, 3) as States);
  try {
    machine.restoreDevices(state);
  } catch (error) {
    checkRefusal(error);
    if (text(machine.saveDevices()) !== text(before)) throw new Error('a state that was refused was taken in part');
    return false;
  }
  const after = machine.saveDevices();
  if (text(after).length > MOST_STATE_CHARACTERS) throw new Error('a state grows by being restored');
  machine.restoreDevices(after);
  if (text(machine.saveDevices()) !== text(after)) throw new Error('a state that was saved is not restored');
  return true;
}

/** A state but for clocks, which go on. */
const text = (states: States): string => JSON.stringify({ ...states, rtc: null });

const NUMBERS = [0, 1, -1, 0.5, 255, 256, 65536, 2 ** 31, 2 ** 32, -(2 ** 31), 1e21, 1e308, Number.NaN, -0, Infinity];
const NAMES = ['fifo', 'queue', 'registers', 'cppr', 'rtc', 'toString', 'constructor', 'length', '\n', ''];

/** Any JSON, and the numbers that JSON cannot say. */
function anything(random: Random, depth: number): unknown {
  switch (random.below(depth > 0 ? 8 : 5)) {
    case 0:
      return random.pick(NUMBERS);
    case 1:
      return random.word() >>> 0;
    case 2:
      return random.chance(0.5);
    case 3:
      return random.pick(NAMES);
    case 4:
      return random.chance(0.5) ? null : undefined;
    case 5:
      return Array.from({ length: random.below(random.chance(0.05) ? 100_000 : 20) }, () => random.word() >>> 0);
    case 6:
      return Array.from({ length: random.below(4) }, () => anything(random, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [random.pick(NAMES), anything(random, depth - 1)]),
      );
  }
}

/** A state in which a few things are not as they were. */
function damagedState(random: Random, state: States): States {
  const copy = structuredClone(state) as Record<string, unknown>;
  for (let count = random.below(4); count > 0; count--) damageIn(random, copy);
  return copy as States;
}

function damageIn(random: Random, object: Record<string, unknown> | unknown[]): void {
  const keys = Object.keys(object);
  if (keys.length === 0) return;
  const key = random.chance(0.05) && !Array.isArray(object) ? random.pick(NAMES) : random.pick(keys);
  const values = object as Record<string, unknown>;
  const value = values[key];
  if (typeof value === 'object' && value !== null && random.chance(0.85)) {
    damageIn(random, value as Record<string, unknown>);
    return;
  }
  const choice = random.below(6);
  if (choice === 0) delete values[key];
  else if (choice === 1) values[key] = anything(random, 2);
  else if (choice === 2 && Array.isArray(object)) object.push(...Array.from({ length: random.below(100) }, () => 1));
  else if (choice === 3 && Array.isArray(object)) object.splice(random.below(object.length));
  else
    values[key] = typeof value === 'boolean' ? !value : random.chance(0.5) ? random.pick(NUMBERS) : random.below(300);
}
