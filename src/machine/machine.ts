import type { Accel, Vcpu, Vm } from '../kvm/api.ts';
import { CodeProfile, createVm } from '../kvm/index.ts';
import { type Board, type CpuSpec, cpuName, type FirmwareInformant, hasFirmware } from './board.ts';
import { findBoard } from './boards/index.ts';
import { type BootFiles, bootFirmware, bootGuest } from './boot.ts';
import { cardsOf, placeCards } from './cards.ts';
import { MachineClock } from './clock.ts';
import { Debugger, debugFamily } from './debugger/index.ts';
import { type ConsoleDevice, type Device, type DeviceState, savedNumber, savedReal } from './device.ts';
import { formatBytes, MachineError, OptionError } from './error.ts';
import {
  ConsoleBuffer,
  hostWorld,
  type MachineHost,
  type RepeatableWorld,
  repeatableWorld,
  type World,
} from './host.ts';
import { BoardInstance, type DeviceView } from './instance.ts';
import { isElf } from './loaders/elf-file.ts';
import type { KernelImage, Segment } from './loaders/image.ts';
import { loadKernel } from './loaders/index.ts';
import { loadRom, romRanges } from './loaders/rom.ts';
import { type MachineEnd, MachineLoop } from './loop.ts';
import {
  checkOptions,
  checkRestoreOptions,
  type MachineOptions,
  type MachineTrace,
  type RestoreOptions,
} from './options.ts';
import { OutsideEvents } from './outside/events.ts';
import { PanicWatch } from './panic.ts';
import { Pause } from './pause.ts';
import { Seat } from './seat.ts';
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
import { createFormat, Tracer, tracedMemory } from './trace/index.ts';
import { VERSION } from './version.ts';

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

/** As many random bytes the guest's own generator gets at a boot. */
const RNG_SEED_BYTES = 32;
/** Memory slots of devices; those below are RAM's and ROM's. */
const FIRST_DEVICE_SLOT = 8;
/** More than any host's clock says, nanoseconds. */
const MAX_CLOCK = 2 ** 53;

function isConsole(device: Device | undefined): device is ConsoleDevice {
  return device !== undefined && 'receive' in device && 'sink' in device;
}

function isInformant(device: Device | undefined): device is Device & FirmwareInformant {
  return device !== undefined && 'inform' in device;
}

/** Whether there is what the board starts from. */
function checkBoot({ name, boot }: Board, { kernel, bios, dtb }: Partial<BootFiles>): void {
  if (hasFirmware(boot)) {
    if (bios === undefined)
      throw new OptionError(
        `the board ${name} starts from firmware, and the option bios is missing: ${boot.title} would fit, which ` +
          `Debian's package qemu-system-data has as '${boot.file}'`,
      );
    if (dtb !== undefined)
      throw new OptionError(`the firmware of the board ${name} makes the device tree: dtb does not fit`);
    return;
  }
  if (kernel === undefined && bios === undefined)
    throw new OptionError('the option kernel is missing: a Uint8Array would fit');
  if (bios !== undefined && boot.firmware === undefined)
    throw new OptionError(`the board ${name} has no firmware: the option bios does not fit`);
}

function findCpu(board: Board, name: string | undefined): CpuSpec {
  const wanted = name?.toLowerCase();
  const cpu = wanted === undefined ? board.cpus[0] : board.cpus.find((one) => cpuName(one) === wanted);
  if (cpu === undefined)
    throw new OptionError(
      `the board ${board.name} has no processor "${name?.slice(0, 64)}"; ` +
        `${board.cpus.map(cpuName).join(', ')} would fit`,
    );
  return cpu;
}

function findAccel({ name, accels }: Board, cpu: CpuSpec, accel: Accel | undefined): Accel {
  const there = cpu.accels ?? accels;
  if (accel !== undefined && !there.includes(accel))
    throw new OptionError(
      `the board ${name} cannot run with accel "${accel.slice(0, 64)}"; ${there.join(', ')} would fit`,
    );
  return accel ?? there[0];
}

/** A virtual machine: KVM's part, a board around it, and the loop between them. */
export class Machine {
  readonly board: Board;
  readonly cpu: CpuSpec;
  readonly accel: Accel;
  readonly memoryBytes: number;
  /** Display, keyboard and mouse. */
  readonly seat: Seat;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly #options: UnbootedOptions;
  readonly #host: MachineHost;
  readonly #instance: BoardInstance;
  readonly #outside: OutsideEvents;
  readonly #console: ConsoleBuffer;
  readonly #panic: PanicWatch;
  readonly #serial: ConsoleDevice | undefined;
  /** A machine that goes on from another one's state has nothing to boot, and cannot boot again. */
  readonly #kernel: KernelImage | undefined;
  readonly #rom: readonly Segment[] | undefined;
  /** The kernel's file, where firmware boots it. */
  readonly #payload: Uint8Array | undefined;
  readonly #world: World | RepeatableWorld;
  /** The machine's time, which both the guest's and `timeoutNs` come from. */
  readonly #clock: MachineClock;
  readonly #loop: MachineLoop;
  #state: MachineState = 'created';
  #end: MachineEnd | undefined;
  /** The debugger has the guest stand still. */
  #isHeld = false;
  #resets = 0;
  #closeTrace = (): void => {};

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
    this.accel = findAccel(board, this.cpu, options.accel);
    this.memoryBytes = memoryBytes;
    this.#options = options;
    const { host } = options;
    this.#host = host;
    const past = from?.header.machine;
    this.#clock = new MachineClock(host.clock, past && savedReal(past, 'nanoseconds', MAX_CLOCK));
    this.#world = options.icount === undefined ? hostWorld(host) : repeatableWorld(past && savedNumber(past, 'random'));
    const { boot } = board;
    const firmware = hasFirmware(boot) ? boot : undefined;
    const rom = hasFirmware(boot) ? boot.rom : boot.firmware?.rom;
    if (from === undefined) {
      checkBoot(board, options);
      const { kernel, bios } = options;
      const room = memoryBytes - (firmware?.kernel ?? 0);
      const isRom = bios !== undefined && (firmware !== undefined || !isElf(bios));
      // Where there is no ROM, firmware is loaded like a kernel, and boots another one.
      const image = firmware !== undefined ? kernel : isRom ? undefined : (bios ?? kernel);
      this.#kernel = image && loadKernel(image, room, host, this.cpu.kernelBits ?? board.kernelBits);
      this.#rom = isRom && rom ? loadRom(bios, rom) : undefined;
      this.#payload = firmware === undefined && bios !== undefined ? kernel : undefined;
    }
    const littleEndian = from ? from.header.memoryOrder === 0 : firmware === undefined && this.#kernel?.littleEndian;
    if (options.display === true && board.hasDisplay !== true)
      throw new OptionError(`the board ${board.name} has no display: the option display does not fit`);
    const cards = placeCards(board.name, board.buses ?? {}, cardsOf(options));
    const configuration = { memoryBytes, cpu: this.cpu, cards, ...(options.display === true && { display: true }) };
    const memories = board.devices(configuration).flatMap(({ memory }) => memory ?? []);
    const further = (rom?.bytes ?? 0) + memories.reduce((sum, { bytes }) => sum + bytes, 0);
    this.vm = (options.createVm ?? createVm)({
      cpu: this.cpu.model,
      accel: this.accel,
      clock: this.#clock,
      timebaseFrequency: this.cpu.timebaseFrequency,
      maxMemory: memoryBytes + further,
      ...(littleEndian && { littleEndian: true }),
      ...(options.icount !== undefined && { icount: options.icount }),
      ...(options.translationMemory !== undefined && { translationMemory: options.translationMemory }),
      ...(options.translation && { translation: options.translation }),
      ...(options.cores && { cores: options.cores }),
      ...(options.codeCache && { profile: options.codeCache.profile }),
    });
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: memoryBytes });
    (rom ? romRanges(rom) : []).forEach(({ address, bytes }, i) => {
      this.vm.setUserMemoryRegion({ slot: 1 + i, guestPhysAddr: address, memorySize: bytes, readonly: true });
    });
    memories.forEach(({ base, bytes }, i) => {
      this.vm.setUserMemoryRegion({ slot: FIRST_DEVICE_SLOT + i, guestPhysAddr: base, memorySize: bytes });
    });
    this.vcpu = this.vm.createVcpu(0);
    if (options.rng === true && this.#world.random === undefined)
      throw new OptionError(
        'the option rng is set, but the host has no random numbers; a host with random() would fit',
      );
    this.#outside = new OutsideEvents(() => host.wake(), options.icount !== undefined);
    const tracer = options.trace && this.#tracer(options.trace);
    const { vm, vcpu } = this;
    const memory = tracer === undefined ? vm.memory : tracedMemory(vm.memory, tracer);
    this.#instance = new BoardInstance(board, configuration, vm, vcpu, this.#world, this.#outside, memory);
    this.seat = new Seat(this.#instance, () => host.wake());
    this.#console = new ConsoleBuffer(host);
    this.#panic = new PanicWatch(this.#console, () => this.#systemCalls());
    const serial = this.#instance.device(board.serial[0] ?? '');
    if (isConsole(serial)) {
      this.#serial = serial;
      serial.sink = this.#panic;
    }
    this.#loop = new MachineLoop({
      vm: this.vm,
      vcpu: this.vcpu,
      instance: this.#instance,
      outside: this.#outside,
      console: this.#console,
      panic: this.#panic,
      host,
      clock: this.#clock,
      deadline: this.#clock.now() + (options.timeoutNs ?? Number.POSITIVE_INFINITY),
      icount: options.icount,
      tracer,
      reset: (message) => this.#reset(message),
    });
    if (from) this.#continue(from);
    else this.#boot();
  }

  /** Has what happens written down from now on. */
  #tracer({ format, ...options }: MachineTrace): Tracer {
    const { vm, vcpu } = this;
    const tracer = new Tracer(
      {
        name: `powervisor ${this.board.name}, ${cpuName(this.cpu)}`,
        bits: debugFamily(this.cpu.model).bits,
        clock: this.#host.clock,
        disassemble: (word, address) => vm.disassemble(word, address),
        vectorName: (vector) => vcpu.vectorName(vector),
        devices: () => this.devices(),
        hypercallName: (number) => vcpu.hypercallName(number) ?? this.#instance.hypercalls.nameOf(number),
        progress: () => {
          const { translated_regions: regions = 0, instructions = 0 } = vm.stats;
          return { regions, instructions };
        },
      },
      createFormat(format),
      options,
    );
    vcpu.setTracer(tracer);
    this.#closeTrace = () => tracer.close();
    return tracer;
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
    if (!this.#canBoot) throw new MachineError('a machine that was restored has no kernel to boot again');
    this.#instance.reset();
    this.vcpu.reset();
    const { board, memoryBytes, vm, vcpu } = this;
    const { boot } = board;
    const hcallInstructions = this.accel === 'trap' ? undefined : vm.getPvinfo();
    if (hasFirmware(boot)) {
      const informant = this.#instance.device(boot.informant);
      if (!isInformant(informant)) throw new MachineError(`"${boot.informant}" of this board informs no firmware`);
      const told = { memoryBytes, hcallInstructions };
      bootFirmware(boot, this.#rom ?? [], kernel, this.#options, told, vm.memory, vcpu, informant);
      return;
    }
    boot.prepare?.(vm, vcpu, memoryBytes);
    const rngSeed = new Uint8Array(this.#world.random === undefined ? 0 : RNG_SEED_BYTES);
    this.#world.random?.(rngSeed);
    const configuration = {
      memoryBytes,
      cpu: this.cpu,
      hcallInstructions,
      rngSeed,
    };
    const starter = { image: kernel, rom: this.#rom, payload: this.#payload };
    bootGuest(board, boot, this.#instance.specs, starter, this.#options, configuration, vm.memory, vcpu);
  }

  get #canBoot(): boolean {
    return this.#kernel !== undefined || this.#rom !== undefined;
  }

  /** Nanoseconds an instruction, where time is counted. */
  get icount(): number | undefined {
    return this.#options.icount;
  }

  /** What the machine is doing. */
  get state(): MachineState {
    return this.#state === 'running' && this.#loop.isStill ? 'paused' : this.#state;
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
      this.#end = await this.#loop.run();
    } catch (error) {
      this.#end = { cause: 'error', message: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#state = 'ended';
      if (this.#end !== undefined) this.#loop.debugger?.ended(this.#end);
      this.#loop.pause?.stands();
      this.#closeTrace();
      this.#endTranslation();
      this.#options.codeCache?.close?.();
    }
    if (signal?.aborted && this.#end.cause === 'quit') throw signal.reason;
    return this.#end;
  }

  #systemCalls(): number {
    const { syscall_exits = 0, assisted_sc = 0 } = this.vcpu.stats;
    return syscall_exits + assisted_sc;
  }

  #reset(message: string): MachineEnd | undefined {
    if (this.#options.noReboot === true || !this.#canBoot) {
      // A program that only showed such a line has ended the machine in the same slice.
      this.#panic.look();
      if (this.#panic.reason === undefined) return { cause: 'reset', message };
      return { cause: 'error', message: this.#panic.message };
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
    this.#loop.quit ??= message;
    this.vcpu.kvmRun.immediateExit = true;
    this.#loop.pause?.end();
    this.#host.wake();
    if (this.#state === 'created') {
      this.#closeTrace();
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
    this.#loop.pause ??= new Pause();
    this.vcpu.kvmRun.immediateExit = true;
    if (this.#state === 'created') this.#loop.pause.stands();
    this.#host.wake();
    return this.#loop.pause;
  }

  /** Does `work` while the guest stands still, between two instructions; afterwards it goes on if it did before. */
  async whileStill<Result>(work: () => Result): Promise<Result> {
    for (;;) {
      if (this.#state !== 'ended') {
        const pause = this.#standing();
        pause.holds++;
        await pause.still;
        pause.holds--;
        // Somebody may have had it go on before it stood still.
        if (this.#loop.pause !== pause) continue;
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
    await this.whileStill(() => {
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
    return this.whileStill(() => {
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
      cpu: cpuName(this.cpu),
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
    this.#loop.debugger ??= new Debugger(this.vm, this.vcpu, this.cpu.model, {
      hold: () => {
        this.#isHeld = true;
        return this.#state === 'ended' ? Promise.resolve() : this.#standing().still;
      },
      release: () => {
        this.#isHeld = false;
        const { pause } = this.#loop;
        if (pause?.isWanted === false && pause.holds === 0) this.resume();
      },
      quit: (message) => this.quit(message),
    });
    return this.#loop.debugger;
  }

  /** Ends a pause, also one that has not come about yet; does nothing where there is none, or where a debugger stops the guest. */
  resume(): void {
    if (this.#isHeld && this.#loop.pause !== undefined) {
      this.#loop.pause.isWanted = false;
      return;
    }
    this.#loop.pause?.stands();
    this.#loop.pause?.end();
    this.#loop.pause = undefined;
    this.vcpu.kvmRun.immediateExit = this.#loop.quit !== undefined;
  }

  /** Counters of KVM (virtual machine and processor), devices, and this loop. */
  stats(): Record<string, number> {
    return {
      ...this.vm.stats,
      ...this.vcpu.stats,
      ...this.#instance.counters(),
      loop_slices: this.#loop.slices,
      loop_sleeps: this.#loop.sleeps,
      machine_resets: this.#resets,
    };
  }

  /** The devices that there are, and their interrupt lines. */
  devices(): readonly DeviceView[] {
    return this.#instance.describe();
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
