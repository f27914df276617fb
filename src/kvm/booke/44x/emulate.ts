/** What only a 440 guest's kernel has: its TLB's instructions, device control registers, cache instructions. */
import { ESR, TLB44X } from '../../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../../api.ts';
import { RESUME_GUEST } from '../../family.ts';
import type { MemorySlots } from '../../slots.ts';
import { COUNTER, type VcpuCounters } from '../../stats.ts';
import { IO } from '../../storage.ts';
import { MMUCR_STID, MMUCR_STS, MSR } from '../bits.ts';
import type { BookeContext } from '../context.ts';
import { BookeEmulation, emulatedRows, OWN_CASE, opcodeTable } from '../emulate.ts';
import type { BookeInterrupts } from '../interrupts.ts';
import {
  GUEST_TLB_ENTRIES,
  W_CR,
  W_GPR,
  W_IO_KIND,
  W_IO_REGISTER,
  W_MMUCR,
  W_MSR,
  W_PID,
  W_SRR1,
  W_TLB_COMPLETED,
  W_TLB_WRITTEN,
  W_XER_SO,
} from '../layout.ts';
import { USE } from '../mmu.ts';
import type { SprEmulation } from '../spr-emulation.ts';
import { type GuestTlb440, permissions } from './mmu.ts';
import type { Shadow440 } from './shadow.ts';

/** Every instruction that is emulated; a row's index is its case. */
export const EMULATED_ROWS = emulatedRows([
  ['mfdcr', 31, 323],
  ['mtdcr', 31, 451],
  ['mfdcrx', 31, 259],
  ['mtdcrx', 31, 387],
  ['tlbwe', 31, 978],
  ['tlbre', 31, 946],
  ['tlbsx', 31, 914],
  ['dccci', 31, 454],
  ['iccci', 31, 966],
  ['dcread', 31, 486],
  ['icread', 31, 998],
]);

export const EMULATED_MNEMONICS: readonly string[] = EMULATED_ROWS.map(([mnemonic]) => mnemonic);
const TABLE = opcodeTable(EMULATED_ROWS);

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

export class Emulation440 extends BookeEmulation {
  readonly #tlb: GuestTlb440;
  readonly #shadow: Shadow440;

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
    super(context, interrupts, sprs, tlb, slots, counters, run, TABLE);
    this.#tlb = tlb;
    this.#shadow = shadow;
  }

  protected override own(row: number, word: number, rt: number, esr: number): number {
    const { words } = this;
    switch (row - OWN_CASE) {
      case 0: // mfdcr
        return this.#dcrRead(((word >>> 16) & 31) | ((word >>> 6) & 0x3e0), (word >>> 21) & 31);
      case 1: // mtdcr
        return this.#dcrWrite(((word >>> 16) & 31) | ((word >>> 6) & 0x3e0), words[rt] as number);
      case 2: // mfdcrx
        return this.#dcrRead((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 1023, (word >>> 21) & 31);
      case 3: // mtdcrx
        return this.#dcrWrite((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 1023, words[rt] as number);
      case 4: // tlbwe
        if (((word >>> 11) & 31) > 2) return this.program(ESR.PIL);
        this.#tlbwe((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 63, (word >>> 11) & 31, words[rt] as number);
        break;
      case 5: // tlbre
        if (((word >>> 11) & 31) > 2) return this.program(ESR.PIL);
        words[rt] = this.#tlbre((words[W_GPR + 2 * ((word >>> 16) & 31)] as number) & 63, (word >>> 11) & 31);
        break;
      case 6: // tlbsx
        this.#tlbsx(word, rt);
        break;
      case 9: // dcread
        words[rt] = 0;
        break;
      // Nothing here has a cache to manage.
      case 7: // dccci
      case 8: // iccci
      case 10: // icread
        break;
      default:
        return this.program(esr);
    }
    this.context.step();
    return RESUME_GUEST;
  }

  /** ESR tells what of the CR it writes. */
  floatEnabled(): number {
    return this.program(ESR.FP | (this.context.fetch() ? crUpdate(this.context.instruction) : 0));
  }

  #dcrRead(dcrn: number, register: number): number {
    const { dcr } = this.run;
    (this.counters.counts[COUNTER.dcr_exits] as number)++;
    dcr.dcrn = dcrn;
    dcr.isWrite = false;
    dcr.data = 0;
    this.words[W_IO_KIND] = IO.DCR;
    this.words[W_IO_REGISTER] = register;
    this.step();
    return KVM_EXIT.DCR;
  }

  #dcrWrite(dcrn: number, value: number): number {
    const { dcr } = this.run;
    (this.counters.counts[COUNTER.dcr_exits] as number)++;
    dcr.dcrn = dcrn;
    dcr.isWrite = true;
    dcr.data = value >>> 0;
    this.step();
    return KVM_EXIT.DCR;
  }

  /** Lets the entries take effect that assisted tlbwe has written (assist.ts). Called before anything looks at the TLB. */
  applyTlbWrites(): void {
    const words = this.words;
    if (((words[W_TLB_WRITTEN] as number) | (words[W_TLB_WRITTEN + 1] as number)) === 0) return;
    for (let half = 0; half < 2; half++) {
      let written = words[W_TLB_WRITTEN + half] as number;
      words[W_TLB_WRITTEN + half] = 0;
      while (written !== 0) {
        const bit = 31 - Math.clz32(written);
        written &= ~(1 << bit);
        const index = half * 32 + bit;
        this.#shadow.drop(index);
        this.context.entryChanged(index);
        this.#tlb.changed(index);
      }
    }
    const completed = words[W_TLB_COMPLETED] as number;
    words[W_TLB_COMPLETED] = 0;
    if (completed > 0 && completed <= GUEST_TLB_ENTRIES) this.#shadowEagerly(completed - 1);
  }

  #tlbwe(index: number, which: number, value: number): void {
    const words = this.words;
    this.#shadow.drop(index);
    this.context.entryChanged(index);
    this.#tlb.write(index, which, value, (words[W_MMUCR] as number) & MMUCR_STID);
    if (which === 2) this.#shadowEagerly(index);
  }

  /** A miss handler has just completed an entry (Linux writes word 2 last): shadow it for the access that missed, which SRR1 tells. */
  #shadowEagerly(index: number): void {
    const words = this.words;
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
    const slot = this.slots.find(frame);
    if (slot === null) return;
    (this.counters.counts[COUNTER.eager_shadows] as number)++;
    this.#shadow.map(index, address, frame, slot, user ? 0 : 1, USE.ALL, false);
  }

  #tlbre(index: number, which: number): number {
    const words = this.words;
    if (which === 0) words[W_MMUCR] = ((words[W_MMUCR] as number) & ~MMUCR_STID) | this.#tlb.word(index, 3);
    return this.#tlb.word(index, which);
  }

  /** Searches by MMUCR[STS] and [STID]; with Rc, CR0[EQ] tells whether something was found. */
  #tlbsx(word: number, rt: number): void {
    const words = this.words;
    const mmucr = words[W_MMUCR] as number;
    const index = this.#tlb.search(this.indexedAddress(word), mmucr & MMUCR_STID, (mmucr & MMUCR_STS) !== 0 ? 1 : 0);
    words[rt] = index;
    if ((word & 1) !== 0) words[W_CR] = (index >= 0 ? 2 : 0) | (words[W_XER_SO] as number);
  }
}
