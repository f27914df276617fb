/**
 * What 32-bit Book3S processors have of their own: PowerPC Microprocessor Family: The Programming Environments for 32-Bit
 * Microprocessors, chapter 8.
 */
import { define, type InstructionRow, type Traits } from '../define.ts';
import type { Meaning } from '../semantics.ts';

const CLASSIC: Traits = { level: 'book3s32' };
const PRIVILEGED: Traits = { level: 'book3s32', privileged: true };

/** Storage accesses are performed in program order here: nothing to wait for. */
const nothing = (): void => {};

/** External control: EAR tells the operating system that there is none. */
const refused: Meaning = (s) => s.interrupt('program', 'illegal');

export const CLASSIC_INSTRUCTIONS: readonly InstructionRow[] = [
  define('sync', '31 /:5 /:5 /:5 598:10 /:1', '', nothing, CLASSIC),
  define('eieio', '31 /:5 /:5 /:5 854:10 /:1', '', nothing, CLASSIC),
  define('eciwx', '31 RT RA0 RB 310:10 /:1', 'RT,RA0,RB', refused, CLASSIC),
  define('ecowx', '31 RS RA0 RB 438:10 /:1', 'RS,RA0,RB', refused, CLASSIC),

  define('mtsr', '31 RS /:1 SR /:5 210:10 /:1', 'SR,RS', null, PRIVILEGED),
  define('mtsrin', '31 RS /:5 RB 242:10 /:1', 'RS,RB', null, PRIVILEGED),
  define('mfsr', '31 RT /:1 SR /:5 595:10 /:1', 'RT,SR', null, PRIVILEGED),
  define('mfsrin', '31 RT /:5 RB 659:10 /:1', 'RT,RB', null, PRIVILEGED),
  define('tlbie', '31 /:5 /:5 RB 306:10 /:1', 'RB', null, PRIVILEGED),
  define('tlbia', '31 /:5 /:5 /:5 370:10 /:1', '', null, PRIVILEGED),
  // The 745x's way to search page tables by software (MPC7450 RISC Microprocessor Family Reference Manual, 5.5.5.2.2).
  define('tlbld', '31 /:5 /:5 RB 978:10 /:1', 'RB', null, { level: '745x', privileged: true }),
  define('tlbli', '31 /:5 /:5 RB 1010:10 /:1', 'RB', null, { level: '745x', privileged: true }),
];
