/** The processor models of the family, and what the guest sees differently on each. */
import type { ServerModelName } from '../../processor/index.ts';
import { MSR, MSR_SF } from '../book3s/bits.ts';
import type { Book3sModel } from '../book3s/model.ts';

const MSR_970 =
  MSR.VEC |
  MSR.POW |
  MSR.EE |
  MSR.PR |
  MSR.FP |
  MSR.ME |
  MSR.FE0 |
  MSR.SE |
  MSR.BE |
  MSR.FE1 |
  MSR.IR |
  MSR.DR |
  MSR.PMM |
  MSR.RI;
const MSR_POWER7 = MSR_970 | MSR.VSX | MSR.LE;

/** A 64-bit processor. */
export interface ServerModel extends Book3sModel {
  readonly name: ServerModelName;
  /** Large pages of several sizes, told apart by LP; else every large page has 16 MB (and tlbie says so in the instruction). */
  readonly multiPageSize: boolean;
  /** Guests that PAPR does not run begin with HIOR here (the reference's value). */
  readonly hior: number;
}

const SERVER = {
  msrMaskHigh: MSR_SF,
  problemState: MSR.EE | MSR.IR | MSR.DR,
  keptByInterrupts: MSR.ME,
  hasPrefix: false,
  latchesDecrementer: false,
  tellsTraced: true,
  hior: 0xfff0_0000,
} as const;

export const BOOK3S_MODELS: readonly ServerModel[] = [
  { ...SERVER, name: '970', pvr: 0x003c_0301, multiPageSize: false, realBits: 42, msrMask: MSR_970 },
  { ...SERVER, name: 'power7', pvr: 0x003f_0201, multiPageSize: true, realBits: 46, msrMask: MSR_POWER7 },
  { ...SERVER, name: 'power8', pvr: 0x004d_0200, multiPageSize: true, realBits: 50, msrMask: MSR_POWER7 },
];
