/** Runs that are saved on their way and go on in another machine. */
import { Machine, type MachineEnd, type MachineHost, type MachineOptions } from '../../src/machine/index.ts';
import { nodeCodecs } from '../../src/node/codecs.ts';

/** A host whose clock stands still, for counted time: turns of its loop are the same in each run. */
export class TurningHost implements MachineHost {
  output = '';
  turns = 0;
  readonly #onTurn: (turn: number) => void;
  readonly clock = { now: (): number => 0 };
  readonly console = {
    write: (bytes: Uint8Array): void => {
      this.output += Buffer.from(bytes).toString('latin1');
    },
  };
  readonly crc32 = nodeCodecs.crc32;

  constructor(onTurn: (turn: number) => void = () => {}) {
    this.#onTurn = onTurn;
  }

  sleep(): Promise<void> {
    return this.yield();
  }

  wake(): void {}

  async yield(): Promise<void> {
    this.#onTurn(this.turns++);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export interface SavedRun {
  readonly end: MachineEnd;
  readonly output: string;
  /** The guest's time at the end, nanoseconds. */
  readonly time: number;
  readonly saves: number;
}

/**
 * Runs a machine with counted time; at turns for which `isSaved` says so it is saved, ended, and goes on in a machine that is
 * restored.
 */
export async function runSaved(
  options: Omit<MachineOptions, 'host'>,
  isSaved: (turn: number) => boolean,
  restore: (snapshot: Uint8Array, host: MachineHost) => Machine = (snapshot, host) =>
    Machine.restore(snapshot, { host, noReboot: true }),
): Promise<SavedRun> {
  let output = '';
  let saves = 0;
  let turn = 0;
  let saved: Promise<Uint8Array> | undefined;
  const hostOf = (): TurningHost =>
    new TurningHost(() => {
      if (saved !== undefined || !isSaved(turn++)) return;
      saved = machine.save({ compression: 'none' });
      // It is not to go on afterwards.
      machine.pause();
    });
  let host = hostOf();
  let machine = Machine.create({ ...options, host, noReboot: true });
  for (;;) {
    const run = machine.run();
    while (saved === undefined && machine.state !== 'ended') await new Promise((resolve) => setImmediate(resolve));
    // It may end on its way to be saved.
    const snapshot = await saved?.catch(() => undefined);
    saved = undefined;
    if (snapshot === undefined) {
      const end = await run;
      return { end, output: output + host.output, time: machine.vm.clock.now(), saves };
    }
    saves++;
    machine.quit();
    await run;
    output += host.output;
    host = hostOf();
    machine = restore(snapshot, host);
  }
}
