/**
 * One leg of a journey (journey.ts), in a process of its own: boots, or goes on from a snapshot; saves at a moment of the
 * guest's time, or comes to the end. Its last line on standard output says what became of it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import type { Accel } from '../../src/kvm/index.ts';
import type { SnapshotCompression } from '../../src/machine/index.ts';
import { createMachine, NodeHost, restoreMachine, writeSnapshotFile } from '../../src/node/index.ts';

export interface LegOrder {
  /** What is booted; else `from` is gone on from. */
  readonly boot?: { readonly board: string; readonly kernel: string; readonly initrd: string; readonly append: string };
  readonly from?: string;
  readonly accel: Accel;
  readonly icount?: number;
  /** Saves at this time of the guest, nanoseconds, to `to`; absent: runs to the end. */
  readonly until?: number;
  readonly to: string;
  readonly compression: SnapshotCompression;
}

export interface LegReport {
  /** Absent: it was saved. */
  readonly end?: string;
  /** The guest's time. */
  readonly time: number;
  /** The console, base64. */
  readonly output: string;
}

const STDOUT = 1;
const order: LegOrder = JSON.parse(argv[2] ?? '{}');
const pieces: Uint8Array[] = [];
let isSaving = false;

const host = new NodeHost({ write: (bytes) => void pieces.push(bytes) }, () => {
  if (isSaving || order.until === undefined || machine.vm.clock.now() < order.until) return;
  isSaving = true;
  void save();
});
const common = { host, codeCache: false, noReboot: true, accel: order.accel } as const;
const { boot } = order;
const machine =
  boot === undefined
    ? restoreMachine(order.from ?? '', common)
    : createMachine({
        ...common,
        board: boot.board,
        kernel: readFileSync(boot.kernel),
        initrd: readFileSync(boot.initrd),
        append: boot.append,
        icount: order.icount,
      });

function report(end?: string): never {
  const output = Buffer.concat(pieces).toString('base64');
  const said: LegReport = { ...(end !== undefined && { end }), time: machine.vm.clock.now(), output };
  writeFileSync(STDOUT, `${JSON.stringify(said)}\n`);
  exit(0);
}

async function save(): Promise<void> {
  await machine.pause();
  if (machine.state === 'ended') return;
  await writeSnapshotFile(order.to, (write) => machine.saveTo(write, { compression: order.compression }));
  report();
}

const end = await machine.run();
report(end.cause === 'error' ? end.message : end.cause);
