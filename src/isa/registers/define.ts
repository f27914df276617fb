import type { Level } from '../define.ts';
import type { Expr, Facility, Semantics } from '../semantics.ts';

/** Who may carry out a move: anybody, the operating system, or (null) nobody. */
export type Right = 'problem' | 'privileged' | null;

/** The facilities by the numbers of their bits in FSCR from the right, which are also their interrupts' causes (Book III-S, 6.2.10). */
export const FACILITY: Readonly<Record<Facility, number>> = {
  dscr: 2,
  performanceMonitor: 3,
  eventBasedBranch: 7,
  tar: 8,
};

/** A special purpose register: what mfspr and mtspr name by number. */
export interface SpecialRegister {
  readonly number: number;
  readonly name: string;
  /** Which of the mnemonics mfNAME and mtNAME exist when not both; the others are written with the number. */
  readonly mnemonics?: 'from' | 'to' | 'none';
  /** Processors with one of these groups have it; where there is none, only the assembler knows it. */
  readonly levels: readonly Level[];
  /** 32, or the word of the processor. */
  readonly bits: 32 | 'word';
  readonly mfspr: Right;
  readonly mtspr: Right;
  readonly facility?: Facility;
  /** Where the processor itself carries out problem state's reads: its value, of the word type. */
  readonly read?: (s: Semantics) => Expr;
  /** The same of writes. The value is pinned. */
  readonly write?: (s: Semantics, value: Expr) => void;
}

type Traits = Partial<Pick<SpecialRegister, 'mnemonics' | 'bits' | 'facility' | 'read' | 'write'>>;

const RIGHTS = { u: 'problem', p: 'privileged', '-': null } as const;

/**
 * Defines a register. `rights`: who may read and who may write it, as two letters: u problem state too, p privileged
 * state, - nobody.
 * @example register(19, 'dar', 'pp', ['server'])
 */
export function register(
  number: number,
  name: string,
  rights: `${keyof typeof RIGHTS}${keyof typeof RIGHTS}`,
  levels: readonly Level[],
  traits: Traits = {},
): SpecialRegister {
  const [mfspr, mtspr] = [...rights] as [keyof typeof RIGHTS, keyof typeof RIGHTS];
  return { bits: 'word', ...traits, number, name, levels, mfspr: RIGHTS[mfspr], mtspr: RIGHTS[mtspr] };
}
