/** Linux signals by which the oracle tells how an execution ended. */
import { ENDED } from './outcome.ts';

export const SIGNAL = { ILL: 4, TRAP: 5, BUS: 7, FPE: 8, SEGV: 11 } as const;
/** Values of si_code with SIGILL: a privileged operation, a privileged register. */
const ILL_PRIVILEGED = [5, 6];

/** What a signal and its si_code mean. */
export function endOf(signal: number, code: number): number {
  switch (signal) {
    case SIGNAL.TRAP:
      return ENDED.trap;
    case SIGNAL.ILL:
      return ILL_PRIVILEGED.includes(code) ? ENDED.privileged : ENDED.illegal;
    case SIGNAL.BUS:
      return ENDED.alignment;
    case SIGNAL.SEGV:
      return ENDED.protection;
    default:
      return ENDED.other;
  }
}
