/** What differs between processor families, as one object with methods that a vCPU gets when it is made. */
import type { HostCpu, HostMemory } from '../processor/index.ts';
import type { KvmRegs, KvmRun, KvmSregs, KvmStats, KvmTranslation } from './api.ts';
import type { MemorySlots } from './slots.ts';
import type { VcpuCounters } from './stats.ts';
import type { GuestTime } from './time.ts';

/** `handleExit` and `enter` say with this that the guest goes on; anything else is a KVM_EXIT_* reason. */
export const RESUME_GUEST = -1;

/** What a family's object is made from. */
export interface FamilyParts<Cpu extends HostCpu = HostCpu> {
  readonly id: number;
  readonly cpu: Cpu;
  readonly memory: HostMemory;
  readonly slots: MemorySlots;
  readonly time: GuestTime;
  readonly counters: VcpuCounters;
  readonly run: KvmRun;
  /** The guest's kernel runs in translation mode 1, with assist meanings. */
  readonly assist: boolean;
}

/** The guest's half of a vCPU: its privileged state and everything that is done about its exits. */
export interface VcpuFamily {
  /** Power-on reset. */
  reset(): void;
  /** Finishes the read that the last exit asked user space for. */
  completeIo(): void;
  /** Brings the guest's timers up to date. Returns an exit reason when the watchdog expired. */
  updateTimers(): number;
  /** When the next timer of the guest is due, in clock nanoseconds; Infinity: none is armed. */
  nextTimer(): number;
  /** Delivers what is pending and may be taken. Returns KVM_EXIT_HLT when the guest waits. */
  enter(): number;
  /** Handles the interrupt that ended the guest's run. */
  handleExit(vector: number): number;
  interrupt(kind: number): void;
  criticalInterrupt(kind: number): void;
  getRegs(): KvmRegs;
  setRegs(regs: KvmRegs): void;
  getSregs(): KvmSregs;
  setSregs(sregs: Partial<KvmSregs>): void;
  getOneReg(index: bigint): bigint | undefined;
  setOneReg(index: bigint, value: bigint): boolean;
  /** Counters beside those of `VcpuCounters`, by name. */
  readonly stats: KvmStats;
  translate(effectiveAddress: number): KvmTranslation;
  setTlbEntry(index: number, entry: { word0: number; word1: number; word2: number; tid: number }): void;
}
