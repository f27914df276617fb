/** Lists of steps for the guest's agent (agent-code.ts): system calls whose arguments may lead to data and to other steps. */
import { FIRST_STEP, LIST_ADDRESS, PSEUDO, SCRATCH_ADDRESS, SCRATCH_BYTES, STEP } from './agent-code.ts';

/** System calls of Linux on PowerPC (arch/powerpc/kernel/syscalls/syscall.tbl). */
export const CALL = {
  exit: 1,
  read: 3,
  write: 4,
  close: 6,
  execve: 11,
  chdir: 12,
  mount: 21,
  setuid: 23,
  pause: 29,
  sync: 36,
  kill: 37,
  setgid: 46,
  ioctl: 54,
  fcntl: 55,
  chroot: 61,
  dup2: 63,
  setsid: 66,
  setgroups: 81,
  reboot: 88,
  fchown: 95,
  wait4: 114,
  clone: 120,
  personality: 136,
  futex: 221,
  exitGroup: 234,
  clockSettime: 245,
  openat: 286,
  mkdirat: 287,
  pipe2: 317,
} as const;

/** A place in the list, known when it is complete: of data, of a step, or of a step's field. */
export class Place {
  address = 0;
  readonly base: Place | undefined;
  readonly offset: number;

  constructor(base?: Place, offset = 0) {
    this.base = base;
    this.offset = offset;
  }

  plus(offset: number): Place {
    return new Place(this, offset);
  }

  get resolved(): number {
    return this.base === undefined ? this.address : this.base.resolved + this.offset;
  }
}

export type Value = number | bigint | Place;

interface StepFields {
  readonly result?: Place;
  readonly onError?: Place;
  readonly onZero?: Place;
  readonly next?: Place;
}

const WORD_BYTES = 8;

export class StepList {
  readonly isLittle: boolean;
  readonly #steps: { readonly place: Place; readonly fields: readonly Value[] }[] = [];
  #scratched = 0;
  readonly #data: { readonly place: Place; readonly bytes: Uint8Array | readonly Value[] }[] = [];

  constructor(isLittle: boolean) {
    this.isLittle = isLittle;
  }

  /** Appends a system call, or a pseudo-step. Its place. */
  step(
    call: number,
    args: readonly Value[] = [],
    { result, onError, onZero, next }: StepFields = {},
    place = new Place(),
  ): Place {
    const six = Array.from({ length: 6 }, (_, i) => args[i] ?? 0);
    this.#steps.push({ place, fields: [call, ...six, result ?? 0, onError ?? 0, onZero ?? 0, next ?? 0] });
    return place;
  }

  /** A place for what comes later. */
  place(): Place {
    return new Place();
  }

  /** Goes to a step when the word at a place is a value. */
  ifEqual(word: Place, value: number, to: Place, place?: Place): Place {
    return this.step(PSEUDO.ifEqual, [word, BigInt.asUintN(32, BigInt(value)), to], {}, place);
  }

  /** Stores at one place the doubleword at another with its sign changed. */
  negate(to: Place, from: Place, place?: Place): Place {
    return this.step(PSEUDO.negate, [to, from], {}, place);
  }

  /** Stores at one place the doubleword at another. */
  copy(to: Place, from: Place): void {
    const negative = this.words(0);
    this.negate(negative, from);
    this.negate(to, negative);
  }

  /** Nothing: for what leads to a place. */
  here(place: Place): void {
    this.step(PSEUDO.nothing, [], {}, place);
  }

  /** The place of a step's argument. */
  argument(step: Place, index: number): Place {
    return step.plus(STEP.argument + WORD_BYTES * index);
  }

  bytes(bytes: Uint8Array): Place {
    const place = new Place();
    this.#data.push({ place, bytes });
    return place;
  }

  /** A string of C. */
  text(text: string): Place {
    return this.bytes(Buffer.from(`${text}\0`));
  }

  /** Doublewords, one after another. */
  words(...values: readonly Value[]): Place {
    const place = new Place();
    this.#data.push({ place, bytes: values });
    return place;
  }

  /** Memory that holds nothing yet. */
  scratch(bytes: number): number {
    const address = SCRATCH_ADDRESS + this.#scratched;
    this.#scratched += bytes;
    if (this.#scratched > SCRATCH_BYTES) throw new RangeError('the agent has no more memory');
    return address;
  }

  /** The lower word of a doubleword. */
  low(place: Place): Place {
    return this.isLittle ? place : place.plus(4);
  }

  /** The list as the agent reads it. */
  finish(): Uint8Array<ArrayBuffer> {
    let at = LIST_ADDRESS + FIRST_STEP;
    for (const { place } of this.#steps) {
      place.address = at;
      at += STEP.bytes;
    }
    const sizeOf = (bytes: Uint8Array | readonly Value[]): number =>
      ArrayBuffer.isView(bytes) ? bytes.length : WORD_BYTES * bytes.length;
    for (const { place, bytes } of this.#data) {
      place.address = at;
      at += (sizeOf(bytes) + WORD_BYTES - 1) & -WORD_BYTES;
    }
    const list = new Uint8Array(at - LIST_ADDRESS);
    const view = new DataView(list.buffer);
    const write = (address: number, values: readonly Value[]): void => {
      for (const [i, value] of values.entries()) {
        const number = value instanceof Place ? value.resolved : value;
        view.setBigUint64(address - LIST_ADDRESS + WORD_BYTES * i, BigInt.asUintN(64, BigInt(number)), this.isLittle);
      }
    };
    write(LIST_ADDRESS, [list.length]);
    for (const { place, fields } of this.#steps) write(place.address, fields);
    for (const { place, bytes } of this.#data)
      if (ArrayBuffer.isView(bytes)) list.set(bytes, place.address - LIST_ADDRESS);
      else write(place.address, bytes);
    return list;
  }
}
