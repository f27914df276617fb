/**
 * Writes down what a machine does: exits with their instruction, interrupts, shadow faults, hypercalls, accesses to devices
 * and of devices to memory, translations. While the guest runs events are numbers in a ring; text and bytes are made of them
 * between its slices.
 */
import { type Clock, KVM_EXIT, type KvmTracer } from '../../kvm/api.ts';
import type { DeviceView } from '../instance.ts';
import type { SymbolTable } from '../monitor/symbols.ts';
import { TRACK, type TraceEvent, type TraceFormat, type TraceSink, type TraceValue } from './events.ts';

export interface TraceOptions {
  readonly sink: TraceSink;
  /** Default: 256 MB. Where it is reached, the trace says so and ends. */
  readonly maxBytes?: number | undefined;
  readonly symbols?: SymbolTable | undefined;
}

/** What the tracer is told of the machine. */
export interface TracedMachine {
  readonly name: string;
  readonly bits: 32 | 64;
  readonly clock: Clock;
  disassemble(word: number, address: bigint): string;
  vectorName(vector: number): string;
  devices(): readonly DeviceView[];
  /** The number's name, of a hypercall. */
  hypercallName(number: number): string | undefined;
  /** Regions that were translated so far, and instructions that were retired. */
  progress(): { readonly regions: number; readonly instructions: number };
}

const MAX_BYTES = 2 ** 28;
/** Room for the end of a file, and for the event that says that it is full. */
const END_BYTES = 4096;
const PIECE_BYTES = 2 ** 18;
/** Events that wait to be written: a slice of a busy guest has some ten thousand; what is more is counted and left out. */
const RING = 2 ** 16;
const WORDS = 6;

const KIND = {
  EXIT: 0,
  INTERRUPT: 1,
  READ: 2,
  WRITE: 3,
  DMA_READ: 4,
  DMA_WRITE: 5,
  DCR_READ: 6,
  DCR_WRITE: 7,
} as const;
/** How an exit ended, beside KVM_EXIT. */
const SHADOWED = -2;
const REASONS: ReadonlyMap<number, string> = new Map(Object.entries(KVM_EXIT).map(([name, number]) => [number, name]));
/** Texts of instructions and names of addresses that are remembered. */
const MAX_KNOWN = 50_000;

export class Tracer implements KvmTracer {
  readonly #machine: TracedMachine;
  readonly #format: TraceFormat;
  readonly #sink: TraceSink;
  readonly #symbols: SymbolTable | undefined;
  readonly #maxBytes: number;
  readonly #start: number;
  /** By event: kind, and what it is about. */
  readonly #words = new Float64Array(RING * WORDS);
  readonly #kinds = new Uint8Array(RING);
  readonly #times = new Float64Array(RING * 2);
  #count = 0;
  #lost = 0;
  #written = 0;
  #isOver = false;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  /** Where the exit that is being handled stands; -1: it is left out. */
  #open = -1;
  readonly #names = new Map<bigint, string>();
  readonly #texts = new Map<number, string>();
  #ranges: readonly { readonly base: number; readonly end: number; readonly name: string }[] | undefined;
  #progress = '';

  constructor(machine: TracedMachine, format: TraceFormat, { sink, maxBytes = MAX_BYTES, symbols }: TraceOptions) {
    this.#machine = machine;
    this.#format = format;
    this.#sink = sink;
    this.#symbols = symbols;
    this.#maxBytes = maxBytes - END_BYTES;
    this.#start = machine.clock.now();
    this.#put(format.begin(machine.name));
  }

  // While the guest runs.

  exit(vector: number, pcLow: number, pcHigh: number, word: number): void {
    const at = this.#add(KIND.EXIT, pcLow, pcHigh, vector);
    this.#open = at;
    if (at < 0) return;
    this.#words[at * WORDS + 3] = word;
  }

  handled(shadowed: boolean, hypercall: number, reason: number): void {
    const at = this.#open;
    if (at < 0) return;
    this.#open = -1;
    this.#words[at * WORDS + 4] = shadowed ? SHADOWED : reason;
    this.#words[at * WORDS + 5] = hypercall;
    this.#times[at * 2 + 1] = this.#machine.clock.now();
  }

  interrupt(pcLow: number, pcHigh: number): void {
    this.#add(KIND.INTERRUPT, pcLow, pcHigh, 0);
  }

  /** An access to a device; `since` is when it began, by `now()`. */
  access(since: number, isWrite: boolean, address: number, length: number, data: number): void {
    const at = this.#add(isWrite ? KIND.WRITE : KIND.READ, address, length, data);
    if (at < 0) return;
    this.#times[at * 2] = since;
    this.#times[at * 2 + 1] = this.now();
  }

  /** The same of a device control register. */
  dcr(since: number, isWrite: boolean, number: number, data: number): void {
    const at = this.#add(isWrite ? KIND.DCR_WRITE : KIND.DCR_READ, number, 4, data);
    if (at < 0) return;
    this.#times[at * 2] = since;
    this.#times[at * 2 + 1] = this.now();
  }

  /** A device's access to memory. */
  dma(isWrite: boolean, address: number, length: number): void {
    this.#add(isWrite ? KIND.DMA_WRITE : KIND.DMA_READ, address, length, 0);
  }

  now(): number {
    return this.#machine.clock.now();
  }

  #add(kind: number, a: number, b: number, c: number): number {
    if (this.#isOver) return -1;
    if (this.#count === RING) {
      this.#lost++;
      return -1;
    }
    const at = this.#count++;
    this.#kinds[at] = kind;
    const words = this.#words;
    words[at * WORDS] = a;
    words[at * WORDS + 1] = b;
    words[at * WORDS + 2] = c;
    this.#times[at * 2] = this.now();
    this.#times[at * 2 + 1] = 0;
    return at;
  }

  // Between its slices.

  /** Writes what has happened since. */
  flush(): void {
    if (this.#isOver) return;
    for (let at = 0; at < this.#count; at++) {
      this.#write(this.#event(at));
      if (this.#isOver) return;
    }
    this.#count = 0;
    const { regions, instructions } = this.#machine.progress();
    const progress = `${regions} ${instructions}`;
    if (progress !== this.#progress) {
      this.#progress = progress;
      this.#write({
        kind: 'counter',
        track: TRACK.TRANSLATOR,
        name: 'progress',
        category: 'translation',
        time: this.now() - this.#start,
        duration: 0,
        args: [
          ['translated regions', regions],
          ['instructions', instructions],
        ],
      });
    }
    if (this.#lost > 0) {
      this.#note('events left out', [['count', this.#lost]]);
      this.#lost = 0;
    }
    if (this.#pieceBytes >= PIECE_BYTES) this.#hand();
  }

  /** The machine has ended: the file is complete. */
  close(): void {
    if (!this.#isOver) {
      this.flush();
      this.#finish();
    }
  }

  #note(name: string, args: TraceEvent['args']): void {
    const time = this.now() - this.#start;
    this.#write({ kind: 'instant', track: TRACK.CPU, name, category: 'trace', time, duration: 0, args });
  }

  #write(event: TraceEvent): void {
    if (this.#isOver) return;
    const bytes = this.#format.event(event);
    if (this.#written + bytes.length <= this.#maxBytes) {
      this.#put(bytes);
      return;
    }
    const { track } = event;
    const time = Math.max(event.time, 0);
    const args = [['bytes', this.#maxBytes + END_BYTES]] as const;
    this.#put(
      this.#format.event({
        kind: 'instant',
        track,
        name: 'the trace is full',
        category: 'trace',
        time,
        duration: 0,
        args,
      }),
    );
    this.#finish();
  }

  #finish(): void {
    this.#isOver = true;
    this.#put(this.#format.end());
    this.#hand();
    this.#sink.close?.();
  }

  #put(bytes: Uint8Array): void {
    this.#written += bytes.length;
    this.#pieceBytes += bytes.length;
    this.#pieces.push(bytes);
  }

  #hand(): void {
    const whole = new Uint8Array(this.#pieceBytes);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#pieceBytes = 0;
    if (whole.length > 0) this.#sink.write(whole);
  }

  #event(at: number): TraceEvent {
    const kind = this.#kinds[at] as number;
    const [a, b, c] = this.#words.subarray(at * WORDS, at * WORDS + 3) as unknown as [number, number, number];
    const begin = this.#times[at * 2] as number;
    const end = this.#times[at * 2 + 1] as number;
    const time = begin - this.#start;
    const duration = end > begin ? end - begin : 0;
    switch (kind) {
      case KIND.EXIT:
        return this.#exit(at, address(a, b), c, time, duration);
      case KIND.INTERRUPT: {
        const pc = address(a, b);
        const args = this.#withName([['handler', pc]], pc);
        return { kind: 'instant', track: TRACK.CPU, name: 'interrupt', category: 'interrupt', time, duration: 0, args };
      }
      case KIND.DMA_READ:
      case KIND.DMA_WRITE: {
        const name = kind === KIND.DMA_READ ? 'DMA read' : 'DMA write';
        const args = [['address', BigInt(a)] as const, ['bytes', b] as const];
        return { kind: 'instant', track: TRACK.DEVICES, name, category: 'dma', time, duration: 0, args };
      }
      default: {
        const isWrite = kind === KIND.WRITE || kind === KIND.DCR_WRITE;
        const isDcr = kind === KIND.DCR_WRITE || kind === KIND.DCR_READ;
        const name = `${isWrite ? 'write' : 'read'} ${isDcr ? `DCR 0x${a.toString(16)}` : this.#deviceAt(a)}`;
        const args = [['address', BigInt(a)] as const, ['bytes', b] as const, ['value', BigInt(c >>> 0)] as const];
        return { kind: 'slice', track: TRACK.DEVICES, name, category: isDcr ? 'dcr' : 'mmio', time, duration, args };
      }
    }
  }

  #exit(at: number, pc: bigint, vector: number, time: number, duration: number): TraceEvent {
    const [word, reason, hypercall] = this.#words.subarray(at * WORDS + 3, at * WORDS + 6) as unknown as [
      number,
      number,
      number,
    ];
    const args: [string, TraceValue][] = [['pc', pc]];
    let name = this.#machine.vectorName(vector);
    let category = 'exit';
    if (word !== 0) {
      const text = this.#text(word, pc);
      args.push(['instruction', text]);
      name = /^\S*/.exec(text)?.[0] || name;
      category = 'emulation';
    }
    if (hypercall >= 0) {
      name = this.#machine.hypercallName(hypercall) ?? `hypercall 0x${hypercall.toString(16)}`;
      category = 'hypercall';
    } else if (reason === SHADOWED) category = 'shadow';
    if (reason >= 0) args.push(['for user space', REASONS.get(reason) ?? reason]);
    return { kind: 'slice', track: TRACK.CPU, name, category, time, duration, args: this.#withName(args, pc) };
  }

  #withName(args: [string, TraceValue][], pc: bigint): TraceEvent['args'] {
    if (this.#symbols === undefined) return args;
    let name = this.#names.get(pc);
    if (name === undefined) {
      name = this.#symbols.describe(pc, this.#machine.bits) ?? '';
      if (this.#names.size < MAX_KNOWN) this.#names.set(pc, name);
    }
    return name === '' ? args : [...args, ['function', name]];
  }

  #text(word: number, pc: bigint): string {
    let text = this.#texts.get(word);
    if (text === undefined) {
      text = this.#machine.disassemble(word, pc).replace(/\s+/, ' ');
      if (this.#texts.size < MAX_KNOWN) this.#texts.set(word, text);
    }
    return text;
  }

  #deviceAt(at: number): string {
    this.#ranges ??= this.#machine
      .devices()
      .flatMap(({ name, mmio }) => mmio.map(({ base, size }) => ({ base, end: base + size, name })));
    return this.#ranges.find(({ base, end }) => at >= base && at < end)?.name ?? `0x${at.toString(16)}`;
  }
}

const address = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
