import type { Stream, StreamEnd, StreamUser } from '../outside/sockets.ts';
import { OutOfOrder } from './out-of-order.ts';
import { type Ends, SEGMENT_DATA, type Segment, sendReset, writeSegment } from './tcp-segment.ts';
import { type SenderLink, type SenderOwner, TcpSender } from './tcp-sender.ts';
import { TCP_FLAG } from './wire.ts';

/** How far a connection is, as the guest sees it. */
export const PHASE = {
  /** The guest waits for the outside. */
  CONNECTING: 0,
  /** The guest's SYN was answered. */
  SYN_RECEIVED: 1,
  /** The guest was sent a SYN. */
  SYN_SENT: 2,
  OPEN: 3,
  /** Both directions have ended. */
  TIME_WAIT: 4,
  GONE: 5,
} as const;
export type Phase = (typeof PHASE)[keyof typeof PHASE];

/** What connections share. */
export interface TcpLink extends SenderLink {
  /** Has `turn` of a connection called at a time. */
  wakeAt(time: number): void;
  /** The card has no room: `send` is called when it has some again. */
  waitForRoom(connection: TcpConnection): void;
  /** Asks for bytes of window beyond what each connection has (negative: gives them back). */
  reserve(bytes: number): boolean;
  remove(connection: TcpConnection): void;
  /** The outside cannot be reached; `syn` is the packet that asked for it. */
  unreachable(syn: Uint8Array): void;
}

/** Bytes of the guest's that may be under way to the outside: at first, and at most. */
const LEAST_WINDOW = 2 ** 16;
const MOST_WINDOW = 2 ** 20;
/** Our windows count units of 2^7 bytes. */
const OWN_SCALE = 7;
/** Times in milliseconds. */
const DELAYED_ACK = 4;
const TIME_WAIT = 4000;
const CONNECT_TIMEOUT = 130_000;
const IDLE_PROBE = 7_200_000;
const PROBE_INTERVAL = 75_000;
const MOST_PROBES = 9;
/** A guest that boots gets so many SYNs of a forward: with a sender's times more than half a minute. */
const MOST_SYNS = 7;

/** A connection between the guest and a stream of the outside: TCP (RFC 9293) ends here on the guest's side. */
export class TcpConnection implements SenderOwner, StreamUser {
  readonly guest: number;
  readonly guestPort: number;
  readonly remote: number;
  readonly remotePort: number;
  /** The next in its bucket of the table. */
  next: TcpConnection | undefined;
  phase: Phase = PHASE.CONNECTING;
  /** When `turn` has something to do. */
  due = Number.POSITIVE_INFINITY;
  readonly #link: TcpLink;
  #stream: Stream | undefined;
  /** Nothing more comes of the stream. */
  #isStreamOver = false;
  /** The head of the packet that began it, for an error. */
  #syn: Uint8Array | undefined;

  /** Towards the guest. */
  readonly #sender: TcpSender;

  /** From the guest: up to here it has come. */
  receiveNext = 0;
  #windowEnd = 0;
  #scale = -1;
  #windowLimit = LEAST_WINDOW;
  #receivedSinceGrowth = 0;
  #unacknowledgedBytes = 0;
  #finAt: number | undefined;
  #guestEnded = false;
  #outOfOrder: OutOfOrder | undefined;

  #acknowledgeAt = Number.POSITIVE_INFINITY;
  #lifeAt = Number.POSITIVE_INFINITY;
  #probes = 0;
  #heardAt = 0;

  constructor(link: TcpLink, ends: Ends, initialSequence: number) {
    this.#link = link;
    this.guest = ends.guest;
    this.guestPort = ends.guestPort;
    this.remote = ends.remote;
    this.remotePort = ends.remotePort;
    this.#sender = new TcpSender(link, this, initialSequence);
  }

  /** What the other side of a restore needs to end it: the sequence that we are at, and the guest's. */
  get position(): readonly [number, number] {
    return [this.#sender.next, this.receiveNext];
  }

  /** Begins with a SYN of the guest's; `stream` is on its way. `syn` is its head. */
  begin(segment: Segment, syn: Uint8Array, connect: (user: StreamUser) => Stream): void {
    this.#syn = syn;
    this.#takeSyn(segment);
    this.#lifeAt = this.#link.now() + CONNECT_TIMEOUT;
    this.schedule();
    this.#stream = connect(this);
  }

  /** Begins with a stream of the outside's, for which the guest is sent a SYN. */
  forward(stream: Stream): void {
    this.#stream = stream;
    this.phase = PHASE.SYN_SENT;
    this.#scale = OWN_SCALE;
    this.#sendSyn();
  }

  #takeSyn(segment: Segment): void {
    this.receiveNext = (segment.sequence + 1) >>> 0;
    this.#sender.takeSyn(segment);
    this.#scale = segment.scale < 0 ? -1 : OWN_SCALE;
    this.#windowEnd = (this.receiveNext + Math.min(this.#windowLimit, 0xffff)) >>> 0;
    this.#heardAt = this.#link.now();
  }

  #sendSyn(): void {
    this.#sender.sendSyn(this.phase === PHASE.SYN_RECEIVED ? this.receiveNext : undefined, this.#scale);
  }

  /** The guest's hardware address has become known: what had to wait for it goes out. */
  addressKnown(): void {
    if (this.phase === PHASE.SYN_SENT) this.#sendSyn();
  }

  // The stream's events.

  opened(): void {
    if (this.phase !== PHASE.CONNECTING) return;
    this.phase = PHASE.SYN_RECEIVED;
    this.#syn = undefined;
    this.#lifeAt = this.#link.now() + IDLE_PROBE;
    this.#sendSyn();
  }

  data(bytes: Uint8Array): void {
    if (this.phase > PHASE.OPEN || this.#sender.isEnding) return;
    this.#sender.append(bytes);
    this.send();
  }

  ended(): void {
    if (this.phase > PHASE.OPEN) return;
    this.#sender.end();
    this.send();
  }

  drained(): void {
    if (this.phase !== PHASE.OPEN || this.#guestEnded) return;
    // The guest hears of a window that has become much wider; of a little it need not.
    const wider = this.#openEnd() - this.#windowEnd;
    if ((wider | 0) >= Math.min(this.#windowLimit / 2, 2 * this.#sender.segmentBytes)) this.acknowledge();
  }

  closed(end: StreamEnd): void {
    this.#isStreamOver = true;
    if (this.phase >= PHASE.TIME_WAIT) {
      if (this.#lifeAt === Number.POSITIVE_INFINITY) this.#gone();
      return;
    }
    if (this.phase === PHASE.CONNECTING) {
      if ((end === 'unreachable' || end === 'timeout') && this.#syn !== undefined) this.#link.unreachable(this.#syn);
      else this.#reset();
      this.#gone();
      return;
    }
    if (end === 'closed') {
      this.#sender.end();
      this.send();
      this.#settle();
      return;
    }
    this.#reset();
    this.#gone();
  }

  /** Ends it at once, on both sides. */
  abort(): void {
    if (this.phase < PHASE.TIME_WAIT) this.#reset();
    this.abandon();
  }

  /** Ends it on the outside only: the guest knows, or is not there any more. */
  abandon(): void {
    if (!this.#isStreamOver) this.#stream?.abort();
    this.#isStreamOver = true;
    this.#gone();
  }

  #reset(): void {
    const isConnecting = this.phase === PHASE.CONNECTING;
    const acknowledgement = this.phase === PHASE.SYN_SENT ? undefined : this.receiveNext;
    sendReset(this.#link.transmitter, this, isConnecting ? 0 : this.#sender.next, acknowledgement);
  }

  #gone(): void {
    if (this.phase === PHASE.GONE) return;
    this.phase = PHASE.GONE;
    this.due = Number.POSITIVE_INFINITY;
    this.#free();
    this.#link.remove(this);
  }

  /** Gives back what it holds of memory. */
  #free(): void {
    this.#sender.clear();
    this.#outOfOrder = undefined;
    if (this.#windowLimit > LEAST_WINDOW) this.#link.reserve(LEAST_WINDOW - this.#windowLimit);
    this.#windowLimit = LEAST_WINDOW;
  }

  /** When both directions have ended: remembers the connection for a while, should the guest have missed our last word. */
  #settle(): void {
    if (this.phase !== PHASE.OPEN || !this.#guestEnded || !this.#sender.isDone) return;
    this.phase = PHASE.TIME_WAIT;
    this.#free();
    this.#sender.due = Number.POSITIVE_INFINITY;
    this.#lifeAt = this.#link.now() + TIME_WAIT;
    this.schedule();
  }

  // From the guest.

  receive(segment: Segment): void {
    this.#heardAt = this.#link.now();
    this.#probes = 0;
    switch (this.phase) {
      case PHASE.CONNECTING:
        // The outside is still being asked, or the guest has changed its mind.
        if (segment.has(TCP_FLAG.RST)) this.abandon();
        return;
      case PHASE.SYN_SENT:
        this.#receiveSynAnswer(segment);
        return;
      case PHASE.TIME_WAIT:
        if (segment.has(TCP_FLAG.RST)) this.#lifeAt = this.#heardAt;
        else if (segment.length > 0 || segment.has(TCP_FLAG.FIN)) this.acknowledge();
        this.schedule();
        return;
      default:
        this.#receiveOpen(segment);
    }
  }

  #receiveSynAnswer(segment: Segment): void {
    const isOurs = segment.has(TCP_FLAG.ACK) && segment.acknowledgement === this.#sender.next;
    if (segment.has(TCP_FLAG.RST)) {
      if (isOurs) this.abandon();
      return;
    }
    if (segment.has(TCP_FLAG.ACK) && !isOurs) {
      sendReset(this.#link.transmitter, this, segment.acknowledgement);
      return;
    }
    if (!isOurs || !segment.has(TCP_FLAG.SYN)) return;
    this.#takeSyn(segment);
    this.#open();
    this.acknowledge();
    this.send();
  }

  /** `window`: the field of the guest's, where it has acknowledged our SYN by a segment of its own. */
  #open(window?: number): void {
    this.phase = PHASE.OPEN;
    this.#sender.open(window);
    this.#lifeAt = this.#heardAt + IDLE_PROBE;
    this.schedule();
  }

  #receiveOpen(segment: Segment): void {
    const { sequence, length } = segment;
    /** Bytes at the front that have come before; negative: bytes that are missing before it. */
    const old = (this.receiveNext - sequence) | 0;
    const window = (this.#windowEnd - this.receiveNext) | 0;
    if (segment.has(TCP_FLAG.RST)) {
      if (old === 0) this.abandon();
      else if (old < 0 && -old < window) this.acknowledge();
      return;
    }
    if (segment.has(TCP_FLAG.SYN)) {
      if (this.phase === PHASE.SYN_RECEIVED && old === 1) this.#sendSyn();
      else this.acknowledge();
      return;
    }
    if (!segment.has(TCP_FLAG.ACK)) return;
    if (this.phase === PHASE.SYN_RECEIVED) {
      if (segment.acknowledgement !== this.#sender.next) {
        sendReset(this.#link.transmitter, this, segment.acknowledgement);
        return;
      }
      this.#open(segment.window);
    }
    if (!this.#sender.receive(segment)) return;
    const total = length + (segment.has(TCP_FLAG.FIN) ? 1 : 0);
    if (total === 0) {
      // A probe of a guest that asks whether we are still there.
      if (old > 0) this.acknowledge();
    } else if (old >= total || (old < 0 && -old >= window)) this.acknowledge();
    else this.#receiveBytes(segment, old, window);
    if (this.phase === PHASE.OPEN) {
      this.send();
      this.#settle();
    }
  }

  /** Takes the bytes of a segment of which at least one is new, and inside of the window unless that is closed. */
  #receiveBytes(segment: Segment, old: number, window: number): void {
    const { frame } = segment;
    const start = segment.start + Math.max(old, 0);
    const end = Math.min(segment.end, segment.start + old + window);
    if (segment.has(TCP_FLAG.FIN) && end === segment.end) this.#finAt ??= (segment.sequence + segment.length) >>> 0;
    if (old < 0) {
      this.#outOfOrder ??= new OutOfOrder();
      this.#outOfOrder.add(segment.sequence, frame.subarray(start, Math.max(start, end)), this.receiveNext);
      // The guest sends what is missing when it hears the same again and again.
      this.acknowledge();
      return;
    }
    const hadGap = this.#outOfOrder !== undefined;
    if (end > start) this.#deliver(frame.subarray(start, end));
    this.#deliverOutOfOrder();
    if (this.phase !== PHASE.OPEN) return;
    if (this.#finAt === this.receiveNext && !this.#guestEnded) {
      this.#guestEnded = true;
      this.receiveNext = (this.receiveNext + 1) >>> 0;
      if (!this.#isStreamOver) this.#stream?.end();
      if (this.phase === PHASE.OPEN) this.acknowledge();
    } else if (hadGap || end < segment.end || this.#unacknowledgedBytes >= 2 * this.#sender.segmentBytes)
      this.acknowledge();
    else if (this.#acknowledgeAt === Number.POSITIVE_INFINITY) {
      this.#acknowledgeAt = this.#heardAt + DELAYED_ACK;
      this.schedule();
    }
  }

  #deliverOutOfOrder(): void {
    const waiting = this.#outOfOrder;
    if (waiting === undefined) return;
    for (let next = waiting.take(this.receiveNext); next !== undefined; next = waiting.take(this.receiveNext)) {
      if (this.phase !== PHASE.OPEN) return;
      this.#deliver(next);
    }
    if (waiting.isEmpty) this.#outOfOrder = undefined;
  }

  #deliver(bytes: Uint8Array): void {
    this.receiveNext = (this.receiveNext + bytes.length) >>> 0;
    if (this.#isStreamOver || this.#guestEnded) {
      // Nobody is there to take it.
      this.abort();
      return;
    }
    this.#unacknowledgedBytes += bytes.length;
    this.#receivedSinceGrowth += bytes.length;
    this.#stream?.write(bytes);
    if (this.phase !== PHASE.OPEN) return;
    if (this.#receivedSinceGrowth < 2 * this.#windowLimit || this.#windowLimit >= MOST_WINDOW) return;
    this.#receivedSinceGrowth = 0;
    // The outside keeps up, and the guest has filled the window twice.
    if ((this.#stream?.pending ?? 0) < this.#windowLimit / 2 && this.#link.reserve(this.#windowLimit))
      this.#windowLimit *= 2;
  }

  // Towards the guest.

  get isOpen(): boolean {
    return this.phase === PHASE.OPEN;
  }

  /** Sends what may be sent. */
  send(): void {
    this.#sender.send();
  }

  waitForRoom(): void {
    this.#link.waitForRoom(this);
  }

  pauseStream(): void {
    this.#stream?.pause();
  }

  resumeStream(): void {
    if (!this.#isStreamOver) this.#stream?.resume();
  }

  /** The end of what the guest may send now. */
  #openEnd(): number {
    const held = (this.#stream?.pending ?? 0) + (this.#outOfOrder?.bytes ?? 0);
    const open = Math.max(0, this.#windowLimit - held);
    return this.receiveNext + (this.#scale < 0 ? Math.min(open, 0xffff) : open);
  }

  /** The window's field. What was once open stays so. */
  advertise(): number {
    const end = this.#openEnd();
    const wider = (end - this.#windowEnd) | 0;
    // By little it is not widened (RFC 9293, 3.8.6.2.2).
    if (wider >= Math.min(this.#sender.segmentBytes, this.#windowLimit / 2)) this.#windowEnd = end >>> 0;
    const window = Math.max(0, (this.#windowEnd - this.receiveNext) | 0);
    return this.#scale < 0 ? Math.min(window, 0xffff) : window >>> OWN_SCALE;
  }

  /** Says what has come, at once. */
  acknowledge(): void {
    const { transmitter } = this.#link;
    const window = this.advertise();
    if (!writeSegment(transmitter, this, this.#sender.next, this.receiveNext, TCP_FLAG.ACK, window, 0, false)) return;
    transmitter.send(SEGMENT_DATA);
    this.acknowledged();
  }

  acknowledged(): void {
    this.#unacknowledgedBytes = 0;
    this.#acknowledgeAt = Number.POSITIVE_INFINITY;
  }

  // Time.

  schedule(): void {
    this.due = Math.min(this.#sender.due, this.#acknowledgeAt, this.#lifeAt);
    if (this.due !== Number.POSITIVE_INFINITY) this.#link.wakeAt(this.due);
  }

  /** Does what is due. */
  turn(now: number): void {
    if (this.#acknowledgeAt <= now) this.acknowledge();
    if (this.#sender.due <= now) this.#sendLate(now);
    if (this.#lifeAt <= now) this.#lifeIsDue(now);
    if (this.phase !== PHASE.GONE) this.schedule();
  }

  #sendLate(now: number): void {
    const times = this.#sender.isLate();
    if (this.phase === PHASE.SYN_RECEIVED || this.phase === PHASE.SYN_SENT) {
      if (times > MOST_SYNS) this.abort();
      else this.#sendSyn();
    } else if (this.phase === PHASE.OPEN && !this.#sender.sendLate(now)) this.abort();
  }

  #lifeIsDue(now: number): void {
    this.#lifeAt = Number.POSITIVE_INFINITY;
    switch (this.phase) {
      case PHASE.CONNECTING:
        if (this.#syn !== undefined) this.#link.unreachable(this.#syn);
        this.abandon();
        return;
      case PHASE.TIME_WAIT:
        // A stream that still sends is counted until it is over.
        if (this.#isStreamOver) this.#gone();
        return;
      case PHASE.OPEN:
        this.#probe(now);
    }
  }

  /** Asks a guest that has been silent for long whether it still knows the connection. */
  #probe(now: number): void {
    if (now - this.#heardAt < IDLE_PROBE) {
      this.#lifeAt = this.#heardAt + IDLE_PROBE;
      return;
    }
    if (++this.#probes > MOST_PROBES) {
      this.abort();
      return;
    }
    this.#lifeAt = now + PROBE_INTERVAL;
    const { transmitter } = this.#link;
    const before = (this.#sender.unacknowledged - 1) >>> 0;
    if (writeSegment(transmitter, this, before, this.receiveNext, TCP_FLAG.ACK, this.advertise(), 0, false))
      transmitter.send(SEGMENT_DATA);
  }
}
