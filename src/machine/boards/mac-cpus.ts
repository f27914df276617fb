import type { CpuSpec } from '../board.ts';
import { ppc970 } from './server-cpus.ts';

/** The G5, as this machine tells its frequencies. */
export const g5: CpuSpec = {
  ...ppc970,
  name: '970fx',
  kernelBits: 64,
  accels: ['assist', 'pv', 'trap'],
  timebaseFrequency: 100_000_000,
  clockFrequency: 900_000_000,
};

/** Firmware makes the node. */
const node = { path: '', properties: {} } as const;

/** What the beige machine takes, with the frequencies that it tells. */
const beige = { clockFrequency: 266_000_000, timebaseFrequency: 16_600_000, node } as const;
export const g3: CpuSpec = { model: '750', ...beige };
export const ppc604: CpuSpec = { model: '604', ...beige };

/** The G4s of the machine with UniNorth. */
const uninorth = { clockFrequency: 900_000_000, timebaseFrequency: 100_000_000, node } as const;
export const g4: CpuSpec = { model: '7400', ...uninorth };
export const g4Later: CpuSpec = { model: '7450', ...uninorth };
