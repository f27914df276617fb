/** The 64-bit processors and byte orders that are compared. */
import type { Level } from '../../../src/isa/index.ts';
import type { ServerModelName } from '../../../src/processor/index.ts';
import { LEVELS_970, LEVELS_POWER7, LEVELS_POWER8 } from '../../../src/processor/levels.ts';
import { type Form, formsOf } from '../single.ts';
import type { ByteOrder } from './oracle.ts';

export interface Configuration {
  /** The oracle's processor model. */
  readonly processor: ServerModelName;
  readonly order: ByteOrder;
  readonly levels: ReadonlySet<Level>;
  /** Forms that the oracle cannot judge. */
  readonly without?: RegExp;
}

/** Alignment interrupts of little-endian mode end the oracle. */
const ALIGNED = /^(lmw|stmw|lsw|stsw)/;

export const CONFIGURATIONS: readonly Configuration[] = [
  { processor: 'power8', order: 'big', levels: LEVELS_POWER8 },
  { processor: 'power8', order: 'little', levels: LEVELS_POWER8, without: ALIGNED },
  { processor: 'power7', order: 'big', levels: LEVELS_POWER7 },
  // HID5 chooses blocks of 32 bytes there.
  { processor: '970', order: 'big', levels: LEVELS_970, without: /^dcbz/ },
];

export const nameOf = ({ processor, order }: Configuration): string => `${processor} ${order}-endian`;

/** The forms to run: problem state's. */
export function configurationForms({ levels, without }: Configuration): Form[] {
  return formsOf(levels).filter(({ name, instruction }) => !instruction.privileged && !without?.test(name));
}
