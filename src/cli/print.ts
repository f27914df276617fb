import { fileProblem } from './errors.ts';

let taken: Promise<void> | undefined;

/** Writes to standard output. A reader that went away ends the command quietly, as SIGPIPE does. */
export function print(text: string): void {
  if (taken === undefined) {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(141);
      console.error(`powervisor: cannot write to standard output: ${fileProblem(error)}`);
      process.exit(1);
    });
  }
  taken = new Promise((resolve) => process.stdout.write(text, () => setImmediate(resolve)));
}

/** Resolves when the system has taken all that was printed. */
export async function printed(): Promise<void> {
  await taken;
}
