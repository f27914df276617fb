/**
 * What only an e500 guest's kernel has: its TLBs' instructions, and those that lock caches (EREF, "Instruction Set"; the
 * reference's e500_emulate.c and e500_mmu.c).
 */
import { BOOKE_VECTOR, ESR, MAS1, MAS2, MAS3 } from '../../../processor/index.ts';
import type { KvmRun, TlbEntry206 } from '../../api.ts';
import { RESUME_GUEST } from '../../family.ts';
import type { MemorySlots } from '../../slots.ts';
import { COUNTER, type VcpuCounters } from '../../stats.ts';
import { MSR } from '../bits.ts';
import type { BookeContext } from '../context.ts';
import { BookeEmulation, emulatedRows, OWN_CASE, opcodeTable } from '../emulate.ts';
import {
  E500_TLB_LOG,
  E500_TLB0_MOST,
  W_MAS0,
  W_MAS1,
  W_MAS2,
  W_MAS3,
  W_MAS4,
  W_MAS6,
  W_MAS7,
  W_MSR,
  W_NEXT_VICTIM0,
  W_PID,
  W_SRR1,
  W_TLB_LOGGED,
  wordOf,
} from '../layout.ts';
import { USE } from '../mmu.ts';
import type { SprEmulation } from '../spr-emulation.ts';
import { L1CSR_CUL } from '../sprs.ts';
import { MAS0, MAS4, MAS6, MMUCSR0, MSR_E500, TLBIVAX } from './bits.ts';
import type { InterruptsE500 } from './interrupts.ts';
import type { GuestTlbE500 } from './mmu.ts';
import type { ShadowE500 } from './shadow.ts';

/** Every instruction that is emulated; a row's index is its case. */
export const EMULATED_ROWS = emulatedRows([
  ['tlbre', 31, 946],
  ['tlbwe', 31, 978],
  ['tlbsx', 31, 914],
  ['tlbivax', 31, 786],
  // Of later cores, which guests of the reference may use.
  ['tlbilx', 31, 18],
  ['dcbtls', 31, 166],
  ['dcbtstls', 31, 134],
  ['dcblc', 31, 390],
  ['icbtls', 31, 486],
  ['icblc', 31, 230],
  ['bblels', 31, 518],
  ['bbelr', 31, 550],
]);

export const EMULATED_MNEMONICS: readonly string[] = EMULATED_ROWS.map(([mnemonic]) => mnemonic);
const TABLE = opcodeTable(EMULATED_ROWS);

const W_L1CSR0 = wordOf('l1csr0');

/** Own cases: locks of the data cache, of the instruction cache among them, and of the branch buffer (ESR's bit of the second). */
const FIRST_LOCK = 5;
const INSTRUCTION_LOCKS: readonly number[] = [8, 9];
const FIRST_BRANCH_LOCK = 10;
const ESR_ILK = 0x0010_0000;

/** A guest entry at most this large (64 KB) gets its shadow with tlbwe; pinned ones wait for the first access. */
const EAGER_SIZE = 3;

export class EmulationE500 extends BookeEmulation {
  readonly #tlb: GuestTlbE500;
  readonly #shadow: ShadowE500;
  readonly #victims: InterruptsE500;
  readonly #log: Int32Array;

  constructor(
    context: BookeContext,
    interrupts: InterruptsE500,
    sprs: SprEmulation,
    tlb: GuestTlbE500,
    shadow: ShadowE500,
    slots: MemorySlots,
    counters: VcpuCounters,
    run: KvmRun,
  ) {
    super(context, interrupts, sprs, tlb, slots, counters, run, TABLE);
    this.#victims = interrupts;
    this.#tlb = tlb;
    this.#shadow = shadow;
    this.#log = context.words.subarray(E500_TLB_LOG >> 2);
  }

  /** There is no unit. */
  override floatEnabled(): number {
    return this.program(ESR.PIL);
  }

  protected override own(row: number, word: number, _rt: number, esr: number): number {
    switch (row - OWN_CASE) {
      case 0: // tlbre
        this.#tlbre();
        break;
      case 1: // tlbwe
        this.#tlbwe();
        break;
      case 2: // tlbsx
        this.#tlbsx(this.indexedAddress(word));
        break;
      case 3: // tlbivax
        this.#tlbivax(this.indexedAddress(word));
        break;
      case 4: // tlbilx
        if (!this.#tlbilx(word)) return this.program(ESR.PIL);
        break;
      case 5: // dcbtls
      case 6: // dcbtstls: the block is not there to be locked, which the cache says
        this.words[W_L1CSR0] = (this.words[W_L1CSR0] as number) | L1CSR_CUL;
        break;
      // There is nothing in a cache, nor in a branch buffer, that could be locked.
      case 7: // dcblc
      case 8: // icbtls
      case 9: // icblc
      case 10: // bblels
      case 11: // bbelr
        break;
      default:
        return this.program(esr);
    }
    this.context.step();
    return RESUME_GUEST;
  }

  /** Locks of problem state: where MSR does not give it them, a storage interrupt, of the branch buffer a program interrupt. */
  override emulateUser(): boolean {
    if (super.emulateUser()) return true;
    if (!this.context.fetch()) return false;
    const word = this.context.instruction;
    const row = word >>> 26 === 31 ? (TABLE[1024 + ((word >>> 1) & 1023)] as number) - OWN_CASE : -1;
    if (row < FIRST_LOCK) return false;
    const msr = this.words[W_MSR] as number;
    if (row >= FIRST_BRANCH_LOCK) {
      if ((msr & MSR_E500.UBLE) === 0) return false;
    } else if ((msr & MSR_E500.UCLE) === 0) {
      this.interrupts.takeWithSyndrome(BOOKE_VECTOR.dataStorage, INSTRUCTION_LOCKS.includes(row) ? ESR_ILK : ESR.DLK);
      return true;
    }
    this.own(row + OWN_CASE, word, 0, 0);
    return true;
  }

  /** MMUCSR0's flash invalidations. */
  flush(which: number): void {
    if ((which & MMUCSR0.TLB0_FI) !== 0) this.#invalidateAll(0);
    if ((which & MMUCSR0.TLB1_FI) !== 0) this.#invalidateAll(1);
  }

  /** User space writes an entry. */
  setEntry(index: number, { mas1, mas2, mas3, mas7 }: TlbEntry206): void {
    this.#changing(index);
    this.#tlb.write(index, mas1, mas2, mas3, mas7);
  }

  #changing(index: number): void {
    this.#shadow.drop(index);
    this.context.entryChanged(index);
  }

  override applyTlbWrites(): void {
    const { words } = this;
    const count = words[W_TLB_LOGGED] as number;
    if (count === 0) return;
    words[W_TLB_LOGGED] = 0;
    const log = this.#log;
    for (let i = 0; i < count; i++) this.#changing(log[i] as number);
    this.#shadowEagerly(log[count - 1] as number);
  }

  /** The entry that MAS0 and MAS2 name. */
  #selected(): number {
    const { words } = this;
    const mas0 = words[W_MAS0] as number;
    return this.#tlb.indexOf(
      (mas0 >>> MAS0.TLBSEL_SHIFT) & 1,
      (mas0 >>> MAS0.ESEL_SHIFT) & 0x3f,
      words[W_MAS2] as number,
    );
  }

  #tlbwe(): void {
    const { words } = this;
    const index = this.#selected();
    this.#changing(index);
    this.#tlb.write(
      index,
      words[W_MAS1] as number,
      words[W_MAS2] as number,
      words[W_MAS3] as number,
      words[W_MAS7] as number,
    );
    this.#shadowEagerly(index);
  }

  #tlbre(): void {
    const { words } = this;
    const index = this.#selected();
    const tlb = index < E500_TLB0_MOST ? 0 : 1;
    words[W_MAS0] = ((words[W_MAS0] as number) & ~MAS0.NV) | (words[W_NEXT_VICTIM0 + tlb] as number);
    this.#load(index);
  }

  #load(index: number): void {
    const { words } = this;
    const tlb = this.#tlb;
    words[W_MAS1] = tlb.mas1(index);
    words[W_MAS2] = tlb.mas2(index);
    words[W_MAS3] = tlb.mas3(index);
    words[W_MAS7] = tlb.mas7(index);
  }

  /** Searches by MAS6; what is not found gets MAS4's defaults. */
  #tlbsx(address: number): void {
    const { words } = this;
    const mas6 = words[W_MAS6] as number;
    const space = mas6 & MAS6.SAS;
    const index = this.#tlb.search(address, (mas6 & MAS6.SPID0) >>> MAS6.SPID0_SHIFT, space);
    if (index >= 0) {
      const tlb = index < E500_TLB0_MOST ? 0 : 1;
      words[W_MAS0] =
        (tlb << MAS0.TLBSEL_SHIFT) |
        (this.#tlb.eselOf(index) << MAS0.ESEL_SHIFT) |
        (words[W_NEXT_VICTIM0 + tlb] as number);
      this.#load(index);
      return;
    }
    const mas4 = words[W_MAS4] as number;
    words[W_MAS0] = this.#victims.nextVictim();
    words[W_MAS1] = (mas6 & MAS6.SPID0) | (space === 0 ? 0 : MAS1.TS) | (mas4 & MAS4.TSIZED);
    words[W_MAS2] = ((words[W_MAS2] as number) & MAS2.EPN) | (mas4 & MAS4.DEFAULTS);
    words[W_MAS3] = (words[W_MAS3] as number) & MAS3.USER;
    words[W_MAS7] = 0;
  }

  /** Whatever their TID and address space: entries of the page, or all of a TLB, unless they are protected. */
  #tlbivax(address: number): void {
    const which = (address & TLBIVAX.TLB1) === 0 ? 0 : 1;
    if ((address & TLBIVAX.ALL) !== 0) {
      this.#invalidateAll(which);
      return;
    }
    const tlb = this.#tlb;
    const first = which === 0 ? tlb.indexOf(0, 0, address) : E500_TLB0_MOST;
    const end = first + (which === 0 ? tlb.ways : tlb.size1);
    for (let i = first; i < end; i++)
      if (((tlb.mas2(i) ^ address) & MAS2.EPN & tlb.pageMask(i)) === 0) this.#invalidate(i);
  }

  /** By MAS6: all, those of a PID, or that of a page. False: there is no such form. */
  #tlbilx(word: number): boolean {
    const type = (word >>> 21) & 3;
    const tlb = this.#tlb;
    const mas6 = this.words[W_MAS6] as number;
    const pid = (mas6 & MAS6.SPID0) >>> MAS6.SPID0_SHIFT;
    if (type === 2) return false;
    if (type === 3) {
      const index = tlb.search(this.indexedAddress(word), pid, mas6 & MAS6.SAS);
      if (index >= 0) this.#invalidate(index);
      return true;
    }
    for (let which = 0; which < 2; which++) {
      const first = which === 0 ? 0 : E500_TLB0_MOST;
      const end = which === 0 ? tlb.sets * tlb.ways : first + tlb.size1;
      for (let i = first; i < end; i++)
        if (type === 0 || (tlb.mas1(i) & MAS1.TID) >>> MAS1.TID_SHIFT === pid) this.#invalidate(i);
    }
    return true;
  }

  #invalidateAll(which: number): void {
    const tlb = this.#tlb;
    const first = which === 0 ? 0 : E500_TLB0_MOST;
    const end = which === 0 ? tlb.sets * tlb.ways : first + tlb.size1;
    for (let i = first; i < end; i++) this.#invalidate(i);
  }

  #invalidate(index: number): void {
    const tlb = this.#tlb;
    if ((tlb.mas1(index) & (MAS1.VALID | MAS1.IPROT)) !== MAS1.VALID) return;
    this.#changing(index);
    tlb.invalidate(index);
  }

  /** A miss handler has just written an entry: shadow it for the access that missed, which SRR1 tells. */
  #shadowEagerly(index: number): void {
    const { words } = this;
    const tlb = this.#tlb;
    const mas1 = tlb.mas1(index);
    if ((mas1 & MAS1.VALID) === 0 || tlb.size(index) > EAGER_SIZE || tlb.size(index) === 0) return;
    const msr = words[W_SRR1] as number;
    const spaces = MSR.IS | MSR.DS;
    const space = (mas1 & MAS1.TS) !== 0 ? spaces : 0;
    if ((msr & spaces) !== space || ((words[W_MSR] as number) & spaces) !== space) return;
    const tid = (mas1 & MAS1.TID) >>> MAS1.TID_SHIFT;
    if (tid !== 0 && tid !== words[W_PID]) return;
    const user = (msr & MSR.PR) !== 0;
    if (tlb.permissions(index, user) === 0) return;
    const address = tlb.mas2(index) & MAS2.EPN;
    const frame = tlb.frame(index, address);
    const slot = this.slots.find(frame);
    if (slot === null) return;
    (this.counters.counts[COUNTER.eager_shadows] as number)++;
    this.#shadow.map(index, address, frame, slot, user ? 0 : 1, USE.ALL, false);
  }
}
