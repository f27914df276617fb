import type { CpuSpec } from '../board.ts';
import { ppc970 } from './server-cpus.ts';

/** The G5, as this machine tells its frequencies. */
export const g5: CpuSpec = {
  ...ppc970,
  name: '970fx',
  kernelBits: 64,
  timebaseFrequency: 100_000_000,
  clockFrequency: 900_000_000,
};
