import { type Accel, KVM_EXIT, KVM_SYSTEM_EVENT, type Vcpu, type Vm } from '../kvm/api.ts';
import { CodeProfile, createVm } from '../kvm/index.ts';
import type { Board, CpuSpec } from './board.ts';
import { findBoard } from './boards/index.ts';
import { type BootFiles, bootGuest } from './boot.ts';
import { cardsOf, placeCards } from './cards.ts';
import { MachineClock } from './clock.ts';
import { Debugger } from './debugger/index.ts';
import { type ConsoleDevice, type Device, type DeviceState, savedNumber, savedReal } from './device.ts';
import { formatBytes, hex, MachineError, OptionError } from './error.ts';
import {
  ConsoleBuffer,
  hostWorld,
  type MachineHost,
  type RepeatableWorld,
  repeatableWorld,
  type World,
} from './host.ts';
import { BoardInstance } from './instance.ts';
import type { KernelImage } from './loaders/image.ts';
import { loadKernel } from './loaders/index.ts';
import { checkOptions, checkRestoreOptions, type MachineOptions, type RestoreOptions } from './options.ts';
import { OutsideEvents } from './outside/events.ts';
import { PanicWatch } from './panic.ts';
import { isCompression, type SnapshotCompression } from './snapshot/codec.ts';
import {
  BytesSource,
  MAX_PROFILE_BYTES,
  type SnapshotHeader,
  SnapshotReader,
  type SnapshotSource,
  writeSnapshot,
} from './snapshot/container.ts';
import { type Continuation, copyMemory, restoredOptions, type UnbootedOptions } from './snapshot/continuation.ts';
import { VERSION } from './version.ts';

/** How a run ended. */
export interface MachineEnd {
  readonly cause: 'shutdown' | 'reset' | 'quit' | 'timeout' | 'error';
  /** One line for the user. */
  readonly message: string;
}

/** What a machine is doing. */
export type MachineState = 'created' | 'running' | 'paused' | 'ended';

/** An AbortSignal, as browsers and Node have it. */
export interface RunSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface RunOptions {
  /** Ends the run when it is aborted: `run` then rejects with the signal's reason, and the machine has ended. */
  readonly signal?: RunSignal | undefined;
}

export interface SaveOptions {
  /** How memory is compressed; `deflate` if absent, which every host reads. */
  readonly compression?: SnapshotCompression | undefined;
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

/** As many random bytes the guest's own generator gets at a boot. */
const RNG_SEED_BYTES = 32;
/** More than any host's clock says, nanoseconds. */
const MAX_CLOCK = 2 ** 53;

function isConsole(device: Device | undefined): device is ConsoleDevice {
  return device !== undefined && 'receive' in device && 'sink' in device;
}

function findCpu(board: Board, name: string | undefined): CpuSpec {
  const wanted = name?.toLowerCase();
  const cpu = wanted === undefined ? board.cpus[0] : board.cpus.find(({ model }) => model === wanted);
  if (cpu === undefined)
    throw new OptionError(
      `the board ${board.name} has no processor "${name?.slice(0, 64)}"; ` +
        `${board.cpus.map(({ model }) => model).join(', ')} would fit`,
    );
  return cpu;
}

function findAccel(board: Board, accel: Accel | undefined): Accel {
  if (accel !== undefined && !board.accels.includes(accel))
    throw new OptionError(
      `the board ${board.name} cannot run with accel "${accel.slice(0, 64)}"; ${board.accels.join(', ')} would fit`,
    );
  return accel ?? board.accels[0];
}

/** A pause from its request to its end. */
class Pause {
  /** Resolves when the guest stands still. */
  readonly still: Promise<void>;
  /** Resolves when it may go on. */
  readonly over: Promise<void>;
  /** Somebody has paused the machine, and will have it go on; else it does when nobody holds it. */
  isWanted = false;
  holds = 0;
  stands = (): void => {};
  end = (): void => {};

  constructor() {
    this.still = new Promise((resolve) => {
      this.stands = resolve;
    });
    this.over = new Promise((resolve) => {
      this.end = resolve;
    });
  }
}

/** A virtual machine: KVM's part, a board around it, and the loop between them. */
export class Machine {
  readonly board: Board;
  readonly cpu: CpuSpec;
  readonly accel: Accel;
  readonly memoryBytes: number;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly #options: UnbootedOptions;
  readonly #host: MachineHost;
  readonly #instance: BoardInstance;
  readonly #outside: OutsideEvents;
  readonly #console: ConsoleBuffer;
  readonly #panic: PanicWatch;
  readonly #serial: ConsoleDevice | undefined;
  /** Undefined in a machine that goes on from another one's state: it cannot boot again. */
  readonly #kernel: KernelImage | undefined;
  readonly #world: World | RepeatableWorld;
  /** What the guest runs at once. */
  readonly #pieceNs: number;
  /** The machine's time, which both the guest's and `timeoutNs` come from. */
  readonly #clock: MachineClock;
  readonly #deadline: number;
  #quit: string | undefined;
  #state: MachineState = 'created';
  #end: MachineEnd | undefined;
  /** A pause that was asked for: whoever waits for the guest to stand still, and what has it go on. */
  #pause: Pause | undefined;
  /** Made when somebody asks for it. */
  #debugger: Debugger<MachineEnd> | undefined;
  /** The debugger has the guest stand still. */
  #isHeld = false;
  /** When the event loop had its turn. */
  #turned = 0;
  /** Slices since then. */
  #goneOn = 0;
  /** So many slices are short: the outside was heard from. */
  #lively = 0;
  #slices = 0;
  #sleeps = 0;
  #resets = 0;

  /** Makes the machine and loads what it boots. Throws MachineError (or KvmError) when that is not possible. */
  static create(options: MachineOptions): Machine {
    checkOptions(options);
    return new Machine(options);
  }

  /**
   * Makes a machine that goes on where another one was saved: what that one had of a board, processor and memory is in the
   * snapshot. Its clock goes on, and the calendar has the host's time.
   * @throws MachineError or KvmError when the snapshot is damaged, or does not fit.
   */
  static restore(snapshot: Uint8Array | SnapshotSource | SnapshotReader, options: RestoreOptions): Machine {
    checkRestoreOptions(options);
    const reader =
      snapshot instanceof SnapshotReader
        ? snapshot
        : new SnapshotReader('read' in snapshot ? snapshot : new BytesSource(snapshot), options.host);
    return new Machine(restoredOptions(reader.header, options), {
      header: reader.header,
      fill: (areas) => {
        reader.readMemory(areas);
        return reader.profile;
      },
    });
  }

  private constructor(options: UnbootedOptions & Partial<BootFiles>, from?: Continuation) {
    const board = typeof options.board === 'string' ? findBoard(options.board) : options.board;
    const memoryBytes = options.memoryBytes ?? board.memory.defaultBytes;
    if (!Number.isSafeInteger(memoryBytes) || memoryBytes <= 0 || !board.memory.fits(memoryBytes))
      throw new OptionError(
        `the board ${board.name} cannot have ${formatBytes(memoryBytes)} of memory; ${board.memory.sizes} would fit`,
      );
    this.board = board;
    this.cpu = findCpu(board, options.cpu);
    this.accel = findAccel(board, options.accel);
    this.memoryBytes = memoryBytes;
    this.#options = options;
    const { host } = options;
    this.#host = host;
    const past = from?.header.machine;
    this.#clock = new MachineClock(host.clock, past && savedReal(past, 'nanoseconds', MAX_CLOCK));
    this.#world = options.icount === undefined ? hostWorld(host) : repeatableWorld(past && savedNumber(past, 'random'));
    this.#pieceNs = Math.min(SLICE_NS, (options.icount ?? Number.POSITIVE_INFINITY) * INSTRUCTIONS_PER_PIECE);
    this.#kernel = options.kernel && loadKernel(options.kernel, memoryBytes, host, board.kernelBits);
    const littleEndian = from ? from.header.memoryOrder === 0 : this.#kernel?.littleEndian;
    this.vm = (options.createVm ?? createVm)({
      cpu: this.cpu.model,
      accel: this.accel,
      clock: this.#clock,
      timebaseFrequency: this.cpu.timebaseFrequency,
      maxMemory: memoryBytes,
      ...(littleEndian && { littleEndian: true }),
      ...(options.icount !== undefined && { icount: options.icount }),
      ...(options.translationMemory !== undefined && { translationMemory: options.translationMemory }),
      ...(options.translation && { translation: options.translation }),
      ...(options.cores && { cores: options.cores }),
      ...(options.codeCache && { profile: options.codeCache.profile }),
    });
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: memoryBytes });
    this.vcpu = this.vm.createVcpu(0);
    if (options.rng === true && this.#world.random === undefined)
      throw new OptionError(
        'the option rng is set, but the host has no random numbers; a host with random() would fit',
      );
    const cards = placeCards(board.name, board.buses ?? {}, cardsOf(options));
    const configuration = { memoryBytes, cpu: this.cpu, cards };
    this.#outside = new OutsideEvents(() => host.wake(), options.icount !== undefined);
    this.#instance = new BoardInstance(board, configuration, this.vm, this.vcpu, this.#world, this.#outside);
    this.#console = new ConsoleBuffer(host);
    this.#panic = new PanicWatch(this.#console, () => this.#systemCalls());
    const serial = this.#instance.device(board.serial[0] ?? '');
    if (isConsole(serial)) {
      this.#serial = serial;
      serial.sink = this.#panic;
    }
    this.#deadline = this.#clock.now() + (options.timeoutNs ?? Number.POSITIVE_INFINITY);
    if (from) this.#continue(from);
    else this.#boot();
  }

  /** Takes over the state of another machine. */
  #continue({ header, fill }: Continuation): void {
    this.#instance.reset();
    const { vm } = this;
    if (vm.memoryOrder !== header.memoryOrder)
      throw new MachineError(
        `the snapshot keeps memory in the order ${header.memoryOrder}, which a ${header.cpu} has not`,
      );
    this.#instance.checkDevices(header.devices);
    vm.restore(header.vm);
    const profile = fill(vm.memoryAreas());
    if (profile) this.#options.codeCache?.profile.merge(CodeProfile.from(profile));
    this.#instance.restore(header.devices);
    this.#instance.restored();
  }

  #boot(): void {
    const kernel = this.#kernel;
    if (kernel === undefined) throw new MachineError('a machine that was restored has no kernel to boot again');
    this.#instance.reset();
    this.vcpu.reset();
    const { board, memoryBytes, vm, vcpu } = this;
    board.boot.prepare?.(vm, vcpu, memoryBytes);
    const rngSeed = new Uint8Array(this.#world.random === undefined ? 0 : RNG_SEED_BYTES);
    this.#world.random?.(rngSeed);
    const configuration = {
      memoryBytes,
      cpu: this.cpu,
      hcallInstructions: this.accel === 'trap' ? undefined : vm.getPvinfo(),
      rngSeed,
    };
    bootGuest(board, this.#instance.specs, kernel, this.#options, configuration, vm.memory, vcpu);
  }

  /** Nanoseconds an instruction, where time is counted. */
  get icount(): number | undefined {
    return this.#options.icount;
  }

  /** What the machine is doing. */
  get state(): MachineState {
    return this.#state;
  }

  /**
   * Runs the guest until it, the user or an error ends it. Never rejects for anything that the guest does: only with
   * MachineError when the machine runs already or has ended, and with the reason of a signal that was aborted.
   */
  async run({ signal }: RunOptions = {}): Promise<MachineEnd> {
    if (this.#state === 'ended')
      throw new MachineError(`the machine has ended (${this.#end?.message}); another one would run`);
    if (this.#state !== 'created') throw new MachineError('the machine runs already; its first run has not ended');
    if (signal?.aborted) throw signal.reason;
    const abort = (): void => this.quit('aborted');
    signal?.addEventListener('abort', abort);
    this.#state = 'running';
    try {
      this.#end = await this.#loop();
    } catch (error) {
      this.#end = { cause: 'error', message: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#state = 'ended';
      if (this.#end !== undefined) this.#debugger?.ended(this.#end);
      this.#pause?.stands();
      this.#endTranslation();
      this.#options.codeCache?.close?.();
    }
    if (signal?.aborted && this.#end.cause === 'quit') throw signal.reason;
    return this.#end;
  }

  async #loop(): Promise<MachineEnd> {
    let end: MachineEnd | undefined;
    const { kvmRun } = this.vcpu;
    while ((end = this.#slice()) === undefined) {
      this.#console.flush();
      const wasCut = this.#outside.asked;
      const hasHeard = await this.#hear();
      // What the guest was to be answered is complete once KVM says that it was interrupted, or that it waits.
      const { exitReason } = kvmRun;
      const isComplete = exitReason === KVM_EXIT.HLT || exitReason === KVM_EXIT.INTR || exitReason === KVM_EXIT.DEBUG;
      if (this.#panic.reason !== undefined && this.#panicked()) {
        end = { cause: 'error', message: this.#panicMessage };
        break;
      }
      if (this.#quit !== undefined) await this.#host.yield();
      else if (this.#pause !== undefined) await (isComplete ? this.#standStill(this.#pause) : this.#host.yield());
      else if (this.#console.full) await this.#host.sleep(this.#clock.toHost(this.#deadline));
      else if (exitReason === KVM_EXIT.HLT && !hasHeard && this.#debugger?.stepping !== true) await this.#sleep();
      else if ((hasHeard || wasCut) && this.#mayGoOn()) continue;
      else await this.#host.yield();
      this.#turned = this.#clock.now();
      this.#goneOn = 0;
    }
    this.#console.flush();
    return end;
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
    if (this.#options.icount !== undefined)
      while (outside.outstanding > 0 && this.#quit === undefined && this.#clock.now() < this.#deadline)
        await this.#host.sleep(this.#clock.toHost(this.#deadline), true);
    if (outside.drain()) {
      this.#lively = LIVELY_SLICES;
      return true;
    }
    if (this.#lively > 0) this.#lively--;
    return false;
  }

  /** After a slice of a guest whose kernel has said that it panicked: whether it is dead. */
  #panicked(): boolean {
    return this.#panic.slice(this.vcpu.kvmRun.exitReason === KVM_EXIT.HLT);
  }

  #systemCalls(): number {
    const { syscall_exits = 0, assisted_sc = 0 } = this.vcpu.stats;
    return syscall_exits + assisted_sc;
  }

  get #panicMessage(): string {
    return `the guest's kernel panicked: ${this.#panic.reason}`;
  }

  async #standStill(pause: Pause): Promise<void> {
    this.#state = 'paused';
    this.#clock.stop();
    pause.stands();
    await pause.over;
    this.#clock.start();
    this.#state = 'running';
  }

  /** Waits for the guest's next timer, for input, or for the run's end. */
  async #sleep(): Promise<void> {
    const { wakeAt } = this.vcpu.kvmRun.hlt;
    this.#sleeps++;
    // Counted time does not pass while nothing runs: KVM takes it straight to the timer.
    if (this.#options.icount !== undefined && wakeAt !== Number.POSITIVE_INFINITY) await this.#host.yield();
    else {
      const isExpectant = this.#outside.outstanding > 0 || this.#lively > 0;
      await this.#host.sleep(this.#clock.toHost(Math.min(wakeAt, this.#deadline)), isExpectant);
    }
  }

  /** Runs the guest for one slice: until it has used its time, waits for something, or has ended. Allocates nothing. */
  #slice(): MachineEnd | undefined {
    const { vcpu } = this;
    const { bus, hypercalls, power } = this.#instance;
    const clock = this.#clock;
    const run = vcpu.kvmRun;
    const { mmio, dcr, paprHcall } = run;
    const outside = this.#outside;
    const start = clock.now();
    if (start >= this.#deadline) return { cause: 'timeout', message: 'the time limit was reached' };
    // What the guest would write has nowhere to go. Whoever ends or pauses it need not wait for a reader.
    if (this.#console.full && this.#quit === undefined && this.#pause === undefined) return undefined;
    this.#slices++;
    let exits = 0;
    let pieces = 0;
    for (;;) {
      if (this.#quit !== undefined) return { cause: 'quit', message: this.#quit };
      switch (vcpu.run(this.#untilDue())) {
        case KVM_EXIT.MMIO:
          if (mmio.isWrite) bus.writeMmio(mmio.physAddr, mmio.len, mmio.data);
          else mmio.data = bus.readMmio(mmio.physAddr, mmio.len);
          if (power.pressed !== undefined) return this.#powerEvent();
          break;
        case KVM_EXIT.PAPR_HCALL:
          hypercalls.serve(paprHcall, vcpu.id);
          if (power.pressed !== undefined) return this.#powerEvent();
          break;
        case KVM_EXIT.DCR:
          if (dcr.isWrite) bus.writeDcr(dcr.dcrn, dcr.data);
          else dcr.data = bus.readDcr(dcr.dcrn);
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
    const piece = this.#options.icount === undefined ? Math.min(this.#pieceNs, this.#sliceNs) : this.#pieceNs;
    if (due === Number.POSITIVE_INFINITY) return piece;
    const now = this.vm.clock.now();
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
        return this.#reset('the guest reset the machine');
      case 'crash':
        return { cause: 'error', message: event.message };
      default:
        return undefined;
    }
  }

  #rareExit(): MachineEnd | undefined {
    const run = this.vcpu.kvmRun;
    switch (run.exitReason) {
      case KVM_EXIT.SYSTEM_EVENT:
        if (run.systemEvent.type === KVM_SYSTEM_EVENT.SHUTDOWN)
          return { cause: 'shutdown', message: 'the guest shut down' };
        if (run.systemEvent.type === KVM_SYSTEM_EVENT.CRASH) return { cause: 'error', message: 'the guest crashed' };
        return this.#reset('the guest reset the machine');
      case KVM_EXIT.WATCHDOG:
        return this.#reset('the watchdog reset the machine');
      case KVM_EXIT.INTERNAL_ERROR:
        return { cause: 'error', message: `${run.internal.message} (at ${hex(run.internal.pc)})` };
      case KVM_EXIT.DEBUG:
        if (this.#debugger === undefined) break;
        this.#debugger.exit(run.debug.arch);
        return undefined;
    }
    return { cause: 'error', message: `KVM ended with exit reason ${run.exitReason}, which no board here serves` };
  }

  #reset(message: string): MachineEnd | undefined {
    if (this.#options.noReboot === true || this.#kernel === undefined) {
      // A program that only showed such a line has ended the machine in the same slice.
      this.#panic.look();
      if (this.#panic.reason === undefined) return { cause: 'reset', message };
      return { cause: 'error', message: this.#panicMessage };
    }
    this.#panic.clear();
    this.#resets++;
    try {
      this.#boot();
    } catch (error) {
      return { cause: 'error', message: error instanceof Error ? error.message : String(error) };
    }
    return undefined;
  }

  /** Console input. Returns how many bytes were taken: the rest did not fit, and should be offered again later. */
  input(bytes: Uint8Array): number {
    const taken = this.#serial?.receive(bytes) ?? 0;
    if (taken > 0) this.#host.wake();
    return taken;
  }

  #endTranslation(): void {
    for (const port of [this.#options.translation ?? []].flat()) port.close?.();
  }

  /** Ends the run at the next opportunity, with cause "quit"; one that has not begun ends at its beginning. */
  quit(message = 'quit by the user'): void {
    this.#quit ??= message;
    this.vcpu.kvmRun.immediateExit = true;
    this.#pause?.end();
    this.#host.wake();
    if (this.#state === 'created') {
      this.#endTranslation();
      this.#options.codeCache?.close?.();
    }
  }

  /**
   * Has the guest stand still between two instructions, with its clock stopped, and resolves when it does: `vcpu`'s
   * registers, `vm.memory` and the devices' states then belong together. A machine that does not run yet begins paused.
   */
  pause(): Promise<void> {
    if (this.#state === 'ended') return Promise.resolve();
    const pause = this.#standing();
    pause.isWanted = true;
    return pause.still;
  }

  /** The pause that is on, or one that is asked for now. */
  #standing(): Pause {
    this.#pause ??= new Pause();
    this.vcpu.kvmRun.immediateExit = true;
    if (this.#state === 'created') this.#pause.stands();
    this.#host.wake();
    return this.#pause;
  }

  /** Does `work` while the guest stands still; afterwards it goes on if it did before. */
  async #whileStill<Result>(work: () => Result): Promise<Result> {
    for (;;) {
      if (this.#state !== 'ended') {
        const pause = this.#standing();
        pause.holds++;
        await pause.still;
        pause.holds--;
        // Somebody may have had it go on before it stood still.
        if (this.#pause !== pause) continue;
        try {
          if (this.state !== 'ended') return work();
        } finally {
          if (pause.holds === 0 && !pause.isWanted) this.resume();
        }
      }
      throw new MachineError(
        `the machine has ended (${this.#end?.message}); one that runs, or did not yet, can be saved`,
      );
    }
  }

  /**
   * Saves the whole machine, which stands still meanwhile: `Machine.restore` goes on from there, in this process or another.
   * What the outside has (files, connections) is not in it.
   */
  async save(options: SaveOptions = {}): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    await this.saveTo((bytes) => {
      pieces.push(bytes);
      length += bytes.length;
    }, options);
    const snapshot = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      snapshot.set(piece, at);
      at += piece.length;
    }
    return snapshot;
  }

  /** The same piece by piece, of at most about a megabyte each: what `write` throws ends it. */
  async saveTo(write: (bytes: Uint8Array) => void, { compression = 'deflate' }: SaveOptions = {}): Promise<void> {
    if (!isCompression(compression))
      throw new MachineError(
        `snapshots are compressed with none, deflate or zstd, not ${String(compression).slice(0, 40)}`,
      );
    const fast = this.#host;
    await this.#whileStill(() => {
      const profile = this.#options.codeCache?.profile.bytes(MAX_PROFILE_BYTES);
      writeSnapshot(this.#header(), this.vm.memoryAreas(), profile, { compression, fast, write });
    });
  }

  /**
   * Makes a second machine of this one's state, which stands still meanwhile. Only memory that was touched is copied. Each
   * goes on by itself; the fork has a host of its own, and what else there is in `options`.
   */
  fork(options: RestoreOptions): Promise<Machine> {
    checkRestoreOptions(options);
    return this.#whileStill(() => {
      const header = this.#header();
      const own = { board: this.board, accel: this.accel, ...options };
      return new Machine(restoredOptions(header, own), {
        header,
        fill: (areas) => {
          copyMemory(this.vm.memoryAreas(), areas);
          return this.#options.codeCache?.profile.bytes(MAX_PROFILE_BYTES);
        },
      });
    });
  }

  /** The machine's state but for memory. Only while it stands still. */
  #header(): SnapshotHeader {
    const { vm } = this;
    const world = this.#world;
    return {
      version: VERSION,
      board: this.board.name,
      cpu: this.cpu.model,
      accel: this.accel,
      memoryBytes: this.memoryBytes,
      memoryOrder: vm.memoryOrder,
      ...(this.#options.icount !== undefined && { icount: this.#options.icount }),
      vm: vm.save(),
      devices: this.#instance.save(),
      machine: { nanoseconds: this.#clock.now(), random: 'state' in world ? world.state : 0 },
      areas: vm.memoryAreas().map(({ name, bytes }) => ({ name, bytes: bytes.length })),
    };
  }

  /** Stops, steps and looks into the guest. It costs nothing as long as nothing is asked of it. */
  get debugger(): Debugger<MachineEnd> {
    this.#debugger ??= new Debugger(this.vm, this.vcpu, this.cpu.model, {
      hold: () => {
        this.#isHeld = true;
        return this.#state === 'ended' ? Promise.resolve() : this.#standing().still;
      },
      release: () => {
        this.#isHeld = false;
        if (this.#pause?.isWanted === false && this.#pause.holds === 0) this.resume();
      },
      quit: (message) => this.quit(message),
    });
    return this.#debugger;
  }

  /** Ends a pause, also one that has not come about yet; does nothing where there is none, or where a debugger stops the guest. */
  resume(): void {
    if (this.#isHeld && this.#pause !== undefined) {
      this.#pause.isWanted = false;
      return;
    }
    this.#pause?.stands();
    this.#pause?.end();
    this.#pause = undefined;
    this.vcpu.kvmRun.immediateExit = this.#quit !== undefined;
  }

  /** Counters of KVM (virtual machine and processor), devices, and this loop. */
  stats(): Record<string, number> {
    return {
      ...this.vm.stats,
      ...this.vcpu.stats,
      ...this.#instance.counters(),
      loop_slices: this.#slices,
      loop_sleeps: this.#sleeps,
      machine_resets: this.#resets,
    };
  }

  /** The state of every device by its name, as JSON. Only between runs. */
  saveDevices(): Record<string, DeviceState> {
    return this.#instance.save();
  }

  /** Takes what `saveDevices` gave. @throws MachineError for anything else; the devices then are as they were. */
  restoreDevices(states: Readonly<Record<string, DeviceState>>): void {
    this.#instance.restore(states);
  }
}
