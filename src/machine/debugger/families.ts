/** What debuggers have to know of each family of processors: a row for each. */

/** The register groups that debuggers know by name beside the core's. */
export type RegisterGroup = 'fpu' | 'altivec' | 'vsx' | 'spe';

/** A family as a debugger sees it. */
export interface DebugFamily {
  /** KVM's names of its models. */
  readonly models: readonly string[];
  /** Of general registers and addresses. */
  readonly bits: 32 | 64;
  /** What gdb calls it (`set architecture`). */
  readonly architecture: string;
  readonly groups: readonly RegisterGroup[];
  /** How many SPRGs KVM_GET_REGS has of it. */
  readonly sprgs: number;
  /** PID is one of KVM_GET_REGS's registers. */
  readonly pid: boolean;
}

const server = { bits: 64, architecture: 'powerpc:common64', sprgs: 4, pid: false } as const;
const desktop = { bits: 32, architecture: 'powerpc:common', sprgs: 4, pid: false } as const;

export const DEBUG_FAMILIES: readonly DebugFamily[] = [
  { models: ['440ep'], bits: 32, architecture: 'powerpc:common', groups: ['fpu'], sprgs: 8, pid: true },
  { models: ['e500v2'], bits: 32, architecture: 'powerpc:e500', groups: ['spe'], sprgs: 8, pid: true },
  { models: ['604', '604e', '750'], groups: ['fpu'], ...desktop },
  { models: ['7400', '7450'], groups: ['fpu', 'altivec'], ...desktop },
  { models: ['970', '970fx'], groups: ['fpu', 'altivec'], ...server },
  { models: ['power7', 'power8'], groups: ['fpu', 'altivec', 'vsx'], ...server },
];

/** What is said of a model that no row names. */
const UNKNOWN: DebugFamily = { models: [], bits: 32, architecture: 'powerpc:common', groups: [], sprgs: 4, pid: false };

export function debugFamily(model: string): DebugFamily {
  return DEBUG_FAMILIES.find(({ models }) => models.includes(model)) ?? UNKNOWN;
}
