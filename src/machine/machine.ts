import {
  type Accel,
  type CoreImages,
  KVM_EXIT,
  KVM_SYSTEM_EVENT,
  type TranslationPort,
  type Vcpu,
  type Vm,
  type VmOptions,
} from '../kvm/api.ts';
import { createVm } from '../kvm/index.ts';
import type { Board, CpuSpec } from './board.ts';
import { findBoard } from './boards/index.ts';
import { type BootFiles, bootGuest } from './boot.ts';
import type { ConsoleDevice, Device, DeviceState } from './device.ts';
import { formatBytes, hex, MachineError } from './error.ts';
import { ConsoleBuffer, hostWorld, type MachineHost, repeatableWorld, type World } from './host.ts';
import { BoardInstance } from './instance.ts';
import type { KernelImage } from './loaders/image.ts';
import { loadKernel } from './loaders/index.ts';

/** Everything that makes one machine. */
export interface MachineOptions extends BootFiles {
  /** A board's name (`boards`). */
  readonly board: string;
  readonly host: MachineHost;
  /** Guest RAM in bytes; the board's customary size when absent. */
  readonly memoryBytes?: number | undefined;
  /** Processor model, one of the board's; its customary one when absent. */
  readonly cpu?: string | undefined;
  /** One of the board's; its fastest when absent. */
  readonly accel?: Accel | undefined;
  /** Retired-instruction time: nanoseconds per instruction (`VmOptions.icount`). */
  readonly icount?: number | undefined;
  /** A reset by the guest ends the run. */
  readonly noReboot?: boolean | undefined;
  /** Ends the run after so many nanoseconds of the host's clock. */
  readonly timeoutNs?: number | undefined;
  /** Passed on to KVM. */
  readonly translation?: TranslationPort;
  /** Passed on to KVM. */
  readonly cores?: CoreImages;
  /** In place of KVM's own: for tests, and for other implementations of the interface. */
  readonly createVm?: (options: VmOptions) => Vm;
}

/** How a run ended. */
export interface MachineEnd {
  readonly cause: 'shutdown' | 'reset' | 'quit' | 'timeout' | 'error';
  /** One line for the user. */
  readonly message: string;
}

/** The longest stay in the guest before the event loop has its turn, nanoseconds. */
const SLICE_NS = 5e6;
/** A guest that talks to devices all the time is timed once in so many exits. */
const EXITS_PER_TIME_CHECK = 8;

/** As many random bytes the guest's own generator gets at a boot. */
const RNG_SEED_BYTES = 32;

function isConsole(device: Device | undefined): device is ConsoleDevice {
  return device !== undefined && 'receive' in device && 'sink' in device;
}

function findCpu(board: Board, name: string | undefined): CpuSpec {
  const wanted = name?.toLowerCase();
  const cpu = wanted === undefined ? board.cpus[0] : board.cpus.find(({ model }) => model === wanted);
  if (cpu === undefined)
    throw new MachineError(
      `the board ${board.name} has no processor "${name?.slice(0, 64)}"; ` +
        `${board.cpus.map(({ model }) => model).join(', ')} would fit`,
    );
  return cpu;
}

function findAccel(board: Board, accel: Accel | undefined): Accel {
  if (accel !== undefined && !board.accels.includes(accel))
    throw new MachineError(
      `the board ${board.name} cannot run with accel "${accel}"; ${board.accels.join(', ')} would fit`,
    );
  return accel ?? board.accels[0];
}

/** A virtual machine: KVM's part, a board around it, and the loop between them. */
export class Machine {
  readonly board: Board;
  readonly cpu: CpuSpec;
  readonly accel: Accel;
  readonly memoryBytes: number;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly #options: MachineOptions;
  readonly #host: MachineHost;
  readonly #instance: BoardInstance;
  readonly #console: ConsoleBuffer;
  readonly #serial: ConsoleDevice | undefined;
  readonly #kernel: KernelImage;
  readonly #world: World;
  readonly #deadline: number;
  #quit: string | undefined;
  #slices = 0;
  #sleeps = 0;
  #resets = 0;

  /** Makes the machine and loads what it boots. Throws MachineError (or KvmError) when that is not possible. */
  static create(options: MachineOptions): Machine {
    return new Machine(options);
  }

  private constructor(options: MachineOptions) {
    const board = findBoard(options.board);
    const memoryBytes = options.memoryBytes ?? board.memory.defaultBytes;
    if (!Number.isSafeInteger(memoryBytes) || memoryBytes <= 0 || !board.memory.fits(memoryBytes))
      throw new MachineError(
        `the board ${board.name} cannot have ${formatBytes(memoryBytes)} of memory; ${board.memory.sizes} would fit`,
      );
    this.board = board;
    this.cpu = findCpu(board, options.cpu);
    this.accel = findAccel(board, options.accel);
    this.memoryBytes = memoryBytes;
    this.#options = options;
    const { host } = options;
    this.#host = host;
    this.#world = options.icount === undefined ? hostWorld(host) : repeatableWorld();
    this.#kernel = loadKernel(options.kernel, memoryBytes, host.gunzip?.bind(host), board.kernelBits);
    this.vm = (options.createVm ?? createVm)({
      cpu: this.cpu.model,
      accel: this.accel,
      clock: host.clock,
      timebaseFrequency: this.cpu.timebaseFrequency,
      maxMemory: memoryBytes,
      ...(this.#kernel.littleEndian && { littleEndian: true }),
      ...(options.icount !== undefined && { icount: options.icount }),
      ...(options.translation && { translation: options.translation }),
      ...(options.cores && { cores: options.cores }),
    });
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: memoryBytes });
    this.vcpu = this.vm.createVcpu(0);
    this.#instance = new BoardInstance(board, { memoryBytes, cpu: this.cpu }, this.vm, this.vcpu, this.#world);
    this.#console = new ConsoleBuffer(host);
    const serial = this.#instance.device(board.serial[0] ?? '');
    if (isConsole(serial)) {
      this.#serial = serial;
      serial.sink = this.#console;
    }
    this.#deadline = host.clock.now() + (options.timeoutNs ?? Number.POSITIVE_INFINITY);
    this.#boot();
  }

  #boot(): void {
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
    bootGuest(board, this.#instance.specs, this.#kernel, this.#options, configuration, vm.memory, vcpu);
  }

  /** Runs the guest until it, the user or an error ends it. Never rejects for anything that the guest does. */
  async run(): Promise<MachineEnd> {
    let end: MachineEnd | undefined;
    while ((end = this.#slice()) === undefined) {
      this.#console.flush();
      if (this.vcpu.kvmRun.exitReason === KVM_EXIT.HLT && this.#quit === undefined) await this.#sleep();
      else await this.#host.yield();
    }
    this.#console.flush();
    return end;
  }

  /** Waits for the guest's next timer, for input, or for the run's end. */
  async #sleep(): Promise<void> {
    const { wakeAt } = this.vcpu.kvmRun.hlt;
    this.#sleeps++;
    // Counted time does not pass while nothing runs: KVM takes it straight to the timer.
    if (this.#options.icount !== undefined && wakeAt !== Number.POSITIVE_INFINITY) await this.#host.yield();
    else await this.#host.sleep(Math.min(wakeAt, this.#deadline));
  }

  /** Runs the guest for one slice: until it has used its time, waits for something, or has ended. Allocates nothing. */
  #slice(): MachineEnd | undefined {
    const { vcpu } = this;
    const { bus, hypercalls, power } = this.#instance;
    const { clock } = this.#host;
    const run = vcpu.kvmRun;
    const { mmio, dcr, paprHcall } = run;
    const start = clock.now();
    if (start >= this.#deadline) return { cause: 'timeout', message: 'the time limit was reached' };
    this.#slices++;
    let exits = 0;
    for (;;) {
      if (this.#quit !== undefined) return { cause: 'quit', message: this.#quit };
      switch (vcpu.run(SLICE_NS)) {
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
        case KVM_EXIT.HLT:
        case KVM_EXIT.INTR:
          return undefined;
        default:
          return this.#rareExit();
      }
      if (++exits % EXITS_PER_TIME_CHECK === 0 && clock.now() - start >= SLICE_NS) return undefined;
    }
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
      default:
        return { cause: 'error', message: `KVM ended with exit reason ${run.exitReason}, which no board here serves` };
    }
  }

  #reset(message: string): MachineEnd | undefined {
    if (this.#options.noReboot === true) return { cause: 'reset', message };
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
    this.#host.wake();
    return taken;
  }

  /** Ends the run at the next opportunity, with cause "quit". */
  quit(message = 'quit by the user'): void {
    this.#quit = message;
    this.vcpu.kvmRun.immediateExit = true;
    this.#host.wake();
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
