/** What one privileged instruction costs: a loop of it, minus the same loop of `nop`. */
import { assembleWords } from '../src/isa/index.ts';
import { type Accel, createVm, KVM_EXIT, type Vcpu } from '../src/kvm/index.ts';
import { BenchError } from './errors.ts';
import { median } from './statistics.ts';
import { formatTable } from './table.ts';
import type { TrapGuest } from './trap-guests.ts';

const MEMORY_BYTES = 2 ** 20;
/** Each loop begins on a page of its own, behind the one for what comes before them. */
const PRELUDE = 0x1000;
const entry = (loop: number): number => PRELUDE + 0x1000 * (loop + 1);

const ITERATIONS = 300_000;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 3;
/** Enough for any host; a guest that is not done by then never will be. */
const LIMIT_NS = 60e9;

export interface TrapCost {
  readonly name: string;
  readonly accel: Accel;
  /** Nanoseconds of one execution. */
  readonly nanoseconds: number;
  /** Exits of one execution. */
  readonly exits: number;
}

interface Rig {
  readonly guest: TrapGuest;
  readonly vcpu: Vcpu;
}

/** A machine with the loops in it: r4 times the instruction, then the end. The first has `nop`. */
function createRig(guest: TrapGuest, accel: Accel): Rig {
  const clock = { now: () => performance.now() * 1e6 };
  const vm = createVm({ ...guest.options, accel, clock, maxMemory: MEMORY_BYTES });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: MEMORY_BYTES });
  const vcpu = vm.createVcpu(0);
  const put = (address: number, source: string): void => {
    for (const [index, word] of assembleWords(source, address).entries()) vm.memory.write32(address + 4 * index, word);
  };
  const sources = guest.subjects.map(({ source, patched }) => (accel === 'pv' ? patched : undefined) ?? source);
  for (const [loop, source] of ['nop', ...sources].entries())
    put(entry(loop), `mtctr 4; 1: ${source}; bdnz 1b; ${guest.end.source}`);
  put(guest.systemCall.address, guest.systemCall.source);
  guest.prepare?.(vcpu);
  const rig = { guest, vcpu };
  if (accel === 'pv' && guest.mapMagicPage !== undefined) {
    put(PRELUDE, `${guest.mapMagicPage}; ${guest.end.source}`);
    run(rig, PRELUDE);
  }
  return rig;
}

/** Runs from an address to the end; answers how long it took. */
function run({ guest, vcpu }: Rig, address: number): number {
  const regs = vcpu.getRegs();
  regs.pc = BigInt(address);
  regs.msr = guest.msr;
  regs.gpr[4] = BigInt(ITERATIONS);
  vcpu.setRegs(regs);
  const start = performance.now();
  let reason = vcpu.run(LIMIT_NS);
  while (reason === KVM_EXIT.INTR && (performance.now() - start) * 1e6 < LIMIT_NS) reason = vcpu.run(LIMIT_NS);
  const nanoseconds = (performance.now() - start) * 1e6;
  if (!guest.end.isEnd(vcpu))
    throw new BenchError(`the loop ended with exit reason ${reason} ${vcpu.kvmRun.internal.message}`);
  return nanoseconds;
}

interface LoopTime {
  /** Of one turn. */
  readonly nanoseconds: number;
  readonly exits: number;
}

function runLoop(rig: Rig, loop: number): LoopTime {
  const exitsBefore = rig.vcpu.stats['sum_exits'] ?? 0;
  const nanoseconds = run(rig, entry(loop));
  const exits = (rig.vcpu.stats['sum_exits'] ?? 0) - exitsBefore;
  return { nanoseconds: nanoseconds / ITERATIONS, exits: exits / ITERATIONS };
}

/** The cost of each subject under each accel. @throws BenchError when a guest does not do what it must. */
export function measureTrapCosts(guest: TrapGuest, accels: readonly Accel[]): TrapCost[] {
  return accels.flatMap((accel) => {
    const rig = createRig(guest, accel);
    const runs: LoopTime[][] = [[], ...guest.subjects.map((): LoopTime[] => [])];
    // In turns, so that what else the computer does hits all of them; the first rounds warm up and do not count.
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++)
      for (const [loop, times] of runs.entries()) {
        const time = runLoop(rig, loop);
        if (round >= WARM_UP_ROUNDS) times.push(time);
      }
    const [empty = Number.NaN, ...full] = runs.map((times) => median(times.map(({ nanoseconds }) => nanoseconds)));
    return guest.subjects.map(({ name, traps }, index) => {
      const exits = runs[index + 1]?.[0]?.exits ?? Number.NaN;
      if (accel === 'trap' && Math.abs(exits - traps) > 0.01)
        throw new BenchError(`${name} under trap: ${exits.toFixed(3)} exits each, not ${traps}`);
      return { name, accel, nanoseconds: (full[index] ?? Number.NaN) - empty, exits };
    });
  });
}

export function formatTrapCosts(costs: readonly TrapCost[], markdown = false): string {
  const rows = costs.map(({ name, accel, nanoseconds, exits }) => [
    name,
    accel,
    // Below zero is noise: the loop was as fast as the empty one.
    Math.max(0, nanoseconds).toFixed(1),
    exits.toFixed(2),
    exits > 0.01 ? (nanoseconds / exits).toFixed(1) : '-',
  ]);
  return formatTable(['instruction', 'accel', 'ns each', 'exits each', 'ns an exit'], rows, markdown);
}
