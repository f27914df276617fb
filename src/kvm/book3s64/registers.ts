/** KVM_GET/SET_REGS, SREGS and ONE_REG of a Book3S 64 vCPU (uapi asm/kvm.h). */
import { type RegisterFile, registersOf } from '../../isa/registers/index.ts';
import { LEVELS_OF, vsrHalfOffset } from '../../processor/index.ts';
import { KVMPPC_INST_SW_BREAKPOINT, type KvmRegs, type KvmSregs } from '../api.ts';
import type { Book3sContext } from '../book3s/context.ts';
import type { Decrementer } from '../book3s/decrementer.ts';
import {
  GUEST_SLB_ENTRIES,
  readCr,
  readXer,
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
import type { GuestSlb } from './slb.ts';
import type { SprEmulation } from './spr-emulation.ts';

const SIZE_U32 = 0x0020_0000_0000_0000n;
const SIZE_U64 = 0x0030_0000_0000_0000n;
const SIZE_U128 = 0x0040_0000_0000_0000n;
const KVM_REG_PPC = 0x1000_0000_0000_0000n;
const u32 = (index: number): bigint => KVM_REG_PPC | SIZE_U32 | BigInt(index);
const u64 = (index: number): bigint => KVM_REG_PPC | SIZE_U64 | BigInt(index);

/** One-regs that are a doubleword of the block: where, and the register's number where not all models have it. */
const WIDE: readonly (readonly [id: bigint, word: number, spr?: number])[] = [
  [u64(0x1), W_HIOR],
  [u64(0x8), wordOf('dabr')],
  [u64(0x9), wordOf('dscr'), 17],
  [u64(0xc), W_DAR],
  [u64(0xe), wordOf('amr'), 29],
  [u64(0xf), wordOf('uamor'), 157],
  [u64(0x10), wordOf('mmcr0')],
  [u64(0x11), wordOf('mmcr1')],
  [u64(0x12), wordOf('mmcra')],
  [u64(0xa3), W_FSCR, 153],
  [u64(0xa8), W_TAR, 815],
  [u64(0xb5), W_LPCR],
  [u64(0xb6), W_PPR, 896],
];
const WORDS: ReadonlyMap<bigint, number> = new Map([
  [u64(0x80), W_FPSCR],
  [u32(0x81), W_VSCR],
  [u32(0xb4), W_USPRG0],
  [u32(0xb5), W_LPCR],
]);
const DSISR = u32(0xd);
const DEBUG_INST = u32(0x8b);
const PURR = u64(0xa);
const SPURR = u64(0xb);
/** With the registers' numbers. */
const IC = u64(0xad);
const IC_SPR = 848;
const VTB = u64(0xae);
const VTB_SPR = 849;
const FPR0 = 0x20;
const VR0 = 0x40;
const VSR0 = 0x60;

export class Book3sRegisters {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #file: RegisterFile;
  readonly #wide: ReadonlyMap<bigint, number>;
  readonly #slb: GuestSlb;
  readonly #decrementer: Decrementer;
  readonly #sprs: SprEmulation;
  readonly #timebase: () => number;
  /** The segments or the hash table were replaced. */
  readonly #onTranslation: () => void;

  constructor(
    context: Book3sContext,
    slb: GuestSlb,
    decrementer: Decrementer,
    sprs: SprEmulation,
    timebase: () => number,
    onTranslation: () => void,
  ) {
    this.#words = context.words;
    this.#context = context;
    const file = registersOf(LEVELS_OF[context.model.name]);
    this.#file = file;
    this.#wide = new Map(
      WIDE.filter(([, , spr]) => spr === undefined || file.has(spr)).map(([id, word]) => [id, word]),
    );
    this.#slb = slb;
    this.#decrementer = decrementer;
    this.#sprs = sprs;
    this.#timebase = timebase;
    this.#onTranslation = onTranslation;
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
    return sregs;
  }

  setSregs(sregs: Partial<KvmSregs>): void {
    const { entries } = this.#slb;
    for (const [name, value] of Object.entries(sregs)) {
      if (value === undefined) continue;
      const wide = BigInt(value);
      const slb = /^slb([ev])(\d+)$/.exec(name);
      if (slb !== null && Number(slb[2]) < GUEST_SLB_ENTRIES) {
        const at = 4 * Number(slb[2]) + (slb[1] === 'e' ? 0 : 2);
        entries[at] = Number(BigInt.asIntN(32, wide));
        entries[at + 1] = Number(BigInt.asIntN(32, wide >> 32n));
      } else if (name === 'sdr1') this.#set(W_SDR1, wide);
      else if (name === 'pvr') this.#set(W_PVR, BigInt.asUintN(32, wide));
      else if (name === 'dec') this.#decrementer.write(Number(BigInt.asIntN(32, wide)));
    }
    this.#onTranslation();
  }

  getOneReg(id: bigint): bigint | undefined {
    const wide = this.#wide.get(id);
    if (wide !== undefined) return this.#get(wide);
    const word = id === DSISR ? this.#context.wDsisr : WORDS.get(id);
    if (word !== undefined) return BigInt((this.#words[word] as number) >>> 0);
    if (id === DEBUG_INST) return BigInt(KVMPPC_INST_SW_BREAKPOINT);
    if (id === PURR || id === SPURR) return BigInt(this.#timebase());
    if (id === IC && this.#file.has(IC_SPR)) return BigInt(this.#sprs.instructions);
    if (id === VTB && this.#file.has(VTB_SPR)) return BigInt(this.#decrementer.virtualTime());
    const vsr = vectorOf(id);
    if (vsr === undefined) return undefined;
    const high = this.#get(vsrHalfOffset(vsr.n, 0) >> 2);
    return vsr.whole ? (high << 64n) | this.#get(vsrHalfOffset(vsr.n, 1) >> 2) : high;
  }

  setOneReg(id: bigint, value: bigint): boolean {
    const wide = this.#wide.get(id);
    const word = id === DSISR ? this.#context.wDsisr : WORDS.get(id);
    const vsr = vectorOf(id);
    if (wide !== undefined) this.#set(wide, value);
    else if (word !== undefined) this.#words[word] = Number(BigInt.asIntN(32, value));
    else if (vsr?.whole === true) {
      this.#set(vsrHalfOffset(vsr.n, 0) >> 2, value >> 64n);
      this.#set(vsrHalfOffset(vsr.n, 1) >> 2, value);
    } else if (vsr !== undefined) this.#set(vsrHalfOffset(vsr.n, 0) >> 2, value);
    else if (id === IC && this.#file.has(IC_SPR)) this.#sprs.instructions = Number(BigInt.asUintN(53, value));
    else return false;
    // FSCR says what the processor lets problem state have.
    this.#context.refresh();
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
  const index = Number(id & 0xffffn);
  const n = index & 31;
  if (id === u64(index) && index >= FPR0 && index < VR0) return { n, whole: false };
  if (id !== (KVM_REG_PPC | SIZE_U128 | BigInt(index))) return undefined;
  if (index >= VR0 && index < VSR0) return { n: 32 + n, whole: true };
  return index >= VSR0 && index < VSR0 + 32 ? { n, whole: true } : undefined;
}
