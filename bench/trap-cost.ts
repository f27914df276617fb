/** What one privileged instruction costs: a loop of it, minus the same loop of `nop`. */
import { type Accel, createVm, KVM_EXIT, type Vcpu } from '../src/kvm/index.ts';
import { BenchError } from './errors.ts';
import { median } from './statistics.ts';
import { formatTable } from './table.ts';

const MEMORY_BYTES = 2 ** 20;
const CODE = 0x1000;
const IVOR8 = 0x100;
/** A device control register that no one has: access to it ends the run. */
const END_DCR = 0x3ff;
const TIMEBASE = 400_000_000;

const ITERATIONS = 300_000;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 3;
/** Enough for any host; a guest that is not done by then never will be. */
const LIMIT_NS = 60e9;

/** A move to or from a special or device control register: its number is split in halves that stand in reverse order. */
const move = (extended: number, register: number, number: number): number =>
  ((31 << 26) | (register << 21) | ((number & 31) << 16) | ((number >> 5) << 11) | (extended << 1)) >>> 0;
const mfspr = (rt: number, spr: number): number => move(339, rt, spr);
const mtspr = (rs: number, spr: number): number => move(467, rs, spr);
const mtdcr = (rs: number, dcr: number): number => move(451, rs, dcr);
const bdnz = (displacement: number): number => (0x42000000 | (displacement & 0xfffc)) >>> 0;

const SPR = { CTR: 9, SPRG0: 272, PVR: 287 } as const;
const MFMSR_R5 = 0x7ca000a6;
const WRTEEI_0 = 0x7c000146;
const SC = 0x44000002;
const RFI = 0x4c000064;

interface Subject {
  readonly name: string;
  readonly word: number;
  /** How often it leaves the guest under `trap`. */
  readonly traps: number;
}

const subjects: readonly Subject[] = [
  { name: 'mfpvr', word: mfspr(5, SPR.PVR), traps: 1 },
  { name: 'mfsprg0', word: mfspr(5, SPR.SPRG0), traps: 1 },
  { name: 'mtsprg0', word: mtspr(5, SPR.SPRG0), traps: 1 },
  { name: 'mfmsr', word: MFMSR_R5, traps: 1 },
  { name: 'wrteei 0', word: WRTEEI_0, traps: 1 },
  { name: 'sc and rfi', word: SC, traps: 2 },
];

export interface TrapCost {
  readonly name: string;
  readonly accel: Accel;
  /** Nanoseconds of one execution. */
  readonly nanoseconds: number;
  /** Exits of one execution. */
  readonly exits: number;
}

/** Each loop begins on a page of its own; the first holds `nop`, so that it has as many instructions as the others. */
const NOP = 0x60000000;
const loops: readonly number[] = [NOP, ...subjects.map(({ word }) => word)];
const entry = (loop: number): number => CODE + 0x1000 * loop;

/** A machine of nothing but memory, with the loops in it: r4 times the instruction, then a write to END_DCR. */
function createGuest(accel: Accel): Vcpu {
  const clock = { now: () => performance.now() * 1e6 };
  const vm = createVm({ cpu: '440ep', accel, clock, timebaseFrequency: TIMEBASE, maxMemory: MEMORY_BYTES });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: MEMORY_BYTES });
  const vcpu = vm.createVcpu(0);
  for (const [loop, word] of loops.entries()) {
    const code = [mtspr(4, SPR.CTR), word, bdnz(-4), mtdcr(4, END_DCR)];
    for (const [index, one] of code.entries()) vm.memory.write32(entry(loop) + 4 * index, one);
  }
  vm.memory.write32(IVOR8, RFI);
  // 256 MB from 0, supervisor read, write and execute.
  vcpu.setTlbEntry(0, { word0: 0x290, word1: 0, word2: 7, tid: 0 });
  vcpu.setSregs({ ivpr: 0, ivor8: IVOR8 });
  return vcpu;
}

interface LoopTime {
  /** Of one turn. */
  readonly nanoseconds: number;
  readonly exits: number;
}

/** Runs one loop, from its first instruction to its end. */
function runLoop(vcpu: Vcpu, loop: number): LoopTime {
  const regs = vcpu.getRegs();
  regs.pc = BigInt(entry(loop));
  regs.msr = 0n;
  regs.gpr[4] = BigInt(ITERATIONS);
  vcpu.setRegs(regs);
  const exitsBefore = vcpu.stats['sum_exits'] ?? 0;
  const start = performance.now();
  let reason = vcpu.run(LIMIT_NS);
  while (reason === KVM_EXIT.INTR && (performance.now() - start) * 1e6 < LIMIT_NS) reason = vcpu.run(LIMIT_NS);
  const nanoseconds = (performance.now() - start) * 1e6;
  if (reason !== KVM_EXIT.DCR || vcpu.kvmRun.dcr.dcrn !== END_DCR)
    throw new BenchError(`the loop ended with exit reason ${reason} ${vcpu.kvmRun.internal.message}`);
  const exits = (vcpu.stats['sum_exits'] ?? 0) - exitsBefore;
  return { nanoseconds: nanoseconds / ITERATIONS, exits: exits / ITERATIONS };
}

/** The cost of each subject under each accel. @throws BenchError when a guest does not do what it must. */
export function measureTrapCosts(accels: readonly Accel[]): TrapCost[] {
  return accels.flatMap((accel) => {
    const vcpu = createGuest(accel);
    const runs: LoopTime[][] = loops.map(() => []);
    // In turns, so that what else the computer does hits all of them; the first rounds warm up and do not count.
    for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++)
      for (const [loop, times] of runs.entries()) {
        const time = runLoop(vcpu, loop);
        if (round >= WARM_UP_ROUNDS) times.push(time);
      }
    const [empty = Number.NaN, ...full] = runs.map((times) => median(times.map(({ nanoseconds }) => nanoseconds)));
    return subjects.map(({ name, traps }, index) => {
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
