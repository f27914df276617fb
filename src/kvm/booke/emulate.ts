/**
 * Privileged instructions of a 440 guest's kernel (PowerPC 440 User's Manual, "Instruction Set"; Book E for the Embedded
 * Environment). A word is looked up by its extended opcode; what follows is one switch.
 */
import { BOOKE_VECTOR, ESR, TLB44X } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { RESUME_GUEST } from '../family.ts';
import type { MemorySlots } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { IO } from '../storage.ts';
import { type GuestTlb440, permissions } from './44x/mmu.ts';
import { type Shadow440, USE } from './44x/shadow.ts';
import { DEBUG_EVENT, MMUCR_STID, MMUCR_STS, MSR, MSR_FLOAT_INTERRUPTS } from './bits.ts';
import type { BookeContext } from './context.ts';
import type { BookeInterrupts } from './interrupts.ts';
import {
  GUEST_TLB_ENTRIES,
  W_CR,
  W_CSRR0,
  W_CSRR1,
  W_GPR,
  W_IO_KIND,
  W_IO_REGISTER,
  W_MCSRR0,
  W_MCSRR1,
  W_MMUCR,
  W_MSR,
  W_PC,
  W_PID,
  W_SRR0,
  W_SRR1,
  W_TLB_COMPLETED,
  W_TLB_WRITTEN,
  W_XER_SO,
} from './layout.ts';
import type { SprEmulation } from './spr-emulation.ts';

/** Mnemonics, extended opcodes and primary opcodes of what is emulated; a row's index is its case below. */
export const EMULATED_ROWS: readonly (readonly [mnemonic: string, primary: number, extended: number])[] = [
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
  ['mfdcr', 31, 323],
  ['mtdcr', 31, 451],
  ['mfdcrx', 31, 259],
  ['mtdcrx', 31, 387],
  ['tlbwe', 31, 978],
  ['tlbre', 31, 946],
  ['tlbsx', 31, 914],
  ['tlbsync', 31, 566],
  ['dcbi', 31, 470],
  ['dccci', 31, 454],
  ['iccci', 31, 966],
  ['dcread', 31, 486],
  ['icread', 31, 998],
  ['icbt', 31, 22],
  ['isync', 19, 150],
];

export const EMULATED_MNEMONICS: readonly string[] = EMULATED_ROWS.map(([mnemonic]) => mnemonic);

/** Row by primary opcode 19 (0–1023) or 31 (1024–2047) and extended opcode. */
const TABLE = new Uint8Array(2048);
for (const [index, [, primary, extended]] of EMULATED_ROWS.entries())
  if (index > 0) TABLE[(primary === 31 ? 1024 : 0) + extended] = index;

/** Extended opcodes of the comparisons. */
const FCMPU = 0;
const FCMPO = 32;

/** A guest entry at most this large (64 KB) gets its shadow with tlbwe; pinned ones wait for the first access. */
const EAGER_SIZE = 3;

/** ESR[PCRE,PCMP,PCRF] of a floating-point instruction: whether it writes a CR field, as a comparison, and which. */
function crUpdate(word: number): number {
  const extended = (word >>> 1) & 1023;
  if (word >>> 26 === 63 && (extended === FCMPU || extended === FCMPO))
    return ESR.PCRE | ESR.PCMP | ((word >>> 23) & ESR.PCRF);
  return (word & 1) === 0 ? 0 : ESR.PCRE | 1;
}

export class BookeEmulation {
  readonly #words: Int32Array;
  readonly #context: BookeContext;
  readonly #interrupts: BookeInterrupts;
  readonly #sprs: SprEmulation;
  readonly #tlb: GuestTlb440;
  readonly #shadow: Shadow440;
  readonly #slots: MemorySlots;
  readonly #counters: VcpuCounters;
  readonly #run: KvmRun;

  constructor(
    context: BookeContext,
    interrupts: BookeInterrupts,
    sprs: SprEmulation,
    tlb: GuestTlb440,
    shadow: Shadow440,
    slots: MemorySlots,
    counters: VcpuCounters,
    run: KvmRun,
  ) {
    this.#words = context.words;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#sprs = sprs;
    this.#tlb = tlb;
    this.#shadow = shadow;
    this.#slots = slots;
    this.#counters = counters;
    this.#run = run;
  }

  /** Emulates the instruction at PC, which the guest's kernel was not allowed to run by itself. `esr`: what the host said of it. */
  emulate(esr: number): number {
    const context = this.#context;
    if (!context.fetch()) {
      // The guest's own translation of PC went away under it: it takes the miss that hardware would.
      this.#interrupts.take(BOOKE_VECTOR.instructionTlbError);
      return RESUME_GUEST;
    }
    const words = this.#words;
    const word = context.instruction;
    const primary = word >>> 26;
    const extended = (word >>> 1) & 1023;
    const row = primary === 31 ? (TABLE[1024 + extended] as number) : primary === 19 ? (TABLE[extended] as number) : 0;
    (this.#counters.counts[COUNTER.emulated_inst_exits] as number)++;
    (this.#counters.emulated[row] as number)++;
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
        this.#step();
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
        this.#step();
        return reason;
      }
      case 10: // mfdcr
        return this.#dcrRead(((word >>> 16) & 31) | ((word >>> 6) & 0x3e0), (word >>> 21) & 31);
      case 11: // mtdcr
        return this.#dcrWrite(((word >>> 16) & 31) | ((word >>> 6) & 0x3e0), words[rt] as number);
      case 12: // mfdcrx
        return this.#dcrRead((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 1023, (word >>> 21) & 31);
      case 13: // mtdcrx
        return this.#dcrWrite((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 1023, words[rt] as number);
      case 14: // tlbwe
        if (((word >>> 11) & 31) > 2) return this.program(ESR.PIL);
        this.#tlbwe((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 63, (word >>> 11) & 31, words[rt] as number);
        break;
      case 15: // tlbre
        if (((word >>> 11) & 31) > 2) return this.program(ESR.PIL);
        words[rt] = this.#tlbre((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 63, (word >>> 11) & 31);
        break;
      case 16: // tlbsx
        this.#tlbsx(word, rt);
        break;
      case 18: // dcbi
        if (!this.#dcbi(word)) return RESUME_GUEST;
        break;
      case 21: // dcread
        words[rt] = 0;
        break;
      // Nothing here has a cache to manage.
      case 17: // tlbsync
      case 19: // dccci
      case 20: // iccci
      case 22: // icread
      case 23: // icbt
      case 24: // isync: what was staged has been written before this
        break;
      default:
        return this.program(esr);
    }
    context.step();
    return RESUME_GUEST;
  }

  /** Reflects a program interrupt to the guest. */
  program(esr: number): number {
    this.#interrupts.takeWithSyndrome(BOOKE_VECTOR.program, esr);
    return RESUME_GUEST;
  }

  /** A floating-point exception of the instruction at PC: ESR tells what of the CR it writes. */
  floatEnabled(): number {
    return this.program(ESR.FP | (this.#context.fetch() ? crUpdate(this.#context.instruction) : 0));
  }

  /** What problem state may read but the host traps (SPRG4-7 by their user numbers): true if it was that. */
  emulateUser(): boolean {
    const context = this.#context;
    if (!context.fetch()) return false;
    const word = context.instruction;
    if (word >>> 26 !== 31 || ((word >>> 1) & 1023) !== 339) return false;
    const spr = ((word >>> 16) & 31) | ((word >>> 6) & 0x3e0);
    if (!this.#sprs.isUser(spr) || !this.#sprs.read(spr, W_GPR + 2 * ((word >>> 21) & 31))) return false;
    this.#step();
    return true;
  }

  #step(): void {
    this.#context.step();
  }

  #return(address: number, status: number): number {
    const words = this.#words;
    const interrupts = this.#interrupts;
    if (interrupts.enabledEvents(DEBUG_EVENT.RET) !== 0 && interrupts.debugEvent(DEBUG_EVENT.RET)) return RESUME_GUEST;
    words[W_PC] = (words[address] as number) & ~3;
    this.#context.completed = true;
    return this.#setMsr(words[status] as number);
  }

  /** Writes MSR, PC being where the guest goes on: an exception of the unit that it no longer ignores comes late. */
  #setMsr(value: number): number {
    const context = this.#context;
    const ignored = ((this.#words[W_MSR] as number) & MSR_FLOAT_INTERRUPTS) === 0;
    context.setMsr(value);
    return ignored && context.floatEnabled ? this.program(ESR.FP | ESR.PIE) : RESUME_GUEST;
  }

  /** MSR[EE] from the bit of the same place: EE changes no context. */
  #setEe(value: number): void {
    const words = this.#words;
    words[W_MSR] = ((words[W_MSR] as number) & ~MSR.EE) | (value & MSR.EE);
  }

  #dcrRead(dcrn: number, register: number): number {
    const { dcr } = this.#run;
    (this.#counters.counts[COUNTER.dcr_exits] as number)++;
    dcr.dcrn = dcrn;
    dcr.isWrite = false;
    dcr.data = 0;
    this.#words[W_IO_KIND] = IO.DCR;
    this.#words[W_IO_REGISTER] = register;
    this.#step();
    return KVM_EXIT.DCR;
  }

  #dcrWrite(dcrn: number, value: number): number {
    const { dcr } = this.#run;
    (this.#counters.counts[COUNTER.dcr_exits] as number)++;
    dcr.dcrn = dcrn;
    dcr.isWrite = true;
    dcr.data = value >>> 0;
    this.#step();
    return KVM_EXIT.DCR;
  }

  /** Lets the entries take effect that assisted tlbwe has written (assist.ts). Called before anything looks at the TLB. */
  applyTlbWrites(): void {
    const words = this.#words;
    if (((words[W_TLB_WRITTEN] as number) | (words[W_TLB_WRITTEN + 1] as number)) === 0) return;
    for (let half = 0; half < 2; half++) {
      let written = words[W_TLB_WRITTEN + half] as number;
      words[W_TLB_WRITTEN + half] = 0;
      while (written !== 0) {
        const bit = 31 - Math.clz32(written);
        written &= ~(1 << bit);
        const index = half * 32 + bit;
        this.#shadow.drop(index);
        this.#context.entryChanged(index);
        this.#tlb.changed(index);
      }
    }
    const completed = words[W_TLB_COMPLETED] as number;
    words[W_TLB_COMPLETED] = 0;
    if (completed > 0 && completed <= GUEST_TLB_ENTRIES) this.#shadowEagerly(completed - 1);
  }

  #tlbwe(index: number, which: number, value: number): void {
    const words = this.#words;
    this.#shadow.drop(index);
    this.#context.entryChanged(index);
    this.#tlb.write(index, which, value, (words[W_MMUCR] as number) & MMUCR_STID);
    if (which === 2) this.#shadowEagerly(index);
  }

  /** A miss handler has just completed an entry (Linux writes word 2 last): shadow it for the access that missed, which SRR1 tells. */
  #shadowEagerly(index: number): void {
    const words = this.#words;
    const tlb = this.#tlb;
    const word0 = tlb.word(index, 0);
    if ((word0 & TLB44X.VALID) === 0 || tlb.size(index) > EAGER_SIZE) return;
    const msr = words[W_SRR1] as number;
    const spaces = MSR.IS | MSR.DS;
    const space = (word0 & TLB44X.TS) !== 0 ? spaces : 0;
    if ((msr & spaces) !== space || ((words[W_MSR] as number) & spaces) !== space) return;
    const tid = tlb.word(index, 3);
    if (tid !== 0 && tid !== words[W_PID]) return;
    const user = (msr & MSR.PR) !== 0;
    if (permissions(tlb.word(index, 2), user) === 0) return;
    const address = word0 & TLB44X.EPN_MASK;
    const frame = tlb.frame(index, address);
    const slot = this.#slots.find(frame);
    if (slot === null) return;
    (this.#counters.counts[COUNTER.eager_shadows] as number)++;
    this.#shadow.map(index, address, frame, slot, user ? 0 : 1, USE.ALL);
  }

  #tlbre(index: number, which: number): number {
    const words = this.#words;
    if (which === 0) words[W_MMUCR] = ((words[W_MMUCR] as number) & ~MMUCR_STID) | this.#tlb.word(index, 3);
    return this.#tlb.word(index, which);
  }

  /** Searches by MMUCR[STS] and [STID]; with Rc, CR0[EQ] tells whether something was found. */
  #tlbsx(word: number, rt: number): void {
    const words = this.#words;
    const mmucr = words[W_MMUCR] as number;
    const index = this.#tlb.search(this.#indexedAddress(word), mmucr & MMUCR_STID, (mmucr & MMUCR_STS) !== 0 ? 1 : 0);
    words[rt] = index;
    if ((word & 1) !== 0) words[W_CR] = (index >= 0 ? 2 : 0) | (words[W_XER_SO] as number);
  }

  /** dcbi has nothing to invalidate, but its operand must be mapped for writing. False: an interrupt was taken. */
  #dcbi(word: number): boolean {
    const words = this.#words;
    const address = this.#indexedAddress(word);
    const msr = words[W_MSR] as number;
    const index = this.#tlb.search(address, words[W_PID] as number, (msr & MSR.DS) !== 0 ? 1 : 0);
    if (index >= 0) return true;
    this.#interrupts.takeWithAddress(BOOKE_VECTOR.dataTlbError, address, ESR.ST);
    return false;
  }

  #indexedAddress(word: number): number {
    const words = this.#words;
    const ra = (word >>> 16) & 31;
    const base = ra === 0 ? 0 : (words[W_GPR + 2 * ra] as number);
    return (base + (words[W_GPR + 2 * ((word >>> 11) & 31)] as number)) | 0;
  }
}
