/** Signals of Linux on PowerPC by their names: signal(7). */
const NAMES =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT ' +
  'CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS';

export const LINUX_SIGNALS: Readonly<Record<string, number>> = Object.fromEntries(
  NAMES.split(' ').map((name, i) => [name, i + 1]),
);
