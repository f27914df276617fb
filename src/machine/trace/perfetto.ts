/**
 * Perfetto's protobuf (its protos/perfetto/trace: trace_packet.proto, track_event/track_event.proto): TrackEvents on
 * tracks of a process, names interned.
 */
import { TRACK_NAMES, type TraceEvent, type TraceFormat, type TraceValue } from './events.ts';

const encoder = new TextEncoder();

/** Field numbers. */
const TRACE_PACKET = 1;
const PACKET = {
  timestamp: 8,
  sequence: 10,
  trackEvent: 11,
  internedData: 12,
  sequenceFlags: 13,
  trackDescriptor: 60,
} as const;
const DESCRIPTOR = { uuid: 1, name: 2, process: 3, thread: 4, parent: 5, counter: 8 } as const;
const PROCESS = { pid: 1, name: 6 } as const;
const THREAD = { pid: 1, tid: 2, name: 5 } as const;
const EVENT = { annotation: 4, type: 9, nameId: 10, track: 11, category: 22, counter: 30, doubleCounter: 44 } as const;
const ANNOTATION = { name: 10, uint: 3, int: 4, double: 5, string: 6, pointer: 7 } as const;
const INTERNED = { eventNames: 2 } as const;
const NAME = { id: 1, name: 2 } as const;

const TYPE = { BEGIN: 1, END: 2, INSTANT: 3, COUNTER: 4 } as const;
const FLAGS = { CLEARED: 1, NEEDED: 2 } as const;
const SEQUENCE = 1;
const PID = 1;
/** Uuids of tracks: the process, its threads by their number, counters behind. */
const PROCESS_TRACK = 100;
const THREAD_TRACKS = 200;
const COUNTER_TRACKS = 1000;
/** Names more than this are not kept. */
const MAX_NAMES = 20_000;

const WIRE = { VARINT: 0, DOUBLE: 1, BYTES: 2 } as const;

/** A protobuf message under construction. */
class Message {
  #bytes = new Uint8Array(256);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  number(field: number, value: number | bigint): this {
    this.#varint((field << 3) | WIRE.VARINT);
    if (typeof value === 'number' && value >= 0 && value < 2 ** 31) this.#varint(value);
    else this.#wide(BigInt.asUintN(64, BigInt(value)));
    return this;
  }

  double(field: number, value: number): this {
    this.#varint((field << 3) | WIRE.DOUBLE);
    this.#room(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true);
    this.#length += 8;
    return this;
  }

  text(field: number, value: string): this {
    return this.message(field, encoder.encode(value));
  }

  message(field: number, bytes: Uint8Array): this {
    this.#varint((field << 3) | WIRE.BYTES);
    this.#varint(bytes.length);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  #varint(value: number): void {
    this.#room(5);
    let rest = value;
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  #wide(value: bigint): void {
    this.#room(10);
    let rest = value;
    while (rest > 127n) {
      this.#bytes[this.#length++] = Number(rest & 127n) | 128;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#length + count));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

export class PerfettoTrace implements TraceFormat {
  readonly #names = new Map<string, number>();
  readonly #counters = new Map<string, number>();
  #isFirst = true;

  begin(process: string): Uint8Array {
    const whole = new Message();
    const track = (descriptor: Message): void => {
      whole.message(TRACE_PACKET, this.#packet(0).message(PACKET.trackDescriptor, descriptor.bytes).bytes);
    };
    track(
      new Message()
        .number(DESCRIPTOR.uuid, PROCESS_TRACK)
        .message(DESCRIPTOR.process, new Message().number(PROCESS.pid, PID).text(PROCESS.name, process).bytes),
    );
    for (const [number, name] of Object.entries(TRACK_NAMES)) {
      const thread = new Message().number(THREAD.pid, PID).number(THREAD.tid, Number(number)).text(THREAD.name, name);
      track(
        new Message()
          .number(DESCRIPTOR.uuid, THREAD_TRACKS + Number(number))
          .number(DESCRIPTOR.parent, PROCESS_TRACK)
          .message(DESCRIPTOR.thread, thread.bytes),
      );
    }
    return whole.bytes;
  }

  event(event: TraceEvent): Uint8Array {
    const whole = new Message();
    const { kind, time, duration, track } = event;
    if (kind === 'counter') this.#count(whole, event);
    else {
      const uuid = THREAD_TRACKS + track;
      const type = kind === 'slice' ? TYPE.BEGIN : TYPE.INSTANT;
      const packet = this.#packet(time);
      const body = new Message().number(EVENT.type, type).number(EVENT.track, uuid);
      body.number(EVENT.nameId, this.#name(packet, event.name)).text(EVENT.category, event.category);
      for (const [name, value] of event.args) body.message(EVENT.annotation, annotation(name, value));
      whole.message(TRACE_PACKET, packet.message(PACKET.trackEvent, body.bytes).bytes);
      if (kind === 'slice') {
        const end = new Message().number(EVENT.type, TYPE.END).number(EVENT.track, uuid);
        whole.message(TRACE_PACKET, this.#packet(time + duration).message(PACKET.trackEvent, end.bytes).bytes);
      }
    }
    return whole.bytes;
  }

  end(): Uint8Array {
    return new Uint8Array(0);
  }

  /** One value of each series. */
  #count(whole: Message, { args, time }: TraceEvent): void {
    for (const [name, value] of args) {
      let uuid = this.#counters.get(name);
      if (uuid === undefined) {
        uuid = COUNTER_TRACKS + this.#counters.size;
        this.#counters.set(name, uuid);
        const descriptor = new Message()
          .number(DESCRIPTOR.uuid, uuid)
          .text(DESCRIPTOR.name, name)
          .number(DESCRIPTOR.parent, PROCESS_TRACK)
          .message(DESCRIPTOR.counter, new Uint8Array(0));
        whole.message(TRACE_PACKET, this.#packet(time).message(PACKET.trackDescriptor, descriptor.bytes).bytes);
      }
      const body = new Message().number(EVENT.type, TYPE.COUNTER).number(EVENT.track, uuid);
      if (typeof value === 'number' && !Number.isInteger(value)) body.double(EVENT.doubleCounter, value);
      else body.number(EVENT.counter, BigInt(value));
      whole.message(TRACE_PACKET, this.#packet(time).message(PACKET.trackEvent, body.bytes).bytes);
    }
  }

  #packet(time: number): Message {
    const flags = this.#isFirst ? FLAGS.CLEARED | FLAGS.NEEDED : FLAGS.NEEDED;
    this.#isFirst = false;
    const packet = new Message().number(PACKET.timestamp, BigInt(Math.round(time)));
    return packet.number(PACKET.sequence, SEQUENCE).number(PACKET.sequenceFlags, flags);
  }

  /** The number of a name; the first time, the packet says what it stands for. */
  #name(packet: Message, name: string): number {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    if (this.#names.size >= MAX_NAMES) return this.#name(packet, 'other');
    const id = this.#names.size + 1;
    this.#names.set(name, id);
    const entry = new Message().number(NAME.id, id).text(NAME.name, name);
    packet.message(PACKET.internedData, new Message().message(INTERNED.eventNames, entry.bytes).bytes);
    return id;
  }
}

function annotation(name: string, value: TraceValue): Uint8Array {
  const message = new Message().text(ANNOTATION.name, name);
  if (typeof value === 'bigint') message.number(ANNOTATION.pointer, value);
  else if (typeof value === 'string') message.text(ANNOTATION.string, value);
  else if (!Number.isInteger(value)) message.double(ANNOTATION.double, value);
  else if (value < 0) message.number(ANNOTATION.int, BigInt(value));
  else message.number(ANNOTATION.uint, BigInt(value));
  return message.bytes;
}
