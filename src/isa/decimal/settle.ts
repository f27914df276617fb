/** FPSCR behind a decimal operation. */
import { EXCEPTIONS, FPSCR, INVALID, raised } from '../float/fpscr.ts';
import type { Routine } from '../semantics.ts';

/**
 * (FPSCR as it was) → 1 when an enabled exception keeps the result from being written. FPSCR, which has the operation's
 * own bits and the enables, becomes what it is afterwards.
 */
export const SETTLE: Routine = {
  name: 'decimalSettle',
  params: ['i32'],
  result: 'i32',
  body: (s, before) => {
    const { VE, ZE, ZX, FR, FI, FPRF } = FPSCR;
    const now = s.let(s.state('fpscr'));
    const invalid = s.and(s.ne(s.and(now, INVALID), 0), s.ne(s.and(before, VE), 0));
    const division = s.and(s.ne(s.and(now, ZX), 0), s.ne(s.and(before, ZE), 0));
    const suppressed = s.let(s.or(invalid, division));
    const causes = s.let(s.and(now, EXCEPTIONS));
    const flags = FR | FI | FPRF;
    const written = s.or(s.and(before, ~flags), s.and(now, flags));
    s.setState('fpscr', raised(s, s.select(suppressed, s.and(before, ~(FR | FI)), written), causes));
    return suppressed;
  },
};
