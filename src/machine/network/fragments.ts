import { read16, read32, write16 } from './bytes.ts';
import { ETHERNET_BYTES, FRAGMENT_OFFSET, IP, IP_BYTES, IP_PAYLOAD, MORE_FRAGMENTS } from './wire.ts';

/** Packets that are put together at a time; the oldest makes room. */
const MOST_PACKETS = 16;
/** What has not come whole after so long never does, milliseconds. */
const LIFE_MS = 15_000;
/** Fragments begin at multiples of so many bytes. */
const UNIT = 8;
const MOST_BYTES = 0xffff - IP_BYTES;

/** A packet of which some fragments have come. */
interface Partial {
  readonly source: number;
  readonly destination: number;
  /** Protocol and identification. */
  readonly key: number;
  readonly since: number;
  /** A frame with an IPv4 header without options. */
  readonly frame: Uint8Array;
  /** By unit: whether it has come. */
  readonly units: Uint8Array;
  unitsHere: number;
  /** Bytes behind the header; 0: the last fragment has not come. */
  length: number;
}

/** Puts fragments together. What overlaps is thrown away whole: nobody honest sends it. */
export class Fragments {
  #partials: Partial[] = [];

  clear(): void {
    this.#partials = [];
  }

  /** Takes a fragment, whose header has been checked and whose payload is from `start` to `end`. Answers the whole frame. */
  take(frame: Uint8Array, start: number, end: number, now: number): Uint8Array | undefined {
    const source = read32(frame, IP + 12);
    const destination = read32(frame, IP + 16);
    const key = ((frame[IP + 9] as number) << 16) | read16(frame, IP + 4);
    const flags = read16(frame, IP + 6);
    const offset = (flags & FRAGMENT_OFFSET) * UNIT;
    const length = end - start;
    const isLast = (flags & MORE_FRAGMENTS) === 0;
    this.#partials = this.#partials.filter(({ since }) => now - since < LIFE_MS);
    if (length === 0 || offset + length > MOST_BYTES || (!isLast && length % UNIT !== 0)) return undefined;

    let partial = this.#partials.find(
      (one) => one.key === key && one.source === source && one.destination === destination,
    );
    if (partial === undefined) {
      partial = {
        source,
        destination,
        key,
        since: now,
        frame: new Uint8Array(ETHERNET_BYTES + 2 ** 16),
        units: new Uint8Array(2 ** 16 / UNIT),
        unitsHere: 0,
        length: 0,
      };
      this.#partials.push(partial);
      if (this.#partials.length > MOST_PACKETS) this.#partials.shift();
    }
    if (!add(partial, offset, length, isLast)) {
      this.#remove(partial);
      return undefined;
    }
    partial.frame.set(frame.subarray(start, end), IP_PAYLOAD + offset);
    if (offset === 0) partial.frame.set(frame.subarray(0, IP_PAYLOAD));
    if (partial.length === 0 || partial.unitsHere !== Math.ceil(partial.length / UNIT)) return undefined;

    this.#remove(partial);
    const whole = partial.frame.subarray(0, IP_PAYLOAD + partial.length);
    whole[IP] = 0x45;
    write16(whole, IP + 2, IP_BYTES + partial.length);
    write16(whole, IP + 6, 0);
    return whole;
  }

  #remove(partial: Partial): void {
    this.#partials = this.#partials.filter((one) => one !== partial);
  }
}

/** Takes note of a fragment's place. False: it does not go together with what has come. */
function add(partial: Partial, offset: number, length: number, isLast: boolean): boolean {
  const end = offset + length;
  if (partial.length !== 0 && (isLast || end > partial.length)) return false;
  if (isLast) partial.length = end;
  const lastUnit = Math.ceil(end / UNIT);
  for (let unit = offset / UNIT; unit < lastUnit; unit++) {
    if (partial.units[unit] === 1) return false;
    partial.units[unit] = 1;
    partial.unitsHere++;
  }
  if (!isLast) return true;
  // Nothing may have come from behind the end.
  return partial.units.indexOf(1, lastUnit) < 0;
}
