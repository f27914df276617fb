/** Privileged instructions of Book III-S processors: Power ISA 2.07 Book III-S, chapters 3 and 5. All of them trap in problem state. */
import { define, type InstructionRow, type Level, type Traits } from '../define.ts';

const SERVER: Traits = { level: 'server', privileged: true };
const RETURN: Traits = { level: 'server', privileged: true, ends: true };
const since = (level: Level): Traits => ({ level, privileged: true });

/** Accesses that no cache answers, for firmware. */
const INHIBITED: readonly (readonly [mnemonic: string, opcode: number])[] = [
  ['lwzcix', 789],
  ['lhzcix', 821],
  ['lbzcix', 853],
  ['ldcix', 885],
  ['stwcix', 917],
  ['sthcix', 949],
  ['stbcix', 981],
  ['stdcix', 1013],
];

export const SERVER_SYSTEM_INSTRUCTIONS: readonly InstructionRow[] = [
  define('rfid', '19 /:5 /:5 /:5 18:10 /:1', '', null, RETURN),
  define('hrfid', '19 /:5 /:5 /:5 274:10 /:1', '', null, RETURN),
  define('mtmsrd', '31 RS /:4 MSR_L /:5 178:10 /:1', 'RS[,MSR_L]', null, SERVER),

  define('slbie', '31 /:5 /:5 RB 434:10 /:1', 'RB', null, SERVER),
  define('slbia', '31 /:2 IH /:5 /:5 498:10 /:1', '[IH]', null, SERVER),
  define('slbmte', '31 RS /:5 RB 402:10 /:1', 'RS,RB', null, SERVER),
  define('slbmfev', '31 RT /:5 RB 851:10 /:1', 'RT,RB', null, SERVER),
  define('slbmfee', '31 RT /:5 RB 915:10 /:1', 'RT,RB', null, SERVER),
  define('slbfee.', '31 RT /:5 RB 979:10 1:1', 'RT,RB', null, since('2.05')),
  // The 970's L stands where later processors name a register; nothing else of that is its.
  define('tlbie', '31 RS /:5 RB 306:10 /:1', 'RB,RS', null, SERVER),
  define('tlbiel', '31 /:5 /:5 RB 274:10 /:1', 'RB', null, SERVER),

  define('doze', '19 /:5 /:5 /:5 402:10 /:1', '', null, since('2.05')),
  define('nap', '19 /:5 /:5 /:5 434:10 /:1', '', null, since('2.05')),
  define('sleep', '19 /:5 /:5 /:5 466:10 /:1', '', null, since('2.05')),
  define('rvwinkle', '19 /:5 /:5 /:5 498:10 /:1', '', null, since('2.05')),
  ...INHIBITED.map(([mnemonic, opcode]) => {
    const register = mnemonic.startsWith('l') ? 'RT' : 'RS';
    return define(mnemonic, `31 ${register} RA0 RB ${opcode}:10 /:1`, `${register},RA0,RB`, null, since('2.05'));
  }),
  define('msgsndp', '31 /:5 /:5 RB 142:10 /:1', 'RB', null, since('2.07')),
  define('msgclrp', '31 /:5 /:5 RB 174:10 /:1', 'RB', null, since('2.07')),
  define('msgsnd', '31 /:5 /:5 RB 206:10 /:1', 'RB', null, since('2.07')),
  define('msgclr', '31 /:5 /:5 RB 238:10 /:1', 'RB', null, since('2.07')),
];
