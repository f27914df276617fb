/** KVM_GET/SET_REGS, SREGS and ONE_REG of a BookE vCPU (uapi asm/kvm.h). */
import { ACCUMULATOR, fprOffset } from '../../processor/index.ts';
import { KVMPPC_INST_SW_BREAKPOINT, type KvmRegs, type KvmSregs } from '../api.ts';
import { indexOf, KVM_REG_PPC } from '../one-reg.ts';
import type { BookeContext } from './context.ts';
import type { BookeInterrupts } from './interrupts.ts';
import {
  readCr,
  readXer,
  W_CTR,
  W_DEAR,
  W_FPSCR,
  W_GPR,
  W_LR,
  W_MAS0,
  W_MAS1,
  W_MAS4,
  W_MAS6,
  W_MSR,
  W_PC,
  W_PID,
  W_PIR,
  W_PVR,
  W_SPRG,
  W_SRR0,
  W_SRR1,
  wordOf,
  writeCr,
  writeXer,
} from './layout.ts';
import { SPRS_E500, type SprTable } from './sprs.ts';
import type { BookeTimers } from './timers.ts';

/** What SPE has beside: the upper halves of the general registers, as gdb calls them, and the halves of the accumulator. */
const SPE_REGISTERS: readonly (readonly [string, number])[] = [
  ...Array.from({ length: 32 }, (_, n) => [`ev${n}h`, W_GPR + 2 * n + 1] as const),
  ['acch', (ACCUMULATOR >> 2) + 1],
  ['accl', ACCUMULATOR >> 2],
];

/** Sregs: every special register with a word of its own that KVM_GET_REGS has not. */
const sregsOf = (table: SprTable): ReadonlyMap<string, number> =>
  new Map([
    ...(table === SPRS_E500 ? SPE_REGISTERS : []),
    ...table.rows
      .filter((row) => row.word >= 0 && !/^(lr|ctr|srr[01]|pid|sprg\dr?)$/.test(row.name))
      .map((row) => [row.name, row.word] as const),
    ['pvr', W_PVR],
    ['pir', W_PIR],
  ]);

/** One-regs that are a word and nothing else. */
export type OneRegs = ReadonlyMap<bigint, number>;
export const COMMON_ONE_REGS: readonly (readonly [bigint, number])[] = [
  [KVM_REG_PPC.IAC1, wordOf('iac1')],
  [KVM_REG_PPC.IAC2, wordOf('iac2')],
  [KVM_REG_PPC.DAC1, wordOf('dac1')],
  [KVM_REG_PPC.DAC2, wordOf('dac2')],
  [KVM_REG_PPC.DAR, W_DEAR],
  [KVM_REG_PPC.DBSR, wordOf('dbsr')],
];
export const ONE_REGS_440: OneRegs = new Map([
  ...COMMON_ONE_REGS,
  [KVM_REG_PPC.IAC3, wordOf('iac3')],
  [KVM_REG_PPC.IAC4, wordOf('iac4')],
  [KVM_REG_PPC.FPSCR, W_FPSCR],
]);

export const ONE_REGS_E500: OneRegs = new Map([
  ...COMMON_ONE_REGS,
  [KVM_REG_PPC.MAS0, W_MAS0],
  [KVM_REG_PPC.MAS1, W_MAS1],
  [KVM_REG_PPC.MAS4, W_MAS4],
  [KVM_REG_PPC.MAS6, W_MAS6],
  [KVM_REG_PPC.MMUCFG, wordOf('mmucfg')],
  [KVM_REG_PPC.TLB0CFG, wordOf('tlb0cfg')],
  [KVM_REG_PPC.TLB1CFG, wordOf('tlb1cfg')],
  [KVM_REG_PPC.EPR, wordOf('epr')],
]);

const TWO_WORDS = 2;
const W_ACCUMULATOR = ACCUMULATOR >> 2;

export class BookeRegisters {
  readonly #words: Int32Array;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  readonly #timers: BookeTimers;
  /** Registers of the debug facility may have been written. */
  readonly #onDebug: () => void;
  readonly #sregs: ReadonlyMap<string, number>;
  readonly #oneRegs: OneRegs;
  /** General registers have 64 bits, and there is an accumulator: SPE's. */
  readonly #isWide: boolean;

  constructor(
    table: SprTable,
    oneRegs: OneRegs,
    context: BookeContext,
    interrupts: BookeInterrupts,
    timers: BookeTimers,
    onDebug: () => void,
    isWide = false,
  ) {
    this.#isWide = isWide;
    this.#sregs = sregsOf(table);
    this.#oneRegs = oneRegs;
    this.#onDebug = onDebug;
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#timers = timers;
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
      pid: this.#get(W_PID),
      sprg: W_SPRG.map((word) => this.#get(word)),
      gpr: Array.from({ length: 32 }, (_, n) => this.#general(n)),
    };
  }

  setRegs(regs: KvmRegs): void {
    const words = this.#words;
    this.#set(W_PC, regs.pc & ~3n);
    this.#set(W_CTR, regs.ctr);
    this.#set(W_LR, regs.lr);
    this.#set(W_SRR0, regs.srr0);
    this.#set(W_SRR1, regs.srr1);
    for (let n = 0; n < 32; n++) {
      const value = regs.gpr[n] ?? 0n;
      this.#set(W_GPR + TWO_WORDS * n, value);
      if (this.#isWide) this.#set(W_GPR + TWO_WORDS * n + 1, value >> 32n);
    }
    for (const [n, word] of W_SPRG.entries()) this.#set(word, regs.sprg[n] ?? 0n);
    writeCr(words, Number(BigInt.asIntN(32, regs.cr)));
    writeXer(words, Number(BigInt.asIntN(32, regs.xer)));
    this.#context.setPid(Number(BigInt.asUintN(8, regs.pid)));
    this.#context.setMsr(Number(BigInt.asIntN(32, regs.msr)));
    this.#context.select();
  }

  getSregs(): KvmSregs {
    this.#timers.update();
    const sregs: KvmSregs = { pvr: 0 };
    for (const [name, word] of this.#sregs) sregs[name] = (this.#words[word] as number) >>> 0;
    sregs['dec'] = this.#timers.readDec() >>> 0;
    if (this.#isWide) sregs['acc'] = (this.#get(W_ACCUMULATOR + 1) << 32n) | this.#get(W_ACCUMULATOR);
    return sregs;
  }

  setSregs(sregs: Partial<KvmSregs>): void {
    for (const [name, given] of Object.entries(sregs)) {
      if (name === 'acc' && this.#isWide && given !== undefined) {
        this.#set(W_ACCUMULATOR, BigInt(given));
        this.#set(W_ACCUMULATOR + 1, BigInt(given) >> 32n);
        continue;
      }
      const word = this.#sregs.get(name);
      if (word === undefined || given === undefined) continue;
      const value = Number(given);
      if (name === 'tcr') this.#timers.writeTcr(value | 0);
      else if (name === 'tsr') this.#timers.writeTsr(value | 0);
      else if (name === 'dec') this.#timers.writeDec(value | 0);
      else this.#words[word] = value;
    }
    this.#context.refreshUnits();
    this.#context.pidsChanged();
    this.#interrupts.refreshTimers();
    this.#onDebug();
  }

  getOneReg(id: bigint): bigint | undefined {
    if (id === KVM_REG_PPC.TCR) return this.#get(wordOf('tcr'));
    if (id === KVM_REG_PPC.TSR) return BigInt(this.#timers.readTsr() >>> 0);
    if (id === KVM_REG_PPC.TB_OFFSET) return BigInt.asUintN(64, BigInt(this.#timers.timebaseOffset));
    if (id === KVM_REG_PPC.DEBUG_INST) return BigInt(KVMPPC_INST_SW_BREAKPOINT);
    const fpr = this.#fprOf(id);
    if (fpr !== undefined) return (this.#get(fpr + 1) << 32n) | this.#get(fpr);
    const word = this.#oneRegs.get(id);
    return word === undefined ? undefined : this.#get(word);
  }

  setOneReg(id: bigint, value: bigint): boolean {
    const low = Number(BigInt.asIntN(32, value));
    switch (id) {
      case KVM_REG_PPC.TCR:
        this.#timers.writeTcr(low);
        return true;
      case KVM_REG_PPC.TSR:
        this.#timers.writeTsr(low);
        return true;
      case KVM_REG_PPC.TB_OFFSET:
        this.#timers.moveTimebase(Number(BigInt.asIntN(53, value)) - this.#timers.timebaseOffset);
        return true;
      case KVM_REG_PPC.OR_TSR:
        this.#timers.writeTsr(this.#timers.readTsr() | low);
        return true;
      case KVM_REG_PPC.CLEAR_TSR:
        this.#timers.clearTsr(low);
        return true;
      default: {
        const fpr = this.#fprOf(id);
        if (fpr !== undefined) this.#set(fpr + 1, value >> 32n);
        const word = fpr ?? this.#oneRegs.get(id);
        if (word !== undefined) this.#words[word] = low;
        this.#onDebug();
        return word !== undefined;
      }
    }
  }

  /** The word of the FPR that a one-reg names, its high word behind it. */
  #fprOf(id: bigint): number | undefined {
    if (!this.#oneRegs.has(KVM_REG_PPC.FPSCR)) return undefined;
    const n = indexOf(KVM_REG_PPC.FPR, id);
    return n === undefined ? undefined : fprOffset(n) >> 2;
  }

  #general(n: number): bigint {
    const low = this.#get(W_GPR + TWO_WORDS * n);
    return this.#isWide ? (this.#get(W_GPR + TWO_WORDS * n + 1) << 32n) | low : low;
  }

  #get(word: number): bigint {
    return BigInt((this.#words[word] as number) >>> 0);
  }

  #set(word: number, value: bigint): void {
    this.#words[word] = Number(BigInt.asIntN(32, value));
  }
}
