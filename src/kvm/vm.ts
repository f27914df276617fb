import {
  type AssistTable,
  BUDGET,
  type Host440Cpu,
  type HostCpu,
  type HostCpuOptions,
  HostMemory,
  MAX_VCPUS,
  RAM_BASE,
  type TranslationPort,
  VCPU_BLOCK_BYTES,
  VCPU_BLOCKS,
  type VectorCode,
} from '../processor/index.ts';
import { type Clock, type GuestMemory, KvmError, type KvmStats, type Vcpu, type Vm, type VmOptions } from './api.ts';
import { BOOKE_ASSIST } from './booke/assist.ts';
import { Booke440 } from './booke/booke440.ts';
import { EMULATED_MNEMONICS } from './booke/emulate.ts';
import { sprName } from './booke/sprs.ts';
import { bookeVectors } from './booke/vectors.ts';
import type { FamilyParts, VcpuFamily } from './family.ts';
import { MemorySlots, SlotMemory } from './slots.ts';
import { VcpuCounters } from './stats.ts';
import { GuestTime } from './time.ts';
import { createKvmRun, VirtualCpu } from './vcpu.ts';

const MAX_MEMORY = 2 ** 31;
/** Room for the alignment of small slots (ROMs). */
const SLOT_SLACK = 16 * 2 ** 20;

/** A processor model: its family, the order that its memory is kept in, and how its exits are counted. */
interface Model {
  readonly order: 0 | 3 | 7;
  readonly assist: AssistTable;
  readonly vectorCode: VectorCode;
  readonly mnemonics: readonly string[];
  readonly sprName: (spr: number) => string;
  createFamily(parts: FamilyParts<Host440Cpu>): VcpuFamily;
}

const MODELS: ReadonlyMap<string, Model> = new Map([
  [
    '440ep',
    {
      order: 3,
      assist: BOOKE_ASSIST,
      vectorCode: bookeVectors,
      mnemonics: EMULATED_MNEMONICS,
      sprName,
      createFamily: (parts) => new Booke440(parts),
    },
  ],
]);

/** Makes a host processor: `createHostCpu`, or a stand-in in tests. */
export type CreateCpu = (options: HostCpuOptions) => Host440Cpu;

export class VirtualMachine implements Vm {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly #options: VmOptions;
  readonly #createCpu: CreateCpu;
  readonly #model: Model;
  readonly #memory: HostMemory;
  readonly #slots: MemorySlots;
  readonly #ramBytes: number;
  readonly #cpus: HostCpu[] = [];
  readonly #vcpus = new Map<number, Vcpu>();
  readonly #time: GuestTime;
  readonly #translation: TranslationPort | undefined;

  constructor(options: VmOptions, createCpu: CreateCpu) {
    const { cpu, accel, maxMemory, timebaseFrequency, icount = 0 } = options;
    const model = MODELS.get(cpu.toLowerCase());
    if (model === undefined)
      throw new KvmError(`there is no processor model '${cpu}'; there is: ${[...MODELS.keys()].join(', ')}`);
    if (accel === 'pv') throw new KvmError(`accel 'pv' does not fit a ${cpu}: its guests use 'trap' or 'assist'`);
    if (accel !== 'trap' && accel !== 'assist')
      throw new KvmError(`there is no accel '${String(accel)}'; there is: trap, assist`);
    if (!(maxMemory > 0 && maxMemory <= MAX_MEMORY))
      throw new KvmError(`a virtual machine can have up to 2 GB of memory, not ${maxMemory} bytes`);
    if (!(timebaseFrequency > 0 && timebaseFrequency <= 1e10))
      throw new KvmError(`a time base of ${timebaseFrequency} ticks a second is not possible`);
    if (!(icount >= 0 && icount <= 1e6)) throw new KvmError(`icount is nanoseconds an instruction, not ${icount}`);
    this.#options = options;
    this.#createCpu = createCpu;
    this.#model = model;
    this.#ramBytes = Math.ceil(maxMemory / 65536) * 65536 + SLOT_SLACK;
    this.#memory = createMemory(RAM_BASE + this.#ramBytes, model.order);
    this.#slots = new MemorySlots(RAM_BASE, this.#ramBytes);
    this.#time = new GuestTime(options.clock, timebaseFrequency, icount);
    this.clock = this.#time;
    // Another thread's results come when they come: a run that is to repeat exactly translates on this one.
    if (options.translation && icount === 0) {
      this.#translation = options.translation;
      this.#translation.start({
        memory: this.#memory.wasm,
        order: model.order,
        processor: '440',
        assist: accel === 'assist',
      });
    }
    this.memory = new SlotMemory(this.#slots, this.#memory, (address, length) => {
      for (const host of this.#cpus) host.codeWritten(address, length);
    });
  }

  setUserMemoryRegion(region: { slot: number; guestPhysAddr: number; memorySize: number; readonly?: boolean }): void {
    this.#slots.add(region.slot, region.guestPhysAddr, region.memorySize, region.readonly ?? false);
  }

  allocateHtab(): void {
    throw new KvmError(`a ${this.#options.cpu} has no hash table`);
  }

  getDirtyLog(): undefined {
    return undefined;
  }

  getPvinfo(): undefined {
    return undefined;
  }

  createVcpu(id: number): Vcpu {
    if (!(Number.isInteger(id) && id >= 0 && id < MAX_VCPUS)) throw new KvmError(`there is no room for a vCPU ${id}`);
    if (this.#vcpus.has(id)) throw new KvmError(`vCPU ${id} exists`);
    const model = this.#model;
    const assist = this.#options.accel === 'assist';
    const time = this.#time;
    const cpu = this.#createCpu({
      memory: this.#memory,
      base: VCPU_BLOCKS + id * VCPU_BLOCK_BYTES,
      assist: assist ? model.assist : null,
      ...(assist && { vectorCode: model.vectorCode }),
      timebase: () => time.timebase(),
      ...(this.#translation && { translation: this.#translation }),
    });
    if (this.#cpus.length === 0) time.remaining = new Int32Array(this.#memory.wasm.buffer, cpu.base + BUDGET, 1);
    this.#cpus.push(cpu);
    const counters = new VcpuCounters(model.mnemonics, model.sprName);
    const run = createKvmRun();
    const family = model.createFamily({
      id,
      cpu,
      memory: this.#memory,
      slots: this.#slots,
      time,
      counters,
      run,
      assist,
    });
    const vcpu = new VirtualCpu(id, cpu, family, time, counters, run);
    this.#vcpus.set(id, vcpu);
    return vcpu;
  }

  get stats(): KvmStats {
    const stats: KvmStats = { instructions: 0 };
    for (const cpu of this.#cpus) {
      stats['instructions'] = (stats['instructions'] ?? 0) + cpu.retired;
      for (const [name, count] of Object.entries(cpu.stats)) stats[name] = (stats[name] ?? 0) + count;
    }
    return stats;
  }
}

function createMemory(bytes: number, order: 0 | 3 | 7): HostMemory {
  try {
    return HostMemory.create(bytes, order);
  } catch {
    throw new KvmError(`this computer does not give ${Math.ceil(bytes / 2 ** 20)} MB of address space to one program`);
  }
}
