/** A machine's loop: the guest runs in slices, between which the outside is heard and the event loop has its turn. */
import { KVM_EXIT, KVM_SYSTEM_EVENT, type Vcpu, type Vm } from '../kvm/api.ts';
import type { MachineClock } from './clock.ts';
import type { Debugger } from './debugger/index.ts';
import { hex } from './error.ts';
import type { ConsoleBuffer, MachineHost } from './host.ts';
import type { BoardInstance } from './instance.ts';
import type { OutsideEvents } from './outside/events.ts';
import type { PanicWatch } from './panic.ts';
import type { Pause } from './pause.ts';
import type { Tracer } from './trace/index.ts';

/** How a run ended. */
export interface MachineEnd {
  readonly cause: 'shutdown' | 'reset' | 'quit' | 'timeout' | 'error';
  /** One line for the user. */
  readonly message: string;
}

/** The longest stay in the guest before the event loop has its turn, nanoseconds. */
const SLICE_NS = 5e6;
/** The same while the outside owes an answer, or has just said something: the event loop is where it comes from. */
const EXPECTANT_SLICE_NS = 2e5;
const LIVELY_SLICES = 16;
/** A guest that talks to devices all the time is timed once in so many exits. */
const EXITS_PER_TIME_CHECK = 8;
/** Counted time does not tell how long the host takes: so many instructions, and the host's clock is looked at. */
const INSTRUCTIONS_PER_PIECE = 1e5;
/** Pieces of a slice at most, for clocks that stand still: a device may be due ten times in a millisecond. */
const PIECES_PER_SLICE = 64;

/** What the loop runs, and what it runs it with. */
export interface LoopParts {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly instance: BoardInstance;
  readonly outside: OutsideEvents;
  readonly console: ConsoleBuffer;
  readonly panic: PanicWatch;
  readonly host: MachineHost;
  readonly clock: MachineClock;
  /** When the run ends at the latest, nanoseconds of `clock`. */
  readonly deadline: number;
  /** Nanoseconds an instruction, where time is counted. */
  readonly icount: number | undefined;
  /** Writes down what happens. */
  readonly tracer: Tracer | undefined;
  /** Something resets the machine; answers how the run ends, if it does not go on. */
  readonly reset: (message: string) => MachineEnd | undefined;
}

export class MachineLoop {
  /** Why the run is to end at the next opportunity. */
  quit: string | undefined;
  /** A pause that was asked for: whoever waits for the guest to stand still, and what has it go on. */
  pause: Pause | undefined;
  /** KVM_EXIT_DEBUG is its; undefined: nobody has asked for one. */
  debugger: Debugger<MachineEnd> | undefined;
  slices = 0;
  sleeps = 0;
  /** The guest stands still. */
  isStill = false;
  readonly #parts: LoopParts;
  readonly #vcpu: Vcpu;
  readonly #instance: BoardInstance;
  readonly #outside: OutsideEvents;
  readonly #console: ConsoleBuffer;
  readonly #panic: PanicWatch;
  readonly #host: MachineHost;
  readonly #clock: MachineClock;
  readonly #deadline: number;
  readonly #isCounted: boolean;
  /** What the guest runs at once. */
  readonly #pieceNs: number;
  /** When the event loop had its turn. */
  #turned = 0;
  /** Slices since then. */
  #goneOn = 0;
  /** A step that ended in a wait was looked at once more. */
  #stepped = false;
  /** So many slices are short: the outside was heard from. */
  #lively = 0;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#vcpu = parts.vcpu;
    this.#instance = parts.instance;
    this.#outside = parts.outside;
    this.#console = parts.console;
    this.#panic = parts.panic;
    this.#host = parts.host;
    this.#clock = parts.clock;
    this.#deadline = parts.deadline;
    this.#isCounted = parts.icount !== undefined;
    this.#pieceNs = Math.min(SLICE_NS, (parts.icount ?? Number.POSITIVE_INFINITY) * INSTRUCTIONS_PER_PIECE);
  }

  /** Runs the guest until it, the user or an error ends it. */
  async run(): Promise<MachineEnd> {
    let end: MachineEnd | undefined;
    const { kvmRun } = this.#vcpu;
    while ((end = this.#slice()) === undefined) {
      this.#console.flush();
      this.#parts.tracer?.flush();
      const wasCut = this.#outside.asked;
      const hasHeard = await this.#hear();
      // What the guest was to be answered is complete once KVM says that it was interrupted, or that it waits.
      const { exitReason } = kvmRun;
      const isComplete = exitReason === KVM_EXIT.HLT || exitReason === KVM_EXIT.INTR || exitReason === KVM_EXIT.DEBUG;
      // A kernel that has said that it panicked may be dead.
      if (this.#panic.reason !== undefined && this.#panic.slice(exitReason === KVM_EXIT.HLT)) {
        end = { cause: 'error', message: this.#panic.message };
        break;
      }
      if (this.quit !== undefined) await this.#host.yield();
      else if (this.pause !== undefined) await (isComplete ? this.#standStill(this.pause) : this.#host.yield());
      else if (this.#console.full) await this.#host.sleep(this.#clock.toHost(this.#deadline));
      else if (exitReason === KVM_EXIT.HLT && !hasHeard && !this.#stepsOnce()) await this.#sleep();
      else if ((hasHeard || wasCut) && this.#mayGoOn()) continue;
      else await this.#host.yield();
      this.#turned = this.#clock.now();
      this.#goneOn = 0;
    }
    this.#console.flush();
    return end;
  }

  /** The instruction of a step may be complete in a guest that waits, which KVM says when it is run once more. */
  #stepsOnce(): boolean {
    this.#stepped = this.debugger?.stepping === true && !this.#stepped;
    return this.#stepped;
  }

  /** After a slice that was cut short for the outside: the event loop can wait. */
  #mayGoOn(): boolean {
    return ++this.#goneOn < PIECES_PER_SLICE && this.#clock.now() - this.#turned < this.#sliceNs;
  }

  /** How long the guest runs until the event loop has its turn. */
  get #sliceNs(): number {
    const { outstanding, pending } = this.#outside;
    return outstanding > 0 || pending || this.#lively > 0 ? EXPECTANT_SLICE_NS : SLICE_NS;
  }

  /**
   * Hands what the outside has said to the devices: answers that were there already come without a turn of the event loop. In
   * counted time no time passes for the guest until they are there, so that it gets them at the same instruction each time.
   */
  async #hear(): Promise<boolean> {
    const outside = this.#outside;
    const hasAsked = outside.asked;
    outside.asked = false;
    if (hasAsked) await undefined;
    if (this.#isCounted)
      while (outside.outstanding > 0 && this.quit === undefined && this.#clock.now() < this.#deadline)
        await this.#host.sleep(this.#clock.toHost(this.#deadline), true);
    if (outside.drain()) {
      this.#lively = LIVELY_SLICES;
      return true;
    }
    if (this.#lively > 0) this.#lively--;
    return false;
  }

  async #standStill(pause: Pause): Promise<void> {
    this.isStill = true;
    this.#clock.stop();
    pause.stands();
    await pause.over;
    this.#clock.start();
    this.isStill = false;
  }

  /** Waits for the guest's next timer, for input, or for the run's end. */
  async #sleep(): Promise<void> {
    const { wakeAt } = this.#vcpu.kvmRun.hlt;
    this.sleeps++;
    // Counted time does not pass while nothing runs: KVM takes it straight to the timer.
    if (this.#isCounted && wakeAt !== Number.POSITIVE_INFINITY) await this.#host.yield();
    else {
      const isExpectant = this.#outside.outstanding > 0 || this.#lively > 0;
      await this.#host.sleep(this.#clock.toHost(Math.min(wakeAt, this.#deadline)), isExpectant);
    }
  }

  /** Runs the guest for one slice: until it has used its time, waits for something, or has ended. Allocates nothing. */
  #slice(): MachineEnd | undefined {
    const vcpu = this.#vcpu;
    const { bus, hypercalls, power } = this.#instance;
    const clock = this.#clock;
    const run = vcpu.kvmRun;
    const { mmio, dcr, paprHcall } = run;
    const outside = this.#outside;
    const start = clock.now();
    if (start >= this.#deadline) return { cause: 'timeout', message: 'the time limit was reached' };
    // What the guest would write has nowhere to go. Whoever ends or pauses it need not wait for a reader.
    if (this.#console.full && this.quit === undefined && this.pause === undefined) return undefined;
    this.slices++;
    const { tracer } = this.#parts;
    let since = 0;
    let exits = 0;
    let pieces = 0;
    for (;;) {
      if (this.quit !== undefined) return { cause: 'quit', message: this.quit };
      switch (vcpu.run(this.#untilDue())) {
        case KVM_EXIT.MMIO:
          if (tracer !== undefined) since = tracer.now();
          if (mmio.isWrite) bus.writeMmio(mmio.physAddr, mmio.len, mmio.data);
          else mmio.data = bus.readMmio(mmio.physAddr, mmio.len);
          tracer?.access(since, mmio.isWrite, mmio.physAddr, mmio.len, mmio.data);
          if (power.pressed !== undefined) return this.#powerEvent();
          break;
        case KVM_EXIT.PAPR_HCALL:
          hypercalls.serve(paprHcall, vcpu.id);
          if (power.pressed !== undefined) return this.#powerEvent();
          break;
        case KVM_EXIT.DCR:
          if (tracer !== undefined) since = tracer.now();
          if (dcr.isWrite) bus.writeDcr(dcr.dcrn, dcr.data);
          else dcr.data = bus.readDcr(dcr.dcrn);
          tracer?.dcr(since, dcr.isWrite, dcr.dcrn, dcr.data);
          break;
        case KVM_EXIT.EPR:
          run.epr.epr = this.#instance.proxy?.proxied() ?? 0;
          break;
        case KVM_EXIT.INTR:
          // A device may have been due before the slice is over.
          if (!run.immediateExit && ++pieces < PIECES_PER_SLICE && clock.now() - start < this.#sliceNs) continue;
          return undefined;
        case KVM_EXIT.HLT:
          run.hlt.wakeAt = Math.min(run.hlt.wakeAt, this.#instance.due());
          return undefined;
        default:
          return this.#rareExit();
      }
      if (outside.asked) return undefined;
      if (++exits % EXITS_PER_TIME_CHECK === 0 && clock.now() - start >= this.#sliceNs) return undefined;
    }
  }

  /** Lets the devices do what is due; answers how long the guest may run until they are due again, at most a piece of a slice. */
  #untilDue(): number {
    const due = this.#instance.due();
    // Counted time has all that was asked for at once, and runs in the same pieces each time.
    const piece = !this.#isCounted ? Math.min(this.#pieceNs, this.#sliceNs) : this.#pieceNs;
    if (due === Number.POSITIVE_INFINITY) return piece;
    const now = this.#parts.vm.clock.now();
    if (due > now) return Math.min(due - now, piece);
    this.#instance.turn();
    return Math.max(1, Math.min(this.#instance.due() - now, piece));
  }

  #powerEvent(): MachineEnd | undefined {
    const event = this.#instance.power.release();
    switch (event?.kind) {
      case 'shutdown':
        return { cause: 'shutdown', message: 'the guest shut down' };
      case 'reset':
        return this.#parts.reset('the guest reset the machine');
      case 'crash':
        return { cause: 'error', message: event.message };
      default:
        return undefined;
    }
  }

  #rareExit(): MachineEnd | undefined {
    const run = this.#vcpu.kvmRun;
    switch (run.exitReason) {
      case KVM_EXIT.SYSTEM_EVENT:
        if (run.systemEvent.type === KVM_SYSTEM_EVENT.SHUTDOWN)
          return { cause: 'shutdown', message: 'the guest shut down' };
        if (run.systemEvent.type === KVM_SYSTEM_EVENT.CRASH) return { cause: 'error', message: 'the guest crashed' };
        return this.#parts.reset('the guest reset the machine');
      case KVM_EXIT.WATCHDOG:
        return this.#parts.reset('the watchdog reset the machine');
      case KVM_EXIT.INTERNAL_ERROR:
        return { cause: 'error', message: `${run.internal.message} (at ${hex(run.internal.pc)})` };
      case KVM_EXIT.DEBUG:
        if (this.debugger === undefined) break;
        this.debugger.exit(run.debug.arch);
        return undefined;
    }
    return { cause: 'error', message: `KVM ended with exit reason ${run.exitReason}, which no board here serves` };
  }
}
