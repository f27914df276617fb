import { KVM_EXIT, type Vcpu, type VmOptions } from '../../src/kvm/api.ts';
import { VirtualMachine } from '../../src/kvm/vm.ts';
import {
  BOOKE_VECTOR,
  BUDGET,
  createClassicCpu,
  createE500Cpu,
  createServerCpu,
  ESR,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  type Host440Cpu,
  type HostCpuOptions,
  type HostMemory,
  PC,
  TLB44X,
  VECTOR_HOST_TICK,
} from '../../src/processor/index.ts';

export interface HostEntry {
  word0: number;
  word1: number;
  word2: number;
  tid: number;
}

/** What the next run of the fake processor ends with. */
export type Step = (cpu: FakeCpu) => number;

/** A host processor that runs nothing: each `run` takes one step of the script, and records what KVM told it. */
export class FakeCpu implements Host440Cpu {
  readonly memory: HostMemory;
  readonly base: number;
  readonly tlbEntries = 16;
  onTick = (): number => 0;
  readonly entries: (HostEntry | null)[] = new Array<HostEntry | null>(16).fill(null);
  readonly stats: Record<string, number> = {};
  readonly timebase: () => number;
  readonly written: [number, number][] = [];
  context = { space: 0, pid: 0, mode: 0 };
  script: Step[] = [];
  runs = 0;
  retired = 0;
  budgets: number[] = [];

  constructor(options: HostCpuOptions) {
    this.memory = options.memory;
    this.base = options.base;
    this.timebase = options.timebase;
  }

  run(budget: number): number {
    this.runs++;
    this.budgets.push(budget);
    this.word(BUDGET, budget - 1);
    this.retired++;
    const step = this.script.shift();
    if (step === undefined) {
      this.word(BUDGET, -1);
      this.retired += budget;
      return VECTOR_HOST_TICK;
    }
    return step(this);
  }

  setWatch(): void {}
  step(budget: number): number {
    return this.run(budget);
  }

  setContext(space: 0 | 1, pid: number, mode: 0 | 1): void {
    this.context = { space, pid, mode };
  }

  setContexts(): void {}

  tlbWrite(index: number, word0: number, word1: number, word2: number, tid: number): void {
    this.entries[index] = { word0: word0 >>> 0, word1: word1 >>> 0, word2, tid };
  }

  tlbInvalidate(index: number): void {
    this.entries[index] = null;
  }

  tlbInvalidateAll(): void {
    this.entries.fill(null);
  }

  codeWritten(address: number, length: number): void {
    this.written.push([address, length]);
  }

  /** Reads, or writes, a word of the block. */
  word(offset: number, value?: number): number {
    const at = (this.base + offset) >> 2;
    if (value !== undefined) this.memory.i32[at] = value;
    return this.memory.i32[at] as number;
  }

  get live(): HostEntry[] {
    return this.entries.filter((entry) => entry !== null);
  }
}

/** Steps of a script. */
export const step = {
  privileged: (cpu: FakeCpu): number => {
    cpu.word(EXIT_SYNDROME, ESR.PPR);
    return BOOKE_VECTOR.program;
  },
  program:
    (esr: number): Step =>
    (cpu) => {
      cpu.word(EXIT_SYNDROME, esr);
      return BOOKE_VECTOR.program;
    },
  data:
    (address: number, store = false, vector: number = BOOKE_VECTOR.dataTlbError): Step =>
    (cpu) => {
      cpu.word(EXIT_ADDRESS, address);
      cpu.word(EXIT_SYNDROME, store ? ESR.ST : 0);
      return vector;
    },
  fetch:
    (address: number, vector: number = BOOKE_VECTOR.instructionTlbError): Step =>
    (cpu) => {
      cpu.word(PC, address);
      return vector;
    },
  /** An sc at PC: the processor has gone past it. */
  systemCall: (cpu: FakeCpu): number => {
    cpu.word(PC, cpu.word(PC) + 4);
    return BOOKE_VECTOR.systemCall;
  },
};

export const RAM_BYTES = 2 ** 24;
/** Kernel code of the tests stands here, mapped one to one by guest TLB entry 63. */
export const CODE = 0x1000;

export const ALL = TLB44X.SX | TLB44X.SW | TLB44X.SR;
export const USER_ALL = TLB44X.UX | TLB44X.UW | TLB44X.UR;

/** Word 0 of a TLB entry. */
export function word0(address: number, size: number, space = 0): number {
  return address | TLB44X.VALID | (space << 8) | (size << TLB44X.SIZE_SHIFT);
}

/** A bamboo-like guest on a fake processor. */
export class Rig {
  now = 0;
  readonly vm: VirtualMachine;
  readonly vcpu: Vcpu;
  readonly cpu: FakeCpu;

  constructor(options: Partial<VmOptions> = {}) {
    let cpu: FakeCpu | undefined;
    this.vm = new VirtualMachine(
      {
        cpu: '440ep',
        accel: 'trap',
        clock: { now: () => this.now },
        timebaseFrequency: 1e9,
        maxMemory: RAM_BYTES + 2 ** 20,
        ...options,
      },
      {
        createServerCpu,
        createClassicCpu,
        createE500Cpu,
        createHostCpu: (hostOptions) => (cpu = new FakeCpu(hostOptions)),
      },
    );
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM_BYTES });
    this.vcpu = this.vm.createVcpu(0);
    this.cpu = cpu as FakeCpu;
    this.map(63, 0, 0, 7, ALL);
    this.set({ pc: CODE });
    for (let vector = 0; vector < 16; vector++) this.vcpu.setSregs({ [`ivor${vector}`]: 0x100 * (vector + 1) });
    this.vcpu.setSregs({ ivpr: 0x800000 });
  }

  /** Sets a guest TLB entry: effective to real page of a size code. `real` may have 36 bits. */
  map(index: number, effective: number, real: number, size: number, permissions: number, tid = 0, space = 0): void {
    this.vcpu.setTlbEntry(index, {
      word0: word0(effective, size, space),
      word1: (real % 2 ** 32) | Math.floor(real / 2 ** 32),
      word2: permissions,
      tid,
    });
  }

  /** Changes some registers. */
  set(changes: {
    pc?: number;
    msr?: number;
    pid?: number;
    gpr?: Record<number, number>;
    srr0?: number;
    srr1?: number;
  }): void {
    const regs = this.vcpu.getRegs();
    for (const name of ['pc', 'msr', 'pid', 'srr0', 'srr1'] as const) {
      const value = changes[name];
      if (value !== undefined) regs[name] = BigInt(value >>> 0);
    }
    for (const [n, value] of Object.entries(changes.gpr ?? {})) regs.gpr[Number(n)] = BigInt(value >>> 0);
    this.vcpu.setRegs(regs);
  }

  get pc(): number {
    return Number(this.vcpu.getRegs().pc);
  }

  get msr(): number {
    return Number(this.vcpu.getRegs().msr);
  }

  gpr(n: number): number {
    return Number(this.vcpu.getRegs().gpr[n]);
  }

  sreg(name: string): number {
    return this.vcpu.getSregs()[name] as number;
  }

  /** Runs a script, to an exit or until it is used up. */
  run(...script: Step[]): number {
    this.cpu.script = script;
    this.vcpu.kvmRun.immediateExit = false;
    return this.vcpu.run(0);
  }

  /** Puts an instruction at the guest's PC and has it trap. */
  emulate(instruction: number): number {
    this.vm.memory.write32(this.pc, instruction);
    return this.run(step.privileged);
  }
}

/** X-form instructions of primary opcode 31. */
export function x31(extended: number, rt = 0, ra = 0, rb = 0, rc = 0): number {
  return ((31 << 26) | (rt << 21) | (ra << 16) | (rb << 11) | (extended << 1) | rc) >>> 0;
}
const split = (n: number): number => ((n & 31) << 5) | (n >>> 5);
export const mfspr = (rt: number, spr: number): number => (x31(339, rt) | (split(spr) << 11)) >>> 0;
export const mtspr = (spr: number, rs: number): number => (x31(467, rs) | (split(spr) << 11)) >>> 0;
export const mfdcr = (rt: number, dcr: number): number => (x31(323, rt) | (split(dcr) << 11)) >>> 0;
export const mtdcr = (dcr: number, rs: number): number => (x31(451, rs) | (split(dcr) << 11)) >>> 0;
export const RFI = (19 << 26) | (50 << 1);
export const RFCI = (19 << 26) | (51 << 1);
export const { INTR, MMIO, DCR, HLT, INTERNAL_ERROR, SYSTEM_EVENT, WATCHDOG } = KVM_EXIT;
