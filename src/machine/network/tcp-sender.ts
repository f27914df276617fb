import { type BufferPool, ByteRing } from './byte-ring.ts';
import { RoundTrip } from './round-trip.ts';
import { type Ends, MAX_SEGMENT_BYTES, SEGMENT_DATA, type Segment, sendSyn, writeSegment } from './tcp-segment.ts';
import type { Transmitter } from './transmitter.ts';
import { IP_BYTES, TCP_BYTES, TCP_FLAG } from './wire.ts';

/** What senders share. */
export interface SenderLink {
  readonly transmitter: Transmitter;
  readonly pool: BufferPool;
  now(): number;
  /** Counts what the guest has sent, so that a guest that stands still is not taken for one that does not answer. */
  readonly heard: number;
}

/** The connection, as its sender sees it. */
export interface SenderOwner extends Ends {
  readonly isOpen: boolean;
  /** Up to here the guest's bytes have come, which each segment tells, and the window that it has: the field. */
  readonly receiveNext: number;
  advertise(): number;
  /** A segment has gone that told so. */
  acknowledged(): void;
  /** Tells so at once. */
  acknowledge(): void;
  /** The card has no room: `send` is to be called when it has some again. */
  waitForRoom(): void;
  /** `due` is another time. */
  schedule(): void;
  /** The outside is to send no more for now, or may go on. */
  pauseStream(): void;
  resumeStream(): void;
}

/** Bytes from the outside that wait for the guest: more as its window grows, until memory is short. */
const LEAST_WAITING = 2 ** 17;
const MOST_WAITING = 2 ** 20;
const LEAST_WAITING_SHORT = 2 ** 14;
/** What all buffers may take before connections are held to the least. */
const POOL_BYTES = 2 ** 26;
/** The longest packet is 65,535 bytes. */
const MOST_OFFLOADED_BYTES = 0xffff - IP_BYTES - TCP_BYTES;
/** From one SYN to the next at first, milliseconds. */
const SYN_INTERVAL = 1000;
const MOST_RETRANSMISSIONS = 12;

/** The half of a connection that sends to the guest (RFC 9293): what waits, what is not acknowledged, what was lost. */
export class TcpSender {
  readonly #link: SenderLink;
  readonly #owner: SenderOwner;
  /** What waits or is not acknowledged begins at `unacknowledged`. */
  readonly #ring: ByteRing;
  unacknowledged: number;
  next: number;
  /** When `isLate` and `sendLate` have something to do. */
  due = Number.POSITIVE_INFINITY;
  segmentBytes = MAX_SEGMENT_BYTES;
  /** The guest has acknowledged the end. */
  isDone = false;
  /** The end of all that was ever sent. */
  #sentEnd: number;
  #window = 0;
  #scale = 0;
  #windowSequence = 0;
  #windowAcknowledgement = 0;
  /** After a loss: what may be under way, until it has grown past the guest's window. */
  #congestionWindow = Number.POSITIVE_INFINITY;
  #recover = 0;
  #isRecovering = false;
  #duplicates = 0;
  #isEnding = false;
  #isEndSent = false;
  readonly #roundTrip = new RoundTrip();
  #retries = 0;
  #heardBefore = 0;
  #isPaused = false;

  constructor(link: SenderLink, owner: SenderOwner, initialSequence: number) {
    this.#link = link;
    this.#owner = owner;
    this.#ring = new ByteRing(link.pool);
    this.unacknowledged = initialSequence;
    this.next = initialSequence;
    this.#sentEnd = initialSequence;
  }

  /** Nothing more will come to be sent: the end goes behind what waits. */
  end(): void {
    this.#isEnding = true;
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Takes what a SYN of the guest's says. */
  takeSyn(segment: Segment): void {
    this.segmentBytes = segment.segmentBytes;
    this.#scale = Math.max(segment.scale, 0);
    this.#window = segment.window;
    this.#windowSequence = segment.sequence;
    this.#windowAcknowledgement = segment.acknowledgement;
  }

  /** Sends our SYN, again after a while. `acknowledgement`: of the guest's, where it answers one. */
  sendSyn(acknowledgement: number | undefined, scale: number): void {
    this.next = (this.unacknowledged + 1) >>> 0;
    this.#sentEnd = this.next;
    sendSyn(this.#link.transmitter, this.#owner, this.unacknowledged, acknowledgement, 0xffff, scale);
    if (this.#retries === 0) this.#roundTrip.begin(this.#link.now());
    else this.#roundTrip.cancel();
    this.due = this.#link.now() + (SYN_INTERVAL << Math.min(this.#retries, 3));
    this.#owner.schedule();
  }

  /** The guest has acknowledged our SYN; `window` is its field, where it had a scale. */
  open(window?: number): void {
    this.unacknowledged = this.next;
    if (window !== undefined) this.#window = window << this.#scale;
    this.#retries = 0;
    if (this.#roundTrip.isTimed) this.#roundTrip.end(this.#link.now());
    this.due = Number.POSITIVE_INFINITY;
  }

  append(bytes: Uint8Array): void {
    this.#ring.append(bytes);
    if (this.#isPaused || this.#ring.length < this.#waitingLimit()) return;
    this.#isPaused = true;
    this.#owner.pauseStream();
  }

  clear(): void {
    this.#ring.clear();
  }

  #waitingLimit(): number {
    if (this.#link.pool.used > POOL_BYTES) return LEAST_WAITING_SHORT;
    return Math.min(Math.max(2 * this.#window, LEAST_WAITING), MOST_WAITING);
  }

  #resumeIfRoom(): void {
    if (!this.#isPaused || this.#ring.length > this.#waitingLimit() / 2) return;
    this.#isPaused = false;
    this.#owner.resumeStream();
  }

  /** Takes what a segment says of ours. False: it is not to be looked at further. */
  receive(segment: Segment): boolean {
    const { acknowledgement } = segment;
    const acknowledged = (acknowledgement - this.unacknowledged) | 0;
    if (((acknowledgement - this.#sentEnd) | 0) > 0) {
      this.#owner.acknowledge();
      return false;
    }
    const window = segment.window << this.#scale;
    const isWindowNews = window !== this.#window;
    const newer = (segment.sequence - this.#windowSequence) | 0;
    if (newer > 0 || (newer === 0 && ((acknowledgement - this.#windowAcknowledgement) | 0) >= 0)) {
      this.#windowSequence = segment.sequence;
      this.#windowAcknowledgement = acknowledgement;
      // A window that opens ends the probing of it.
      if (this.#window === 0 && window > 0 && acknowledged <= 0) {
        this.#retries = 0;
        this.due = this.next === this.unacknowledged ? Number.POSITIVE_INFINITY : this.due;
      }
      this.#window = window;
    }
    if (acknowledged > 0) this.#advance(acknowledgement, acknowledged);
    else if (acknowledged === 0 && segment.length === 0 && !isWindowNews && this.next !== this.unacknowledged)
      this.#duplicate();
    return true;
  }

  #advance(acknowledgement: number, acknowledged: number): void {
    const bytes = Math.min(acknowledged, this.#ring.length);
    if (bytes > 0) this.#ring.drop(bytes);
    // What is acknowledged beyond the bytes is the end.
    if (acknowledged > bytes) this.isDone = true;
    this.unacknowledged = acknowledgement;
    if (((this.next - acknowledgement) | 0) < 0) this.next = acknowledgement;
    if (this.isDone) this.#isEndSent = true;
    this.#duplicates = 0;
    if (this.#retries > 0) {
      this.#retries = 0;
      this.#roundTrip.reset();
    }
    if (this.#roundTrip.endsWith(acknowledgement)) this.#roundTrip.end(this.#link.now());
    if (this.#congestionWindow !== Number.POSITIVE_INFINITY) {
      this.#congestionWindow += bytes;
      if (this.#congestionWindow > this.#window) this.#congestionWindow = Number.POSITIVE_INFINITY;
    }
    if (this.#isRecovering) {
      if (((acknowledgement - this.#recover) | 0) >= 0) this.#isRecovering = false;
      else this.#sendAgain();
    }
    this.due = this.next === acknowledgement ? Number.POSITIVE_INFINITY : this.#link.now() + this.#roundTrip.timeout;
    this.#owner.schedule();
    this.#resumeIfRoom();
  }

  /** Three of the same kind say that a segment was lost. */
  #duplicate(): void {
    if (++this.#duplicates !== 3 || this.#isRecovering) return;
    this.#isRecovering = true;
    this.#recover = this.next;
    this.#sendAgain();
  }

  /** Sends what may be sent. */
  send(): void {
    if (!this.#owner.isOpen) return;
    const { receiver, isFull } = this.#link.transmitter;
    if (isFull) {
      // Nothing is made that the card would not take.
      this.#owner.waitForRoom();
      return;
    }
    const { segmentBytes } = this;
    const isLong = receiver?.takesSegments === true;
    const most = isLong ? MOST_OFFLOADED_BYTES - (MOST_OFFLOADED_BYTES % segmentBytes) : segmentBytes;
    const start = this.next;
    for (;;) {
      const underWay = (this.next - this.unacknowledged) | 0;
      const waiting = this.#ring.length - underWay;
      const window = Math.min(this.#window, this.#congestionWindow) - underWay;
      const length = Math.min(waiting, window, most);
      const isEnd = this.#isEnding && length === waiting && !this.#isEndSent;
      if (length <= 0 && !(isEnd && waiting === 0)) break;
      // Silly windows: a piece that is short only because the window is waits until more of it is open.
      if (length < waiting && length < segmentBytes && underWay > 0) break;
      const flags = TCP_FLAG.ACK | (length === waiting ? TCP_FLAG.PSH : 0) | (isEnd ? TCP_FLAG.FIN : 0);
      if (!this.#transmit(this.next, underWay, length, flags, isLong)) {
        this.#owner.waitForRoom();
        break;
      }
      this.next = (this.next + length + (isEnd ? 1 : 0)) >>> 0;
      if (isEnd) this.#isEndSent = true;
    }
    if (this.next !== start) this.#afterSending(start);
    else if (this.due === Number.POSITIVE_INFINITY && this.#ring.length > 0 && this.#window === 0) {
      // The window is closed: the guest is asked now and then.
      this.due = this.#link.now() + this.#roundTrip.timeout;
      this.#owner.schedule();
    }
  }

  #afterSending(start: number): void {
    const now = this.#link.now();
    if (((this.next - this.#sentEnd) | 0) > 0) {
      this.#sentEnd = this.next;
      if (!this.#roundTrip.isTimed && this.#retries === 0) this.#roundTrip.begin(now, this.next);
    }
    if (this.due === Number.POSITIVE_INFINITY || start === this.unacknowledged) {
      this.due = now + this.#roundTrip.timeout;
      this.#owner.schedule();
    }
  }

  /** Sends the first segment of what is not acknowledged once more. */
  #sendAgain(): void {
    const length = Math.min(this.#ring.length, this.segmentBytes);
    this.#roundTrip.cancel();
    const isEnd = this.#isEndSent && length === this.#ring.length;
    const flags = TCP_FLAG.ACK | TCP_FLAG.PSH | (isEnd ? TCP_FLAG.FIN : 0);
    this.#transmit(this.unacknowledged, 0, length, flags, false);
  }

  /** Hands a segment to the card. False: it has no room. */
  #transmit(sequence: number, offset: number, length: number, flags: number, isLong: boolean): boolean {
    const { transmitter } = this.#link;
    const owner = this.#owner;
    if (length > 0) this.#ring.copy(offset, length, transmitter.frame, SEGMENT_DATA);
    const isPartial = isLong && length > 0;
    const window = owner.advertise();
    // An address that is not known is asked for; the segment comes again in its time.
    if (!writeSegment(transmitter, owner, sequence, owner.receiveNext, flags, window, length, isPartial)) return true;
    if (!transmitter.offer(SEGMENT_DATA + length, isPartial ? this.segmentBytes : undefined)) return false;
    owner.acknowledged();
    return true;
  }

  /** Nothing was heard of what was sent, or a closed window is to be asked for: how often that was so one after the other. */
  isLate(): number {
    this.due = Number.POSITIVE_INFINITY;
    // A guest that stands still (paused, or without its driver) is waited for.
    const isAlive = this.#link.heard !== this.#heardBefore;
    this.#heardBefore = this.#link.heard;
    if (isAlive || !this.#owner.isOpen) this.#retries++;
    this.#roundTrip.cancel();
    return this.#retries;
  }

  /** Sends what is late once more. False: that was done too often. */
  sendLate(now: number): boolean {
    const isProbe = this.#window === 0 && this.#ring.length > 0;
    this.#roundTrip.backOff();
    this.due = now + this.#roundTrip.timeout;
    if (isProbe) {
      // One byte beyond the window, which the guest refuses and says how wide it is.
      this.next = this.unacknowledged;
      this.#isEndSent = false;
      if (this.#transmit(this.unacknowledged, 0, 1, TCP_FLAG.ACK, false)) {
        const end = (this.unacknowledged + 1) >>> 0;
        if (((end - this.#sentEnd) | 0) > 0) this.#sentEnd = end;
      }
      return true;
    }
    if (this.#retries > MOST_RETRANSMISSIONS) return false;
    this.next = this.unacknowledged;
    this.#isEndSent = this.isDone;
    this.#isRecovering = false;
    this.#congestionWindow = 2 * this.segmentBytes;
    this.send();
    return true;
  }
}
