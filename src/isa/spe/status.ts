/**
 * SPEFSCR of embedded floating point, and how an operation ends (SPE Programming Environments Manual, 2.5 and 4.3). The
 * flags of an element stand in the low half for the low one, 16 bits further left for the high one.
 */
import type { Expr, Semantics } from '../semantics.ts';

export const SPEFSCR = {
  /** The first bit behind those of a result that was cut off, and whether any behind that is set. */
  FG: 0x2000,
  FX: 0x1000,
  FINV: 0x0800,
  FDBZ: 0x0400,
  FUNF: 0x0200,
  FOVF: 0x0100,
  FINXS: 0x0020_0000,
  FINXE: 0x40,
  FRMC: 3,
} as const;

const { FG, FX, FINV, FDBZ, FUNF, FOVF, FINXS, FINXE, FRMC } = SPEFSCR;
const CAUSES = FINV | FDBZ | FUNF | FOVF;
/** The flags of both elements. */
const STATUS = (FG | FX | CAUSES) * 0x1_0001;
/** From a cause to its sticky bit (to the left) and to the bit that enables its interrupt (to the right). */
const TO_STICKY = 9;
const TO_ENABLE = 6;
/** Toward plus or minus infinity: modes that the hardware leaves to the round interrupt. */
const TOWARD_INFINITY = 2;

/**
 * Results are cut off, and not rounded to nearest: the mode says so, or a round interrupt follows whose handler does it.
 */
export const truncates = (s: Semantics): Expr => s.ne(s.and(s.state('spefscr'), FINXE | FRMC), 0);

/**
 * Ends an operation with the pinned flags of its elements: SPEFSCR; the data interrupt where a cause is enabled, before
 * `write` has written anything; the round interrupt after that, where the result is not exact and software is to round it.
 */
export function conclude(s: Semantics, flags: Expr, write: () => void): void {
  const old = s.let(s.state('spefscr'));
  const both = s.let(s.or(flags, s.shrUnsigned(flags, 16)));
  const sticky = s.shl(s.and(both, CAUSES), TO_STICKY);
  const status = s.let(s.or(s.or(s.and(old, ~STATUS), flags), sticky));
  s.if(s.and(s.and(s.shrUnsigned(both, TO_ENABLE), old), CAUSES >>> TO_ENABLE), () => {
    s.setState('spefscr', status);
    s.interrupt('speFloatData');
  });
  const inexact = s.let(s.ne(s.and(both, FG | FX | FUNF | FOVF), 0));
  s.setState('spefscr', s.or(status, s.select(inexact, FINXS, 0)));
  write();
  const byMode = s.and(s.ne(s.and(both, FG | FX), 0), s.ne(s.and(old, TOWARD_INFINITY), 0));
  s.if(s.or(byMode, s.and(inexact, s.ne(s.and(old, FINXE), 0))), () => s.interrupt('speFloatRound'));
}
