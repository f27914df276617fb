import { type DeviceState, savedBoolean, savedNumber, savedNumbers, savedPart, savedRegisters } from '../../device.ts';
import type { InterruptLine } from '../../interrupts.ts';
import type { Outside } from '../../outside/events.ts';
import { ERROR, type IdeDrive, type IdePort, type MakeDrive, STATUS, type TaskFile } from './drive.ts';

/** Registers of the command block (ATA/ATAPI-6, 7.1). */
const DATA = 0;
const FEATURES = 1;
const COUNT = 2;
const LOW = 3;
const MIDDLE = 4;
const HIGH = 5;
const DEVICE = 6;
const COMMAND = 7;

/** Device: the second drive; bits that are always set. */
const SECOND = 0x10;
const OBSOLETE = 0xa0;
/** Device control: the upper bytes are read, software reset, no interrupts. */
const UPPER = 0x80;
const RESET = 0x04;
const NO_INTERRUPTS = 0x02;

/** A drive's diagnosis after a reset: it is well. */
const DIAGNOSED = 1;
const EXECUTE_DIAGNOSTIC = 0x90;
/** More bytes are never transferred at once. */
export const MOST_BLOCK_BYTES = 128 * 1024;

const FIELDS = [
  'features',
  'count',
  'low',
  'middle',
  'high',
  'countBefore',
  'lowBefore',
  'middleBefore',
  'highBefore',
  'device',
] as const satisfies readonly (keyof TaskFile)[];

/** Which way the block in the buffer goes. */
const NONE = 0;
const TO_GUEST = 1;
const FROM_GUEST = 2;

/** A channel with at most two drives: their registers, the data port, and the interrupt. */
export class IdeChannel implements IdePort {
  readonly outside: Outside;
  /** Called when there is something for DMA to move. */
  onDma: (() => void) | undefined;
  readonly task: TaskFile = {
    features: 0,
    count: 0,
    low: 0,
    middle: 0,
    high: 0,
    countBefore: 0,
    lowBefore: 0,
    middleBefore: 0,
    highBefore: 0,
    device: 0,
  };
  readonly #line: InterruptLine;
  readonly #drives: readonly (IdeDrive | undefined)[];
  #status = 0;
  #error = 0;
  #control = 0;
  #isPending = false;
  /** The block under way: its bytes, how many have gone, which way, and how. */
  #block: Uint8Array = new Uint8Array(0);
  #at = 0;
  #way = NONE;
  #isDma = false;

  constructor(line: InterruptLine, outside: Outside, drives: readonly (MakeDrive | undefined)[]) {
    this.#line = line;
    this.outside = outside;
    this.#drives = drives.map((make) => make?.(this));
  }

  get #selected(): IdeDrive | undefined {
    return this.#drives[(this.task.device & SECOND) === 0 ? 0 : 1];
  }

  get #hasDrives(): boolean {
    return this.#drives.some((drive) => drive !== undefined);
  }

  #update(): void {
    this.#line.set(this.#isPending && (this.#control & NO_INTERRUPTS) === 0);
  }

  #interrupt(): void {
    this.#isPending = true;
    this.#update();
  }

  busy(): void {
    this.#status = STATUS.BSY;
  }

  end(error: number): void {
    this.#way = NONE;
    this.#error = error;
    this.#status = STATUS.DRDY | STATUS.SEEKED | (error !== 0 ? STATUS.ERR : 0);
    this.#interrupt();
  }

  give(bytes: Uint8Array, isDma: boolean): void {
    this.#begin(bytes, TO_GUEST, isDma);
    if (!isDma) this.#interrupt();
  }

  take(bytes: Uint8Array, isDma: boolean, interrupts: boolean): void {
    this.#begin(bytes, FROM_GUEST, isDma);
    if (interrupts && !isDma) this.#interrupt();
  }

  #begin(bytes: Uint8Array, way: number, isDma: boolean): void {
    this.#block = bytes;
    this.#at = 0;
    this.#way = way;
    this.#isDma = isDma;
    this.#error = 0;
    this.#status = STATUS.DRDY | STATUS.SEEKED | STATUS.DRQ;
    if (isDma) this.onDma?.();
  }

  /** So many bytes of the block have gone. */
  #moved(count: number): void {
    this.#at += count;
    if (this.#at < this.#block.length) return;
    this.#way = NONE;
    this.#status &= ~STATUS.DRQ;
    this.#selected?.transferred();
  }

  /** DMA takes bytes for memory; answers how many there were. */
  dmaRead(into: Uint8Array): number {
    if (this.#way !== TO_GUEST || !this.#isDma) return 0;
    const count = Math.min(into.length, this.#block.length - this.#at);
    into.set(this.#block.subarray(this.#at, this.#at + count));
    this.#moved(count);
    return count;
  }

  /** Bytes that DMA could bring now. */
  get dmaRoom(): number {
    return this.#way === FROM_GUEST && this.#isDma ? this.#block.length - this.#at : 0;
  }

  /** DMA brings bytes from memory: no more than there is room for. */
  dmaWrite(bytes: Uint8Array): void {
    if (this.dmaRoom < bytes.length) return;
    this.#block.set(bytes, this.#at);
    this.#moved(bytes.length);
  }

  #readData(length: number): number {
    if (this.#way !== TO_GUEST || this.#isDma) return 0;
    let value = 0;
    for (let i = 0; i < length; i++) value |= (this.#block[this.#at + i] ?? 0) << (8 * i);
    this.#moved(length);
    return value >>> 0;
  }

  #writeData(length: number, value: number): void {
    if (this.#way !== FROM_GUEST || this.#isDma) return;
    for (let i = 0; i < length && this.#at + i < this.#block.length; i++) this.#block[this.#at + i] = value >>> (8 * i);
    this.#moved(length);
  }

  read(register: number, length: number): number {
    if (register === DATA) return this.#readData(length);
    if (!this.#hasDrives) return 0;
    const { task } = this;
    const upper = (this.#control & UPPER) !== 0;
    switch (register) {
      case FEATURES:
        return this.#error;
      case COUNT:
        return upper ? task.countBefore : task.count;
      case LOW:
        return upper ? task.lowBefore : task.low;
      case MIDDLE:
        return upper ? task.middleBefore : task.middle;
      case HIGH:
        return upper ? task.highBefore : task.high;
      case DEVICE:
        return task.device | OBSOLETE;
      default:
        this.#isPending = false;
        this.#update();
        return this.readAlternateStatus();
    }
  }

  /** Status without a change to the interrupt. A drive that is not there has none. */
  readAlternateStatus(): number {
    return this.#selected === undefined ? 0 : this.#status;
  }

  write(register: number, length: number, value: number): void {
    if (register === DATA) {
      this.#writeData(length, value);
      return;
    }
    const { task } = this;
    const byte = value & 0xff;
    this.#control &= ~UPPER;
    switch (register) {
      case FEATURES:
        task.features = byte;
        break;
      case COUNT:
        task.countBefore = task.count;
        task.count = byte;
        break;
      case LOW:
        task.lowBefore = task.low;
        task.low = byte;
        break;
      case MIDDLE:
        task.middleBefore = task.middle;
        task.middle = byte;
        break;
      case HIGH:
        task.highBefore = task.high;
        task.high = byte;
        break;
      case DEVICE:
        task.device = byte;
        break;
      case COMMAND:
        this.#command(byte);
    }
  }

  #command(code: number): void {
    this.#isPending = false;
    this.#update();
    if (code === EXECUTE_DIAGNOSTIC) {
      this.#resetDrives();
      this.#interrupt();
      return;
    }
    const drive = this.#selected;
    // A busy drive takes nothing but a reset.
    if (drive === undefined || (this.#status & STATUS.BSY) !== 0) return;
    this.#way = NONE;
    this.#error = 0;
    this.#status = STATUS.DRDY | STATUS.SEEKED;
    drive.command(code);
  }

  writeControl(value: number): void {
    const before = this.#control;
    this.#control = value & (UPPER | RESET | NO_INTERRUPTS);
    if ((value & RESET) !== 0 && (before & RESET) === 0) {
      this.#resetDrives();
      this.#status = STATUS.BSY;
    } else if ((value & RESET) === 0 && (before & RESET) !== 0) this.#resetDrives();
    this.#update();
  }

  /** Registers as drives leave them after a reset: the first one's signature. */
  #resetDrives(): void {
    for (const drive of this.#drives) drive?.reset();
    this.#way = NONE;
    this.#isPending = false;
    this.task.device &= ~SECOND;
    this.sign();
  }

  /** The selected drive's signature in the registers. */
  sign(): void {
    const drive = this.#selected ?? this.#drives[1];
    Object.assign(this.task, { count: 1, low: 1, middle: 0, high: 0, ...drive?.signature });
    this.#error = DIAGNOSED;
    // A packet device is not ready before it is asked.
    this.#status = drive?.signature.middle === 0 ? STATUS.DRDY | STATUS.SEEKED : 0;
  }

  reset(): void {
    for (const name of FIELDS) this.task[name] = 0;
    this.#control = 0;
    this.#resetDrives();
    this.#update();
  }

  save(): DeviceState {
    return {
      task: FIELDS.map((name) => this.task[name]),
      status: this.#status,
      error: this.#error,
      control: this.#control,
      pending: this.#isPending,
      block: this.#way === NONE ? [] : Array.from(this.#block),
      at: this.#at,
      way: this.#way,
      dma: this.#isDma,
      drives: Object.fromEntries(this.#drives.flatMap((drive, i) => (drive === undefined ? [] : [[i, drive.save()]]))),
    };
  }

  restore(state: DeviceState): void {
    savedRegisters(state, 'task', FIELDS.length).forEach((value, i) => {
      this.task[FIELDS[i] as keyof TaskFile] = value & 0xff;
    });
    this.#status = savedNumber(state, 'status') & 0xff;
    this.#error = savedNumber(state, 'error') & 0xff;
    this.#control = savedNumber(state, 'control') & 0xff;
    this.#isPending = savedBoolean(state, 'pending');
    this.#block = Uint8Array.from(savedNumbers(state, 'block', MOST_BLOCK_BYTES));
    this.#at = savedNumber(state, 'at');
    const way = savedNumber(state, 'way');
    this.#way = way <= FROM_GUEST && this.#at < this.#block.length ? way : NONE;
    this.#isDma = savedBoolean(state, 'dma');
    const drives = savedPart(state, 'drives');
    for (const [i, drive] of this.#drives.entries()) drive?.restore(savedPart(drives, String(i)));
    this.#update();
  }

  counters(): Record<string, number> {
    return Object.fromEntries(
      this.#drives.flatMap((drive, i) =>
        Object.entries(drive?.counters() ?? {}).map(([name, value]) => [`drive${i}_${name}`, value]),
      ),
    );
  }
}

/** A command that a drive does not have. */
export const aborted = (port: IdePort): void => port.end(ERROR.ABRT);
