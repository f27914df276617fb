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

/** Firmware makes the node. */
const node = { path: '', properties: {} } as const;

/** The G3, with the frequencies that the beige machine tells. */
export const g3: CpuSpec = { model: '750', clockFrequency: 266_000_000, timebaseFrequency: 16_600_000, node };
