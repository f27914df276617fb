import { copyOf } from './bytes.ts';

/** Pieces that wait at a time for what is missing before them. */
const MOST_PIECES = 64;

interface Piece {
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** Bytes of a TCP stream that have come before their turn. */
export class OutOfOrder {
  /** In the order of the stream. */
  #pieces: Piece[] = [];
  bytes = 0;

  get isEmpty(): boolean {
    return this.#pieces.length === 0;
  }

  /** Keeps a copy of bytes that begin at `sequence`, which lies behind `next`. */
  add(sequence: number, bytes: Uint8Array, next: number): void {
    if (bytes.length === 0 || this.#pieces.length >= MOST_PIECES) return;
    const distance = (sequence - next) | 0;
    let at = 0;
    for (; at < this.#pieces.length; at++) {
      const { sequence: other, bytes: there } = this.#pieces[at] as Piece;
      const otherDistance = (other - next) | 0;
      // It is there already.
      if (otherDistance <= distance && distance + bytes.length <= otherDistance + there.length) return;
      if (otherDistance > distance) break;
    }
    this.#pieces.splice(at, 0, { sequence, bytes: copyOf(bytes) });
    this.bytes += bytes.length;
  }

  /** The bytes that are next, if they are here; what has come twice is left out. */
  take(next: number): Uint8Array | undefined {
    for (;;) {
      const first = this.#pieces[0];
      if (first === undefined) return undefined;
      const old = (next - first.sequence) | 0;
      if (old < 0) return undefined;
      this.#pieces.shift();
      this.bytes -= first.bytes.length;
      if (old < first.bytes.length) return first.bytes.subarray(old);
    }
  }
}
