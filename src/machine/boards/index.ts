import type { Board } from '../board.ts';
import { OptionError } from '../error.ts';
import { bamboo } from './bamboo.ts';
import { bare } from './bare.ts';
import { g3beige } from './g3beige.ts';
import { mac99 } from './mac99.ts';
import { ppce500 } from './ppce500.ts';
import { pseries } from './pseries.ts';

/** Every board, one line each. */
export const boards: readonly Board[] = [
  bamboo, // AMCC 440EP evaluation board
  ppce500, // generic e500 machine
  pseries, // partition of an IBM Power server
  g3beige, // Power Macintosh G3
  mac99, // Power Mac G4 and G5
  bare, // 64-bit processor, RAM, serial port
];

/** The board of this name. Throws OptionError with the names that exist. */
export function findBoard(name: string): Board {
  const board = boards.find((one) => one.name === name);
  if (board === undefined)
    throw new OptionError(
      `there is no board "${name.slice(0, 64)}"; the boards are: ${boards.map((one) => one.name).join(', ')}`,
    );
  return board;
}
