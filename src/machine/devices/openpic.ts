import { type Device, type DeviceState, type MmioRegion, savedNumber, savedRegisters } from '../device.ts';
import type { InterruptLine, InterruptSink } from '../interrupts.ts';

/** Registers (Open PIC Multiprocessor Interrupt Controller Register Interface Specification 1.2). Global ones from 0x1000. */
const FEATURES = 0x1000;
const CONFIGURATION = 0x1020;
const VENDOR = 0x1080;
const PROCESSOR_INIT = 0x1090;
const IPI_VECTORS = 0x10a0;
const SPURIOUS = 0x10e0;
const TIMERS = 0x1100;
const TIMERS_END = 0x1200;
const SOURCES = 0x10000;
const SOURCES_END = 0x20000;
/** A processor's own registers, also at the address 0 for who accesses them. */
const PROCESSORS = 0x20000;
const PROCESSOR_BYTES = 0x1000;
export const OPENPIC_BYTES = 0x40000;

/** A processor's registers. */
const IPI_DISPATCH = 0x40;
const TASK_PRIORITY = 0x80;
const ACKNOWLEDGE = 0xa0;
const END_OF_INTERRUPT = 0xb0;

/** Vector/priority register. */
const MASKED = 0x80000000 | 0;
const ACTIVITY = 0x40000000;
const POLARITY = 0x00800000;
const LEVEL = 0x00400000;
const PRIORITY_SHIFT = 16;
const PRIORITIES = 16;

const RESET = 0x80000000 | 0;
export const IPIS = 4;
const OPENPIC_TIMERS = 4;

/** What differs between controllers. */
export interface OpenPicOptions {
  /** Sources of interrupts from devices. */
  readonly sources: number;
  /** Vectors' bits. */
  readonly vectorMask: number;
  /** FEATURES' version field, and the vendor register. */
  readonly version: number;
  readonly vendor: number;
  /** Bits of CONFIGURATION, beside reset, that are kept. */
  readonly configurationMask: number;
  /** Bits of a destination that exist: bit 0 is the processor. */
  readonly destinationMask: number;
  /** The vector that a reset leaves for "nothing pending". */
  readonly spurious: number;
  /** Sources from this one on are levels and high, whatever is written; none if absent. */
  readonly fixedSense?: number;
}

/**
 * An Open PIC with one processor. Each source has a vector, a priority and a sense; the most urgent one that is above the
 * processor's task priority and above what it serves asserts the output, until the processor acknowledges it.
 *
 * Sources are numbered: those of devices, then four of interprocessor interrupts, then four of timers (`timerSource`).
 */
export class OpenPic implements Device, MmioRegion, InterruptSink {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly options: OpenPicOptions;
  readonly #output: InterruptLine;
  readonly #count: number;
  /** Registers of each source, and of each what its line says and what waits. */
  readonly #vectors: Int32Array;
  readonly #destinations: Int32Array;
  readonly #levels: Uint8Array;
  readonly #waiting: Uint8Array;
  /** A bit for each source that could be delivered. */
  readonly #ready: Int32Array;
  #configuration = 0;
  #spurious = 0;
  #taskPriority = PRIORITIES - 1;
  /** A bit for each priority that is served, and by it the source. */
  #serving = 0;
  readonly #served = new Int32Array(PRIORITIES);
  #acknowledged = 0;

  constructor(output: InterruptLine, options: OpenPicOptions) {
    this.#output = output;
    this.options = options;
    this.#count = options.sources + IPIS + OPENPIC_TIMERS;
    this.#vectors = new Int32Array(this.#count);
    this.#destinations = new Int32Array(this.#count);
    this.#levels = new Uint8Array(this.#count);
    this.#waiting = new Uint8Array(this.#count);
    this.#ready = new Int32Array(Math.ceil(this.#count / 32));
    this.#clear();
  }

  /** CONFIGURATION, without its reset bit. */
  get configuration(): number {
    return this.#configuration;
  }

  timerSource(timer: number): number {
    return this.options.sources + IPIS + timer;
  }

  setInput(input: number, active: boolean): void {
    if (!(input >= 0 && input < this.options.sources)) return;
    this.#levels[input] = active ? 1 : 0;
    if (((this.#vectors[input] as number) & LEVEL) !== 0) this.#waiting[input] = active ? 1 : 0;
    else if (active) this.#waiting[input] = 1;
    this.update(input);
  }

  /** An edge of a source that has no line: a message, a timer. */
  pulse(source: number): void {
    if (!(source >= 0 && source < this.#count)) return;
    this.#waiting[source] = 1;
    this.update(source);
  }

  protected update(source: number): void {
    const register = this.#vectors[source] as number;
    const isReady =
      this.#waiting[source] !== 0 &&
      (register & MASKED) === 0 &&
      ((this.#destinations[source] as number) & this.options.destinationMask) !== 0;
    const bit = 1 << (source & 31);
    const word = source >> 5;
    const before = this.#ready[word] as number;
    this.#ready[word] = this.route(source, isReady) ? before | bit : before & ~bit;
    this.#drive();
  }

  /** Whether a source waits for the processor to acknowledge it; controllers with more outputs override this. */
  protected route(_source: number, isReady: boolean): boolean {
    return isReady;
  }

  #priority(source: number): number {
    return ((this.#vectors[source] as number) >> PRIORITY_SHIFT) & (PRIORITIES - 1);
  }

  /** The most urgent source that is ready, the lowest of equals; -1: none. */
  #mostUrgent(): number {
    let best = -1;
    let priority = 0;
    for (let word = 0; word < this.#ready.length; word++) {
      for (let bits = this.#ready[word] as number; bits !== 0; bits &= bits - 1) {
        const source = 32 * word + 31 - Math.clz32(bits & -bits);
        const own = this.#priority(source);
        if (own > priority) {
          best = source;
          priority = own;
        }
      }
    }
    return best;
  }

  /** What an interrupt's priority must be above. */
  get #threshold(): number {
    return Math.max(this.#taskPriority, this.#serving === 0 ? 0 : 31 - Math.clz32(this.#serving));
  }

  #drive(): void {
    const source = this.#mostUrgent();
    this.#output.set(source >= 0 && this.#priority(source) > this.#threshold);
  }

  /** The processor takes the most urgent interrupt; answers its vector, or that for nothing. */
  acknowledge(): number {
    const source = this.#mostUrgent();
    const priority = source < 0 ? 0 : this.#priority(source);
    if (source < 0 || priority <= this.#threshold) return this.#spurious;
    const register = this.#vectors[source] as number;
    this.#acknowledged++;
    this.#vectors[source] = register | ACTIVITY;
    this.#serving |= 1 << priority;
    this.#served[priority] = source;
    if ((register & LEVEL) === 0) this.#waiting[source] = 0;
    this.update(source);
    return register & this.options.vectorMask;
  }

  #end(): void {
    if (this.#serving === 0) return;
    const priority = 31 - Math.clz32(this.#serving);
    this.#serving &= ~(1 << priority);
    const source = this.#served[priority] as number;
    this.#vectors[source] = (this.#vectors[source] as number) & ~ACTIVITY;
    this.#drive();
  }

  /** The vector/priority register of a source. */
  readVector(source: number): number {
    return (this.#vectors[source] ?? 0) >>> 0;
  }

  writeVector(source: number, value: number): void {
    if (!(source >= 0 && source < this.#count)) return;
    const { sources, fixedSense, vectorMask } = this.options;
    let sense = POLARITY | LEVEL;
    let forced = 0;
    // Interprocessor interrupts and timers are edges.
    if (source >= sources) sense = 0;
    else if (fixedSense !== undefined && source >= fixedSense) {
      sense = 0;
      forced = POLARITY | LEVEL;
    }
    const mask = MASKED | ((PRIORITIES - 1) << PRIORITY_SHIFT) | vectorMask | sense;
    const activity = (this.#vectors[source] as number) & ACTIVITY;
    this.#vectors[source] = (value & mask) | forced | activity;
    if (((this.#vectors[source] as number) & LEVEL) !== 0) this.#waiting[source] = this.#levels[source] as number;
    this.update(source);
  }

  readDestination(source: number): number {
    return (this.#destinations[source] ?? 0) >>> 0;
  }

  writeDestination(source: number, value: number): void {
    if (!(source >= 0 && source < this.#count)) return;
    this.#destinations[source] = value & this.options.destinationMask;
    this.update(source);
  }

  read(offset: number, length: number): number {
    if (length !== 4 || (offset & 15) !== 0) return 0;
    if (offset < PROCESSOR_BYTES) return this.#readProcessor(offset);
    if (offset >= PROCESSORS)
      return offset < PROCESSORS + PROCESSOR_BYTES ? this.#readProcessor(offset - PROCESSORS) : 0;
    if (offset >= SOURCES) {
      const source = (offset - SOURCES) >> 5;
      if (offset >= SOURCES_END || source >= this.options.sources) return 0;
      return (offset & 16) === 0 ? this.readVector(source) : this.readDestination(source);
    }
    return this.readGlobal(offset);
  }

  write(offset: number, length: number, value: number): void {
    if (length !== 4 || (offset & 15) !== 0) return;
    if (offset < PROCESSOR_BYTES) this.#writeProcessor(offset, value);
    else if (offset >= PROCESSORS) {
      if (offset < PROCESSORS + PROCESSOR_BYTES) this.#writeProcessor(offset - PROCESSORS, value);
    } else if (offset >= SOURCES) {
      const source = (offset - SOURCES) >> 5;
      if (offset >= SOURCES_END || source >= this.options.sources) return;
      if ((offset & 16) === 0) this.writeVector(source, value);
      else this.writeDestination(source, value);
    } else this.writeGlobal(offset, value);
  }

  /** Global registers; controllers with more of them override this. */
  readGlobal(offset: number): number {
    const { sources, version, vendor } = this.options;
    if (offset >= IPI_VECTORS && offset < IPI_VECTORS + 16 * IPIS)
      return this.readVector(sources + ((offset - IPI_VECTORS) >> 4));
    if (offset >= TIMERS && offset < TIMERS_END) return this.readTimer((offset - TIMERS) >> 6, offset & 0x30);
    switch (offset) {
      case FEATURES:
        return ((sources - 1) << 16) | version;
      case CONFIGURATION:
        return this.#configuration >>> 0;
      case VENDOR:
        return vendor;
      case SPURIOUS:
        return this.#spurious;
      default:
        return 0;
    }
  }

  writeGlobal(offset: number, value: number): void {
    const { sources, configurationMask, vectorMask } = this.options;
    if (offset >= IPI_VECTORS && offset < IPI_VECTORS + 16 * IPIS)
      this.writeVector(sources + ((offset - IPI_VECTORS) >> 4), value);
    else if (offset >= TIMERS && offset < TIMERS_END) this.writeTimer((offset - TIMERS) >> 6, offset & 0x30, value);
    else if (offset === CONFIGURATION) {
      if ((value & RESET) !== 0) this.reset();
      else this.#configuration = value & configurationMask;
    } else if (offset === SPURIOUS) this.#spurious = value & vectorMask;
    // There is one processor, which would only reset itself by PROCESSOR_INIT.
    else if (offset === PROCESSOR_INIT) return;
  }

  /** A timer's registers: count, base count, vector/priority, destination, 16 bytes apart. Here they do not count. */
  readTimer(timer: number, register: number): number {
    const source = this.timerSource(timer);
    return register === 0x20 ? this.readVector(source) : register === 0x30 ? this.readDestination(source) : 0;
  }

  writeTimer(timer: number, register: number, value: number): void {
    const source = this.timerSource(timer);
    if (register === 0x20) this.writeVector(source, value);
    else if (register === 0x30) this.writeDestination(source, value);
  }

  #readProcessor(register: number): number {
    switch (register) {
      case TASK_PRIORITY:
        return this.#taskPriority;
      case ACKNOWLEDGE:
        return this.acknowledge();
      // WHO_AM_I among them: processor 0.
      default:
        return 0;
    }
  }

  #writeProcessor(register: number, value: number): void {
    if (register >= IPI_DISPATCH && register < IPI_DISPATCH + 16 * IPIS) {
      const source = this.options.sources + ((register - IPI_DISPATCH) >> 4);
      this.#destinations[source] = (this.#destinations[source] as number) | (value & 1);
      if ((value & 1) !== 0) this.pulse(source);
    } else if (register === TASK_PRIORITY) {
      this.#taskPriority = value & (PRIORITIES - 1);
      this.#drive();
    } else if (register === END_OF_INTERRUPT) this.#end();
  }

  #clear(): void {
    const { sources, fixedSense = sources, spurious } = this.options;
    this.#vectors.fill(MASKED);
    this.#vectors.fill(MASKED | POLARITY | LEVEL, fixedSense, sources);
    this.#destinations.fill(0);
    this.#destinations.fill(1, 0, sources);
    for (let i = 0; i < this.#count; i++)
      this.#waiting[i] = ((this.#vectors[i] as number) & LEVEL) !== 0 ? (this.#levels[i] as number) : 0;
    this.#ready.fill(0);
    this.#configuration = this.#serving = 0;
    this.#spurious = spurious;
    this.#taskPriority = PRIORITIES - 1;
  }

  reset(): void {
    // The lines belong to other devices: they keep their levels.
    this.#clear();
    this.#drive();
  }

  save(): DeviceState {
    const words = (from: Int32Array): number[] => Array.from(from, (word) => word >>> 0);
    return {
      vectors: words(this.#vectors),
      destinations: words(this.#destinations),
      levels: Array.from(this.#levels),
      waiting: Array.from(this.#waiting),
      configuration: this.#configuration >>> 0,
      spurious: this.#spurious,
      taskPriority: this.#taskPriority,
      serving: this.#serving,
      served: words(this.#served),
    };
  }

  restore(state: DeviceState): void {
    const count = this.#count;
    this.#vectors.set(savedRegisters(state, 'vectors', count).map((word) => word | 0));
    this.#destinations.set(
      savedRegisters(state, 'destinations', count).map((word) => word & this.options.destinationMask),
    );
    this.#levels.set(savedRegisters(state, 'levels', count).map((level) => level & 1));
    this.#waiting.set(savedRegisters(state, 'waiting', count).map((one) => one & 1));
    this.#configuration = savedNumber(state, 'configuration') & this.options.configurationMask;
    this.#spurious = savedNumber(state, 'spurious') & this.options.vectorMask;
    this.#taskPriority = savedNumber(state, 'taskPriority') & (PRIORITIES - 1);
    this.#serving = savedNumber(state, 'serving') & 0xfffe;
    this.#served.set(savedRegisters(state, 'served', PRIORITIES).map((source) => Math.min(source, count - 1)));
    for (let source = 0; source < count; source++) this.update(source);
  }

  counters(): Record<string, number> {
    return { acknowledged: this.#acknowledged };
  }
}
