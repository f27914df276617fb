import type { Level } from '../isa/define.ts';

/** The instruction groups of the 440. */
export const LEVELS_440: ReadonlySet<Level> = new Set(['base', 'string', 'booke', '44x', '4xx', 'float']);
