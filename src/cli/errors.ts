export { problemOf as fileProblem } from '../node/problems.ts';

/** A mistake in how the command was called: one line for the user, exit status 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** A file that cannot be read or written, or something else that ends the command: one line, exit status 1 if no other is said. */
export class CommandError extends Error {
  override name = 'CommandError';
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

/** The status of what is ours where another one would be a command's in the guest, as `docker run` has it. */
export const OWN_STATUS = 125;

/** Any error as the one line that a user reads. */
export function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\s*\n\s*/g, ' ').trim();
}
