/**
 * Privileged instructions of a 32-bit Book3S guest's kernel (The Programming Environments for 32-Bit Microprocessors, chapter
 * 8). A word is looked up by its extended opcode; what follows is one switch.
 */
import { isPrivilegedRegister } from '../../isa/registers/index.ts';
import { DSISR, SERVER_VECTOR, SR, SRR1_PROGRAM } from '../../processor/index.ts';
import { FPSCR_FEX, MSR, MSR_FE } from '../book3s/bits.ts';
import type { Book3sContext } from '../book3s/context.ts';
import type { Book3sInterrupts } from '../book3s/interrupts.ts';
import { W_FPSCR, W_GPR, W_HALTED, W_MSR, W_PC, W_SRR0, W_SRR1 } from '../book3s/layout.ts';
import { PAGE_4K } from '../book3s/mmu.ts';
import { operandAddress } from '../book3s/operand.ts';
import type { ShadowPages } from '../book3s/shadow.ts';
import { RESUME_GUEST } from '../family.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { HID0 } from './bits.ts';
import { W_SR, wordOf } from './layout.ts';
import type { HostSegments } from './segments.ts';
import type { ClassicSprEmulation } from './spr-emulation.ts';

/** Mnemonics, primary and extended opcodes of what is emulated; a row's index is its case below. */
const EMULATED_ROWS: readonly (readonly [mnemonic: string, primary: number, extended: number])[] = [
  ['illegal', 0, 0],
  ['rfi', 19, 50],
  ['mfmsr', 31, 83],
  ['mtmsr', 31, 146],
  ['mfspr', 31, 339],
  ['mtspr', 31, 467],
  ['mtsr', 31, 210],
  ['mtsrin', 31, 242],
  ['mfsr', 31, 595],
  ['mfsrin', 31, 659],
  ['tlbie', 31, 306],
  ['tlbia', 31, 370],
  ['tlbsync', 31, 566],
  ['dcbi', 31, 470],
  ['eciwx', 31, 310],
  ['ecowx', 31, 438],
  ['mftb', 31, 371],
  ['isync', 19, 150],
];

export const EMULATED_MNEMONICS: readonly string[] = EMULATED_ROWS.map(([mnemonic]) => mnemonic);

/** Row by primary opcode 19 (0–1023) or 31 (1024–2047) and extended opcode. */
const TABLE = new Uint8Array(2048);
for (const [index, [, primary, extended]] of EMULATED_ROWS.entries())
  if (index > 0) TABLE[(primary === 31 ? 1024 : 0) + extended] = index;

/** What rfi takes from SRR1: the bits that an interrupt saves there. */
export const RFI_BITS = 0x87c0_ffff | 0;
/** DSISR of eciwx and ecowx where EAR[E] is 0, as it always is. */
const DSISR_EXTERNAL = 0x0010_0000;
const W_HID0 = wordOf('hid0');

/** The number of the special register in a move's word. */
const sprOf = (word: number): number => ((word >>> 16) & 31) | ((word >>> 6) & 0x3e0);

export class ClassicEmulation {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #sprs: ClassicSprEmulation;
  readonly #segments: HostSegments;
  readonly #shadow: ShadowPages;
  readonly #counters: VcpuCounters;
  /** What of HID0 has MSR[POW] wait; 0: it does so by itself. */
  readonly #waits: number;
  readonly #operand = new Int32Array(2);

  constructor(
    context: Book3sContext,
    interrupts: Book3sInterrupts,
    sprs: ClassicSprEmulation,
    segments: HostSegments,
    shadow: ShadowPages,
    counters: VcpuCounters,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#sprs = sprs;
    this.#segments = segments;
    this.#shadow = shadow;
    this.#counters = counters;
    const { name } = context.model;
    this.#waits = name === '604' ? 0 : name === '750' || name === '7400' ? HID0.POWER : HID0.NAP | HID0.SLEEP;
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
    switch (row) {
      case 1: // rfi
        return this.#return();
      case 2: // mfmsr
        words[rt] = words[W_MSR] as number;
        break;
      case 3: // mtmsr
        context.step();
        return this.#setMsr(words[rt] as number);
      case 4: // mfspr
      case 16: // mftb
        return this.#moved(sprOf(word), this.#sprs.read(sprOf(word), rt));
      case 5: // mtspr
        return this.#moved(sprOf(word), this.#sprs.write(sprOf(word), words[rt] as number));
      case 6: // mtsr
        this.#setSegment((word >>> 16) & 15, words[rt] as number);
        break;
      case 7: // mtsrin
        this.#setSegment((words[rb] as number) >>> 28, words[rt] as number);
        break;
      case 8: // mfsr
        words[rt] = words[W_SR[(word >>> 16) & 15] as number] as number;
        break;
      case 9: // mfsrin
        words[rt] = words[W_SR[(words[rb] as number) >>> 28] as number] as number;
        break;
      case 10: // tlbie
        context.invalidate();
        // By the page's number in its segment, whichever segment that is.
        this.#shadow.dropVpn(((words[rb] as number) >>> 12) & 0xffff, 0, PAGE_4K);
        break;
      case 11: // tlbia
        if (context.model.name !== '604' && context.model.name !== '750') {
          context.invalidate();
          this.#shadow.dropAll();
          break;
        }
        return this.program(SRR1_PROGRAM.ILL);
      case 17: // isync, behind what an assist meaning has made of mtsr
        break;
      // Nothing here waits for other processors, and caches are always coherent with storage.
      case 12: // tlbsync
      case 13: // dcbi
        break;
      case 14: // eciwx
      case 15: // ecowx
        return this.#externalControl(word, row === 15);
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

  /** What problem state has, but the host does not: true if it was that. */
  emulateUser(): boolean {
    const context = this.#context;
    if (!context.fetch()) return false;
    const word = context.instruction;
    if (word >>> 26 !== 31) return false;
    switch ((word >>> 1) & 1023) {
      case 310:
      case 438:
        this.#externalControl(word, ((word >>> 1) & 1023) === 438);
        return true;
      case 339:
        if (!this.#sprs.read(sprOf(word), W_GPR + 2 * ((word >>> 21) & 31))) return false;
        break;
      case 467:
        if (!this.#sprs.write(sprOf(word), this.#words[W_GPR + 2 * ((word >>> 21) & 31)] as number)) return false;
        break;
      default:
        return false;
    }
    context.step();
    return true;
  }

  #setSegment(register: number, value: number): void {
    // Bits between N and the VSID are reserved; a direct-store segment has other fields.
    const kept = (value & SR.T) !== 0 ? value : value & (SR.KS | SR.KP | SR.N | SR.VSID);
    const word = W_SR[register] as number;
    if (this.#words[word] === kept) return;
    this.#words[word] = kept;
    this.#segments.isStale = true;
    this.#context.invalidate();
  }

  #externalControl(word: number, store: boolean): number {
    operandAddress(this.#words, word, this.#operand);
    const dsisr = DSISR_EXTERNAL | (store ? DSISR.ISSTORE : 0);
    this.#interrupts.takeWithAddress(SERVER_VECTOR.dataStorage, this.#operand[0] as number, 0, dsisr);
    return RESUME_GUEST;
  }

  /** After a move by the guest's kernel. */
  #moved(spr: number, done: boolean): number {
    if (!done)
      return this.program(isPrivilegedRegister(spr) && this.#context.user ? SRR1_PROGRAM.PRIV : SRR1_PROGRAM.ILL);
    this.#context.step();
    return RESUME_GUEST;
  }

  #refetch(): number {
    this.#interrupts.take(SERVER_VECTOR.instructionStorage, DSISR.NOHPTE);
    return RESUME_GUEST;
  }

  #return(): number {
    const words = this.#words;
    const msr = ((words[W_MSR] as number) & ~RFI_BITS) | ((words[W_SRR1] as number) & RFI_BITS);
    words[W_PC] = (words[W_SRR0] as number) & ~3;
    this.#context.completed = true;
    this.#context.setMsr(msr, 0);
    return this.#floatEnabled();
  }

  /** mtmsr; PC is the next instruction's. */
  #setMsr(value: number): number {
    this.#context.setMsr(value, 0);
    const waits = this.#waits === 0 || ((this.#words[W_HID0] as number) & this.#waits) !== 0;
    if ((value & MSR.POW) !== 0 && waits) this.#words[W_HALTED] = 1;
    return this.#floatEnabled();
  }

  /** MSR may let a floating-point exception interrupt that was enabled before it did. PC is the next instruction's. */
  #floatEnabled(): number {
    const words = this.#words;
    if (((words[W_MSR] as number) & MSR_FE) === 0 || ((words[W_FPSCR] as number) & FPSCR_FEX) === 0)
      return RESUME_GUEST;
    return this.program(SRR1_PROGRAM.FP | SRR1_PROGRAM.BEHIND);
  }
}
