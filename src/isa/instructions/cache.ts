/** Cache management: Power ISA 2.07 Book II 4.3; PowerPC 440 user's manual for dccci and its kin. */
import { define, type InstructionRow, type Traits } from '../define.ts';
import { fieldBits } from '../fields.ts';
import type { Operands, Semantics } from '../semantics.ts';
import { indexedAddress } from './common.ts';

const PRIVILEGED_44X: Traits = { level: '44x', privileged: true };
/** Locks of caches and of the branch buffer, which MSR[UCLE] and [UBLE] give to problem state: who has them decides. */
const LOCK: Traits = { level: 'e500', privileged: true };

/** A hint: it has no effect, and no storage interrupt either. */
const nothing = (): void => {};

/** The caches are always coherent with storage here, so that only the access check remains of a flush. */
export const checkAccess = (s: Semantics, f: Operands): void => {
  s.load(1, indexedAddress(s, f));
};

export const CACHE_INSTRUCTIONS: readonly InstructionRow[] = [
  define('dcbz', '31 /:5 RA0 RB 1014:10 /:1', 'RA0,RB', (s, f) => s.zeroBlock(indexedAddress(s, f))),
  define('dcba', '31 /:5 RA0 RB 758:10 /:1', 'RA0,RB', nothing, { level: 'classic' }),
  define('dcbt', '31 /:5 RA0 RB 278:10 /:1', 'RA0,RB', nothing),
  define('dcbtst', '31 /:5 RA0 RB 246:10 /:1', 'RA0,RB', nothing),
  define('dcbst', '31 /:5 RA0 RB 54:10 /:1', 'RA0,RB', checkAccess),
  define('dcbf', '31 /:4 L RA0 RB 86:10 /:1', 'RA0,RB[,L]', checkAccess, { until: '2.06' }),
  define('dcbi', '31 /:5 RA0 RB 470:10 /:1', 'RA0,RB', null, { privileged: true }),
  define(
    'icbi',
    '31 /:5 RA0 RB 982:10 /:1',
    'RA0,RB',
    (s, f) => {
      checkAccess(s, f);
      s.contextSynchronize();
    },
    { ends: true },
  ),
  define('icbt', '31 CT RA0 RB 22:10 /:1', '[CT,]RA0,RB', nothing, {
    level: 'booke',
    // Only the primary instruction cache can be named.
    invalid: (word) => fieldBits(word, 'CT') !== 0,
  }),
  define('dcbtls', '31 CT RA0 RB 166:10 /:1', '[CT,]RA0,RB', null, LOCK),
  define('dcbtstls', '31 CT RA0 RB 134:10 /:1', '[CT,]RA0,RB', null, LOCK),
  define('dcblc', '31 CT RA0 RB 390:10 /:1', '[CT,]RA0,RB', null, LOCK),
  define('icbtls', '31 CT RA0 RB 486:10 /:1', '[CT,]RA0,RB', null, LOCK),
  define('icblc', '31 CT RA0 RB 230:10 /:1', '[CT,]RA0,RB', null, LOCK),
  define('bblels', '31 /:5 /:5 /:5 518:10 /:1', '', null, LOCK),
  define('bbelr', '31 /:5 /:5 /:5 550:10 /:1', '', null, LOCK),
  define('dccci', '31 /:5 RA RB 454:10 /:1', '[RA,RB]', null, PRIVILEGED_44X),
  define('iccci', '31 /:5 RA RB 966:10 /:1', '[RA,RB]', null, PRIVILEGED_44X),
  define('dcread', '31 RT RA0 RB 486:10 /:1', 'RT,RA0,RB', null, PRIVILEGED_44X),
  define('icread', '31 /:5 RA0 RB 998:10 /:1', 'RA0,RB', null, PRIVILEGED_44X),
];
