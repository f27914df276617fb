/** What differs between processor families, as one object with methods that a vCPU gets when it is made. */
import type { HostCpu, HostMemory } from '../processor/index.ts';
import type {
  Accel,
  KvmChainStep,
  KvmConfigTlb,
  KvmGuestDebug,
  KvmRegs,
  KvmRun,
  KvmSregs,
  KvmState,
  KvmStats,
  KvmTable,
  KvmTranslation,
  TlbEntry,
  VcpuCapability,
} from './api.ts';
import type { MemorySlot, MemorySlots } from './slots.ts';
import type { VcpuCounters } from './stats.ts';
import type { GuestTime } from './time.ts';

/** `handleExit` and `enter` say with this that the guest goes on; anything else is a KVM_EXIT_* reason. */
export const RESUME_GUEST = -1;

/** `enter` says with this that the guest goes on for one instruction, which `handleExit` then hears of. */
export const STEP_GUEST = -3;

/**
 * `handleExit` says with these that the guest goes on with the same instruction, of which it notices nothing: the host had
 * no translation of its own for its data, or to fetch it. Counted time does not pass for that, so that it does not depend on
 * what is shadowed.
 */
export const RETRY_DATA = -4;
export const RETRY_FETCH = -5;

/** What a family's object is made from. */
export interface FamilyParts<Cpu extends HostCpu = HostCpu> {
  readonly id: number;
  readonly cpu: Cpu;
  readonly memory: HostMemory;
  readonly slots: MemorySlots;
  readonly time: GuestTime;
  readonly counters: VcpuCounters;
  readonly run: KvmRun;
  readonly accel: Accel;
  readonly hashTable: HashTable;
}

/** A hashed page table outside of the guest's memory, which all vCPUs share: host real address, and size (0: there is none). */
export interface HashTable {
  address: number;
  log2Bytes: number;
}

/** For `Vcpu.setTracer`. */
export interface FamilyTrace {
  /** Names of vectors, by their numbers. */
  readonly vectors: ReadonlyMap<number, string>;
  /** Names of the hypercalls that KVM serves itself. */
  readonly hypercalls?: ReadonlyMap<number, string>;
  /** The vector whose instruction is told: that of a program interrupt. */
  readonly program: number;
  /** The word at PC; 0: it cannot be fetched. */
  word(): number;
  /** Interrupts that KVM had the guest take. */
  taken(): number;
}

/** Names of vectors or hypercalls by number. */
export function vectorNames(vectors: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(vectors).map(([name, number]) => [number, name]));
}

/** The guest's half of a vCPU: its privileged state and everything that is done about its exits. */
export interface VcpuFamily {
  /** Power-on reset. */
  reset(): void;
  /** `run` begins: finishes the read that the last exit asked user space for. */
  begin(): void;
  /** `run` ends. */
  end(): void;
  /** Brings the guest's timers up to date. Returns an exit reason when the watchdog expired. */
  updateTimers(): number;
  /** When the next timer of the guest is due, in clock nanoseconds; Infinity: none is armed. */
  nextTimer(): number;
  /**
   * Delivers what is pending and may be taken. Returns RESUME_GUEST, STEP_GUEST, KVM_EXIT_HLT when the guest waits, or
   * another exit reason.
   */
  enter(): number;
  /** Handles the interrupt that ended the guest's run. */
  handleExit(vector: number): number;
  interrupt(kind: number): void;
  criticalInterrupt(kind: number): void;
  /** KVM_ENABLE_CAP. False: the family has no such capability. */
  enableCap(capability: VcpuCapability, argument: number | KvmConfigTlb): boolean;
  getRegs(): KvmRegs;
  setRegs(regs: KvmRegs): void;
  getSregs(): KvmSregs;
  setSregs(sregs: Partial<KvmSregs>): void;
  getOneReg(index: bigint): bigint | undefined;
  setOneReg(index: bigint, value: bigint): boolean;
  /** Counters beside those of `VcpuCounters`, by name. */
  readonly stats: KvmStats;
  setGuestDebug(debug: KvmGuestDebug): void;
  /** `KVM_TRANSLATE` of an effective address, whose words are unsigned. */
  translate(low: number, high: number): KvmTranslation;
  /** What a tracer is told, where the family tells it. */
  readonly traced?: FamilyTrace;
  /** `Vcpu.tables` and `Vcpu.chain` (of an address's unsigned words), where the family shows them. */
  tables?(limit: number): readonly KvmTable[];
  chain?(low: number, high: number): readonly KvmChainStep[];
  /** Entries of the TLB that `setTlbEntry` sets; 0: there is none. */
  readonly tlbEntries: number;
  setTlbEntry(index: number, entry: TlbEntry): void;
  /** Has the guest's next store to each page that `dirty` has a bit for come to KVM, which logs it. */
  protectPages(slot: MemorySlot, dirty: Uint8Array): void;
  /** The guest's half of the vCPU's state: `Vm.save`. */
  saveState(): KvmState;
  /** @throws KvmError when it is none; nothing has changed then. */
  restoreState(state: KvmState): void;
  /** Memory slots were made, moved or removed, or a dirty log has begun: no translation of before holds. */
  slotsChanged(): void;
  /** The hashed page table outside of the guest's memory is another one. */
  hashTableChanged(): void;
}
