/** KVM_SET_GUEST_DEBUG: what user space wants to hear of a vCPU, the same for all families. */
import { KVM_EXIT, KVM_GUESTDBG, KVMPPC_DEBUG, KvmError, type KvmGuestDebug, type KvmRun } from './api.ts';
import { checkBits, checkInteger, checkObject, checkWord } from './checks.ts';
import { COUNTER, type VcpuCounters } from './stats.ts';
import { WatchedRange } from './watched-range.ts';

/** The uapi's struct has room for 16; a debugger's user has more. */
const MAX_BREAKPOINTS = 256;
const MAX_WATCHED_BYTES = 0x1_0000_0000;
const WATCH = KVMPPC_DEBUG.WATCH_READ | KVMPPC_DEBUG.WATCH_WRITE;
const KINDS = KVMPPC_DEBUG.BREAKPOINT | WATCH;
const NO_CODE = new Int32Array(0);

/** Low and high word. */
const wordsOf = (address: bigint): [low: number, high: number] => [
  Number(BigInt.asIntN(32, address)),
  Number(BigInt.asIntN(32, address >> 32n)),
];

export class GuestDebug {
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  /** Bits of KVM_GUESTDBG; 0 without ENABLE. */
  control = 0;
  /** The instruction of a step is complete, but for what user space was asked first: KVM_EXIT_DEBUG comes with the next run. */
  due = false;
  /** With USE_HW_BP: addresses of instructions, two words each, and what of data is watched. */
  #code: Int32Array = NO_CODE;
  #data: readonly { readonly range: WatchedRange; readonly address: bigint }[] = [];
  /** What `watches` has found. */
  #status = 0;
  #address = 0n;

  constructor(counters: VcpuCounters, run: KvmRun) {
    this.#counts = counters.counts;
    this.#run = run;
  }

  set(debug: KvmGuestDebug): void {
    checkObject('the debug request', debug);
    const { control, arch } = debug;
    checkWord('control', control);
    const breakpoints = arch?.bp ?? [];
    const isList: boolean = Array.isArray(breakpoints);
    if (!isList || breakpoints.length > MAX_BREAKPOINTS)
      throw new KvmError(`arch.bp is a list of at most ${MAX_BREAKPOINTS} breakpoints`);
    for (const [n, breakpoint] of breakpoints.entries()) {
      checkObject(`arch.bp[${n}]`, breakpoint);
      const { addr, type, len = 1 } = breakpoint;
      checkBits(`arch.bp[${n}].addr`, addr, 64);
      if (typeof type !== 'number' || (type & ~KINDS) !== 0)
        throw new KvmError(`there is no breakpoint of type ${type}`);
      checkInteger(`arch.bp[${n}].len`, len, 1, MAX_WATCHED_BYTES);
    }
    this.control = (control & KVM_GUESTDBG.ENABLE) === 0 ? 0 : control;
    this.due = false;
    const used = (this.control & KVM_GUESTDBG.USE_HW_BP) === 0 ? [] : breakpoints;
    this.#code = Int32Array.from(
      used.filter(({ type }) => (type & KVMPPC_DEBUG.BREAKPOINT) !== 0).flatMap(({ addr }) => wordsOf(addr & ~3n)),
    );
    this.#data = used
      .filter(({ type }) => (type & WATCH) !== 0)
      .map(({ addr, type, len = 1 }) => {
        const [low, high] = wordsOf(addr);
        const loads = (type & KVMPPC_DEBUG.WATCH_READ) !== 0;
        const stores = (type & KVMPPC_DEBUG.WATCH_WRITE) !== 0;
        return { range: new WatchedRange(low, high, len, { loads, stores }), address: BigInt.asUintN(64, addr) };
      });
  }

  get hasBreakpoints(): boolean {
    return this.#code.length > 0;
  }

  get hasWatchpoints(): boolean {
    return this.#data.length > 0;
  }

  /** Whether there is a breakpoint in the page (4 KB) of an address. */
  coversCode(low: number, high: number): boolean {
    const code = this.#code;
    for (let i = 0; i < code.length; i += 2)
      if (code[i + 1] === high && ((low ^ (code[i] as number)) & ~0xfff) === 0) return true;
    return false;
  }

  /** Whether something in the page of an address is watched. */
  coversData(low: number, high: number): boolean {
    for (const { range } of this.#data) if (range.coversPage(low, high)) return true;
    return false;
  }

  /** Whether there is a breakpoint at an address. */
  breaks(low: number, high: number): boolean {
    const code = this.#code;
    for (let i = 0; i < code.length; i += 2) if (code[i] === low && code[i + 1] === high) return true;
    return false;
  }

  /** Whether an access is watched: `watched` then ends the run. */
  watches(low: number, high: number, bytes: number, store: boolean): boolean {
    for (const { range, address } of this.#data)
      if (range.meets(low, high, bytes, store)) {
        this.#status = store ? KVMPPC_DEBUG.WATCH_WRITE : KVMPPC_DEBUG.WATCH_READ;
        this.#address = address;
        return true;
      }
    return false;
  }

  /** KVM_EXIT_DEBUG for the access that `watches` has found. */
  watched(): number {
    return this.exit(this.#status, this.#address);
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
