/**
 * KVM's public interface: what /dev/kvm is to QEMU. User space (`src/machine`, and anybody's program) uses only what
 * this file declares and `index.ts` exports. Names and numbers are those of Linux's uapi `linux/kvm.h` and
 * `asm/kvm.h`; where an ioctl passes a struct, a method passes an object of the same fields.
 */

import type { CodeProfile, CoreImages, TranslationPort } from '../processor/index.ts';

export type {
  CodeProfile,
  CoreImage,
  CoreImages,
  TranslationJob,
  TranslationPort,
  TranslationResult,
  TranslationSetup,
} from '../processor/index.ts';

/** `kvm_run.exit_reason`, by its uapi number. */
export const KVM_EXIT = {
  UNKNOWN: 0,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  INTR: 10,
  DCR: 15,
  INTERNAL_ERROR: 17,
  OSI: 18,
  PAPR_HCALL: 19,
  WATCHDOG: 21,
  EPR: 23,
  SYSTEM_EVENT: 24,
} as const;
export type KvmExitReason = (typeof KVM_EXIT)[keyof typeof KVM_EXIT];

/** `kvm_run.system_event.type`. */
export const KVM_SYSTEM_EVENT = { SHUTDOWN: 1, RESET: 2, CRASH: 3 } as const;

/** Argument of `Vcpu.interrupt`, the uapi's KVM_INTERRUPT_*. */
export const KVM_INTERRUPT = { SET: 0xffffffff, UNSET: 0xfffffffe, SET_LEVEL: 0xfffffffd } as const;

/** How privileged instructions of the guest's kernel are served (DESIGN.md, "KVM's two ways to be fast"). */
export type Accel = 'trap' | 'pv' | 'assist';

/** Bits of `KvmGuestDebug.control`, the uapi's KVM_GUESTDBG_*. */
export const KVM_GUESTDBG = {
  /** Without it nothing else counts. */
  ENABLE: 0x1,
  /** KVM_EXIT_DEBUG behind each instruction, or in front of the handler of the interrupt that it caused. */
  SINGLESTEP: 0x2,
  /** KVM_EXIT_DEBUG in place of the word KVMPPC_INST_SW_BREAKPOINT, which user space has put into the guest's code. */
  USE_SW_BP: 0x1_0000,
  /** KVM_EXIT_DEBUG in front of the instructions and accesses that `arch.bp` names. */
  USE_HW_BP: 0x2_0000,
  /** The guest takes no external and timer interrupts as long as it steps. */
  BLOCKIRQ: 0x10_0000,
} as const;

/** `kvm_run.debug.arch.status`, and the kinds of `KvmGuestDebug.arch.bp`: the uapi's KVMPPC_DEBUG_*. */
export const KVMPPC_DEBUG = { NONE: 0, BREAKPOINT: 0x2, WATCH_WRITE: 0x4, WATCH_READ: 0x8 } as const;

/** The instruction that USE_SW_BP is about: no processor has it. Also the one-reg KVM_REG_PPC_DEBUG_INST. */
export const KVMPPC_INST_SW_BREAKPOINT = 0x00dd_dd00;

/** KVM_SET_GUEST_DEBUG's struct. */
export interface KvmGuestDebug {
  control: number;
  arch?: {
    /** At most 16, each an effective address, bits of KVMPPC_DEBUG and, for data, how many bytes are watched (default: 1). */
    bp: readonly { readonly addr: bigint; readonly type: number; readonly len?: number }[];
  };
}

/** Time, injected: the host's, or the count of retired instructions. */
export interface Clock {
  /** Nanoseconds since an arbitrary start, never decreasing. Fractions are allowed. */
  now(): number;
}

/**
 * The shared `kvm_run` area. One object for the life of a vCPU: its fields are overwritten by each `run()`.
 * Which of the sub-objects is valid follows from `exitReason`.
 */
export interface KvmRun {
  exitReason: KvmExitReason;
  /** Set by user space to make the next (or the running) `run()` return KVM_EXIT_INTR at once. */
  immediateExit: boolean;
  /** KVM_EXIT_MMIO: `data` is the value (unsigned, at most 4 bytes; guest byte order is already taken care of).
   * For a read, user space sets `data` before it calls `run()` again. */
  readonly mmio: { physAddr: number; data: number; len: number; isWrite: boolean };
  /** KVM_EXIT_DCR: for a read, user space sets `data` before it calls `run()` again. */
  readonly dcr: { dcrn: number; data: number; isWrite: boolean };
  /** KVM_EXIT_HLT: the guest waits for an interrupt. KVM's own timers would end the wait at `wakeAt` (clock
   * nanoseconds; Infinity when no timer is armed). User space waits for that or for a device, then calls `run()`. */
  readonly hlt: { wakeAt: number };
  /** KVM_EXIT_PAPR_HCALL: `args` are r4 … r12; user space leaves the results in `ret` (r3) and `args` (back to r4 … r12). */
  readonly paprHcall: { nr: number; ret: bigint; readonly args: BigUint64Array };
  /** KVM_EXIT_OSI: r0 to r31, which user space changes before it calls `run()` again. */
  readonly osi: { readonly gprs: BigUint64Array };
  /** KVM_EXIT_EPR: an external interrupt was taken, and user space sets `epr` to its vector before it calls `run()` again. */
  readonly epr: { epr: number };
  readonly systemEvent: { type: number };
  /** KVM_EXIT_INTERNAL_ERROR: what happened and where, one line for the user. */
  readonly internal: { message: string; pc: number };
  /** KVM_EXIT_DEBUG: bits of KVMPPC_DEBUG (NONE: a step is done); PC, or the address of
   * the watchpoint whose bytes were to be accessed. */
  readonly debug: { readonly arch: { address: bigint; status: number } };
}

/** KVM_GET_REGS. 64-bit registers are BigInts: nobody waits for this call. An e500's general registers have both halves. */
export interface KvmRegs {
  pc: bigint;
  cr: bigint;
  ctr: bigint;
  lr: bigint;
  xer: bigint;
  msr: bigint;
  srr0: bigint;
  srr1: bigint;
  pid: bigint;
  /** SPRG0-7. */
  sprg: bigint[];
  /** r0-r31. */
  gpr: bigint[];
}

/**
 * KVM_GET_SREGS: the special registers by their Power ISA names, in lower case. Numbers where they have 32 bits; Book3S
 * has sdr1, slbe0 … slbe63 and slbv0 … slbv63 (RB and RS of slbmte) as BigInts.
 */
export interface KvmSregs {
  pvr: number;
  /** Register name ("csrr0", "ivpr", "ivor4", "tcr", "mmucr" …) to value. */
  [name: string]: number | bigint;
}

/** KVM_TRANSLATE's answer. */
export interface KvmTranslation {
  physicalAddress: number;
  valid: boolean;
  writeable: boolean;
  usermode: boolean;
}

/** What KVM has of a guest's translation, for who looks inside; no ioctl of the reference's. Addresses are BigInts. */
export interface KvmTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** At most as many as were asked for. */
  readonly rows: readonly (readonly (string | number | bigint)[])[];
  /** How many there are. */
  readonly total: number;
}

/** A step of an address's way from the guest to the host. */
export interface KvmChainStep {
  /** What the address is by now: "effective address", "guest virtual address", "guest real address" … */
  readonly what: string;
  /** Undefined: the way ends here. */
  readonly address: bigint | undefined;
  /** How it came about: the entry that says so. */
  readonly by: string;
}

/**
 * Hears of what a vCPU does, in the midst of a run: it may look at the clock and write down, and must call nothing of KVM's. An
 * address is two words, unsigned or not.
 */
export interface KvmTracer {
  /** The guest has left for KVM. `word`: the instruction at PC, where a program interrupt made it known; else 0. */
  exit(vector: number, pcLow: number, pcHigh: number, word: number): void;
  /**
   * What became of that: `shadowed`: the host has a translation more, and the guest notices nothing; `hypercall`: its number,
   * or -1; `reason`: what user space is to do (KVM_EXIT), or -1.
   */
  handled(shadowed: boolean, hypercall: number, reason: number): void;
  /** KVM has the guest take an interrupt, whose handler is at an address. */
  interrupt(pcLow: number, pcHigh: number): void;
}

/** Guest physical memory as user space and devices see it. Every address is checked; a miss answers false/undefined, never throws. */
export interface GuestMemory {
  /** Byte order of `read16` … `write32`: that in which the guest's memory is kept. */
  readonly littleEndian: boolean;
  /** Whether [address, address+length) lies inside one memory slot. */
  contains(address: number, length: number): boolean;
  read8(address: number): number | undefined;
  read16(address: number): number | undefined;
  read32(address: number): number | undefined;
  write8(address: number, value: number): boolean;
  write16(address: number, value: number): boolean;
  write32(address: number, value: number): boolean;
  readBytes(address: number, length: number): Uint8Array | undefined;
  /** Fills `into`, without allocating. */
  readInto(address: number, into: Uint8Array): boolean;
  /** Also drops translations of code that is overwritten. */
  writeBytes(address: number, bytes: Uint8Array): boolean;
  fill(address: number, length: number, value: number): boolean;
}

/** What a virtual machine or a vCPU is in the midst of, beside memory: under names, as JSON holds it. */
export interface KvmState {
  readonly [name: string]: number | boolean | string | readonly number[] | KvmState | readonly KvmState[];
}

/** A part of a virtual machine's memory, for who saves it and puts it back. */
export interface MemoryArea {
  /** "slot 0", "hash table": the same in each virtual machine with the same memory regions. */
  readonly name: string;
  /** The memory itself, as it is kept: in which order, `Vm.memoryOrder` says. */
  readonly bytes: Uint8Array;
  /** Its pages of 4 KB that are not all zero, in pairs: the number of the first, and how many there are. */
  touched(): Uint32Array;
  /** `bytes` was written to by who has it: drops translations of what was there. */
  written(offset: number, length: number): void;
}

/** A 440's TLB entry, as tlbwe takes it. */
export interface TlbEntry44x {
  word0: number;
  word1: number;
  word2: number;
  tid: number;
}
/** An e500's TLB entry, as it is in the MAS registers: what the uapi's kvm_book3e_206_tlb_entry has of one. */
export interface TlbEntry206 {
  mas1: number;
  mas2: number;
  mas3: number;
  mas7: number;
}
export type TlbEntry = TlbEntry44x | TlbEntry206;

/** Counters by cause: one number a name, the reference's names where it has them (`sum_exits`, `emulated_inst_exits` …). */
export type KvmStats = Record<string, number>;

/**
 * KVM_ENABLE_CAP's capabilities of a vCPU: PAPR has `sc 1` with guest PR=0 make hypercalls (Book3S 64). OSI
 * has system calls with Mac-on-Linux's numbers come to user space (Book3S; argument 0 to end it). Of an e500, EPR asks
 * user space for the vector of each external interrupt (argument 1, 0 to end it), BOOKE_WATCHDOG has the watchdog's end come
 * to it, SW_TLB gives the guest's TLBs another size (argument: KvmConfigTlb) and empties them.
 */
export type VcpuCapability = 'papr' | 'osi' | 'epr' | 'booke-watchdog' | 'sw-tlb';

/** The uapi's kvm_book3e_206_tlb_params: entries and ways of TLB0 and TLB1; TLB1's ways are its entries. */
export interface KvmConfigTlb {
  readonly tlbSizes: readonly number[];
  readonly tlbWays: readonly number[];
}

export interface Vcpu {
  readonly id: number;
  /** The shared area; the same object at each exit. */
  readonly kvmRun: KvmRun;
  /**
   * KVM_RUN. Runs the guest until user space has something to do, and says so in `kvmRun.exitReason` (also returned).
   * Returns KVM_EXIT_INTR at the latest after `maxNanoseconds` of the injected clock, so that one thread can serve
   * a guest and its devices. Never throws for anything that a guest does.
   */
  run(maxNanoseconds: number): KvmExitReason;
  /** KVM_INTERRUPT: drives the external-interrupt input of the processor. */
  interrupt(kind: number): void;
  /** Drives the critical input, where the processor has one (BookE). */
  criticalInterrupt(kind: number): void;
  getRegs(): KvmRegs;
  setRegs(regs: KvmRegs): void;
  getSregs(): KvmSregs;
  setSregs(sregs: Partial<KvmSregs>): void;
  /** KVM_GET_ONE_REG: `id` as in the uapi. Undefined: this processor has no such register. */
  getOneReg(id: bigint): bigint | undefined;
  setOneReg(id: bigint, value: bigint): boolean;
  /**
   * KVM_TRANSLATE: the guest's own translation of an effective address (no side effect). As a BigInt where a double is not
   * exact. Where only the operating system may read, `usermode` is false.
   */
  translate(effectiveAddress: number | bigint): KvmTranslation;
  /**
   * Writes one guest TLB entry in the hardware's form, as firmware would have (BookE boards set the initial mappings). An
   * e500's are those of TLB0 (256 after reset) and behind them TLB1's.
   */
  setTlbEntry(index: number, entry: TlbEntry): void;
  /**
   * KVM_SET_GUEST_DEBUG, in place of what was set before. The guest's own debug registers keep their effect.
   * @throws KvmError when there are more breakpoints than the struct has room for, or one that is none.
   */
  setGuestDebug(debug: KvmGuestDebug): void;
  /** Tells a tracer (null: none) of what this vCPU does from now on. It costs as much as it does; without one, nothing. */
  setTracer(tracer: KvmTracer | null): void;
  /** Names of what a tracer hears of: a vector, "dataStorage"; a hypercall of KVM's own, "H_ENTER". */
  vectorName(vector: number): string;
  hypercallName(number: number): string | undefined;
  /** The guest's translations and KVM's shadows of them, at most `limit` rows each. Only between runs. */
  tables(limit: number): readonly KvmTable[];
  /** An effective address's way to the host's memory, by what guest and KVM have at the moment. Only between runs. */
  chain(effectiveAddress: bigint): readonly KvmChainStep[];
  /** KVM_ENABLE_CAP. False: this processor has no such capability. */
  enableCap(capability: VcpuCapability, argument?: number | KvmConfigTlb): boolean;
  /** Back to the state after power-on reset; memory is left alone. */
  reset(): void;
  readonly stats: KvmStats;
}

/** A memory slot: `guestPhysAddr` and `memorySize` in bytes, multiples of 4096. */
export interface MemoryRegion {
  /** 0 … 65535. */
  slot: number;
  guestPhysAddr: number;
  memorySize: number;
  /** KVM_MEM_READONLY: ROM. */
  readonly?: boolean | undefined;
  /** KVM_MEM_LOG_DIRTY_PAGES: `getDirtyLog` tells which pages were written. */
  logDirtyPages?: boolean | undefined;
}

export interface Vm {
  readonly memory: GuestMemory;
  /** The guest's time: the injected clock, or with icount that of the retired instructions. Devices use it. */
  readonly clock: Clock;
  /**
   * KVM_SET_USER_MEMORY_REGION: a slot of zeroed RAM (or ROM) at a guest physical address. A slot that is there moves, with
   * what is in it, or has its dirty log begin or end; with 0 bytes it goes, and its contents with it. Only between runs.
   * @throws KvmError with `code` EINVAL when it is malformed, is to have another size or other accesses, or is to go and was
   *   not there; EEXIST when it overlaps another; ENOMEM when there is no room left of `maxMemory`. Nothing has changed then.
   */
  setUserMemoryRegion(region: MemoryRegion): void;
  /**
   * KVM_PPC_ALLOCATE_HTAB: a zeroed hash table of 2^log2Bytes bytes outside of the guest's memory, for vCPUs with PAPR.
   * Where the reference's PR has user space allocate it and pass a pointer in SDR1, memory here is KVM's.
   * @throws KvmError when the size is not one that hardware has (2^18 … 2^46) or does not fit.
   */
  allocateHtab(log2Bytes: number): void;
  /** KVM_GET_DIRTY_LOG: a bit for each 4-KB page of a slot that was written since the last call; undefined: no log is kept. */
  getDirtyLog(slot: number): Uint8Array | undefined;
  /** KVM_PPC_GET_PVINFO: the words of the hypercall sequence for `/hypervisor`'s hcall-instructions; undefined: there is none. */
  getPvinfo(): readonly number[] | undefined;
  createVcpu(id: number): Vcpu;
  /**
   * What a state needs to be restored, beside memory: vCPUs with all that KVM has of them, time, and the hash table's size.
   * Only between runs. What user space has asked for is not in it: counters, guest debugging, the dirty log.
   */
  save(): KvmState;
  /**
   * Takes what `save` gave, of a virtual machine with the same processor, memory regions and vCPUs; the guest's time goes on
   * from there, whatever the clock says. Shadow tables are made anew.
   * @throws KvmError when it does not fit: the virtual machine is then good for nothing.
   */
  restore(state: KvmState): void;
  /** A word of the guest's code as the assembler would have it, for the processor that this is. */
  disassemble(word: number, address: bigint): string;
  /** All its memory: the slots', and the hash table's. */
  memoryAreas(): readonly MemoryArea[];
  /** What byte addresses are XORed with where memory is kept: 0 as it is, 3 or 7 with words or doublewords reversed. */
  readonly memoryOrder: 0 | 3 | 7;
  /** Counters of the whole VM (translator, soft TLB …), beside those of each vCPU. */
  readonly stats: KvmStats;
}

export interface VmOptions {
  /** Processor model by name, e.g. "440ep". */
  cpu: string;
  accel: Accel;
  clock: Clock;
  /** Ticks a second of the time base. */
  timebaseFrequency: number;
  /** Upper bound for all slots together, bytes; host address space for it is set aside. */
  maxMemory: number;
  /** How guest memory is kept: in the byte order that its kernel will mostly run in. Default: big-endian. */
  littleEndian?: boolean;
  /** Retired-instruction time: nanoseconds per instruction, in place of `clock` (a run then repeats bit for bit). */
  icount?: number;
  /** Generated cores that were kept from an earlier machine of this version (`CoreImages`). */
  cores?: CoreImages;
  /** What was hot in earlier runs, and is added to; not with icount, whose runs repeat exactly. */
  profile?: CodeProfile;
  /**
   * Bytes that translations and the interpreter's records may take, about; what is over goes, the least used first.
   * Default: an eighth of `maxMemory`, from 64 to 256 MB.
   */
  translationMemory?: number;
  /**
   * Threads that translate hot code (`createTranslationServer` there), one or several: each does the pages that fall to it.
   * Without any, and with icount, this thread does.
   */
  translation?: TranslationPort | readonly TranslationPort[];
}

/** A request that KVM refuses: the message is one line for the user, `code` the errno of the ioctl. */
export class KvmError extends Error {
  override name = 'KvmError';
  readonly code: 'EINVAL' | 'EEXIST' | 'ENOMEM';

  constructor(message: string, code: KvmError['code'] = 'EINVAL') {
    super(message);
    this.code = code;
  }
}
