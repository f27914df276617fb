/** What the performance monitors' counters count, as their control registers select it. */
import type { ServerModelName } from '../../processor/index.ts';

/** What a counter counts. */
export const EVENT = { NONE: 0, INSTRUCTIONS: 1, CYCLES: 2, RUN_INSTRUCTIONS: 3, RUN_CYCLES: 4 } as const;

/** The events of a model. */
export interface MonitorEvents {
  /** How many counters there are. */
  readonly counters: number;
  /** The clock of the boards that have it. */
  readonly cyclesPerNanosecond: number;
  /** MMCRA's bits, low and high word, that say that SIAR is of a program's instruction, where there is no SIER to say it. */
  readonly problem: { readonly low: number; readonly high: number };
  /** What counter `index` (from 0) counts, by the low words of MMCR0 and MMCR1; states that freeze it are not looked at. */
  select(index: number, mmcr0: number, mmcr1: number): number;
}

/** MMCR0 (Power ISA 2.07 Book III-S, 9.4.4). */
const MMCR0 = { CC56RUN: 0x100, FC14: 0x20, FC56: 0x10 } as const;
/** Events by MMCR1's selection (POWER8 User's Manual, events): of every one of PMC1 to PMC4, and of one alone. */
const EVENTS: ReadonlyMap<number, number> = new Map([
  [0x02, EVENT.INSTRUCTIONS],
  [0x1e, EVENT.CYCLES],
]);
const OWN_EVENTS: ReadonlyMap<number, number> = new Map([
  [0x1f0, EVENT.CYCLES],
  [0x2f4, EVENT.RUN_CYCLES],
  [0x4fa, EVENT.RUN_INSTRUCTIONS],
]);

/** POWER7 and POWER8: four counters by MMCR1, PMC5 for instructions, PMC6 for cycles. */
const LATER: MonitorEvents = {
  counters: 6,
  cyclesPerNanosecond: 3.5,
  problem: { low: 0, high: 0x200 },
  select(index, mmcr0, mmcr1) {
    if ((mmcr0 & (index < 4 ? MMCR0.FC14 : MMCR0.FC56)) !== 0) return EVENT.NONE;
    if (index >= 4) {
      const always = (mmcr0 & MMCR0.CC56RUN) !== 0;
      if (index === 4) return always ? EVENT.INSTRUCTIONS : EVENT.RUN_INSTRUCTIONS;
      return always ? EVENT.CYCLES : EVENT.RUN_CYCLES;
    }
    const selected = (mmcr1 >>> (24 - 8 * index)) & 0xff;
    return EVENTS.get(selected) ?? OWN_EVENTS.get(((index + 1) << 8) | selected) ?? EVENT.NONE;
  },
};

/** A 970's selections that all counters have (PowerPC 970FX User's Manual, "Performance Monitor"). */
const EVENTS_970: ReadonlyMap<number, number> = new Map([
  [9, EVENT.INSTRUCTIONS],
  [15, EVENT.CYCLES],
]);

/** A 970: eight counters, each with five bits, of the first two in MMCR0, of the others in MMCR1. */
const PPC970: MonitorEvents = {
  counters: 8,
  cyclesPerNanosecond: 2,
  problem: { low: 0x0800_0000, high: 0 },
  select(index, mmcr0, mmcr1) {
    const selected = index < 2 ? mmcr0 >>> (8 - 7 * index) : mmcr1 >>> (27 - 5 * (index - 2));
    return EVENTS_970.get(selected & 0x1f) ?? EVENT.NONE;
  },
};

export const EVENTS_OF: Readonly<Record<ServerModelName, MonitorEvents>> = {
  '970': PPC970,
  power7: LATER,
  power8: LATER,
};
