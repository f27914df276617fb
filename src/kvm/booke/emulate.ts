/**
 * Privileged instructions of a Book E guest's kernel (PowerPC 440 User's Manual, "Instruction Set"; EREF; Book E for the
 * Embedded Environment). A word is looked up by its extended opcode; what follows is one switch, and another one of the
 * member's own.
 */
import { BOOKE_VECTOR, ESR } from '../../processor/index.ts';
import type { KvmRun } from '../api.ts';
import { RESUME_GUEST } from '../family.ts';
import type { MemorySlots } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { DEBUG_EVENT, MSR, MSR_FLOAT_INTERRUPTS } from './bits.ts';
import type { BookeContext } from './context.ts';
import type { BookeInterrupts } from './interrupts.ts';
import { W_CSRR0, W_CSRR1, W_GPR, W_MCSRR0, W_MCSRR1, W_MSR, W_PC, W_PID, W_SRR0, W_SRR1 } from './layout.ts';
import type { GuestTlb } from './mmu.ts';
import type { SprEmulation } from './spr-emulation.ts';

/** An emulated instruction: mnemonic, primary and extended opcode. A row's index is its case in the switches. */
export type EmulatedRow = readonly [mnemonic: string, primary: number, extended: number];

/** What all members have. */
const COMMON_ROWS: readonly EmulatedRow[] = [
  ['illegal', 0, 0],
  ['rfi', 19, 50],
  ['rfci', 19, 51],
  ['rfmci', 19, 38],
  ['mfmsr', 31, 83],
  ['mtmsr', 31, 146],
  ['wrtee', 31, 131],
  ['wrteei', 31, 163],
  ['mfspr', 31, 339],
  ['mtspr', 31, 467],
  ['tlbsync', 31, 566],
  ['dcbi', 31, 470],
  ['icbt', 31, 22],
  ['isync', 19, 150],
];

/** The first case of a member's own rows. */
export const OWN_CASE = COMMON_ROWS.length;

/** All rows of a member that has some of its own. */
export const emulatedRows = (own: readonly EmulatedRow[]): readonly EmulatedRow[] => [...COMMON_ROWS, ...own];

/** Case by primary opcode 19 (0–1023) or 31 (1024–2047) and extended opcode. */
export function opcodeTable(rows: readonly EmulatedRow[]): Uint8Array {
  const table = new Uint8Array(2048);
  for (const [index, [, primary, extended]] of rows.entries())
    if (index > 0) table[(primary === 31 ? 1024 : 0) + extended] = index;
  return table;
}

export abstract class BookeEmulation {
  protected readonly words: Int32Array;
  protected readonly context: BookeContext;
  protected readonly interrupts: BookeInterrupts;
  readonly #table: Uint8Array;
  readonly #sprs: SprEmulation;
  readonly #tlb: GuestTlb;
  protected readonly slots: MemorySlots;
  protected readonly counters: VcpuCounters;
  protected readonly run: KvmRun;

  constructor(
    context: BookeContext,
    interrupts: BookeInterrupts,
    sprs: SprEmulation,
    tlb: GuestTlb,
    slots: MemorySlots,
    counters: VcpuCounters,
    run: KvmRun,
    table: Uint8Array,
  ) {
    this.#table = table;
    this.words = context.words;
    this.context = context;
    this.interrupts = interrupts;
    this.#sprs = sprs;
    this.#tlb = tlb;
    this.slots = slots;
    this.counters = counters;
    this.run = run;
  }

  /** Emulates the instruction at PC, which the guest's kernel was not allowed to run by itself. `esr`: what the host said of it. */
  emulate(esr: number): number {
    const context = this.context;
    if (!context.fetch()) {
      // The guest's own translation of PC went away under it: it takes the miss that hardware would.
      this.interrupts.takeInstructionMiss();
      return RESUME_GUEST;
    }
    const words = this.words;
    const word = context.instruction;
    const primary = word >>> 26;
    const extended = (word >>> 1) & 1023;
    const row =
      primary === 31
        ? (this.#table[1024 + extended] as number)
        : primary === 19
          ? (this.#table[extended] as number)
          : 0;
    (this.counters.counts[COUNTER.emulated_inst_exits] as number)++;
    (this.counters.emulated[row] as number)++;
    const rt = W_GPR + 2 * ((word >>> 21) & 31);
    switch (row) {
      case 1: // rfi
        return this.#return(W_SRR0, W_SRR1);
      case 2: // rfci
        return this.#return(W_CSRR0, W_CSRR1);
      case 3: // rfmci
        return this.#return(W_MCSRR0, W_MCSRR1);
      case 4: // mfmsr
        words[rt] = words[W_MSR] as number;
        break;
      case 5: // mtmsr
        this.step();
        return this.#setMsr(words[rt] as number);
      case 6: // wrtee
        this.#setEe(words[rt] as number);
        break;
      case 7: // wrteei
        this.#setEe(word);
        break;
      case 8: // mfspr
        if (!this.#sprs.read(((word >>> 16) & 31) | ((word >>> 6) & 0x3e0), rt)) return this.program(ESR.PIL);
        break;
      case 9: {
        // mtspr
        const reason = this.#sprs.write(((word >>> 16) & 31) | ((word >>> 6) & 0x3e0), words[rt] as number);
        if (reason === RESUME_GUEST) break;
        if (reason < RESUME_GUEST) return this.program(ESR.PIL);
        this.step();
        return reason;
      }
      case 11: // dcbi
        if (!this.#dcbi(word)) return RESUME_GUEST;
        break;
      case 10: // tlbsync
      case 12: // icbt
      case 13: // isync: what was staged has been written before this
        break;
      case 0:
        return this.program(esr);
      default:
        return this.own(row, word, rt, esr);
    }
    context.step();
    return RESUME_GUEST;
  }

  /** An instruction of the member's own: its case, word, the GPR of its first operand and what the host said of it. */
  protected abstract own(row: number, word: number, rt: number, esr: number): number;

  /** Lets the entries take effect that assisted tlbwe has written. Called before anything looks at the TLB. */
  abstract applyTlbWrites(): void;

  /** Reflects a program interrupt to the guest. */
  program(esr: number): number {
    this.interrupts.takeWithSyndrome(BOOKE_VECTOR.program, esr);
    return RESUME_GUEST;
  }

  /** A floating-point exception of the instruction at PC. */
  abstract floatEnabled(): number;

  /** What problem state may read but the host traps (SPRG4-7 by their user numbers): true if it was that. */
  emulateUser(): boolean {
    const context = this.context;
    if (!context.fetch()) return false;
    const word = context.instruction;
    if (word >>> 26 !== 31 || ((word >>> 1) & 1023) !== 339) return false;
    const spr = ((word >>> 16) & 31) | ((word >>> 6) & 0x3e0);
    if (!this.#sprs.isUser(spr) || !this.#sprs.read(spr, W_GPR + 2 * ((word >>> 21) & 31))) return false;
    this.step();
    return true;
  }

  protected step(): void {
    this.context.step();
  }

  #return(address: number, status: number): number {
    const words = this.words;
    const interrupts = this.interrupts;
    // In internal debug mode, a return from a critical interrupt is no event while debug interrupts are put out.
    const isEvent = address === W_SRR0 || ((words[W_MSR] as number) & MSR.DE) !== 0 || !this.context.debugsInternally;
    if (isEvent && interrupts.enabledEvents(DEBUG_EVENT.RET) !== 0 && interrupts.debugEvent(DEBUG_EVENT.RET))
      return RESUME_GUEST;
    words[W_PC] = (words[address] as number) & ~3;
    this.context.completed = true;
    return this.#setMsr(words[status] as number);
  }

  /** Writes MSR, PC being where the guest goes on: an exception of the unit that it no longer ignores comes late. */
  #setMsr(value: number): number {
    const context = this.context;
    const ignored = ((this.words[W_MSR] as number) & MSR_FLOAT_INTERRUPTS) === 0;
    context.setMsr(value);
    return ignored && context.floatEnabled ? this.program(ESR.FP | ESR.PIE) : RESUME_GUEST;
  }

  /** MSR[EE] from the bit of the same place: EE changes no context. */
  #setEe(value: number): void {
    const words = this.words;
    words[W_MSR] = ((words[W_MSR] as number) & ~MSR.EE) | (value & MSR.EE);
  }

  /** dcbi has nothing to invalidate, but its operand must be mapped for writing. False: an interrupt was taken. */
  #dcbi(word: number): boolean {
    const words = this.words;
    const address = this.indexedAddress(word);
    const msr = words[W_MSR] as number;
    const index = this.#tlb.search(address, words[W_PID] as number, (msr & MSR.DS) !== 0 ? 1 : 0);
    if (index >= 0) return true;
    this.interrupts.takeDataMiss(address, ESR.ST);
    return false;
  }

  protected indexedAddress(word: number): number {
    const words = this.words;
    const ra = (word >>> 16) & 31;
    const base = ra === 0 ? 0 : (words[W_GPR + 2 * ra] as number);
    return (base + (words[W_GPR + 2 * ((word >>> 11) & 31)] as number)) | 0;
  }
}
