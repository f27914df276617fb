/**
 * A virtual machine that serves one Machine after another, since a new one for each would take longer than its guest; and
 * whose host memory is guarded. Guests find zeroes in the RAM that they mostly use, and a reset processor; translations and what is hot stay.
 */

import type { Vcpu, Vm, VmOptions } from '../../src/kvm/index.ts';
import { VirtualMachine } from '../../src/kvm/vm.ts';
import { NodeTranslationPort } from '../../src/node/translation-port.ts';
import {
  createClassicCpu,
  createE500Cpu,
  createHostCpu,
  createServerCpu,
  type HostMemory,
} from '../../src/processor/index.ts';
import { Guards } from './guards.ts';

/** Machines that one virtual machine serves. */
const MACHINES_PER_VM = 250;
/** Cases are short: blocks are hot after so many interpretations. */
const HOT_THRESHOLD = 64;
/** Of RAM, at both of its ends: zeroing all of a large machine's would take longer than its guest. */
const CLEARED_BYTES = 8 * 2 ** 20;
/** KVM sets this much aside for its own hash table, of which guests have what `log2HtabBytes` says. */
const LARGEST_HTAB_BYTES = 2 ** 26;

/** Where hot code is translated, and what time is. */
export type Translation = 'counted' | 'here' | 'thread';

interface Served {
  readonly vm: VirtualMachine;
  readonly vcpu: Vcpu;
  readonly guards: Guards;
  readonly port: NodeTranslationPort | undefined;
  uses: number;
}

export class GuardedVms {
  readonly #translation: Translation;
  readonly #memoryBytes: number;
  readonly #htabBytes: number;
  /** By byte order. */
  readonly #served = new Map<boolean, Served>();
  /** The clock of the machine that is served. */
  #now: () => number = () => 0;
  #current: Served | undefined;

  /** `htabBytes`: of KVM's hash table, those that the guest may write to. */
  constructor(translation: Translation, memoryBytes: number, htabBytes: number) {
    this.#translation = translation;
    this.#memoryBytes = memoryBytes;
    this.#htabBytes = htabBytes;
  }

  /** For `MachineOptions.createVm`. */
  readonly createVm = (options: VmOptions): Vm => {
    this.#now = () => options.clock.now();
    const order = options.littleEndian ?? false;
    let served = this.#served.get(order);
    if (served === undefined || served.uses >= MACHINES_PER_VM) {
      served?.port?.close();
      served = this.#make(options);
      this.#served.set(order, served);
    }
    const { vm, vcpu } = served;
    if (served.uses++ > 0) {
      const bytes = Math.min(CLEARED_BYTES, this.#memoryBytes);
      vm.memory.fill(0, bytes, 0);
      vm.memory.fill(this.#memoryBytes - bytes, bytes, 0);
    }
    vcpu.kvmRun.immediateExit = false;
    this.#current = served;
    return {
      memory: vm.memory,
      clock: vm.clock,
      setUserMemoryRegion: () => {},
      allocateHtab: (log2Bytes) => vm.allocateHtab(log2Bytes),
      getDirtyLog: (slot) => vm.getDirtyLog(slot),
      getPvinfo: () => vm.getPvinfo(),
      disassemble: (word, address) => vm.disassemble(word, address),
      createVcpu: () => vcpu,
      save: () => vm.save(),
      restore: (state) => vm.restore(state),
      memoryAreas: () => vm.memoryAreas(),
      memoryOrder: vm.memoryOrder,
      get stats() {
        return vm.stats;
      },
    };
  };

  /** @throws Error when something was written that is not the guest's. */
  check(): void {
    this.#current?.guards.checkNear();
  }

  /** The whole of the guards. */
  checkAll(): void {
    for (const { guards } of this.#served.values()) guards.checkAll();
  }

  #make(options: VmOptions): Served {
    let memory: HostMemory | undefined;
    const port = this.#translation === 'thread' ? new NodeTranslationPort() : undefined;
    const vm = new VirtualMachine(
      { ...options, clock: { now: () => this.#now() }, ...(port && { translation: port }) },
      {
        createHostCpu: (cpu) => {
          memory = cpu.memory;
          return createHostCpu({ ...cpu, hotThreshold: HOT_THRESHOLD });
        },
        createE500Cpu: (cpu) => {
          memory = cpu.memory;
          return createE500Cpu({ ...cpu, hotThreshold: HOT_THRESHOLD });
        },
        createClassicCpu: (cpu) => {
          memory = cpu.memory;
          return createClassicCpu({ ...cpu, hotThreshold: HOT_THRESHOLD });
        },
        createServerCpu: (cpu) => {
          memory = cpu.memory;
          return createServerCpu({ ...cpu, hotThreshold: HOT_THRESHOLD });
        },
      },
    );
    vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: this.#memoryBytes });
    const vcpu = vm.createVcpu(0);
    if (memory === undefined) throw new Error('no processor was made');
    const server = options.cpu !== '440ep' && options.cpu !== 'e500v2';
    const htab = memory.byteLength - (server ? LARGEST_HTAB_BYTES : 0);
    const guards = new Guards(memory, vm.memory, {
      slots: [{ address: 0, bytes: this.#memoryBytes }],
      table: { start: htab, bytes: this.#htabBytes },
    });
    return { vm, vcpu, guards, port, uses: 0 };
  }
}
