/** KVM_SET_GUEST_DEBUG: what user space wants to hear of a vCPU, the same for all families. */
import { KVM_EXIT, KVM_GUESTDBG, KVMPPC_DEBUG, KvmError, type KvmGuestDebug, type KvmRun } from './api.ts';
import { COUNTER, type VcpuCounters } from './stats.ts';

/** The struct's room. */
const MAX_BREAKPOINTS = 16;
const MAX_WATCHED_BYTES = 0x1_0000_0000;
const KINDS = KVMPPC_DEBUG.BREAKPOINT | KVMPPC_DEBUG.WATCH_READ | KVMPPC_DEBUG.WATCH_WRITE;

export class GuestDebug {
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  /** Bits of KVM_GUESTDBG; 0 without ENABLE. */
  control = 0;
  /** The instruction of a step is complete, but for what user space was asked first: KVM_EXIT_DEBUG comes with the next run. */
  due = false;

  constructor(counters: VcpuCounters, run: KvmRun) {
    this.#counts = counters.counts;
    this.#run = run;
  }

  set({ control, arch }: KvmGuestDebug): void {
    const breakpoints = arch?.bp ?? [];
    if (breakpoints.length > MAX_BREAKPOINTS)
      throw new KvmError(`there can be ${MAX_BREAKPOINTS} breakpoints, not ${breakpoints.length}`);
    for (const { addr, type, len = 1 } of breakpoints) {
      if (BigInt.asUintN(64, addr) !== addr) throw new KvmError(`a breakpoint's address has 64 bits, unlike ${addr}`);
      if ((type & ~KINDS) !== 0) throw new KvmError(`there is no breakpoint of type ${type}`);
      if (!(Number.isInteger(len) && len > 0 && len <= MAX_WATCHED_BYTES))
        throw new KvmError(`a watchpoint has a whole number of bytes, not ${len}`);
    }
    this.control = (control & KVM_GUESTDBG.ENABLE) === 0 ? 0 : control;
    this.due = false;
  }

  get steps(): boolean {
    return (this.control & KVM_GUESTDBG.SINGLESTEP) !== 0;
  }

  get blocksInterrupts(): boolean {
    return (this.control & KVM_GUESTDBG.BLOCKIRQ) !== 0;
  }

  /** A step is done; `reason` is what user space is to do otherwise, which comes first. `pc` is where the guest goes on. */
  stepped(reason: number, pc: bigint): number {
    this.due = reason >= 0;
    return this.due ? reason : this.exit(KVMPPC_DEBUG.NONE, pc);
  }

  exit(status: number, address: bigint): number {
    const { arch } = this.#run.debug;
    this.due = false;
    (this.#counts[COUNTER.debug_exits] as number)++;
    arch.status = status;
    arch.address = address;
    return KVM_EXIT.DEBUG;
  }
}
