/** KVM_GET/SET_REGS, SREGS and ONE_REG of a 32-bit Book3S vCPU (uapi asm/kvm.h). */
import { LEVELS_OF, vsrHalfOffset } from '../../processor/index.ts';
import { KVMPPC_INST_SW_BREAKPOINT, type KvmRegs, type KvmSregs } from '../api.ts';
import type { Book3sContext } from '../book3s/context.ts';
import type { Decrementer } from '../book3s/decrementer.ts';
import { indexOf, KVM_REG_PPC } from '../one-reg.ts';
import {
  readCr,
  readXer,
  SEGMENTS,
  W_CTR,
  W_DAR,
  W_FPSCR,
  W_GPR,
  W_LR,
  W_MSR,
  W_PC,
  W_SPRG,
  W_SPRG_HIGH,
  W_SR,
  W_SRR0,
  W_SRR1,
  W_USPRG0,
  W_VSCR,
  wordOf,
  writeCr,
  writeXer,
} from './layout.ts';
import { type ClassicSprs, classicSprs, SPECIAL } from './sprs.ts';

/** One-regs that are a word of the block: where, and the register's number where not all models have it. */
const WORDS: readonly (readonly [id: bigint, word: number, spr?: number])[] = [
  [KVM_REG_PPC.DABR, wordOf('dabr')],
  [KVM_REG_PPC.DAR, W_DAR],
  [KVM_REG_PPC.FPSCR, W_FPSCR],
  [KVM_REG_PPC.VSCR, W_VSCR, 256],
  [KVM_REG_PPC.VRSAVE, W_USPRG0, 256],
  [KVM_REG_PPC.MMCR0, wordOf('mmcr0')],
  [KVM_REG_PPC.MMCR1, wordOf('mmcr1'), 956],
  [KVM_REG_PPC.MMCR2, wordOf('mmcr2'), 944],
  [KVM_REG_PPC.PMC1, wordOf('pmc1')],
  [KVM_REG_PPC.PMC2, wordOf('pmc2')],
  [KVM_REG_PPC.PMC3, wordOf('pmc3'), 957],
  [KVM_REG_PPC.PMC4, wordOf('pmc4'), 958],
  [KVM_REG_PPC.PMC5, wordOf('pmc5'), 945],
  [KVM_REG_PPC.PMC6, wordOf('pmc6'), 946],
  [KVM_REG_PPC.SIAR, wordOf('siar')],
  [KVM_REG_PPC.SDAR, wordOf('sdar'), 959],
];
/** Of the sregs, those that regs or one-regs have. */
const ELSEWHERE: ReadonlySet<string> = new Set(['srr0', 'srr1', 'dar', 'vrsave', 'lr', 'ctr']);

export class ClassicRegisters {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #decrementer: Decrementer;
  readonly #onTranslation: () => void;
  readonly #onDebug: () => void;
  readonly #oneRegs: ReadonlyMap<bigint, number>;
  readonly #sregs: ReadonlyMap<string, number>;
  readonly #hasVectors: boolean;

  /** `onTranslation`: segments, BATs or the hash table were replaced; `onDebug`: registers of the debug facilities may have been. */
  constructor(context: Book3sContext, decrementer: Decrementer, onTranslation: () => void, onDebug: () => void) {
    const levels = LEVELS_OF[context.model.name];
    const table: ClassicSprs = classicSprs(levels);
    this.#words = context.words;
    this.#context = context;
    this.#decrementer = decrementer;
    this.#onTranslation = onTranslation;
    this.#onDebug = onDebug;
    this.#hasVectors = levels.has('vector');
    this.#oneRegs = new Map(
      WORDS.flatMap(([id, word, spr]) =>
        spr === undefined || table.special[spr] !== SPECIAL.NONE ? [[id, word] as const] : [],
      ),
    );
    const sregs = new Map<string, number>();
    for (const { name, word } of table.rows)
      if (word >= 0 && !ELSEWHERE.has(name) && !name.startsWith('sprg')) sregs.set(name, word);
    for (let n = 0; n < SEGMENTS; n++) sregs.set(`sr${n}`, W_SR[n] as number);
    this.#sregs = sregs;
  }

  getRegs(): KvmRegs {
    const words = this.#words;
    return {
      pc: this.#get(W_PC),
      cr: BigInt(readCr(words)),
      ctr: this.#get(W_CTR),
      lr: this.#get(W_LR),
      xer: BigInt(readXer(words) >>> 0),
      msr: this.#get(W_MSR),
      srr0: this.#get(W_SRR0),
      srr1: this.#get(W_SRR1),
      pid: 0n,
      sprg: [...W_SPRG, ...W_SPRG_HIGH].map((word) => this.#get(word)),
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
    for (const [n, word] of [...W_SPRG, ...W_SPRG_HIGH].entries()) this.#set(word, regs.sprg[n] ?? 0n);
    writeCr(words, Number(BigInt.asIntN(32, regs.cr)));
    writeXer(words, Number(BigInt.asIntN(32, regs.xer)));
    this.#context.setMsr(Number(BigInt.asIntN(32, regs.msr)), 0);
    this.#context.refresh();
  }

  /** Named as the registers, BATs ibatu0 … dbatl7; sr0 … sr15; pvr and dec. */
  getSregs(): KvmSregs {
    const sregs: KvmSregs = { pvr: 0, dec: this.#decrementer.read() >>> 0 };
    for (const [name, word] of this.#sregs) sregs[name] = (this.#words[word] as number) >>> 0;
    return sregs;
  }

  setSregs(sregs: Partial<KvmSregs>): void {
    for (const [name, value] of Object.entries(sregs)) {
      if (value === undefined) continue;
      const number = Number(BigInt.asIntN(32, BigInt(value)));
      const word = this.#sregs.get(name);
      if (word !== undefined) this.#words[word] = number;
      else if (name === 'dec') this.#decrementer.write(number);
    }
    this.#onTranslation();
    this.#onDebug();
  }

  getOneReg(id: bigint): bigint | undefined {
    const word = id === KVM_REG_PPC.DSISR ? this.#context.wDsisr : this.#oneRegs.get(id);
    if (word !== undefined) return this.#get(word);
    switch (id) {
      case KVM_REG_PPC.DEBUG_INST:
        return BigInt(KVMPPC_INST_SW_BREAKPOINT);
      case KVM_REG_PPC.TB_OFFSET:
        return BigInt.asUintN(64, BigInt(this.#decrementer.timebaseOffset));
      case KVM_REG_PPC.DEC_EXPIRY:
        return BigInt.asUintN(64, BigInt(this.#decrementer.expiry));
    }
    const fpr = indexOf(KVM_REG_PPC.FPR, id);
    if (fpr !== undefined) return this.#doubleword(fpr, 0);
    const vr = this.#hasVectors ? indexOf(KVM_REG_PPC.VR, id) : undefined;
    return vr === undefined ? undefined : (this.#doubleword(32 + vr, 0) << 64n) | this.#doubleword(32 + vr, 1);
  }

  setOneReg(id: bigint, value: bigint): boolean {
    const word = id === KVM_REG_PPC.DSISR ? this.#context.wDsisr : this.#oneRegs.get(id);
    const fpr = indexOf(KVM_REG_PPC.FPR, id);
    const vr = this.#hasVectors ? indexOf(KVM_REG_PPC.VR, id) : undefined;
    const number = Number(BigInt.asIntN(53, value));
    if (word !== undefined) this.#set(word, value);
    else if (fpr !== undefined) this.#setDoubleword(fpr, 0, value);
    else if (vr !== undefined) {
      this.#setDoubleword(32 + vr, 0, value >> 64n);
      this.#setDoubleword(32 + vr, 1, value);
    } else if (id === KVM_REG_PPC.TB_OFFSET) this.#decrementer.timebaseOffset = number;
    else if (id === KVM_REG_PPC.DEC_EXPIRY) this.#decrementer.expiry = number;
    else return false;
    this.#onDebug();
    return true;
  }

  #get(word: number): bigint {
    return BigInt((this.#words[word] as number) >>> 0);
  }

  #set(word: number, value: bigint): void {
    this.#words[word] = Number(BigInt.asIntN(32, value));
  }

  #doubleword(register: number, half: 0 | 1): bigint {
    const at = vsrHalfOffset(register, half) >> 2;
    return (this.#get(at + 1) << 32n) | this.#get(at);
  }

  #setDoubleword(register: number, half: 0 | 1, value: bigint): void {
    const at = vsrHalfOffset(register, half) >> 2;
    this.#set(at, value);
    this.#set(at + 1, value >> 32n);
  }
}
