/**
 * A machine under a debugger: it stops, steps and goes on, has breakpoints and watched data, and its registers and memory
 * are read and written. By KVM_SET_GUEST_DEBUG, so that the guest sees nothing of it; nobody pays who has none.
 */
import {
  KVM_GUESTDBG,
  KVMPPC_DEBUG,
  KvmError,
  type KvmGuestDebug,
  type KvmRun,
  type Vcpu,
  type Vm,
} from '../../kvm/api.ts';
import { debugFamily } from './families.ts';
import { DebugMemory } from './memory.ts';
import { DebugRegisters } from './registers.ts';

/** Why the guest stands still. `address`: of the watched data. Of a watched access, which is not made yet. */
export type DebugStop<End = unknown> =
  | { readonly cause: 'asked' | 'breakpoint' | 'step' }
  | { readonly cause: 'watchpoint'; readonly address: bigint; readonly access: 'read' | 'write' }
  | { readonly cause: 'ended'; readonly end: End };

export type WatchedAccess = 'read' | 'write' | 'access';

export interface Watchpoint {
  readonly address: bigint;
  readonly bytes: number;
  readonly access: WatchedAccess;
}

/** How the machine's loop is told to hold the guest, and to let it go. */
export interface RunControl {
  /** Resolves when the guest stands still, or has ended. */
  hold(): Promise<void>;
  release(): void;
  quit(message: string): void;
}

const ACCESS_BITS: Readonly<Record<WatchedAccess, number>> = {
  read: KVMPPC_DEBUG.WATCH_READ,
  write: KVMPPC_DEBUG.WATCH_WRITE,
  access: KVMPPC_DEBUG.WATCH_READ | KVMPPC_DEBUG.WATCH_WRITE,
};
/** Instructions are words. */
const WORD = 3n;

/** Steps on end while PC is in [first, end). */
export interface StepRange {
  readonly first: bigint;
  readonly end: bigint;
}

export class Debugger<End = unknown> {
  readonly registers: DebugRegisters;
  readonly memory: DebugMemory;
  /** The guest's memory is little-endian, and so is its debugger's view. */
  readonly littleEndian: boolean;
  /** The guest takes no interrupts while it steps. */
  blockInterrupts = true;
  readonly #vcpu: Vcpu;
  readonly #control: RunControl;
  readonly #listeners = new Set<(stop: DebugStop<End>) => void>();
  readonly #breakpoints = new Map<bigint, number>();
  readonly #watchpoints: Watchpoint[] = [];
  /** Why the guest stands still; undefined: it runs, or nobody has stopped it. */
  #stop: DebugStop<End> | undefined;
  /** It is about to stand still for this. */
  #pending: DebugStop<End> | undefined;
  /** What the machine was told to do: one step, or one off the place where it stood, then the rest. */
  #mode: 'go' | 'step' | 'off' = 'go';
  #range: StepRange | undefined;
  #end: DebugStop<End> | undefined;

  constructor(vm: Vm, vcpu: Vcpu, model: string, control: RunControl) {
    this.#vcpu = vcpu;
    this.#control = control;
    const family = debugFamily(model);
    this.registers = new DebugRegisters(vcpu, family);
    this.memory = new DebugMemory(vm, vcpu, family.bits);
    this.littleEndian = vm.memory.littleEndian;
  }

  /** Why the guest stands still; undefined: it runs. */
  get stopped(): DebugStop<End> | undefined {
    return this.#stop;
  }

  /** A step is not done yet: the machine is not to sleep. */
  get stepping(): boolean {
    return this.#mode !== 'go' && this.#stop === undefined;
  }

  /** Hears of each stop. Answers what ends that. */
  onStop(listener: (stop: DebugStop<End>) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stops the guest between two instructions; resolves with why it stands still, which may be something else. */
  async stop(): Promise<DebugStop<End>> {
    if (this.#stop === undefined) {
      this.#pending ??= { cause: 'asked' };
      await this.#control.hold();
      this.#stands();
    }
    return this.#stop ?? { cause: 'asked' };
  }

  /** Lets the guest run to the next breakpoint. */
  go(): void {
    this.#resume('go', undefined);
  }

  /** Has the guest carry out one instruction, or (`range`) those until PC is out of a range. */
  step(range?: StepRange): void {
    this.#resume('step', range);
  }

  /** Takes everything back, and lets the guest go on. */
  detach(): void {
    this.#breakpoints.clear();
    this.#watchpoints.length = 0;
    this.memory.physical = false;
    this.#mode = 'go';
    this.#vcpu.setGuestDebug({ control: 0 });
    this.#stop = undefined;
    this.#pending = undefined;
    this.#control.release();
  }

  quit(message: string): void {
    this.#control.quit(message);
  }

  /** The same address may be set several times, and is as often removed. False: KVM has no room for it. */
  addBreakpoint(address: bigint): boolean {
    const at = this.#address(address) & ~WORD;
    this.#breakpoints.set(at, (this.#breakpoints.get(at) ?? 0) + 1);
    if (this.#apply()) return true;
    this.removeBreakpoint(at);
    return false;
  }

  removeBreakpoint(address: bigint): void {
    const at = this.#address(address) & ~WORD;
    const count = this.#breakpoints.get(at) ?? 0;
    if (count > 1) this.#breakpoints.set(at, count - 1);
    else this.#breakpoints.delete(at);
    this.#apply();
  }

  addWatchpoint(watchpoint: Watchpoint): boolean {
    const added = { ...watchpoint, address: this.#address(watchpoint.address) };
    this.#watchpoints.push(added);
    if (this.#apply()) return true;
    this.removeWatchpoint(added);
    return false;
  }

  removeWatchpoint({ address, bytes, access }: Watchpoint): void {
    const at = this.#address(address);
    const index = this.#watchpoints.findIndex(
      (one) => one.address === at && one.bytes === bytes && one.access === access,
    );
    if (index >= 0) this.#watchpoints.splice(index, 1);
    this.#apply();
  }

  get breakpoints(): readonly bigint[] {
    return [...this.#breakpoints.keys()];
  }

  get watchpoints(): readonly Watchpoint[] {
    return this.#watchpoints;
  }

  /** The machine's loop: KVM_EXIT_DEBUG. */
  exit({ status, address }: KvmRun['debug']['arch']): void {
    this.registers.forget();
    if (status === KVMPPC_DEBUG.NONE) {
      if (this.#mode === 'off') {
        this.#mode = 'go';
        this.#apply();
        return;
      }
      const { pc } = this.registers;
      const isInside = this.#range !== undefined && pc >= this.#range.first && pc < this.#range.end;
      if (isInside && this.#mode === 'step') {
        this.#apply();
        return;
      }
    }
    if (status === KVMPPC_DEBUG.NONE) this.#pending ??= { cause: 'step' };
    else if (status === KVMPPC_DEBUG.BREAKPOINT) this.#pending ??= { cause: 'breakpoint' };
    else {
      const access = (status & KVMPPC_DEBUG.WATCH_WRITE) !== 0 ? 'write' : 'read';
      this.#pending ??= { cause: 'watchpoint', address: this.#address(address), access };
    }
    void this.#control.hold().then(() => this.#stands());
  }

  /** The machine's loop: the run is over. */
  ended(end: End): void {
    this.#end = { cause: 'ended', end };
    this.#stop = undefined;
    this.#pending = this.#end;
    this.#stands();
  }

  #stands(): void {
    if (this.#stop !== undefined || this.#pending === undefined) return;
    this.registers.forget();
    this.#stop = this.#end ?? this.#pending;
    this.#pending = undefined;
    this.#range = undefined;
    if (this.#mode !== 'go') {
      this.#mode = 'go';
      this.#apply();
    }
    for (const listener of [...this.#listeners]) listener(this.#stop);
  }

  #resume(mode: 'go' | 'step', range: StepRange | undefined): void {
    if (this.#end !== undefined || this.#stop === undefined) return;
    const isOnBreakpoint = this.#breakpoints.has(this.registers.pc);
    // A watched access that was not made would be stopped at again.
    const isOff = isOnBreakpoint || this.#stop.cause === 'watchpoint';
    this.#mode = mode === 'go' && isOff ? 'off' : mode;
    this.#range = range;
    this.#apply(isOff);
    this.#stop = undefined;
    this.registers.forget();
    this.#control.release();
  }

  /** Tells KVM what is wanted. `off`: for the first step, not what the guest stands at. */
  #apply(off = false): boolean {
    if (this.#end !== undefined) return true;
    const pc = off ? this.registers.pc : undefined;
    const bp: NonNullable<KvmGuestDebug['arch']>['bp'][number][] = [];
    for (const addr of this.#breakpoints.keys()) if (addr !== pc) bp.push({ addr, type: KVMPPC_DEBUG.BREAKPOINT });
    if (!off)
      for (const { address, bytes, access } of this.#watchpoints)
        bp.push({ addr: address, type: ACCESS_BITS[access], len: bytes });
    const steps = this.#mode !== 'go';
    const wanted = bp.length > 0 || steps;
    try {
      this.#vcpu.setGuestDebug({
        control: wanted
          ? KVM_GUESTDBG.ENABLE |
            (bp.length > 0 ? KVM_GUESTDBG.USE_HW_BP : 0) |
            (steps ? KVM_GUESTDBG.SINGLESTEP : 0) |
            (steps && this.blockInterrupts ? KVM_GUESTDBG.BLOCKIRQ : 0)
          : 0,
        arch: { bp },
      });
      return true;
    } catch (error) {
      if (error instanceof KvmError) return false;
      throw error;
    }
  }

  #address(address: bigint): bigint {
    return BigInt.asUintN(this.registers.family.bits, address);
  }
}
