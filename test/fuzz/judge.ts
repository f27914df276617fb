/** What may come of a hostile input: a machine that ends in one of the ways that there are, or one clear line. */
import { KvmError } from '../../src/kvm/index.ts';
import { type MachineEnd, MachineError } from '../../src/machine/index.ts';

/** How a case ended: as the machine's run, or that it was refused. */
export type CaseEnd = MachineEnd['cause'] | 'refused' | 'accepted';

/** A line for the user: nothing in it that a terminal would take for more than text. */
const LINE = /^[^\p{Cc}\p{Cf}\u2028\u2029]{1,1000}$/u;

/** @throws Error when `text` is not one line of text. */
export function checkLine(text: string): void {
  if (!LINE.test(text)) throw new Error(`not one line: ${JSON.stringify(text.slice(0, 300))}`);
}

/** Takes an error that refuses an input. @throws it when it is any other. */
export function checkRefusal(error: unknown): 'refused' {
  if (!(error instanceof MachineError || error instanceof KvmError)) throw error;
  checkLine(error.message);
  return 'refused';
}

/** @throws Error when the end has no line for the user. */
export function checkEnd({ cause, message }: MachineEnd): CaseEnd {
  checkLine(message);
  return cause;
}
