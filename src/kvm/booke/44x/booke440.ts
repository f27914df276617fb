/** The 440: wires the guest's MMU, shadow TLB, timers, interrupts and emulation together for one vCPU. */

import { Decoder } from '../../../isa/decoder.ts';
import { fprOffset, type Host440Cpu, LEVELS_OF, TLB44X } from '../../../processor/index.ts';
import type { KvmTable } from '../../api.ts';
import { KvmError, type TlbEntry } from '../../api.ts';
import { GuestDebug } from '../../debug.ts';
import type { FamilyParts } from '../../family.ts';
import { BookeFamily, type BookeParts } from '../booke.ts';
import { BookeDebug } from '../debug.ts';
import { BookeInterrupts } from '../interrupts.ts';
import { GUEST_TLB_ENTRIES, SAVED_440, W_FPSCR, W_PVR } from '../layout.ts';
import { BookeRegisters, ONE_REGS_440 } from '../registers.ts';
import { SprEmulation } from '../spr-emulation.ts';
import { SPRS_440 } from '../sprs.ts';
import { StorageEmulation } from '../storage.ts';
import { BookeTimers, PERIODS_440 } from '../timers.ts';
import { Context440 } from './context.ts';
import { Emulation440 } from './emulate.ts';
import { Exits440 } from './exits.ts';
import { GuestTlb440 } from './mmu.ts';
import { Shadow440 } from './shadow.ts';
import { guestTlbTable, shadowTlbTable } from './tables.ts';

/** PVR of a 440EP, revision B, as QEMU's bamboo has it. */
export const PVR_440EP = 0x422218d3;
/** The FPRs' words in the block. */
const FPR_WORDS = fprOffset(0) >> 2;
const FPR_COUNT = 32;
const FPR_STRIDE = (fprOffset(1) - fprOffset(0)) >> 2;

let decoder440: Decoder | null = null;

/** The 440's decoder: one for all vCPUs, made when the first one is. */
function decoder(): Decoder {
  return (decoder440 ??= new Decoder(LEVELS_OF['440']));
}

interface Parts440 extends BookeParts {
  readonly tlb: GuestTlb440;
  readonly shadow: Shadow440;
}

function assemble(parts: FamilyParts<Host440Cpu>): Parts440 {
  const { cpu, memory, slots, time, counters, run } = parts;
  const { buffer } = memory.wasm;
  const tlb = new GuestTlb440(buffer, cpu.base);
  const shadow = new Shadow440(cpu, tlb, counters);
  const context = new Context440(cpu, memory, slots, tlb, shadow, parts.accel === 'assist');
  const interrupts = new BookeInterrupts(context, counters);
  const onTimers = (): void => interrupts.refreshTimers();
  const timers = new BookeTimers(context.words, buffer, cpu.base, time, onTimers, PERIODS_440);
  const debug = new BookeDebug(new GuestDebug(counters, run), cpu, context, interrupts, true);
  const onDebug = (): void => debug.registersChanged();
  const sprs = new SprEmulation(SPRS_440, context, timers, time, counters, run, onDebug);
  const emulation = new Emulation440(context, interrupts, sprs, tlb, shadow, slots, counters, run);
  const storage = new StorageEmulation(context, interrupts, tlb, slots, cpu, memory, counters, run, debug, decoder());
  const exits = new Exits440(context, interrupts, emulation, storage, tlb, shadow, slots, counters, run, debug);
  const registers = new BookeRegisters(SPRS_440, ONE_REGS_440, context, interrupts, timers, onDebug);
  return { tlb, shadow, context, interrupts, timers, storage, emulation, exits, registers, debug };
}

export class Booke440 extends BookeFamily<Parts440> {
  readonly tlbEntries = GUEST_TLB_ENTRIES;
  protected readonly savedWords = SAVED_440;

  constructor(parts: FamilyParts<Host440Cpu>) {
    super(parts, assemble(parts));
  }

  protected override resetOwn(): void {
    const { words } = this;
    words[W_PVR] = PVR_440EP;
    this.own.tlb.clear();
    words[W_FPSCR] = 0;
    words.fill(0, FPR_WORDS, FPR_WORDS + FPR_COUNT * FPR_STRIDE);
  }

  protected override restoredOwn(): void {
    this.own.tlb.restored();
  }

  setTlbEntry(index: number, entry: TlbEntry): void {
    if (!('word0' in entry)) throw new KvmError("a 440's TLB entry has word0, word1, word2 and tid");
    const { emulation, shadow, context, tlb } = this.own;
    emulation.applyTlbWrites();
    shadow.drop(index);
    context.entryChanged(index);
    tlb.write(index, 0, entry.word0 & ~TLB44X.ERPN_MASK, entry.tid & 0xff);
    tlb.write(index, 1, entry.word1 | 0, 0);
    tlb.write(index, 2, entry.word2 | 0, 0);
  }

  override tables(limit: number): readonly KvmTable[] {
    return [guestTlbTable(this.own.tlb, limit), shadowTlbTable(this.own.shadow, limit)];
  }

  protected override shadowsOf(index: number): string {
    const shadows = this.own.shadow.shadowsOf(index);
    return shadows.length === 0 ? 'no shadow yet' : `host TLB ${shadows.join(', ')}`;
  }
}
