/**
 * Privileged instructions of a Book3S 64 guest's kernel (Power ISA 2.07 Book III-S). A word is looked up by its extended
 * opcode; what follows is one switch.
 */
import { FACILITY } from '../../isa/registers/index.ts';
import { SERVER_VECTOR, SRR1_PROGRAM } from '../../processor/index.ts';
import { FPSCR_FEX, MSR, MSR_FE, MSR_KEPT, MSR_L1, MSR_SF } from '../book3s/bits.ts';
import type { Book3sContext } from '../book3s/context.ts';
import type { Book3sInterrupts } from '../book3s/interrupts.ts';
import {
  W_CFAR,
  W_CR,
  W_FPSCR,
  W_FSCR,
  W_GPR,
  W_HALTED,
  W_MSR,
  W_PAPR,
  W_PC,
  W_SRR0,
  W_SRR1,
  W_XER_SO,
} from '../book3s/layout.ts';
import { RESUME_GUEST } from '../family.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import type { PerformanceMonitor } from './performance.ts';
import type { SegmentEmulation } from './segments.ts';
import { SPR_MOVE, type SprEmulation } from './spr-emulation.ts';

/** Mnemonics, primary and extended opcodes of what is emulated; a row's index is its case below. */
export const EMULATED_ROWS: readonly (readonly [mnemonic: string, primary: number, extended: number])[] = [
  ['illegal', 0, 0],
  ['rfid', 19, 18],
  ['rfi', 19, 50],
  ['mfmsr', 31, 83],
  ['mtmsr', 31, 146],
  ['mtmsrd', 31, 178],
  ['mfspr', 31, 339],
  ['mtspr', 31, 467],
  ['slbmte', 31, 402],
  ['slbie', 31, 434],
  ['slbia', 31, 498],
  ['slbmfev', 31, 851],
  ['slbmfee', 31, 915],
  ['slbfee', 31, 979],
  ['tlbie', 31, 306],
  ['tlbiel', 31, 274],
  ['tlbsync', 31, 566],
  ['mtsr', 31, 210],
  ['mtsrin', 31, 242],
  ['mfsr', 31, 595],
  ['mfsrin', 31, 659],
  ['eieio', 31, 854],
  ['sc', 31, 308],
  ['rfebb', 19, 146],
  ['mfbhrbe', 31, 302],
  ['clrbhrb', 31, 430],
];

export const EMULATED_MNEMONICS: readonly string[] = EMULATED_ROWS.map(([mnemonic]) => mnemonic);

/** Row by primary opcode 19 (0–1023) or 31 (1024–2047) and extended opcode. */
const TABLE = new Uint8Array(2048);
for (const [index, [, primary, extended]] of EMULATED_ROWS.entries())
  if (index > 0) TABLE[(primary === 31 ? 1024 : 0) + extended] = index;

/** mtmsrd, mtmsr: L. */
const L_BIT = 0x10000;
/** rfebb's S: what becomes of BESCR[GE]. */
const EBB_S = 0x800;

/** Extended opcodes of what reads the branch history, and of what clears it. */
const MFBHRBE = 302;
const CLRBHRB = 430;

/** The number of the special register in a move's word. */
const sprOf = (word: number): number => ((word >>> 16) & 31) | ((word >>> 6) & 0x3e0);

export class Book3sEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #sprs: SprEmulation;
  readonly #segments: SegmentEmulation;
  readonly #monitor: PerformanceMonitor;
  readonly #counters: VcpuCounters;
  /** Serves sc 1 of a guest whose system calls cannot make hypercalls. */
  readonly #hypercall: () => number;

  constructor(
    context: Book3sContext,
    interrupts: Book3sInterrupts,
    sprs: SprEmulation,
    segments: SegmentEmulation,
    monitor: PerformanceMonitor,
    counters: VcpuCounters,
    hypercall: () => number,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#sprs = sprs;
    this.#segments = segments;
    this.#monitor = monitor;
    this.#counters = counters;
    this.#hypercall = hypercall;
  }

  /** Emulates the instruction at PC, which the guest's kernel was not allowed to run by itself. */
  emulate(): number {
    const context = this.#context;
    // When the guest's own translation of PC went away under it, fetching again tells what hardware would have said.
    if (!context.fetch()) return this.#refetch();
    const words = this.#words;
    const word = context.instruction;
    const primary = word >>> 26;
    const extended = (word >>> 1) & 1023;
    const row = primary === 31 ? (TABLE[1024 + extended] as number) : primary === 19 ? (TABLE[extended] as number) : 0;
    (this.#counters.counts[COUNTER.emulated_inst_exits] as number)++;
    (this.#counters.emulated[row] as number)++;
    const rt = W_GPR + 2 * ((word >>> 21) & 31);
    const rb = W_GPR + 2 * ((word >>> 11) & 31);
    const segments = this.#segments;
    switch (row) {
      case 1: // rfid
      case 2: // rfi
        return this.#return();
      case 3: // mfmsr
        words[rt] = words[W_MSR] as number;
        words[rt + 1] = words[W_MSR + 1] as number;
        break;
      case 4: // mtmsr
        context.step();
        return this.#setMsr(word, words[rt] as number, words[W_MSR + 1] as number);
      case 5: // mtmsrd
        context.step();
        return this.#setMsr(word, words[rt] as number, words[rt + 1] as number);
      case 6: // mfspr
        return this.#moved(sprOf(word), this.#sprs.read(sprOf(word), rt));
      case 7: // mtspr
        return this.#moved(sprOf(word), this.#sprs.write(sprOf(word), words[rt] as number, words[rt + 1] as number));
      case 8: // slbmte
        segments.slbmte(words[rb] as number, words[rb + 1] as number, words[rt] as number, words[rt + 1] as number);
        break;
      case 9: // slbie
        segments.slbie(words[rb] as number, words[rb + 1] as number);
        break;
      case 10: // slbia
        segments.slbia();
        break;
      case 11: // slbmfev
        segments.slbmfev(words[rb] as number, rt);
        break;
      case 12: // slbmfee
        segments.slbmfee(words[rb] as number, rt);
        break;
      case 13: // slbfee.
        words[W_CR] =
          (segments.slbfee(words[rb] as number, words[rb + 1] as number, rt) ? 2 : 0) | (words[W_XER_SO] as number);
        break;
      case 14: // tlbie
      case 15: // tlbiel
        segments.tlbie(words[rb] as number, words[rb + 1] as number, word, row === 15);
        break;
      case 17: // mtsr
        segments.mtsr((word >>> 16) & 15, words[rt] as number);
        break;
      case 18: // mtsrin
        segments.mtsr((words[rb] as number) >>> 28, words[rt] as number);
        break;
      case 19: // mfsr
        words[rt] = segments.mfsr((word >>> 16) & 15);
        words[rt + 1] = 0;
        break;
      case 20: // mfsrin
        words[rt] = segments.mfsr((words[rb] as number) >>> 28);
        words[rt + 1] = 0;
        break;
      // Nothing here waits for other processors.
      case 16: // tlbsync
      case 21: // eieio
        break;
      case 22: // sc 1 in disguise, of guests whose firmware runs where system calls are the host's own
        if (words[W_PAPR] === 0) return this.program(SRR1_PROGRAM.ILL);
        context.step();
        return this.#hypercall();
      case 23: // rfebb
        if (!this.#monitor.branches) return this.program(SRR1_PROGRAM.ILL);
        this.#returnFromBranch(word);
        return RESUME_GUEST;
      case 24: // mfbhrbe
      case 25: // clrbhrb
        if (!this.#monitor.branches) return this.program(SRR1_PROGRAM.ILL);
        this.#branchHistory(extended, rt);
        break;
      default:
        return this.program(SRR1_PROGRAM.ILL);
    }
    context.step();
    return RESUME_GUEST;
  }

  /** Reflects a program interrupt to the guest. */
  program(flags: number): number {
    this.#interrupts.program(flags);
    return RESUME_GUEST;
  }

  /** Special registers that problem state has, but the host does not: true if it was a move of one. */
  emulateUser(): boolean {
    const context = this.#context;
    if (!context.fetch()) return false;
    const word = context.instruction;
    const extended = (word >>> 1) & 1023;
    if (word >>> 26 === 19 && extended === 146) return this.#emulateUserReturn(word);
    if (word >>> 26 !== 31) return false;
    const words = this.#words;
    const rt = W_GPR + 2 * ((word >>> 21) & 31);
    if (extended === MFBHRBE || extended === CLRBHRB) return this.#emulateUserHistory(extended, rt);
    if (extended !== 339 && extended !== 467) return false;
    const result =
      extended === 339
        ? this.#sprs.read(sprOf(word), rt)
        : this.#sprs.write(sprOf(word), words[rt] as number, words[rt + 1] as number);
    if (result === SPR_MOVE.FACILITY) {
      this.#interrupts.facilityUnavailable(this.#sprs.facility);
      return true;
    }
    if (result !== SPR_MOVE.DONE) return false;
    context.step();
    return true;
  }

  /** rfebb of problem state. */
  #emulateUserReturn(word: number): boolean {
    if (!this.#monitor.branches) return false;
    if (((this.#words[W_FSCR] as number) & (1 << FACILITY.eventBasedBranch)) === 0)
      this.#interrupts.facilityUnavailable(FACILITY.eventBasedBranch);
    else this.#returnFromBranch(word);
    return true;
  }

  /** The branch history of problem state, which has it where MMCR0[PMCC] lets it write the monitor's registers (9.4.4). */
  #emulateUserHistory(extended: number, rt: number): boolean {
    if (!this.#monitor.branches) return false;
    if (!this.#monitor.opensHistory) {
      this.#interrupts.facilityUnavailable(FACILITY.performanceMonitor);
      return true;
    }
    this.#branchHistory(extended, rt);
    this.#context.step();
    return true;
  }

  /** No branches are noted: the history is empty, each of its entries zero (Book III-S, 9.5). */
  #branchHistory(extended: number, rt: number): void {
    if (extended !== MFBHRBE) return;
    this.#words[rt] = 0;
    this.#words[rt + 1] = 0;
  }

  #returnFromBranch(word: number): void {
    this.#context.completed = true;
    this.#monitor.returnFromBranch((word & EBB_S) !== 0);
  }

  /** After a move by the guest's kernel. A number without a register does nothing, but for those that never had one. */
  #moved(spr: number, result: number): number {
    if (result === SPR_MOVE.FORBIDDEN) return this.program(SRR1_PROGRAM.PRIV);
    if (result === SPR_MOVE.UNKNOWN && (spr === 0 || (spr >= 4 && spr <= 6))) return this.program(SRR1_PROGRAM.ILL);
    this.#context.step();
    return RESUME_GUEST;
  }

  #refetch(): number {
    this.#interrupts.take(SERVER_VECTOR.instructionStorage, 0x4000_0000);
    return RESUME_GUEST;
  }

  #return(): number {
    const words = this.#words;
    const status = W_SRR1;
    const low = words[status] as number;
    const high = words[status + 1] as number;
    // A 970 has no CFAR to read this from.
    words[W_CFAR] = words[W_PC] as number;
    words[W_CFAR + 1] = words[W_PC + 1] as number;
    words[W_PC] = (words[W_SRR0] as number) & ~3;
    words[W_PC + 1] = (high & MSR_SF) === 0 ? 0 : (words[W_SRR0 + 1] as number);
    this.#context.completed = true;
    this.#context.setMsr((low & ~MSR.ME) | ((words[W_MSR] as number) & MSR.ME), high);
    return this.#floatEnabled();
  }

  /** mtmsr and mtmsrd; PC is the next instruction's. */
  #setMsr(word: number, low: number, high: number): number {
    const words = this.#words;
    const msr = words[W_MSR] as number;
    if ((word & L_BIT) !== 0) {
      words[W_MSR] = (msr & ~MSR_L1) | (low & MSR_L1);
      return RESUME_GUEST;
    }
    this.#context.setMsr((low & ~MSR_KEPT) | (msr & MSR_KEPT), high);
    if ((high & MSR_SF) === 0) words[W_PC + 1] = 0;
    // MSR[POW]: the guest waits for an interrupt.
    if ((low & MSR.POW) !== 0) words[W_HALTED] = 1;
    return this.#floatEnabled();
  }

  /** MSR may let a floating-point exception interrupt that was enabled before it did (Book III-S, 6.5.9). PC is the next instruction's. */
  #floatEnabled(): number {
    const words = this.#words;
    if (((words[W_MSR] as number) & MSR_FE) === 0 || ((words[W_FPSCR] as number) & FPSCR_FEX) === 0)
      return RESUME_GUEST;
    return this.program(SRR1_PROGRAM.FP | SRR1_PROGRAM.BEHIND);
  }
}
