import { disassemble } from '../isa/index.ts';
import {
  BUDGET,
  type HostCpu,
  HostMemory,
  LEVELS_OF,
  MAX_VCPUS,
  RAM_BASE,
  TOUCHED_PAGE_BYTES,
  type TranslationPort,
  touchedPages,
  VCPU_BLOCK_BYTES,
  VCPU_BLOCKS,
} from '../processor/index.ts';
import {
  type Clock,
  type GuestMemory,
  KvmError,
  type KvmState,
  type KvmStats,
  type MemoryArea,
  type MemoryRegion,
  type Vcpu,
  type Vm,
  type VmOptions,
} from './api.ts';
import { checkBits, checkInteger, checkObject, checkSwitch, checkWord } from './checks.ts';
import type { HashTable, VcpuFamily } from './family.ts';
import { MODELS, type Model, type Processors } from './models.ts';
import { FRAME_SHIFT, MemorySlots, PHYSICAL_ADDRESS_LIMIT, SlotMemory } from './slots.ts';
import { savedInteger, savedPart, savedParts } from './state.ts';
import { VcpuCounters } from './stats.ts';
import { GuestTime } from './time.ts';
import { createKvmRun, VirtualCpu } from './vcpu.ts';

const MAX_MEMORY = 3.5 * 2 ** 30;
/** As in the uapi, where a slot's number has 16 bits. */
const MAX_SLOT = 2 ** 16 - 1;
const MIN_TRANSLATION_MEMORY = 2 ** 20;
/** What translations may take where nobody says: an eighth of the guest's memory, in bounds. */
const defaultTranslationMemory = (maxMemory: number): number =>
  Math.min(Math.max(maxMemory / 8, 64 * 2 ** 20), 256 * 2 ** 20);
/** Room for the alignment of small slots (ROMs). */
const SLOT_SLACK = 16 * 2 ** 20;

export class VirtualMachine implements Vm {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly #options: VmOptions;
  readonly #processors: Processors;
  readonly #model: Model;
  readonly #memory: HostMemory;
  readonly #slots: MemorySlots;
  readonly #ramBytes: number;
  /** Set aside behind the guest's memory. */
  readonly #hashTableBytes: number;
  readonly #cpus: HostCpu[] = [];
  readonly #families: VcpuFamily[] = [];
  readonly #hashTable: HashTable = { address: 0, log2Bytes: 0 };
  readonly #vcpus = new Map<number, VirtualCpu>();
  readonly #time: GuestTime;
  readonly #translation: readonly TranslationPort[];
  readonly #translationMemory: number;

  constructor(options: VmOptions, processors: Processors) {
    checkObject('the options of a virtual machine', options);
    const { cpu, accel, clock, maxMemory, timebaseFrequency, icount = 0, littleEndian } = options;
    const model = typeof cpu === 'string' ? MODELS.get(cpu.toLowerCase()) : undefined;
    if (model === undefined)
      throw new KvmError(
        `there is no processor model '${String(cpu).slice(0, 40)}'; there is: ${[...MODELS.keys()].join(', ')}`,
      );
    if (!model.accels.includes(accel))
      throw new KvmError(`accel '${String(accel)}' does not fit a ${cpu}: there is ${model.accels.join(', ')}`);
    if (typeof clock?.now !== 'function') throw new KvmError('a virtual machine needs a clock, an object with now()');
    checkSwitch('littleEndian', littleEndian);
    if (!(Number.isInteger(maxMemory) && maxMemory > 0 && maxMemory <= MAX_MEMORY))
      throw new KvmError(`a virtual machine can have up to 3.5 GB of memory, not ${maxMemory} bytes`);
    if (!(typeof timebaseFrequency === 'number' && timebaseFrequency > 0 && timebaseFrequency <= 1e10))
      throw new KvmError(`a time base of ${timebaseFrequency} ticks a second is not possible`);
    if (!(typeof icount === 'number' && icount >= 0 && icount <= 1e6))
      throw new KvmError(`icount is nanoseconds an instruction, not ${icount}`);
    const { translationMemory = defaultTranslationMemory(maxMemory) } = options;
    if (!(typeof translationMemory === 'number' && translationMemory >= MIN_TRANSLATION_MEMORY))
      throw new KvmError(`translations need ${MIN_TRANSLATION_MEMORY} bytes or more, not ${String(translationMemory)}`);
    this.#translationMemory = translationMemory;
    this.#options = options;
    this.#processors = processors;
    this.#model = model;
    this.#ramBytes = Math.ceil(maxMemory / 65536) * 65536 + SLOT_SLACK;
    const order = model.order(littleEndian ?? false);
    this.#hashTableBytes = model.hashTable === null ? 0 : 2 ** model.hashTable.largest;
    this.#memory = createMemory(RAM_BASE + this.#ramBytes + this.#hashTableBytes, order);
    this.#slots = new MemorySlots(RAM_BASE, this.#ramBytes);
    this.#time = new GuestTime(options.clock, timebaseFrequency, icount);
    this.clock = this.#time;
    // Another thread's results come when they come: a run that is to repeat exactly translates on this one.
    this.#translation = icount === 0 ? [options.translation ?? []].flat() : [];
    for (const port of this.#translation)
      port.start({ memory: this.#memory.wasm, order, processor: model.processor, assist: accel === 'assist' });
    this.memory = new SlotMemory(this.#slots, this.#memory, (address, length) => {
      for (const host of this.#cpus) host.codeWritten(address, length);
    });
  }

  setUserMemoryRegion(region: MemoryRegion): void {
    checkObject('a memory region', region);
    const { slot, guestPhysAddr, memorySize, readonly, logDirtyPages } = region;
    checkInteger('slot', slot, 0, MAX_SLOT);
    checkInteger('guestPhysAddr', guestPhysAddr, 0, PHYSICAL_ADDRESS_LIMIT - 1);
    checkInteger('memorySize', memorySize, 0, PHYSICAL_ADDRESS_LIMIT);
    checkSwitch('readonly', readonly);
    checkSwitch('logDirtyPages', logDirtyPages);
    const removed = this.#slots.set(region);
    for (const family of this.#families) family.slotsChanged();
    if (removed !== undefined) this.#clear(removed.address, removed.bytes);
  }

  /** Clears memory that a slot had, as far as it was touched. */
  #clear(address: number, bytes: number): void {
    const memory = this.#memory;
    const runs = touchedPages(memory, address, bytes);
    for (let i = 0; i < runs.length; i += 2) {
      const start = address + (runs[i] as number) * TOUCHED_PAGE_BYTES;
      const length = (runs[i + 1] as number) * TOUCHED_PAGE_BYTES;
      memory.fill(start, length, 0);
      for (const host of this.#cpus) host.codeWritten(start, length);
    }
  }

  allocateHtab(log2Bytes: number): void {
    const sizes = this.#model.hashTable;
    if (sizes === null) throw new KvmError(`a ${this.#options.cpu} has no hash table`);
    if (!(Number.isInteger(log2Bytes) && log2Bytes >= sizes.smallest && log2Bytes <= sizes.largest))
      throw new KvmError(
        `a hash table has 2^${sizes.smallest} to 2^${sizes.largest} bytes, not 2^${String(log2Bytes)}`,
      );
    const address = RAM_BASE + this.#ramBytes;
    // What no table has used is zero.
    if (this.#hashTable.log2Bytes > 0) this.#memory.u8.fill(0, address, address + 2 ** this.#hashTable.log2Bytes);
    this.#hashTable.address = address;
    this.#hashTable.log2Bytes = log2Bytes;
    for (const family of this.#families) family.hashTableChanged();
  }

  getDirtyLog(number: number): Uint8Array | undefined {
    const slot = this.#slots.slots.find(({ slot }) => slot === number);
    const dirty = slot?.takeDirty();
    if (slot !== undefined && dirty !== undefined)
      for (const family of this.#families) family.protectPages(slot, dirty);
    return dirty;
  }

  getPvinfo(): readonly number[] | undefined {
    return this.#options.accel === 'trap' ? undefined : (this.#model.hypercall ?? undefined);
  }

  createVcpu(id: number): Vcpu {
    if (!(Number.isInteger(id) && id >= 0 && id < MAX_VCPUS)) throw new KvmError(`there is no room for a vCPU ${id}`);
    if (this.#vcpus.has(id)) throw new KvmError(`vCPU ${id} exists`);
    const model = this.#model;
    const time = this.#time;
    const counters = new VcpuCounters(model.mnemonics, model.sprName);
    const run = createKvmRun();
    const { cpu, family } = model.create(
      this.#processors,
      {
        memory: this.#memory,
        base: VCPU_BLOCKS + id * VCPU_BLOCK_BYTES,
        assist: null,
        timebase: () => time.timebase(),
        timebaseStep: time.leastStep,
        translationMemory: this.#translationMemory,
        isExact: time.icount !== 0,
        translation: this.#translation,
        ...(this.#options.profile && this.#options.icount === undefined && { profile: this.#options.profile }),
        ...(this.#options.cores && { cores: this.#options.cores }),
      },
      {
        id,
        memory: this.#memory,
        slots: this.#slots,
        time,
        counters,
        run,
        accel: this.#options.accel,
        hashTable: this.#hashTable,
      },
    );
    if (this.#cpus.length === 0) time.remaining = new Int32Array(this.#memory.wasm.buffer, cpu.base + BUDGET, 1);
    this.#cpus.push(cpu);
    this.#families.push(family);
    const vcpu = new VirtualCpu(id, cpu, family, time, counters, run);
    this.#vcpus.set(id, vcpu);
    return vcpu;
  }

  save(): KvmState {
    return {
      time: this.#time.save(),
      hashTable: this.#hashTable.log2Bytes,
      vcpus: [...this.#vcpus.values()].map((vcpu) => vcpu.save()),
    };
  }

  restore(state: KvmState): void {
    checkObject('the saved state', state);
    const goOn = this.#time.read(savedPart(state, 'time'));
    const log2Bytes = savedInteger(state, 'hashTable', 0, 64);
    const vcpus = savedParts(state, 'vcpus', MAX_VCPUS).map((one) => [savedInteger(one, 'id'), one] as const);
    const ids = new Set(vcpus.map(([id]) => id));
    if (ids.size !== this.#vcpus.size || ids.size !== vcpus.length)
      throw new KvmError(`the saved state has ${vcpus.length} vCPUs, not the ${this.#vcpus.size} of this machine`);
    if (log2Bytes > 0 && log2Bytes !== this.#hashTable.log2Bytes) this.allocateHtab(log2Bytes);
    goOn();
    for (const [id, one] of vcpus) {
      const vcpu = this.#vcpus.get(id);
      if (vcpu === undefined) throw new KvmError(`the saved state has a vCPU ${id}, which this machine has not`);
      vcpu.restore(one);
    }
  }

  disassemble(word: number, address: bigint): string {
    checkWord('a word of code', word);
    checkBits('an address', address, 64);
    return disassemble(word, address < 2n ** 32n ? Number(address) : address, LEVELS_OF[this.#model.processor]);
  }

  get memoryOrder(): 0 | 3 | 7 {
    return this.#memory.order;
  }

  memoryAreas(): readonly MemoryArea[] {
    const slots = this.#slots.slots.map(({ slot, firstFrame, endFrame, delta }) =>
      this.#area(`slot ${slot}`, (firstFrame + delta) * 2 ** FRAME_SHIFT, (endFrame - firstFrame) * 2 ** FRAME_SHIFT),
    );
    const { address, log2Bytes } = this.#hashTable;
    return log2Bytes === 0 ? slots : [...slots, this.#area('hash table', address, 2 ** log2Bytes)];
  }

  #area(name: string, address: number, length: number): MemoryArea {
    const memory = this.#memory;
    return {
      name,
      bytes: memory.u8.subarray(address, address + length),
      touched: () => touchedPages(memory, address, length),
      written: (offset, count) => {
        for (const host of this.#cpus) host.codeWritten(address + offset, count);
      },
    };
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
