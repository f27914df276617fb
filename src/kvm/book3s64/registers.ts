/** KVM_GET/SET_REGS, SREGS and ONE_REG of a Book3S 64 vCPU (uapi asm/kvm.h). */
import { type RegisterFile, registersOf } from '../../isa/registers/index.ts';
import { DECIMAL_ROUNDING, LEVELS_OF, vsrHalfOffset } from '../../processor/index.ts';
import { KVMPPC_INST_SW_BREAKPOINT, type KvmRegs, type KvmSregs } from '../api.ts';
import type { Book3sContext } from '../book3s/context.ts';
import type { Decrementer } from '../book3s/decrementer.ts';
import {
  GUEST_SLB_ENTRIES,
  readCr,
  readXer,
  W_CFAR,
  W_CTR,
  W_DAR,
  W_FPSCR,
  W_FSCR,
  W_GPR,
  W_HIOR,
  W_LPCR,
  W_LR,
  W_MSR,
  W_PC,
  W_PPR,
  W_PVR,
  W_SDR1,
  W_SPRG,
  W_SRR0,
  W_SRR1,
  W_TAR,
  W_USPRG0,
  W_VSCR,
  wordOf,
  writeCr,
  writeXer,
} from '../book3s/layout.ts';
import type { VirtualTime } from '../book3s/virtual-time.ts';
import { indexOf, KVM_REG_PPC } from '../one-reg.ts';
import type { GuestSlb } from './slb.ts';
import type { SprEmulation } from './spr-emulation.ts';
import { type VirtualProcessorAreas, VPA_KIND, type VpaKind } from './vpa.ts';

/** One-regs that are a doubleword of the block: where, and the register's number where not all models have it. */
const WIDE: readonly (readonly [id: bigint, word: number, spr?: number])[] = [
  [KVM_REG_PPC.HIOR, W_HIOR],
  [KVM_REG_PPC.DABR, wordOf('dabr')],
  [KVM_REG_PPC.DABRX, wordOf('dabrx')],
  [KVM_REG_PPC.DSCR, wordOf('dscr'), 17],
  [KVM_REG_PPC.DAR, W_DAR],
  [KVM_REG_PPC.AMR, wordOf('amr'), 29],
  [KVM_REG_PPC.UAMOR, wordOf('uamor'), 157],
  [KVM_REG_PPC.IAMR, wordOf('iamr'), 61],
  [KVM_REG_PPC.MMCR0, wordOf('mmcr0')],
  [KVM_REG_PPC.MMCR1, wordOf('mmcr1')],
  [KVM_REG_PPC.MMCR2, wordOf('mmcr2'), 785],
  [KVM_REG_PPC.MMCRA, wordOf('mmcra')],
  [KVM_REG_PPC.SIAR, wordOf('siar')],
  [KVM_REG_PPC.SDAR, wordOf('sdar')],
  [KVM_REG_PPC.SIER, wordOf('sier'), 784],
  [KVM_REG_PPC.FSCR, W_FSCR, 153],
  [KVM_REG_PPC.EBBHR, wordOf('ebbhr'), 804],
  [KVM_REG_PPC.EBBRR, wordOf('ebbrr'), 805],
  [KVM_REG_PPC.BESCR, wordOf('bescr'), 806],
  [KVM_REG_PPC.TAR, W_TAR, 815],
  [KVM_REG_PPC.DAWR, wordOf('dawr'), 180],
  [KVM_REG_PPC.DAWRX, wordOf('dawrx'), 188],
  [KVM_REG_PPC.CIABR, wordOf('ciabr'), 187],
  [KVM_REG_PPC.LPCR_64, W_LPCR],
  [KVM_REG_PPC.PPR, W_PPR, 896],
];
const WORDS: readonly (readonly [id: bigint, word: number, spr?: number])[] = [
  [KVM_REG_PPC.VSCR, W_VSCR],
  [KVM_REG_PPC.VRSAVE, W_USPRG0],
  [KVM_REG_PPC.LPCR, W_LPCR],
  [KVM_REG_PPC.PSPB, wordOf('pspb'), 159],
  [KVM_REG_PPC.PMC1, wordOf('pmc1')],
  [KVM_REG_PPC.PMC2, wordOf('pmc2')],
  [KVM_REG_PPC.PMC3, wordOf('pmc3')],
  [KVM_REG_PPC.PMC4, wordOf('pmc4')],
  [KVM_REG_PPC.PMC5, wordOf('pmc5')],
  [KVM_REG_PPC.PMC6, wordOf('pmc6')],
  [KVM_REG_PPC.PMC7, wordOf('pmc7'), 793],
  [KVM_REG_PPC.PMC8, wordOf('pmc8'), 794],
];
const AREAS: ReadonlyMap<bigint, VpaKind> = new Map([
  [KVM_REG_PPC.VPA_ADDR, VPA_KIND.VPA],
  [KVM_REG_PPC.VPA_DTL, VPA_KIND.DISPATCH_TRACE],
  [KVM_REG_PPC.VPA_SLB, VPA_KIND.SLB_SHADOW],
]);
/** Sregs beside the uapi's: what a model keeps and no one-reg names, and where. */
const MORE_SREGS: ReadonlyMap<string, number> = new Map([
  ...(['ctrl', 'hid0', 'hid1', 'hid4', 'hid5'] as const).map((name) => [name, wordOf(name)] as const),
  ['cfar', W_CFAR],
]);
const W_DECIMAL_ROUNDING = DECIMAL_ROUNDING >> 2;
/** FPSCR[DRN] of the left half, which the 970 has not. */
const DRN = 7n;
/** Numbers of registers that not all models have. */
const IC_SPR = 848;
const VTB_SPR = 849;

export class Book3sRegisters {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #file: RegisterFile;
  readonly #hasDecimal: boolean;
  readonly #wide: ReadonlyMap<bigint, number>;
  readonly #narrow: ReadonlyMap<bigint, number>;
  readonly #more: ReadonlyMap<string, number>;
  readonly #areas: VirtualProcessorAreas;
  readonly #slb: GuestSlb;
  readonly #decrementer: Decrementer;
  readonly #virtualTime: VirtualTime;
  readonly #sprs: SprEmulation;
  readonly #timebase: () => number;
  /** The segments or the hash table were replaced. */
  readonly #onTranslation: () => void;
  /** Registers of the debug facilities may have been written. */
  readonly #onDebug: () => void;

  constructor(
    context: Book3sContext,
    slb: GuestSlb,
    decrementer: Decrementer,
    virtualTime: VirtualTime,
    sprs: SprEmulation,
    areas: VirtualProcessorAreas,
    timebase: () => number,
    onTranslation: () => void,
    onDebug: () => void,
  ) {
    this.#words = context.words;
    this.#context = context;
    const file = registersOf(LEVELS_OF[context.model.name]);
    this.#file = file;
    this.#hasDecimal = LEVELS_OF[context.model.name].has('decimal');
    const had = (rows: typeof WIDE): ReadonlyMap<bigint, number> =>
      new Map(rows.flatMap(([id, word, spr]) => (spr === undefined || file.has(spr) ? [[id, word] as const] : [])));
    this.#wide = had(WIDE);
    this.#narrow = had(WORDS);
    const names = new Set(Array.from(file.values(), ({ name }) => name));
    this.#more = new Map(Array.from(MORE_SREGS).filter(([name]) => names.has(name)));
    this.#areas = areas;
    this.#slb = slb;
    this.#decrementer = decrementer;
    this.#virtualTime = virtualTime;
    this.#sprs = sprs;
    this.#timebase = timebase;
    this.#onTranslation = onTranslation;
    this.#onDebug = onDebug;
  }

  getRegs(): KvmRegs {
    return {
      pc: this.#get(W_PC),
      cr: BigInt(readCr(this.#words)),
      ctr: this.#get(W_CTR),
      lr: this.#get(W_LR),
      xer: BigInt(readXer(this.#words) >>> 0),
      msr: this.#get(W_MSR),
      srr0: this.#get(W_SRR0),
      srr1: this.#get(W_SRR1),
      pid: 0n,
      sprg: [...W_SPRG.map((word) => this.#get(word)), 0n, 0n, 0n, 0n],
      gpr: Array.from({ length: 32 }, (_, n) => this.#get(W_GPR + 2 * n)),
    };
  }

  setRegs(regs: KvmRegs): void {
    const words = this.#words;
    this.#set(W_PC, regs.pc & ~3n);
    this.#set(W_CTR, regs.ctr);
    this.#set(W_LR, regs.lr);
    this.#set(W_SRR0, regs.srr0);
    this.#set(W_SRR1, regs.srr1);
    for (let n = 0; n < 32; n++) this.#set(W_GPR + 2 * n, regs.gpr[n] ?? 0n);
    for (const [n, word] of W_SPRG.entries()) this.#set(word, regs.sprg[n] ?? 0n);
    writeCr(words, Number(BigInt.asIntN(32, regs.cr)));
    writeXer(words, Number(BigInt.asIntN(32, regs.xer)));
    this.#context.setMsr(Number(BigInt.asIntN(32, regs.msr)), Number(BigInt.asIntN(32, regs.msr >> 32n)));
    this.#context.refresh();
  }

  /** Named as in the uapi: sdr1, and slbeN and slbvN (RB and RS of slbmte) for each SLB entry. */
  getSregs(): KvmSregs {
    const { entries } = this.#slb;
    const sregs: KvmSregs = { pvr: (this.#words[W_PVR] as number) >>> 0, sdr1: this.#get(W_SDR1) };
    for (let i = 0; i < GUEST_SLB_ENTRIES; i++) {
      sregs[`slbe${i}`] = join(entries[4 * i] as number, entries[4 * i + 1] as number);
      sregs[`slbv${i}`] = join(entries[4 * i + 2] as number, entries[4 * i + 3] as number);
    }
    sregs['dec'] = this.#decrementer.read() >>> 0;
    for (const [name, word] of this.#more) sregs[name] = this.#get(word);
    return sregs;
  }

  setSregs(sregs: Partial<KvmSregs>): void {
    const { entries } = this.#slb;
    for (const [name, value] of Object.entries(sregs)) {
      if (value === undefined) continue;
      const wide = BigInt(value);
      const more = this.#more.get(name);
      const slb = /^slb([ev])(\d+)$/.exec(name);
      if (slb !== null && Number(slb[2]) < GUEST_SLB_ENTRIES) {
        const at = 4 * Number(slb[2]) + (slb[1] === 'e' ? 0 : 2);
        entries[at] = Number(BigInt.asIntN(32, wide));
        entries[at + 1] = Number(BigInt.asIntN(32, wide >> 32n));
      } else if (more !== undefined) this.#set(more, wide);
      else if (name === 'sdr1') this.#set(W_SDR1, wide);
      else if (name === 'pvr') this.#set(W_PVR, BigInt.asUintN(32, wide));
      else if (name === 'dec') this.#decrementer.write(Number(BigInt.asIntN(32, wide)));
    }
    this.#onTranslation();
  }

  getOneReg(id: bigint): bigint | undefined {
    const wide = this.#wide.get(id);
    if (wide !== undefined) return this.#get(wide);
    const word = id === KVM_REG_PPC.DSISR ? this.#context.wDsisr : this.#narrow.get(id);
    if (word !== undefined) return BigInt((this.#words[word] as number) >>> 0);
    switch (id) {
      case KVM_REG_PPC.FPSCR:
        return join(this.#words[W_FPSCR] as number, this.#words[W_DECIMAL_ROUNDING] as number);
      case KVM_REG_PPC.DEBUG_INST:
        return BigInt(KVMPPC_INST_SW_BREAKPOINT);
      case KVM_REG_PPC.PURR:
      case KVM_REG_PPC.SPURR:
        return BigInt(this.#timebase());
      case KVM_REG_PPC.TB_OFFSET:
        return BigInt.asUintN(64, BigInt(this.#decrementer.timebaseOffset));
      case KVM_REG_PPC.DEC_EXPIRY:
        return BigInt.asUintN(64, BigInt(this.#decrementer.expiry));
      case KVM_REG_PPC.IC:
        return this.#file.has(IC_SPR) ? BigInt(this.#sprs.instructions) : undefined;
      case KVM_REG_PPC.VTB:
        return this.#file.has(VTB_SPR) ? BigInt(this.#virtualTime.ticks) : undefined;
    }
    const area = AREAS.get(id);
    if (area !== undefined) {
      const { address, bytes } = this.#areas.registered(area);
      return area === VPA_KIND.VPA ? BigInt(address) : (BigInt(address) << 64n) | BigInt(bytes);
    }
    const vsr = vectorOf(id);
    if (vsr === undefined) return undefined;
    const high = this.#get(vsrHalfOffset(vsr.n, 0) >> 2);
    return vsr.whole ? (high << 64n) | this.#get(vsrHalfOffset(vsr.n, 1) >> 2) : high;
  }

  setOneReg(id: bigint, value: bigint): boolean {
    const wide = this.#wide.get(id);
    const word = id === KVM_REG_PPC.DSISR ? this.#context.wDsisr : this.#narrow.get(id);
    const vsr = vectorOf(id);
    if (wide !== undefined) this.#set(wide, value);
    else if (word !== undefined) this.#words[word] = Number(BigInt.asIntN(32, value));
    else if (vsr?.whole === true) {
      this.#set(vsrHalfOffset(vsr.n, 0) >> 2, value >> 64n);
      this.#set(vsrHalfOffset(vsr.n, 1) >> 2, value);
    } else if (vsr !== undefined) this.#set(vsrHalfOffset(vsr.n, 0) >> 2, value);
    else if (!this.#setCounted(id, value)) return false;
    this.#onDebug();
    // FSCR says what the processor lets problem state have.
    this.#context.refresh();
    return true;
  }

  /** Time, what is counted, and areas in memory. */
  #setCounted(id: bigint, value: bigint): boolean {
    const number = Number(BigInt.asIntN(53, value));
    const area = AREAS.get(id);
    if (area !== undefined) {
      const address = BigInt.asUintN(64, area === VPA_KIND.VPA ? value : value >> 64n);
      const bytes = area === VPA_KIND.VPA ? 0n : BigInt.asUintN(64, value);
      return this.#areas.restore(area, Number(address), Number(bytes));
    }
    if (id === KVM_REG_PPC.FPSCR) {
      this.#words[W_FPSCR] = Number(BigInt.asIntN(32, value));
      this.#words[W_DECIMAL_ROUNDING] = this.#hasDecimal ? Number((value >> 32n) & DRN) : 0;
    } else if (id === KVM_REG_PPC.IC && this.#file.has(IC_SPR))
      this.#sprs.instructions = Number(BigInt.asUintN(53, value));
    else if (id === KVM_REG_PPC.VTB && this.#file.has(VTB_SPR)) this.#virtualTime.ticks = number;
    else if (id === KVM_REG_PPC.TB_OFFSET) {
      this.#decrementer.timebaseOffset = number;
      this.#virtualTime.stop();
    } else if (id === KVM_REG_PPC.DEC_EXPIRY) this.#decrementer.expiry = number;
    else return false;
    return true;
  }

  #get(word: number): bigint {
    return join(this.#words[word] as number, this.#words[word + 1] as number);
  }

  #set(word: number, value: bigint): void {
    this.#words[word] = Number(BigInt.asIntN(32, value));
    this.#words[word + 1] = Number(BigInt.asIntN(32, value >> 32n));
  }
}

function join(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** The vector-scalar register that a one-reg names, whole or its doubleword 0. */
function vectorOf(id: bigint): { n: number; whole: boolean } | undefined {
  const fpr = indexOf(KVM_REG_PPC.FPR, id);
  if (fpr !== undefined) return { n: fpr, whole: false };
  const vr = indexOf(KVM_REG_PPC.VR, id);
  const n = vr === undefined ? indexOf(KVM_REG_PPC.VSR, id) : 32 + vr;
  return n === undefined ? undefined : { n, whole: true };
}
