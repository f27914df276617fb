import type { GuestMemory, Vcpu, Vm } from '../kvm/api.ts';
import { KVM_INTERRUPT } from '../kvm/api.ts';
import type { Board, BoardConfiguration } from './board.ts';
import { Bus } from './bus.ts';
import { type Device, type DeviceSpec, type DeviceState, savedPart, type TimedDevice } from './device.ts';
import { MachineError } from './error.ts';
import type { World } from './host.ts';
import { Hypercalls } from './hypercalls.ts';
import { type ExternalProxy, InterruptLine, type InterruptSink, SharedInput } from './interrupts.ts';
import { OutsideEvents } from './outside/events.ts';
import { PowerSwitch } from './power.ts';

/** The processor's interrupt pins: input 0 is the external interrupt, 1 the critical one. */
class ProcessorPins implements InterruptSink {
  readonly #vcpu: Vcpu;

  constructor(vcpu: Vcpu) {
    this.#vcpu = vcpu;
  }

  setInput(input: number, active: boolean): void {
    const kind = active ? KVM_INTERRUPT.SET_LEVEL : KVM_INTERRUPT.UNSET;
    if (input === 0) this.#vcpu.interrupt(kind);
    else this.#vcpu.criticalInterrupt(kind);
  }
}

function isSink(device: Device | undefined): device is Device & InterruptSink {
  return device !== undefined && 'setInput' in device;
}

function isProxy(device: Device): device is Device & ExternalProxy {
  return 'proxied' in device;
}

function isTimed(device: Device): device is TimedDevice {
  return 'due' in device && 'turn' in device;
}

/** A device and its interrupt lines at the moment. `mmio` in bytes of guest physical addresses. */
export interface DeviceView {
  readonly name: string;
  readonly mmio: readonly { readonly base: number; readonly size: number }[];
  readonly dcr: readonly { readonly base: number; readonly count: number }[];
  readonly interrupts: readonly { readonly controller: string; readonly input: number; readonly active: boolean }[];
}

/** A board with its devices made, mapped and wired to a processor. */
export class BoardInstance {
  readonly bus: Bus;
  readonly hypercalls = new Hypercalls();
  readonly power = new PowerSwitch();
  readonly outside: OutsideEvents;
  readonly specs: readonly DeviceSpec[];
  readonly #devices = new Map<string, Device>();
  readonly #timed: readonly TimedDevice[];
  readonly #lines = new Map<DeviceSpec, InterruptLine[]>();
  /** The controller that gives the processor its vectors, where there is one. */
  readonly proxy: ExternalProxy | undefined;

  constructor(
    board: Board,
    configuration: BoardConfiguration,
    vm: Vm,
    vcpu: Vcpu,
    world: World,
    outside: OutsideEvents = new OutsideEvents(() => {}, false),
    memory: GuestMemory = vm.memory,
  ) {
    this.outside = outside;
    this.bus = new Bus(vm.memory.littleEndian);
    this.specs = board.devices(configuration);
    const pins = new ProcessorPins(vcpu);
    const lines = this.#lines;
    for (const spec of this.specs) {
      if (this.#devices.has(spec.name)) throw new MachineError(`two devices of this board are called "${spec.name}"`);
      const outputs = (spec.interrupts ?? []).map(() => new InterruptLine());
      lines.set(spec, outputs);
      const device = spec.create({
        interrupts: outputs,
        memory,
        bus: this.bus,
        clock: vm.clock,
        world,
        power: this.power,
        outside: this.outside,
        device: (name) => this.#devices.get(name),
      });
      this.#devices.set(spec.name, device);
      spec.mmio?.forEach(({ base, size, littleEndian, isBackground }, i) => {
        const region = device.mmio?.[i];
        if (region === undefined) return;
        if (isBackground === true) this.bus.mapBackground(base, size, region, littleEndian);
        else this.bus.mapMmio(base, size, region, littleEndian);
      });
      spec.dcr?.forEach(({ base, count }, i) => {
        const region = device.dcr?.[i];
        if (region !== undefined) this.bus.mapDcr(base, count, region);
      });
      for (const hypercall of device.hypercalls ?? []) this.hypercalls.add(hypercall);
    }
    this.#timed = [...this.#devices.values()].filter(isTimed);
    this.proxy = [...this.#devices.values()].find(isProxy);
    const inputs = new Map<string, InterruptSink>();
    for (const [spec, outputs] of lines) {
      spec.interrupts?.forEach(({ controller, input }, i) => {
        const device = this.#devices.get(controller);
        if (controller !== 'cpu' && !isSink(device))
          throw new MachineError(`"${controller}", which "${spec.name}" interrupts, is not an interrupt controller`);
        const name = `${controller} ${input}`;
        const sink = inputs.get(name) ?? new SharedInput(isSink(device) ? device : pins);
        inputs.set(name, sink);
        outputs[i]?.connect(sink, input);
      });
    }
  }

  device(name: string): Device | undefined {
    return this.#devices.get(name);
  }

  reset(): void {
    this.power.release();
    for (const device of this.#devices.values()) device.reset();
  }

  /** The devices as the board has them, for who looks inside. */
  describe(): DeviceView[] {
    return this.specs.map((spec) => ({
      name: spec.name,
      mmio: (spec.mmio ?? []).map(({ base, size }) => ({ base, size })),
      dcr: (spec.dcr ?? []).map(({ base, count }) => ({ base, count })),
      interrupts: (spec.interrupts ?? []).map(({ controller, input }, i) => ({
        controller,
        input,
        active: this.#lines.get(spec)?.[i]?.active ?? false,
      })),
    }));
  }

  /** When a device has something to do, by the guest's clock; Infinity: none has. */
  due(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const device of this.#timed) first = Math.min(first, device.due());
    return first;
  }

  /** Has every device do what is due. */
  turn(): void {
    for (const device of this.#timed) device.turn();
  }

  /** Every device's state by its name. */
  save(): Record<string, DeviceState> {
    return Object.fromEntries([...this.#devices].map(([name, device]) => [name, device.save()]));
  }

  /**
   * Takes what `save` gave; what else is there is ignored. @throws MachineError for anything else: every device then has the
   * state that it had.
   */
  restore(states: Readonly<Record<string, DeviceState>>): void {
    const before = this.save();
    try {
      for (const [name, device] of this.#devices) device.restore(savedPart(states, name));
    } catch (error) {
      for (const [name, device] of this.#devices) device.restore(before[name] as DeviceState);
      throw error;
    }
  }

  /** @throws MachineError where saved states are of other devices than there are. */
  checkDevices(states: Readonly<Record<string, DeviceState>>): void {
    for (const name of Object.keys(states))
      if (!this.#devices.has(name))
        throw new MachineError(`the snapshot has a device "${name.slice(0, 64)}"; the same would fit here`);
    for (const name of this.#devices.keys())
      if (!Object.hasOwn(states, name))
        throw new MachineError(`the snapshot has no device "${name}"; a machine without it would fit`);
  }

  /** The machine is another's continuation (`Device.restored`). */
  restored(): void {
    for (const device of this.#devices.values()) device.restored?.();
  }

  /** Counters of the bus and the hypercalls, and of each device with its name in front. */
  counters(): Record<string, number> {
    const all: Record<string, number> = {
      ...this.bus.counters(),
      ...this.hypercalls.counters(),
      outside_events: this.outside.events,
    };
    for (const [name, device] of this.#devices) {
      for (const [counter, value] of Object.entries(device.counters?.() ?? {})) all[`${name}_${counter}`] = value;
    }
    return all;
  }
}
