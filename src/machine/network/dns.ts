import type { Sockets, Stream, StreamUser } from '../outside/sockets.ts';
import { copyOf, read16, write16 } from './bytes.ts';

export const DNS_PORT = 53;
/** The header (RFC 1035, 4.1.1): the least of a message. */
const HEADER_BYTES = 12;
const RESPONSE = 0x8000;
const SERVER_FAILURE = 2;
/** Questions that the host's resolver is asked at a time. */
const MOST_QUERIES = 256;
/** Bytes of questions and answers that one stream may have waiting; who sends more is not listened to. */
const MOST_STREAM_BYTES = 2 ** 18;

/** Passes the guest's questions on to the host's resolver. */
export class Dns {
  readonly #sockets: Sockets;
  /** False: nobody is asked. */
  readonly isOpen: boolean;
  #queries = 0;

  constructor(sockets: Sockets, isOpen: boolean) {
    this.#sockets = sockets;
    this.isOpen = isOpen;
  }

  /** A question in a datagram. `answer` is called at most once, later. */
  query(message: Uint8Array, answer: (bytes: Uint8Array) => void, isLong = false): void {
    if (message.length < HEADER_BYTES || (read16(message, 2) & RESPONSE) !== 0) return;
    const question = copyOf(message);
    if (this.#queries >= MOST_QUERIES) {
      answer(failure(question));
      return;
    }
    this.#queries++;
    this.#sockets.resolve(question, isLong, (bytes) => {
      this.#queries--;
      answer(bytes ?? failure(question));
    });
  }

  /** A stream on which questions come and answers go, each behind its length (RFC 7766); the guest's end of it is `user`. */
  open(user: StreamUser): Stream {
    return new DnsStream(this, user);
  }
}

/** An answer that says that the resolver failed. */
function failure(question: Uint8Array): Uint8Array {
  const answer = copyOf(question);
  write16(answer, 2, read16(answer, 2) | RESPONSE | SERVER_FAILURE);
  return answer;
}

/** The resolver, as a stream from the outside. */
class DnsStream implements Stream {
  readonly #dns: Dns;
  #user: StreamUser | undefined;
  /** What has come of a question that is not whole. */
  #partial: Uint8Array<ArrayBufferLike> = new Uint8Array(0);
  #waiting = 0;
  #waitingBytes = 0;
  #isEnded = false;
  #isPaused = false;

  constructor(dns: Dns, user: StreamUser) {
    this.#dns = dns;
    this.#user = user;
    queueMicrotask(() => this.#user?.opened());
  }

  get pending(): number {
    return this.#waitingBytes + this.#partial.length;
  }

  write(bytes: Uint8Array): void {
    const all = new Uint8Array(this.#partial.length + bytes.length);
    all.set(this.#partial);
    all.set(bytes, this.#partial.length);
    this.#partial = all;
    if (this.pending > MOST_STREAM_BYTES) this.#close('reset');
    else this.#askAll();
  }

  #askAll(): void {
    const all = this.#partial;
    let at = 0;
    while (!this.#isPaused && all.length - at >= 2) {
      const end = at + 2 + read16(all, at);
      if (end > all.length) break;
      this.#ask(all.subarray(at + 2, end));
      at = end;
    }
    if (at > 0) this.#partial = copyOf(all, at);
  }

  #ask(question: Uint8Array): void {
    this.#waiting++;
    this.#waitingBytes += question.length;
    let isAnswered = false;
    const answered = (answer: Uint8Array | undefined): void => {
      if (isAnswered) return;
      isAnswered = true;
      this.#waiting--;
      this.#waitingBytes -= question.length;
      if (answer !== undefined) {
        const framed = new Uint8Array(2 + answer.length);
        write16(framed, 0, answer.length);
        framed.set(answer, 2);
        this.#user?.data(framed);
      }
      if (this.pending === 0) this.#user?.drained();
      this.#finish();
    };
    if (question.length < HEADER_BYTES || (read16(question, 2) & RESPONSE) !== 0) answered(undefined);
    else this.#dns.query(question, answered, true);
  }

  end(): void {
    this.#isEnded = true;
    this.#finish();
  }

  /** The guest has asked all, and has been answered all. */
  #finish(): void {
    if (!this.#isEnded || this.#waiting > 0 || this.#isPaused) return;
    this.#user?.ended();
    this.#close('closed');
  }

  #close(end: 'closed' | 'reset'): void {
    const user = this.#user;
    this.#user = undefined;
    user?.closed(end);
  }

  /** Whoever does not take the answers asks no more. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#askAll();
    if (this.pending === 0) this.#user?.drained();
    this.#finish();
  }

  abort(): void {
    this.#user = undefined;
  }
}
