import type { Stream, StreamEnd, StreamUser } from '../outside/sockets.ts';
import { type BufferPool, ByteRing } from './byte-ring.ts';
import { OutOfOrder } from './out-of-order.ts';
import {
  type Ends,
  MAX_SEGMENT_BYTES,
  SEGMENT_DATA,
  type Segment,
  sendReset,
  sendSyn,
  writeSegment,
} from './tcp-segment.ts';
import type { Transmitter } from './transmitter.ts';
import { IP_BYTES, TCP_BYTES, TCP_FLAG } from './wire.ts';

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
export interface TcpLink {
  readonly transmitter: Transmitter;
  readonly pool: BufferPool;
  now(): number;
  /** Has `turn` of a connection called at a time. */
  wakeAt(time: number): void;
  /** The card has no room: `send` is called when it has some again. */
  waitForRoom(connection: TcpConnection): void;
  /** Counts what the guest has sent, so that a guest that stands still is not taken for one that does not answer. */
  readonly heard: number;
  /** Asks for bytes of window beyond what each connection has (negative: gives them back). */
  reserve(bytes: number): boolean;
  remove(connection: TcpConnection): void;
  /** The outside cannot be reached; `syn` is the packet that asked for it. */
  unreachable(syn: Uint8Array): void;
}

/** Bytes of the guest's that may be under way to the outside: at first, and at most. */
const LEAST_WINDOW = 2 ** 16;
const MOST_WINDOW = 2 ** 20;
/** Bytes from the outside that wait for the guest: more as its window grows, until memory is short. */
const LEAST_WAITING = 2 ** 17;
const MOST_WAITING = 2 ** 20;
const LEAST_WAITING_SHORT = 2 ** 14;
/** What all buffers may take before connections are held to the least. */
const POOL_BYTES = 2 ** 26;
/** Our windows count units of 2^7 bytes. */
const OWN_SCALE = 7;
/** The longest packet is 65,535 bytes. */
const MOST_OFFLOADED_BYTES = 0xffff - IP_BYTES - TCP_BYTES;

/** Times in milliseconds. */
const DELAYED_ACK = 4;
const FIRST_TIMEOUT = 1000;
const LEAST_TIMEOUT = 400;
const MOST_TIMEOUT = 16_000;
const TIME_WAIT = 4000;
const CONNECT_TIMEOUT = 130_000;
const IDLE_PROBE = 7_200_000;
const PROBE_INTERVAL = 75_000;
const MOST_PROBES = 9;
const MOST_RETRANSMISSIONS = 12;
/** A guest that boots gets so many SYNs of a forward: with the times above more than half a minute. */
const MOST_SYNS = 7;

/** A connection between the guest and a stream of the outside: TCP (RFC 9293) ends here on the guest's side. */
export class TcpConnection implements Ends, StreamUser {
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
  #isPaused = false;
  /** The head of the packet that began it, for an error. */
  #syn: Uint8Array | undefined;

  /** Towards the guest: what waits or is not acknowledged begins at `#unacknowledged`. */
  readonly #ring: ByteRing;
  #unacknowledged: number;
  #sendNext: number;
  /** The end of all that was ever sent. */
  #sentEnd: number;
  #guestWindow = 0;
  #guestScale = 0;
  #windowSequence = 0;
  #windowAcknowledgement = 0;
  #segmentBytes = MAX_SEGMENT_BYTES;
  /** After a loss: what may be under way, until it has grown past the guest's window. */
  #congestionWindow = Number.POSITIVE_INFINITY;
  #recover = 0;
  #isRecovering = false;
  #duplicates = 0;
  #hostEnded = false;
  #isFinSent = false;
  #isFinAcknowledged = false;

  /** From the guest. */
  #receiveNext = 0;
  #windowEnd = 0;
  #scale = -1;
  #windowLimit = LEAST_WINDOW;
  #receivedSinceGrowth = 0;
  #unacknowledgedBytes = 0;
  #finAt: number | undefined;
  #guestEnded = false;
  #outOfOrder: OutOfOrder | undefined;

  #sendAt = Number.POSITIVE_INFINITY;
  #acknowledgeAt = Number.POSITIVE_INFINITY;
  #lifeAt = Number.POSITIVE_INFINITY;
  #timeout = FIRST_TIMEOUT;
  #smoothed = 0;
  #variation = 0;
  #timedSequence = 0;
  #timedAt = 0;
  #retries = 0;
  #probes = 0;
  #heardAt = 0;
  #heardBefore = 0;

  constructor(link: TcpLink, ends: Ends, initialSequence: number) {
    this.#link = link;
    this.guest = ends.guest;
    this.guestPort = ends.guestPort;
    this.remote = ends.remote;
    this.remotePort = ends.remotePort;
    this.#ring = new ByteRing(link.pool);
    this.#unacknowledged = initialSequence;
    this.#sendNext = initialSequence;
    this.#sentEnd = initialSequence;
  }

  /** What the other side of a restore needs to end it: the sequence that we are at, and the guest's. */
  get position(): readonly [number, number] {
    return [this.#sendNext, this.#receiveNext];
  }

  /** Begins with a SYN of the guest's; `stream` is on its way. `syn` is its head. */
  begin(segment: Segment, syn: Uint8Array, connect: (user: StreamUser) => Stream): void {
    this.#syn = syn;
    this.#takeSyn(segment);
    this.#lifeAt = this.#link.now() + CONNECT_TIMEOUT;
    this.#schedule();
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
    this.#receiveNext = (segment.sequence + 1) >>> 0;
    this.#segmentBytes = segment.segmentBytes;
    this.#guestScale = Math.max(segment.scale, 0);
    this.#scale = segment.scale < 0 ? -1 : OWN_SCALE;
    this.#guestWindow = segment.window;
    this.#windowSequence = segment.sequence;
    this.#windowAcknowledgement = segment.acknowledgement;
    this.#windowEnd = (this.#receiveNext + Math.min(this.#windowLimit, 0xffff)) >>> 0;
    this.#heardAt = this.#link.now();
  }

  /** Sends our SYN, again after a while. */
  #sendSyn(): void {
    const isAnswer = this.phase === PHASE.SYN_RECEIVED;
    const acknowledgement = isAnswer ? this.#receiveNext : undefined;
    this.#sendNext = (this.#unacknowledged + 1) >>> 0;
    this.#sentEnd = this.#sendNext;
    sendSyn(this.#link.transmitter, this, this.#unacknowledged, acknowledgement, 0xffff, this.#scale);
    this.#timedAt = this.#retries === 0 ? this.#link.now() : 0;
    this.#sendAt = this.#link.now() + (FIRST_TIMEOUT << Math.min(this.#retries, 3));
    this.#schedule();
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
    if (this.phase > PHASE.OPEN || this.#hostEnded) return;
    this.#ring.append(bytes);
    this.#pauseIfFull();
    this.send();
  }

  ended(): void {
    if (this.phase > PHASE.OPEN) return;
    this.#hostEnded = true;
    this.send();
  }

  drained(): void {
    if (this.phase !== PHASE.OPEN || this.#guestEnded) return;
    // The guest hears of a window that has become much wider; of a little it need not.
    const wider = this.#openEnd() - this.#windowEnd;
    if ((wider | 0) >= Math.min(this.#windowLimit / 2, 2 * this.#segmentBytes)) this.#acknowledge();
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
      this.#hostEnded = true;
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
    const acknowledgement = this.phase === PHASE.SYN_SENT ? undefined : this.#receiveNext;
    sendReset(this.#link.transmitter, this, isConnecting ? 0 : this.#sendNext, acknowledgement);
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
    this.#ring.clear();
    this.#outOfOrder = undefined;
    if (this.#windowLimit > LEAST_WINDOW) this.#link.reserve(LEAST_WINDOW - this.#windowLimit);
    this.#windowLimit = LEAST_WINDOW;
  }

  /** When both directions have ended: remembers the connection for a while, should the guest have missed our last word. */
  #settle(): void {
    if (this.phase !== PHASE.OPEN || !this.#guestEnded || !this.#isFinAcknowledged) return;
    this.phase = PHASE.TIME_WAIT;
    this.#free();
    this.#sendAt = Number.POSITIVE_INFINITY;
    this.#lifeAt = this.#link.now() + TIME_WAIT;
    this.#schedule();
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
        else if (segment.length > 0 || segment.has(TCP_FLAG.FIN)) this.#acknowledge();
        this.#schedule();
        return;
      default:
        this.#receiveOpen(segment);
    }
  }

  #receiveSynAnswer(segment: Segment): void {
    const isOurs = segment.has(TCP_FLAG.ACK) && segment.acknowledgement === this.#sendNext;
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
    this.#unacknowledged = this.#sendNext;
    this.#open();
    this.#acknowledge();
    this.send();
  }

  #open(): void {
    this.phase = PHASE.OPEN;
    this.#retries = 0;
    if (this.#timedAt !== 0) this.#measure();
    this.#sendAt = Number.POSITIVE_INFINITY;
    this.#lifeAt = this.#heardAt + IDLE_PROBE;
    this.#schedule();
  }

  #receiveOpen(segment: Segment): void {
    const { sequence, length } = segment;
    /** Bytes at the front that have come before; negative: bytes that are missing before it. */
    const old = (this.#receiveNext - sequence) | 0;
    const window = (this.#windowEnd - this.#receiveNext) | 0;
    if (segment.has(TCP_FLAG.RST)) {
      if (old === 0) this.abandon();
      else if (old < 0 && -old < window) this.#acknowledge();
      return;
    }
    if (segment.has(TCP_FLAG.SYN)) {
      if (this.phase === PHASE.SYN_RECEIVED && old === 1) this.#sendSyn();
      else this.#acknowledge();
      return;
    }
    if (!segment.has(TCP_FLAG.ACK)) return;
    if (this.phase === PHASE.SYN_RECEIVED) {
      if (segment.acknowledgement !== this.#sendNext) {
        sendReset(this.#link.transmitter, this, segment.acknowledgement);
        return;
      }
      this.#unacknowledged = this.#sendNext;
      this.#guestWindow = segment.window << this.#guestScale;
      this.#open();
    }
    if (!this.#receiveAcknowledgement(segment)) return;
    const total = length + (segment.has(TCP_FLAG.FIN) ? 1 : 0);
    if (total === 0) {
      // A probe of a guest that asks whether we are still there.
      if (old > 0) this.#acknowledge();
    } else if (old >= total || (old < 0 && -old >= window)) this.#acknowledge();
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
      this.#outOfOrder.add(segment.sequence, frame.subarray(start, Math.max(start, end)), this.#receiveNext);
      // The guest sends what is missing when it hears the same again and again.
      this.#acknowledge();
      return;
    }
    const hadGap = this.#outOfOrder !== undefined;
    if (end > start) this.#deliver(frame.subarray(start, end));
    this.#deliverOutOfOrder();
    if (this.phase !== PHASE.OPEN) return;
    if (this.#finAt === this.#receiveNext && !this.#guestEnded) {
      this.#guestEnded = true;
      this.#receiveNext = (this.#receiveNext + 1) >>> 0;
      if (!this.#isStreamOver) this.#stream?.end();
      if (this.phase === PHASE.OPEN) this.#acknowledge();
    } else if (hadGap || end < segment.end || this.#unacknowledgedBytes >= 2 * this.#segmentBytes) this.#acknowledge();
    else if (this.#acknowledgeAt === Number.POSITIVE_INFINITY) {
      this.#acknowledgeAt = this.#heardAt + DELAYED_ACK;
      this.#schedule();
    }
  }

  #deliverOutOfOrder(): void {
    const waiting = this.#outOfOrder;
    if (waiting === undefined) return;
    for (let next = waiting.take(this.#receiveNext); next !== undefined; next = waiting.take(this.#receiveNext)) {
      if (this.phase !== PHASE.OPEN) return;
      this.#deliver(next);
    }
    if (waiting.isEmpty) this.#outOfOrder = undefined;
  }

  #deliver(bytes: Uint8Array): void {
    this.#receiveNext = (this.#receiveNext + bytes.length) >>> 0;
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

  /** Takes what a segment says of ours. False: it is not to be looked at further. */
  #receiveAcknowledgement(segment: Segment): boolean {
    const { acknowledgement } = segment;
    const acknowledged = (acknowledgement - this.#unacknowledged) | 0;
    if (((acknowledgement - this.#sentEnd) | 0) > 0) {
      this.#acknowledge();
      return false;
    }
    const window = segment.window << this.#guestScale;
    const isWindowNews = window !== this.#guestWindow;
    const newer = (segment.sequence - this.#windowSequence) | 0;
    if (newer > 0 || (newer === 0 && ((acknowledgement - this.#windowAcknowledgement) | 0) >= 0)) {
      this.#windowSequence = segment.sequence;
      this.#windowAcknowledgement = acknowledgement;
      // A window that opens ends the probing of it.
      if (this.#guestWindow === 0 && window > 0 && acknowledged <= 0) {
        this.#retries = 0;
        this.#sendAt = this.#sendNext === this.#unacknowledged ? Number.POSITIVE_INFINITY : this.#sendAt;
      }
      this.#guestWindow = window;
    }
    if (acknowledged > 0) this.#advance(acknowledgement, acknowledged);
    else if (acknowledged === 0 && segment.length === 0 && !isWindowNews && this.#sendNext !== this.#unacknowledged)
      this.#duplicate();
    return true;
  }

  #advance(acknowledgement: number, acknowledged: number): void {
    const bytes = Math.min(acknowledged, this.#ring.length);
    if (bytes > 0) this.#ring.drop(bytes);
    // What is acknowledged beyond the bytes is the end.
    if (acknowledged > bytes) this.#isFinAcknowledged = true;
    this.#unacknowledged = acknowledgement;
    if (((this.#sendNext - acknowledgement) | 0) < 0) this.#sendNext = acknowledgement;
    if (this.#isFinAcknowledged) this.#isFinSent = true;
    this.#duplicates = 0;
    if (this.#retries > 0) {
      this.#retries = 0;
      this.#timeout = this.#estimate();
    }
    if (this.#timedAt !== 0 && ((acknowledgement - this.#timedSequence) | 0) >= 0) this.#measure();
    if (this.#congestionWindow !== Number.POSITIVE_INFINITY) {
      this.#congestionWindow += bytes;
      if (this.#congestionWindow > this.#guestWindow) this.#congestionWindow = Number.POSITIVE_INFINITY;
    }
    if (this.#isRecovering) {
      if (((acknowledgement - this.#recover) | 0) >= 0) this.#isRecovering = false;
      else this.#sendAgain();
    }
    this.#sendAt = this.#sendNext === acknowledgement ? Number.POSITIVE_INFINITY : this.#link.now() + this.#timeout;
    this.#schedule();
    this.#resumeIfRoom();
  }

  /** Three of the same kind say that a segment was lost. */
  #duplicate(): void {
    if (++this.#duplicates !== 3 || this.#isRecovering) return;
    this.#isRecovering = true;
    this.#recover = this.#sendNext;
    this.#sendAgain();
  }

  /** Takes a round trip's time (RFC 6298). */
  #measure(): void {
    const time = this.#link.now() - this.#timedAt;
    this.#timedAt = 0;
    if (this.#smoothed === 0) {
      this.#smoothed = time;
      this.#variation = time / 2;
    } else {
      this.#variation += (Math.abs(this.#smoothed - time) - this.#variation) / 4;
      this.#smoothed += (time - this.#smoothed) / 8;
    }
    this.#timeout = this.#estimate();
  }

  #estimate(): number {
    if (this.#smoothed === 0) return FIRST_TIMEOUT;
    return Math.min(Math.max(this.#smoothed + 4 * this.#variation, LEAST_TIMEOUT), MOST_TIMEOUT);
  }

  // Towards the guest.

  /** Sends what may be sent. */
  send(): void {
    if (this.phase !== PHASE.OPEN) return;
    const { receiver, isFull } = this.#link.transmitter;
    if (isFull) {
      // Nothing is made that the card would not take.
      this.#link.waitForRoom(this);
      return;
    }
    const segmentBytes = this.#segmentBytes;
    const isLong = receiver?.takesSegments === true;
    const most = isLong ? MOST_OFFLOADED_BYTES - (MOST_OFFLOADED_BYTES % segmentBytes) : segmentBytes;
    const start = this.#sendNext;
    for (;;) {
      const underWay = (this.#sendNext - this.#unacknowledged) | 0;
      const waiting = this.#ring.length - underWay;
      const window = Math.min(this.#guestWindow, this.#congestionWindow) - underWay;
      const length = Math.min(waiting, window, most);
      const isEnd = this.#hostEnded && length === waiting && !this.#isFinSent;
      if (length <= 0 && !(isEnd && waiting === 0)) break;
      // Silly windows: a piece that is short only because the window is waits until more of it is open.
      if (length < waiting && length < segmentBytes && underWay > 0) break;
      const flags = TCP_FLAG.ACK | (length === waiting ? TCP_FLAG.PSH : 0) | (isEnd ? TCP_FLAG.FIN : 0);
      if (!this.#transmit(this.#sendNext, underWay, length, flags, isLong)) {
        this.#link.waitForRoom(this);
        break;
      }
      this.#sendNext = (this.#sendNext + length + (isEnd ? 1 : 0)) >>> 0;
      if (isEnd) this.#isFinSent = true;
    }
    if (this.#sendNext !== start) this.#afterSending(start);
    else if (this.#sendAt === Number.POSITIVE_INFINITY && this.#ring.length > 0 && this.#guestWindow === 0) {
      // The window is closed: the guest is asked now and then.
      this.#sendAt = this.#link.now() + this.#timeout;
      this.#schedule();
    }
  }

  #afterSending(start: number): void {
    const now = this.#link.now();
    if (((this.#sendNext - this.#sentEnd) | 0) > 0) {
      this.#sentEnd = this.#sendNext;
      if (this.#timedAt === 0 && this.#retries === 0) {
        this.#timedAt = now;
        this.#timedSequence = this.#sendNext;
      }
    }
    if (this.#sendAt === Number.POSITIVE_INFINITY || start === this.#unacknowledged) {
      this.#sendAt = now + this.#timeout;
      this.#schedule();
    }
  }

  /** Sends the first segment of what is not acknowledged once more. */
  #sendAgain(): void {
    const length = Math.min(this.#ring.length, this.#segmentBytes);
    this.#timedAt = 0;
    const isEnd = this.#isFinSent && length === this.#ring.length;
    const flags = TCP_FLAG.ACK | TCP_FLAG.PSH | (isEnd ? TCP_FLAG.FIN : 0);
    this.#transmit(this.#unacknowledged, 0, length, flags, false);
  }

  /** Hands a segment to the card. False: it has no room. */
  #transmit(sequence: number, offset: number, length: number, flags: number, isLong: boolean): boolean {
    const { transmitter } = this.#link;
    if (length > 0) this.#ring.copy(offset, length, transmitter.frame, SEGMENT_DATA);
    const isPartial = isLong && length > 0;
    const window = this.#advertise();
    // An address that is not known is asked for; the segment comes again in its time.
    if (!writeSegment(transmitter, this, sequence, this.#receiveNext, flags, window, length, isPartial)) return true;
    if (!transmitter.offer(SEGMENT_DATA + length, isPartial ? this.#segmentBytes : undefined)) return false;
    this.#acknowledged();
    return true;
  }

  /** The end of what the guest may send now. */
  #openEnd(): number {
    const held = (this.#stream?.pending ?? 0) + (this.#outOfOrder?.bytes ?? 0);
    const open = Math.max(0, this.#windowLimit - held);
    return this.#receiveNext + (this.#scale < 0 ? Math.min(open, 0xffff) : open);
  }

  /** The window's field. What was once open stays so. */
  #advertise(): number {
    const end = this.#openEnd();
    const wider = (end - this.#windowEnd) | 0;
    // By little it is not widened (RFC 9293, 3.8.6.2.2).
    if (wider >= Math.min(this.#segmentBytes, this.#windowLimit / 2)) this.#windowEnd = end >>> 0;
    const window = Math.max(0, (this.#windowEnd - this.#receiveNext) | 0);
    return this.#scale < 0 ? Math.min(window, 0xffff) : window >>> OWN_SCALE;
  }

  /** Says what has come, at once. */
  #acknowledge(): void {
    const { transmitter } = this.#link;
    const window = this.#advertise();
    if (!writeSegment(transmitter, this, this.#sendNext, this.#receiveNext, TCP_FLAG.ACK, window, 0, false)) return;
    transmitter.send(SEGMENT_DATA);
    this.#acknowledged();
  }

  #acknowledged(): void {
    this.#unacknowledgedBytes = 0;
    this.#acknowledgeAt = Number.POSITIVE_INFINITY;
  }

  #waitingLimit(): number {
    if (this.#link.pool.used > POOL_BYTES) return LEAST_WAITING_SHORT;
    return Math.min(Math.max(2 * this.#guestWindow, LEAST_WAITING), MOST_WAITING);
  }

  #pauseIfFull(): void {
    if (this.#isPaused || this.#ring.length < this.#waitingLimit()) return;
    this.#isPaused = true;
    this.#stream?.pause();
  }

  #resumeIfRoom(): void {
    if (!this.#isPaused || this.#ring.length > this.#waitingLimit() / 2) return;
    this.#isPaused = false;
    if (!this.#isStreamOver) this.#stream?.resume();
  }

  // Time.

  #schedule(): void {
    this.due = Math.min(this.#sendAt, this.#acknowledgeAt, this.#lifeAt);
    if (this.due !== Number.POSITIVE_INFINITY) this.#link.wakeAt(this.due);
  }

  /** Does what is due. */
  turn(now: number): void {
    if (this.#acknowledgeAt <= now) this.#acknowledge();
    if (this.#sendAt <= now) this.#sendLate(now);
    if (this.#lifeAt <= now) this.#lifeIsDue(now);
    if (this.phase !== PHASE.GONE) this.#schedule();
  }

  /** Nothing was heard of what was sent, or a closed window is to be asked for. */
  #sendLate(now: number): void {
    this.#sendAt = Number.POSITIVE_INFINITY;
    // A guest that stands still (paused, or without its driver) is waited for.
    const isAlive = this.#link.heard !== this.#heardBefore;
    this.#heardBefore = this.#link.heard;
    if (isAlive || this.phase !== PHASE.OPEN) this.#retries++;
    this.#timedAt = 0;
    if (this.phase === PHASE.SYN_RECEIVED || this.phase === PHASE.SYN_SENT) {
      if (this.#retries > MOST_SYNS) this.abort();
      else this.#sendSyn();
      return;
    }
    if (this.phase !== PHASE.OPEN) return;
    const isProbe = this.#guestWindow === 0 && this.#ring.length > 0;
    this.#timeout = Math.min(this.#timeout * 2, MOST_TIMEOUT);
    this.#sendAt = now + this.#timeout;
    if (isProbe) {
      // One byte beyond the window, which the guest refuses and says how wide it is.
      this.#sendNext = this.#unacknowledged;
      this.#isFinSent = false;
      if (this.#transmit(this.#unacknowledged, 0, 1, TCP_FLAG.ACK, false)) {
        const end = (this.#unacknowledged + 1) >>> 0;
        if (((end - this.#sentEnd) | 0) > 0) this.#sentEnd = end;
      }
      return;
    }
    if (this.#retries > MOST_RETRANSMISSIONS) {
      this.abort();
      return;
    }
    this.#sendNext = this.#unacknowledged;
    this.#isFinSent = this.#isFinAcknowledged;
    this.#isRecovering = false;
    this.#congestionWindow = 2 * this.#segmentBytes;
    this.send();
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
    const before = (this.#unacknowledged - 1) >>> 0;
    if (writeSegment(transmitter, this, before, this.#receiveNext, TCP_FLAG.ACK, this.#advertise(), 0, false))
      transmitter.send(SEGMENT_DATA);
  }
}
