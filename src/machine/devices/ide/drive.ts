/** What the drives on an IDE channel and the channel know of each other. */
import type { DeviceState } from '../../device.ts';
import type { Outside } from '../../outside/events.ts';

/** Status (ATA/ATAPI-6, 7.15.6). */
export const STATUS = { ERR: 0x01, DRQ: 0x08, SEEKED: 0x10, DF: 0x20, DRDY: 0x40, BSY: 0x80 } as const;
/** Error (7.10): command aborted, no such address, data could not be corrected. */
export const ERROR = { ABRT: 0x04, IDNF: 0x10, UNC: 0x40 } as const;

/** The registers that a command's arguments and results are in; each has the byte that was written before, too. */
export interface TaskFile {
  features: number;
  count: number;
  low: number;
  middle: number;
  high: number;
  /** The bytes before: what commands of 48 bits have in their upper halves. */
  countBefore: number;
  lowBefore: number;
  middleBefore: number;
  highBefore: number;
  device: number;
}

/** What a channel does for a drive. */
export interface IdePort {
  readonly outside: Outside;
  readonly task: TaskFile;
  /** The command goes on outside: the guest sees a busy drive. */
  busy(): void;
  /** The command has ended; `error`: bits of ERROR, 0 for none. */
  end(error: number): void;
  /** A block of bytes for the guest, by programmed I/O (with an interrupt) or DMA. */
  give(bytes: Uint8Array, isDma: boolean): void;
  /** Room for a block of bytes from the guest. `interrupts`: by programmed I/O, it is told that they are awaited. */
  take(bytes: Uint8Array, isDma: boolean, interrupts: boolean): void;
}

export interface IdeDrive {
  /** What the registers say after a reset. */
  readonly signature: { readonly middle: number; readonly high: number };
  command(code: number): void;
  /** The block of `give` or `take` has gone. */
  transferred(): void;
  /** What the guest has given up is not ended any more. */
  reset(): void;
  save(): DeviceState;
  /** Takes what `save` gave; what was asked of the outside is asked again. */
  restore(state: DeviceState): void;
  counters(): Record<string, number>;
}

/** Makes a drive on a channel. */
export type MakeDrive = (port: IdePort) => IdeDrive;
