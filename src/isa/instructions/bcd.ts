/** BCD assist: between declets (three decimal digits in ten bits) and BCD. Power ISA 2.07 Book I, 3.3.15 and 5.8. */
import { BCD_OF_DECLET, convertGroup, DECLET_OF_BCD, type Group } from '../decimal/declets.ts';
import { define, type InstructionRow } from '../define.ts';
import type { Expr, Meaning } from '../semantics.ts';

/** Two groups in each word. */
function convert(group: Group): Meaning {
  return (s, f) => {
    const source = s.let(s.gpr(f.RS));
    let value: Expr = s.i64(0);
    for (const word of [0, 32])
      for (const place of [0, 1]) {
        const bits = convertGroup(s, group, source, word + place * group.letters.length);
        value = s.let(s.or(value, s.shl(bits, word + place * group.rows.length)));
      }
    s.setGpr(f.RA, value);
  };
}

const VERSION_206 = { level: '2.06' } as const;

export const BCD_INSTRUCTIONS: readonly InstructionRow[] = [
  define('cdtbcd', '31 RS RA /:5 282:10 /:1', 'RA,RS', convert(BCD_OF_DECLET), VERSION_206),
  define('cbcdtd', '31 RS RA /:5 314:10 /:1', 'RA,RS', convert(DECLET_OF_BCD), VERSION_206),
];
