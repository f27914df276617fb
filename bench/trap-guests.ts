/** Machines of nothing but memory for the loops of trap-cost.ts, one for each family of processors. */
import { KVM_EXIT, type Vcpu, type VmOptions } from '../src/kvm/index.ts';

export interface Subject {
  readonly name: string;
  /** The instruction, in assembler. */
  readonly source: string;
  /** What a guest under pv has in its place. */
  readonly patched?: string;
  /** How often it leaves the guest under `trap`. */
  readonly traps: number;
}

export interface TrapGuest {
  readonly options: Pick<VmOptions, 'cpu' | 'timebaseFrequency'>;
  readonly subjects: readonly Subject[];
  /** What ends a run: `source` makes a loop's last instruction, and `isEnd` knows the exit. */
  readonly end: { readonly source: string; isEnd(vcpu: Vcpu): boolean };
  /** Where system calls go: what stands there returns. */
  readonly systemCall: { readonly address: number; readonly source: string };
  readonly msr: bigint;
  /** Run once before the loops, under pv. */
  readonly mapMagicPage?: string;
  prepare?(vcpu: Vcpu): void;
}

/** A device control register that no one has. */
const END_DCR = 0x3ff;
const IVOR8 = 0x100;

export const booke: TrapGuest = {
  options: { cpu: '440ep', timebaseFrequency: 400_000_000 },
  subjects: [
    { name: 'mfpvr', source: 'mfspr 5,287', traps: 1 },
    { name: 'mfsprg0', source: 'mfspr 5,272', traps: 1 },
    { name: 'mtsprg0', source: 'mtspr 272,5', traps: 1 },
    { name: 'mfmsr', source: 'mfmsr 5', traps: 1 },
    { name: 'wrteei 0', source: 'wrteei 0', traps: 1 },
    { name: 'sc and rfi', source: 'sc', traps: 2 },
  ],
  end: {
    source: `mtdcr ${END_DCR},4`,
    isEnd: ({ kvmRun }) => kvmRun.exitReason === KVM_EXIT.DCR && kvmRun.dcr.dcrn === END_DCR,
  },
  systemCall: { address: IVOR8, source: 'rfi' },
  msr: 0n,
  prepare(vcpu) {
    // 256 MB from 0, supervisor read, write and execute.
    vcpu.setTlbEntry(0, { word0: 0x290, word1: 0, word2: 7, tid: 0 });
    vcpu.setSregs({ ivpr: 0, ivor8: IVOR8 });
  },
};

/** Behind all memory: a store there is a device's. */
const END_ADDRESS = 0x1000_0000;

/** KVM_REG_PPC_HIOR of the uapi, 64 bits. */
const ONE_REG_HIOR = 0x1030_0000_0000_0001n;

/** In real mode, where every address is memory's. */
export const book3s64 = (cpu: string): TrapGuest => ({
  options: { cpu, timebaseFrequency: 512_000_000 },
  subjects: [
    { name: 'mfpvr', source: 'mfspr 5,287', traps: 1 },
    { name: 'mfsprg0', source: 'mfspr 5,272', patched: 'ld 5,-4064(0)', traps: 1 },
    { name: 'mtsprg0', source: 'mtspr 272,5', patched: 'std 5,-4064(0)', traps: 1 },
    { name: 'mfmsr', source: 'mfmsr 5', patched: 'ld 5,-4008(0)', traps: 1 },
    { name: 'mtmsrd, EE and RI', source: 'mtmsrd 6,1', traps: 1 },
    { name: 'sc and rfid', source: 'sc', traps: 2 },
  ],
  end: {
    source: `lis 7,${END_ADDRESS >>> 16}; stw 4,0(7)`,
    isEnd: ({ kvmRun }) => kvmRun.exitReason === KVM_EXIT.MMIO && Number(kvmRun.mmio.physAddr) === END_ADDRESS,
  },
  systemCall: { address: 0xc00, source: 'rfid' },
  msr: 1n << 63n,
  prepare: (vcpu) => vcpu.setOneReg(ONE_REG_HIOR, 0n),
  // KVM_HC_PPC_MAP_MAGIC_PAGE of the page at -4096; with r0 as it is left, any other sc would be a hypercall as well.
  mapMagicPage: 'lis 11,0x2a; ori 11,11,4; li 3,-4096; li 4,-4096; lis 0,0x4b56; ori 0,0,0x4d21; sc; li 0,0',
});
