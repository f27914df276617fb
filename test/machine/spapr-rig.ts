/** The devices of the pseries board on a fake KVM, and hypercalls and RTAS calls as its guest makes them. */
import { pseries } from '../../src/machine/boards/pseries.ts';
import type { PlacedCard } from '../../src/machine/cards.ts';
import { RTAS_TOKENS, type RtasName } from '../../src/machine/devices/spapr-rtas.ts';
import { virtioRng } from '../../src/machine/devices/virtio-rng.ts';
import type { World } from '../../src/machine/host.ts';
import { repeatableWorld } from '../../src/machine/host.ts';
import { BoardInstance } from '../../src/machine/instance.ts';
import { type FakeVm, makeFakeVm } from './fake-vm.ts';

export const MEMORY_BYTES = 2 ** 20;
/** Where `rtas` puts its argument blocks. */
export const BLOCK = 0x10000;
const H_RTAS = 0xf000;
const CARDS: readonly PlacedCard[] = [{ device: virtioRng('rng0'), bus: 'pci' }];

export interface SpaprRig {
  readonly vm: FakeVm;
  readonly board: BoardInstance;
  /** What the board's clock says, nanoseconds. */
  now: number;
  /** Makes a hypercall: the status, and r4 … r12 behind it. */
  call(nr: number, ...args: readonly (number | bigint)[]): bigint[];
  /** Makes an RTAS call: the results, the status first. */
  rtas(name: RtasName, args: readonly number[], results: number): number[];
  /** The same with a block that has any words, at any address: the hypercall's status. */
  block(words: readonly number[], address?: number): bigint;
  word(address: number): number;
  /** The level of the processor's external-interrupt input. */
  interrupted(): boolean;
}

/** Makes it, after reset, with something in its first PCI slot. */
export function spaprRig(world: World = repeatableWorld(), cards: readonly PlacedCard[] = CARDS): SpaprRig {
  const vm = makeFakeVm(MEMORY_BYTES, function* () {});
  Object.assign(vm, { clock: { now: () => rig.now } });
  const vcpu = vm.createVcpu(0);
  const { paprHcall } = vcpu.kvmRun;
  const view = new DataView(vm.bytes.buffer);
  const rig: Omit<SpaprRig, 'board'> = {
    vm,
    now: 0,
    call: (nr, ...args) => {
      Object.assign(paprHcall, { nr, ret: 99n });
      paprHcall.args.fill(0n);
      args.forEach((value, i) => {
        paprHcall.args[i] = BigInt.asUintN(64, BigInt(value));
      });
      board.hypercalls.serve(paprHcall, 0);
      return [BigInt.asIntN(64, paprHcall.ret), ...paprHcall.args];
    },
    rtas: (name, args, results) => {
      rig.block([RTAS_TOKENS[name], args.length, results, ...args]);
      return Array.from({ length: results }, (_, i) => view.getInt32(BLOCK + 12 + 4 * (args.length + i)));
    },
    block: (words, address = BLOCK) => {
      words.forEach((word, i) => {
        if (address + 4 * i + 4 <= MEMORY_BYTES) view.setUint32(address + 4 * i, word);
      });
      return rig.call(H_RTAS, address)[0] as bigint;
    },
    word: (address) => view.getUint32(address),
    interrupted: () => vm.interrupts.at(-1) === 0xfffffffd,
  };
  const [, cpu] = pseries.cpus;
  if (cpu === undefined) throw new Error('the board has one processor only');
  const board = new BoardInstance(pseries, { memoryBytes: MEMORY_BYTES, cpu, cards }, vm, vcpu, world);
  board.reset();
  return Object.assign(rig, { board });
}
