/** Machine state, translation, synchronisation and device control: Power ISA 2.07 Books II and III-E; PowerPC 440 user's manual. */
import { define, type InstructionRow, type Traits } from '../define.ts';

const PRIVILEGED: Traits = { privileged: true };
const BOOKE: Traits = { level: 'booke', privileged: true };
const RETURN: Traits = { level: 'booke', privileged: true, ends: true };
const TLB: Traits = { level: '44x', privileged: true };
const E500: Traits = { level: 'e500', privileged: true };
const DEVICE_CONTROL: Traits = { level: '4xx', privileged: true };

/** Storage accesses are performed in program order here: nothing to wait for. */
const nothing = (): void => {};

export const SYSTEM_INSTRUCTIONS: readonly InstructionRow[] = [
  define('isync', '19 /:5 /:5 /:5 150:10 /:1', '', (s) => s.contextSynchronize(), { ends: true }),
  define('msync', '31 /:5 /:5 /:5 598:10 /:1', '', nothing, { level: 'booke' }),
  define('mbar', '31 MO /:5 /:5 854:10 /:1', '[MO]', nothing, { level: 'booke' }),

  define('mfmsr', '31 RT /:5 /:5 83:10 /:1', 'RT', null, PRIVILEGED),
  define('mtmsr', '31 RS /:4 MSR_L /:5 146:10 /:1', 'RS[,MSR_L]', null, PRIVILEGED),
  define('wrtee', '31 RS /:5 /:5 131:10 /:1', 'RS', null, BOOKE),
  define('wrteei', '31 /:5 /:5 E /:4 163:10 /:1', 'E', null, BOOKE),
  define('rfi', '19 /:5 /:5 /:5 50:10 /:1', '', null, { privileged: true, ends: true }),
  define('rfci', '19 /:5 /:5 /:5 51:10 /:1', '', null, RETURN),
  define('rfmci', '19 /:5 /:5 /:5 38:10 /:1', '', null, RETURN),

  define('tlbre', '31 RT RA WS 946:10 /:1', '[RT,RA,WS]', null, TLB),
  define('tlbwe', '31 RS RA WS 978:10 /:1', '[RS,RA,WS]', null, TLB),
  define('tlbsx', '31 RT RA0 RB 914:10 Rc', '[RT,]RA0,RB', null, TLB),
  define('tlbre', '31 /:5 /:5 /:5 946:10 /:1', '', null, E500),
  define('tlbwe', '31 /:5 /:5 /:5 978:10 /:1', '', null, E500),
  define('tlbsx', '31 /:5 RA0 RB 914:10 /:1', 'RA0,RB', null, E500),
  define('tlbivax', '31 /:5 RA0 RB 786:10 /:1', 'RA0,RB', null, E500),
  define('tlbsync', '31 /:5 /:5 /:5 566:10 /:1', '', null, PRIVILEGED),

  define('mfpmr', '31 RT PMRN 334:10 /:1', 'RT,PMRN', null, E500),
  define('mtpmr', '31 RS PMRN 462:10 /:1', 'PMRN,RS', null, E500),
  define('mfdcr', '31 RT DCRN 323:10 /:1', 'RT,DCRN', null, DEVICE_CONTROL),
  define('mtdcr', '31 RS DCRN 451:10 /:1', 'DCRN,RS', null, DEVICE_CONTROL),
  define('mfdcrx', '31 RT RA /:5 259:10 /:1', 'RT,RA', null, DEVICE_CONTROL),
  define('mtdcrx', '31 RS RA /:5 387:10 /:1', 'RA,RS', null, DEVICE_CONTROL),
];
