/** What Book III-S processors have of their own in problem state, and their branch by TAR: Power ISA 2.07 Books I and II. */
import { define, type InstructionRow } from '../define.ts';
import { branchCondition } from './branch.ts';
import { checkAccess } from './cache.ts';
import { requireFacility } from './common.ts';

const SERVER = { level: 'server' } as const;

/** Storage accesses are performed in program order here: nothing to wait for. */
const nothing = (): void => {};

/** Opcodes that later processors give a meaning which others may leave out (Book I, 1.8.3). */
const RESERVED_NOPS = [530, 562, 594, 626, 658, 690, 722, 754];

export const SERVER_INSTRUCTIONS: readonly InstructionRow[] = [
  define('sync', '31 /:3 SYNC_L /:5 /:5 598:10 /:1', '[SYNC_L]', nothing, SERVER),
  define('eieio', '31 /:5 /:5 /:5 854:10 /:1', '', nothing, SERVER),
  define(
    'bctar',
    '19 BO BI /:3 BH 560:10 LK',
    'BO,BI[,BH]',
    (s, f) => {
      requireFacility(s, 'tar');
      const target = s.let(s.wideState('tar'));
      const condition = branchCondition(s, f);
      if (f.LK) s.setLr(s.nextPc());
      s.branchIndirect(condition, target, false);
    },
    { level: '2.07', ends: true },
  ),
  define('dcbf', '31 /:3 DCBF_L RA0 RB 86:10 /:1', 'RA0,RB[,DCBF_L]', checkAccess, { level: '2.06' }),
  define('icbt', '31 CT RA0 RB 22:10 /:1', '[CT,]RA0,RB', nothing, { level: '2.07' }),
  ...RESERVED_NOPS.map((opcode) =>
    define(`nop${opcode}`, `31 /:5 /:5 /:5 ${opcode}:10 /:1`, '', nothing, { level: '2.06' }),
  ),
];
