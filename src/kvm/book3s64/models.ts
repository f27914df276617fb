/** The processor models of the family, and what the guest sees differently on each. */
import { MSR } from '../book3s/bits.ts';
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

export const BOOK3S_MODELS: readonly Book3sModel[] = [
  { name: '970', pvr: 0x003c_0301, multiPageSize: false, msrMask: MSR_970, hior: 0xfff0_0000 },
  { name: 'power7', pvr: 0x003f_0201, multiPageSize: true, msrMask: MSR_POWER7, hior: 0xfff0_0000 },
  { name: 'power8', pvr: 0x004d_0200, multiPageSize: true, msrMask: MSR_POWER7, hior: 0xfff0_0000 },
];
