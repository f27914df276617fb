/** The devices of the ppce500 board on a fake KVM, reached by guest physical addresses as its guest reaches them. */
import { ppce500 } from '../../src/machine/boards/ppce500.ts';
import type { PlacedCard } from '../../src/machine/cards.ts';
import type { World } from '../../src/machine/host.ts';
import { repeatableWorld } from '../../src/machine/host.ts';
import { BoardInstance } from '../../src/machine/instance.ts';
import { type FakeVm, makeFakeVm } from './fake-vm.ts';

export const MEMORY_BYTES = 2 ** 20;
export const CCSR = 0xf_e000_0000;

export interface Ppce500Rig {
  readonly vm: FakeVm;
  readonly board: BoardInstance;
  /** What the board's clock says, nanoseconds. */
  now: number;
  read(address: number, length?: number): number;
  write(address: number, value: number, length?: number): void;
  /** The level of the processor's external-interrupt input. */
  interrupted(): boolean;
  /** The same of its critical input. */
  critical(): boolean;
}

/** Makes it, after reset. */
export function ppce500Rig({
  world = repeatableWorld(),
  cards = [],
}: {
  world?: World;
  cards?: readonly PlacedCard[];
} = {}): Ppce500Rig {
  const vm = makeFakeVm(MEMORY_BYTES, function* () {});
  Object.assign(vm, { clock: { now: () => rig.now } });
  const vcpu = vm.createVcpu(0);
  let isCritical = false;
  vcpu.criticalInterrupt = (kind) => {
    isCritical = kind === 0xfffffffd;
  };
  const rig = {
    vm,
    now: 0,
    read: (address: number, length = 4) => board.bus.readMmio(address, length),
    write: (address: number, value: number, length = 4) => board.bus.writeMmio(address, length, value),
    interrupted: () => vm.interrupts.at(-1) === 0xfffffffd,
    critical: () => isCritical,
  };
  const board = new BoardInstance(ppce500, { memoryBytes: MEMORY_BYTES, cpu: ppce500.cpus[0], cards }, vm, vcpu, world);
  board.reset();
  return Object.assign(rig, { board });
}
