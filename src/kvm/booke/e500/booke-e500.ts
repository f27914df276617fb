/** The e500v2: wires the guest's MMU, shadow TLB, timers, interrupts and emulation together for one vCPU. */
import { Decoder } from '../../../isa/decoder.ts';
import { ACCUMULATOR, BBEAR, BBTAR, type HostE500Cpu, LEVELS_OF, MAS2, MAS3 } from '../../../processor/index.ts';
import { KVM_EXIT, type KvmConfigTlb, KvmError, type KvmTable, type TlbEntry, type VcpuCapability } from '../../api.ts';
import { GuestDebug } from '../../debug.ts';
import { type FamilyParts, RESUME_GUEST } from '../../family.ts';
import { COUNTER } from '../../stats.ts';
import { BookeFamily, type BookeParts } from '../booke.ts';
import { BookeDebug } from '../debug.ts';
import {
  E500_TLB0_MOST,
  E500_TLB1_MOST,
  SAVED_E500,
  W_EPR,
  W_EPR_GIVEN,
  W_EPR_WANTED,
  W_IDLE,
  W_MAS0,
  W_NEXT_VICTIM0,
  W_PENDING,
  W_PVR,
  W_SPEFSCR,
  W_TLB0_SETS,
  W_TLB0_WAYS,
  W_TLB1_ENTRIES,
  wordOf,
} from '../layout.ts';
import { BookeRegisters, ONE_REGS_E500 } from '../registers.ts';
import { SPRS_E500 } from '../sprs.ts';
import { StorageEmulation } from '../storage.ts';
import { BookeTimers, PERIODS_E500 } from '../timers.ts';
import { ContextE500 } from './context.ts';
import { EmulationE500 } from './emulate.ts';
import { ExitsE500 } from './exits.ts';
import { HypercallsE500 } from './hypercalls.ts';
import { InterruptsE500 } from './interrupts.ts';
import { GuestTlbE500 } from './mmu.ts';
import { ShadowE500 } from './shadow.ts';
import { SprEmulationE500 } from './spr-emulation.ts';
import { guestTlbTable, shadowTlbTable } from './tables.ts';

/** PVR of an e500v2, revision 3.0, as QEMU's ppce500 has it. */
export const PVR_E500V2 = 0x8021_0030;
/** The registers that describe the MMU, of whose parts that cannot change. */
const MMUCFG = 0x19c4;
const TLB0CFG = 0x0011_0000;
const TLB1CFG = 0x001c_c000;
const TLBCFG_ASSOC_SHIFT = 24;

/** What the reference gives a guest. */
const TLB0_ENTRIES = 256;
const TLB0_WAYS = 2;
const TLB1_ENTRIES = 16;

const isPowerOf2 = (n: number): boolean => Number.isInteger(n) && n > 0 && (n & (n - 1)) === 0;

/** Whether a guest's TLBs can have so many entries and ways. */
function areTlbs(entries0: number, ways0: number, entries1: number): boolean {
  if (!(isPowerOf2(ways0) && ways0 >= 2 && ways0 <= 16)) return false;
  if (!(isPowerOf2(entries0 / ways0) && entries0 <= E500_TLB0_MOST)) return false;
  return Number.isInteger(entries1) && entries1 >= 1 && entries1 <= E500_TLB1_MOST;
}

let decoderE500: Decoder | null = null;

/** The e500's decoder: one for all vCPUs, made when the first one is. */
function decoder(): Decoder {
  return (decoderE500 ??= new Decoder(LEVELS_OF.e500v2));
}

interface PartsE500 extends BookeParts {
  readonly tlb: GuestTlbE500;
  readonly shadow: ShadowE500;
  readonly emulation: EmulationE500;
}

function assemble(parts: FamilyParts<HostE500Cpu>): PartsE500 {
  const { cpu, memory, slots, time, counters, run } = parts;
  const { buffer } = memory.wasm;
  const tlb = new GuestTlbE500(buffer, cpu.base);
  const shadow = new ShadowE500(cpu, tlb, counters);
  const context = new ContextE500(cpu, memory, slots, tlb, shadow, parts.accel === 'assist');
  const interrupts = new InterruptsE500(context, counters);
  const onTimers = (): void => interrupts.refreshTimers();
  const timers = new BookeTimers(context.words, buffer, cpu.base, time, onTimers, PERIODS_E500);
  const debug = new BookeDebug(new GuestDebug(counters, run), cpu, context, interrupts, false);
  const onDebug = (): void => debug.registersChanged();
  const sprs = new SprEmulationE500(SPRS_E500, context, timers, time, counters, run, onDebug);
  const emulation = new EmulationE500(context, interrupts, sprs, tlb, shadow, slots, counters, run);
  sprs.onFlush = (which) => emulation.flush(which);
  const storage = new StorageEmulation(context, interrupts, tlb, slots, cpu, memory, counters, run, debug, decoder());
  const exits = new ExitsE500(context, interrupts, emulation, storage, tlb, shadow, slots, counters, run, debug);
  exits.hypercalls = new HypercallsE500(context, () => shadow.dropAll());
  exits.magicShadow = shadow;
  exits.context = context;
  const registers = new BookeRegisters(SPRS_E500, ONE_REGS_E500, context, interrupts, timers, onDebug, true);
  return { tlb, shadow, context, interrupts, timers, storage, emulation, exits, registers, debug };
}

export class BookeE500 extends BookeFamily<PartsE500> {
  protected readonly savedWords = SAVED_E500;

  constructor(parts: FamilyParts<HostE500Cpu>) {
    super(parts, assemble(parts));
  }

  protected override resetOwn(): void {
    const { words } = this;
    words[W_PVR] = PVR_E500V2;
    words[wordOf('mmucfg')] = MMUCFG;
    for (const at of [BBEAR, BBTAR, ACCUMULATOR, ACCUMULATOR + 4]) words[at >> 2] = 0;
    words[W_SPEFSCR] = 0;
    words.fill(0, W_MAS0, W_MAS0 + 8);
    this.own.tlb.clear();
    this.#describe(TLB0_ENTRIES, TLB0_WAYS, TLB1_ENTRIES);
    this.own.tlb.write(E500_TLB0_MOST, RESET_ENTRY.mas1, RESET_ENTRY.mas2, RESET_ENTRY.mas3, 0);
  }

  /** Takes EPR's value, where user space was asked for it. */
  override begin(): void {
    const { words } = this;
    if (words[W_EPR_WANTED] !== 0) {
      words[W_EPR_WANTED] = 0;
      words[W_EPR] = this.parts.run.epr.epr;
    }
    super.begin();
  }

  override enter(): number {
    const { words } = this;
    // EV_IDLE ends as soon as anything is pending.
    if (words[W_PENDING] !== 0) words[W_IDLE] = 0;
    const reason = super.enter();
    if (words[W_EPR_WANTED] !== 0 && reason < 0) {
      (this.parts.counters.counts[COUNTER.epr_exits] as number)++;
      return KVM_EXIT.EPR;
    }
    return words[W_IDLE] !== 0 && reason === RESUME_GUEST ? this.halt() : reason;
  }

  override enableCap(capability: VcpuCapability, argument: number | KvmConfigTlb): boolean {
    switch (capability) {
      case 'epr':
        this.words[W_EPR_GIVEN] = argument === 0 ? 0 : 1;
        return true;
      case 'booke-watchdog':
        return true;
      case 'sw-tlb':
        return typeof argument === 'object' && this.#configureTlb(argument);
      default:
        return false;
    }
  }

  /** Another size of the guest's TLBs: what is in them goes. False: it is none that the reference has. */
  #configureTlb({ tlbSizes, tlbWays }: KvmConfigTlb): boolean {
    const [size0 = 0, size1 = 0] = tlbSizes;
    const [ways0 = 0, ways1 = size1] = tlbWays;
    if (!areTlbs(size0, ways0, size1) || ways1 !== size1) return false;
    if ([...tlbSizes.slice(2), ...tlbWays.slice(2)].some((n) => n !== 0)) return false;
    const { emulation, shadow, context, tlb } = this.own;
    emulation.applyTlbWrites();
    shadow.dropAll();
    context.invalidate();
    tlb.clear();
    this.words[W_NEXT_VICTIM0] = 0;
    this.#describe(size0, ways0, size1);
    return true;
  }

  #describe(entries0: number, ways0: number, entries1: number): void {
    const { words } = this;
    words[W_TLB0_SETS] = entries0 / ways0;
    words[W_TLB0_WAYS] = ways0;
    words[W_TLB1_ENTRIES] = entries1;
    words[wordOf('tlb0cfg')] = (ways0 << TLBCFG_ASSOC_SHIFT) | TLB0CFG | entries0;
    words[wordOf('tlb1cfg')] = (entries1 << TLBCFG_ASSOC_SHIFT) | TLB1CFG | entries1;
  }

  override tables(limit: number): readonly KvmTable[] {
    this.own.emulation.applyTlbWrites();
    return [guestTlbTable(this.own.tlb, limit), shadowTlbTable(this.own.shadow, limit)];
  }

  protected override shadowsOf(index: number): string {
    const shadows = this.own.shadow.shadowsOf(index);
    return shadows.length === 0 ? 'no shadow yet' : `host TLB ${shadows.join(', ')}`;
  }

  protected override restoredOwn(): void {
    // Searches go by these: what somebody says they are must be sizes.
    const { words } = this;
    const [sets, ways, entries1] = [W_TLB0_SETS, W_TLB0_WAYS, W_TLB1_ENTRIES].map((at) => words[at] as number);
    if (!areTlbs((sets ?? 0) * (ways ?? 0), ways ?? 0, entries1 ?? 0))
      this.#describe(TLB0_ENTRIES, TLB0_WAYS, TLB1_ENTRIES);
    words[W_NEXT_VICTIM0] = (words[W_NEXT_VICTIM0] as number) & ((words[W_TLB0_WAYS] as number) - 1);
    this.own.tlb.restored();
  }

  /** Entries of TLB0 and, behind them, of TLB1. */
  get tlbEntries(): number {
    const { tlb } = this.own;
    return tlb.sets * tlb.ways + tlb.size1;
  }

  setTlbEntry(index: number, entry: TlbEntry): void {
    if (!('mas1' in entry)) throw new KvmError("an e500's TLB entry has mas1, mas2, mas3 and mas7");
    const { emulation, tlb } = this.own;
    emulation.applyTlbWrites();
    const entries0 = tlb.sets * tlb.ways;
    emulation.setEntry(index < entries0 ? index : index - entries0 + E500_TLB0_MOST, entry);
  }
}

/** The last 4 KB of the address space, where a reset begins, as themselves (e500 Core Family Reference Manual, "Reset"). */
const RESET_ENTRY = { mas1: 0xc000_0100 | 0, mas2: MAS2.EPN, mas3: MAS3.RPN | MAS3.SX | MAS3.SW | MAS3.SR };
