/** Boots of real guests, with a conversation on the console. */
import { Machine, type MachineEnd, type MachineHost, type MachineOptions } from '../../src/machine/index.ts';

/** A run that has ended, and all that the console printed. */
export interface Result {
  end: MachineEnd;
  output: string;
  stats: Record<string, number>;
}

/** A text that the guest prints, and what is typed then; nothing: the machine is switched off. Once each, in order. */
export type Dialogue = readonly (readonly [string, string?])[];

/** Boots on this thread with the host's time and runs to the end. `typed`: what the console has before it begins. */
export async function bootGuest(
  options: Omit<MachineOptions, 'host'>,
  dialogue: Dialogue = [],
  typed: Uint8Array = new Uint8Array(),
): Promise<Result> {
  let output = '';
  let next = 0;
  let heard = 0;
  let wake = (): void => {};
  const host: MachineHost = {
    clock: { now: () => performance.now() * 1e6 },
    console: {
      write: (bytes) => {
        output += Buffer.from(bytes).toString('latin1');
        const step = dialogue[next];
        if (step === undefined) return;
        const at = output.indexOf(step[0], heard);
        if (at < 0) return;
        heard = at + step[0].length;
        next++;
        const answer = step[1];
        setImmediate(() => (answer === undefined ? machine.quit() : machine.input(Buffer.from(answer))));
      },
    },
    sleep: (untilNs) =>
      new Promise((resolve) => {
        const delay = Math.min(Math.max((untilNs - performance.now() * 1e6) / 1e6, 0), 1000);
        const timer = setTimeout(resolve, delay);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    wake: () => wake(),
    random: (bytes) => void crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
    yield: () => new Promise((resolve) => setImmediate(resolve)),
  };
  const machine = Machine.create({ host, timeoutNs: 120e9, ...options });
  machine.input(typed);
  const end = await machine.run();
  return { end, output, stats: machine.stats() };
}
