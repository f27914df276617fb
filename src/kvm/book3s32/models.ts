/** The processor models of the family, and what the guest sees differently on each. */
import type { ClassicModelName } from '../../processor/index.ts';
import { MSR } from '../book3s/bits.ts';
import type { Book3sModel } from '../book3s/model.ts';

/** MSR[LE] and MSR[ILE] are not there: the guest cannot have the processor munge its addresses. */
const MSR_604 =
  MSR.POW |
  MSR.EE |
  MSR.PR |
  MSR.FP |
  MSR.ME |
  MSR.FE0 |
  MSR.SE |
  MSR.BE |
  MSR.FE1 |
  MSR.IP |
  MSR.IR |
  MSR.DR |
  MSR.PMM |
  MSR.RI;
const MSR_7400 = MSR_604 | MSR.VEC;

/** A 32-bit processor. */
export interface ClassicModel extends Book3sModel {
  readonly name: ClassicModelName;
  /** HID0[HIGH_BAT_EN] gives it eight BATs of each kind. */
  readonly hasHighBats: boolean;
}

const CLASSIC = {
  realBits: 32,
  msrMaskHigh: 0,
  problemState: 0,
  keptByInterrupts: MSR.ME | MSR.IP,
  hasPrefix: true,
  latchesDecrementer: true,
  tellsTraced: false,
  hasHighBats: false,
} as const;

export const CLASSIC_MODELS: readonly ClassicModel[] = [
  { ...CLASSIC, name: '604', pvr: 0x0004_0103, msrMask: MSR_604 },
  { ...CLASSIC, name: '750', pvr: 0x0008_0301, msrMask: MSR_604 },
  { ...CLASSIC, name: '7400', pvr: 0x000c_0209, msrMask: MSR_7400 },
  { ...CLASSIC, name: '7450', pvr: 0x8000_0201, msrMask: MSR_7400 },
  { ...CLASSIC, name: '7455', pvr: 0x8001_0303, msrMask: MSR_7400, hasHighBats: true },
];
