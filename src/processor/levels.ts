import type { Level } from '../isa/define.ts';

/** The instruction groups of the 440. */
export const LEVELS_440: ReadonlySet<Level> = new Set([
  'base',
  'string',
  'classic',
  'isel',
  'booke',
  '44x',
  '4xx',
  'float',
]);

/** The instruction groups of the e500v2. */
export const LEVELS_E500V2: ReadonlySet<Level> = new Set(['base', 'classic', 'isel', 'booke', 'e500', 'spe']);

/** The instruction groups of the PowerPC 970. */
export const LEVELS_970: ReadonlySet<Level> = new Set([
  'base',
  'string',
  'float',
  '64-bit',
  'float-64',
  'server',
  'vector',
  '970',
]);

/** What only one processor has, no later one has. */
const without = (levels: ReadonlySet<Level>, own: Level): Level[] => [...levels].filter((level) => level !== own);

/** The instruction groups of POWER7. */
export const LEVELS_POWER7: ReadonlySet<Level> = new Set([
  ...without(LEVELS_970, '970'),
  'power7',
  'isel',
  '2.02',
  '2.05',
  '2.06',
  'vsx',
  'decimal',
]);

/** The instruction groups of POWER8. */
export const LEVELS_POWER8: ReadonlySet<Level> = new Set([
  ...without(LEVELS_POWER7, 'power7'),
  '2.07',
  'vector-2.07',
  'vsx-2.07',
]);

/** The instruction groups of the 604, the 750 (G3), the 7400, the 7450 and the 7455 (G4). */
export const LEVELS_604: ReadonlySet<Level> = new Set(['base', 'string', 'classic', 'float', 'book3s32', '604']);
export const LEVELS_750: ReadonlySet<Level> = new Set([...without(LEVELS_604, '604'), '7xx']);
export const LEVELS_7400: ReadonlySet<Level> = new Set([...LEVELS_750, '74xx', 'vector']);
export const LEVELS_7450: ReadonlySet<Level> = new Set([...LEVELS_7400, '745x']);
export const LEVELS_7455: ReadonlySet<Level> = new Set([...LEVELS_7450, '7455']);

/** The instruction groups of each processor. */
export const LEVELS_OF = {
  '440': LEVELS_440,
  e500v2: LEVELS_E500V2,
  '970': LEVELS_970,
  power7: LEVELS_POWER7,
  power8: LEVELS_POWER8,
  '604': LEVELS_604,
  '750': LEVELS_750,
  '7400': LEVELS_7400,
  '7450': LEVELS_7450,
  '7455': LEVELS_7455,
} as const;
export type ProcessorName = keyof typeof LEVELS_OF;
