/** Machines that go on from another one's state. */

import type { Accel, MemoryArea } from '../../kvm/api.ts';
import { CodeProfile } from '../../kvm/index.ts';
import { OptionError } from '../error.ts';
import type { MachineOptions, RestoreOptions } from '../options.ts';
import type { SnapshotHeader } from './container.ts';

const PAGE_BYTES = 4096;

/** What a machine goes on from. */
export interface Continuation {
  readonly header: SnapshotHeader;
  /** Puts memory into the new machine's areas, and answers what was hot, where that is known. */
  readonly fill: (areas: readonly MemoryArea[]) => Uint8Array | undefined;
}

/** Options of a machine without what it boots. */
export type UnbootedOptions = Omit<MachineOptions, 'kernel' | 'bios'>;

/** The options of a machine that goes on: what it is of, and what the embedder gives. */
export function restoredOptions(header: SnapshotHeader, options: RestoreOptions): UnbootedOptions {
  const { board = header.board, accel = header.accel as Accel, codeCache, ...rest } = options;
  const name = typeof board === 'string' ? board : board.name;
  if (name !== header.board)
    throw new OptionError(`the snapshot is of the board ${header.board}, not ${name}; ${header.board} would fit`);
  return {
    ...rest,
    board,
    accel,
    cpu: header.cpu,
    memoryBytes: header.memoryBytes,
    ...(header.icount === undefined
      ? { codeCache: codeCache ?? { profile: CodeProfile.from(undefined) } }
      : { icount: header.icount }),
  };
}

/** Copies what was touched of one machine's memory into a new one's. */
export function copyMemory(from: readonly MemoryArea[], to: readonly MemoryArea[]): void {
  for (const [i, { bytes, touched }] of from.entries()) {
    const target = to[i] as MemoryArea;
    const runs = touched();
    for (let n = 0; n < runs.length; n += 2) {
      const start = (runs[n] as number) * PAGE_BYTES;
      const length = (runs[n + 1] as number) * PAGE_BYTES;
      target.bytes.set(bytes.subarray(start, start + length), start);
      target.written(start, length);
    }
  }
}
