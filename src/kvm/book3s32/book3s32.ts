/** The 32-bit Book3S family: wires the guest's MMU, shadow pages, interrupts and emulation together for one vCPU. */
import { type ClassicCpu, LEVELS_OF, SERVER_VECTOR } from '../../processor/index.ts';
import {
  KVM_EXIT,
  KVM_INTERRUPT,
  type KvmConfigTlb,
  KvmError,
  type KvmGuestDebug,
  type KvmRegs,
  type KvmSregs,
  type KvmState,
  type KvmStats,
  type KvmTranslation,
  type VcpuCapability,
} from '../api.ts';
import { DABRX, MSR } from '../book3s/bits.ts';
import { Book3sContext } from '../book3s/context.ts';
import { Book3sDebug } from '../book3s/debug.ts';
import { Decrementer } from '../book3s/decrementer.ts';
import { Book3sExits } from '../book3s/exits.ts';
import { HostContexts } from '../book3s/host-contexts.ts';
import { ParavirtHypercalls } from '../book3s/hypercalls.ts';
import { Book3sInterrupts, PRIORITY } from '../book3s/interrupts.ts';
import { ACCESS, TRANSLATION } from '../book3s/mmu.ts';
import { OsiCalls } from '../book3s/osi.ts';
import { ShadowPages } from '../book3s/shadow.ts';
import { StorageEmulation } from '../book3s/storage.ts';
import { VsidMap } from '../book3s/vsid-map.ts';
import { GuestDebug } from '../debug.ts';
import { type FamilyParts, type FamilyTrace, RESUME_GUEST, type VcpuFamily, vectorNames } from '../family.ts';
import { MAGIC_FEATURE } from '../paravirt.ts';
import { type MemorySlot, PAGE_FRAMES } from '../slots.ts';
import { readWords, savedNumber, saveWords } from '../state.ts';
import { COUNTER } from '../stats.ts';
import { type GuestTime, TIMEBASE_LIMIT } from '../time.ts';
import { GuestBats } from './bats.ts';
import { ClassicEmulation } from './emulate.ts';
import { ClassicFaults } from './faults.ts';
import { ClassicTable } from './host-table.ts';
import {
  ASSISTED,
  ASSISTED_NAMES,
  BOOK3S_STATE,
  BOOK3S_STATE_END,
  DOUBLES,
  SAVED_WORDS,
  SEGMENTS,
  W_CR,
  W_DABRX,
  W_DEC_NEGATIVE,
  W_GPR,
  W_HALTED,
  W_MAGIC_MAPPED,
  W_MSR,
  W_OSI,
  W_PC,
  W_PENDING,
  W_PIR,
  W_PVR,
  W_RESERVE_ADDRESS,
  W_SEGMENTS_STALE,
  W_SPRG,
  W_SPRG_HIGH,
  W_SR,
} from './layout.ts';
import { GuestMmu32 } from './mmu.ts';
import type { ClassicModel } from './models.ts';
import { ClassicRegisters } from './registers.ts';
import { HostSegments } from './segments.ts';
import { ClassicSprEmulation } from './spr-emulation.ts';
import { classicSprs } from './sprs.ts';

/** Number of the host's process context that the first vCPU has; VSIDs have 24 bits, and 16 of them are the context's. */
const FIRST_CONTEXT = 0x12;
/** Not the address of any reservation (processor/layout.ts, NO_RESERVATION). */
const NO_RESERVATION = 1;
/** A reset begins at the system reset vector, with MSR[IP] = 1. */
const RESET_PC = 0xfff0_0100 | 0;

const VECTOR_NAMES = vectorNames(SERVER_VECTOR);

/** What tests make smaller. */
export interface ClassicLimits {
  /** VSIDs of the host's process context. */
  readonly vsids: number;
  readonly shadows: number;
}
const LIMITS: ClassicLimits = { vsids: 65535, shadows: 65536 };

export class Book3s32 implements VcpuFamily {
  readonly #parts: FamilyParts<ClassicCpu>;
  readonly #model: ClassicModel;
  readonly #words: Int32Array;
  readonly #time: GuestTime;
  readonly #counts: Float64Array;
  readonly #bats: GuestBats;
  readonly #mmu: GuestMmu32;
  readonly #vsids: VsidMap;
  readonly #segments: HostSegments;
  readonly #shadow: ShadowPages;
  readonly #hosts: HostContexts;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #decrementer: Decrementer;
  readonly #storage: StorageEmulation;
  readonly #osi: OsiCalls;
  readonly #exits: Book3sExits;
  readonly #registers: ClassicRegisters;
  readonly #debug: Book3sDebug;

  constructor(parts: FamilyParts<ClassicCpu>, model: ClassicModel, limits: ClassicLimits = LIMITS) {
    const { cpu, memory, slots, time, counters, run, accel } = parts;
    const words = new Int32Array(memory.wasm.buffer, cpu.base, BOOK3S_STATE_END >> 2);
    this.#parts = parts;
    this.#model = model;
    this.#words = words;
    this.#time = time;
    this.#counts = counters.counts;
    const bats = new GuestBats(words, model.hasHighBats);
    const mmu = new GuestMmu32(words, memory, slots, bats, (address) => cpu.codeWritten(address, 4));
    const segments = new HostSegments(cpu, words, bats);
    const vsids = new VsidMap(FIRST_CONTEXT + parts.id, limits.vsids, (n) => {
      shadow.dropVsid(n);
      segments.dropVsid(n);
    });
    const shadow: ShadowPages = new ShadowPages(new ClassicTable(cpu), vsids, counters, limits.shadows);
    const hosts = new HostContexts(segments, segments, accel === 'assist', 0, true);
    const context = new Book3sContext(cpu, model, memory, slots, mmu, hosts, vsids);
    const interrupts = new Book3sInterrupts(context, counters);
    // The exception comes when the sign is set, and stays until it is taken (PEM 32, 2.3.10).
    const decrementer = new Decrementer(words, memory.wasm.buffer, cpu.base, time, (negative) => {
      if (negative && words[W_DEC_NEGATIVE] === 0) interrupts.set(PRIORITY.DECREMENTER, true);
      words[W_DEC_NEGATIVE] = negative ? 1 : 0;
    });
    const debug = new Book3sDebug(new GuestDebug(counters, run), cpu, context, interrupts);
    const storage = new StorageEmulation(context, interrupts, false, counters, run, debug);
    const sprs = new ClassicSprEmulation(
      context,
      classicSprs(LEVELS_OF[model.name]),
      decrementer,
      time,
      counters,
      () => this.#translationChanged(),
      () => this.#translationChanged(),
      () => debug.registersChanged(),
    );
    const emulation = new ClassicEmulation(context, interrupts, sprs, segments, shadow, counters);
    const faults = new ClassicFaults(context, interrupts, storage, mmu, hosts, segments, shadow, slots, counters, run);
    const paravirt =
      accel === 'trap'
        ? null
        : new ParavirtHypercalls(
            context,
            false,
            () => {
              shadow.dropAll();
              hosts.dropAll();
            },
            // Segments that are written behind its back the vector code does not see.
            MAGIC_FEATURE.SPRGS | (accel === 'assist' ? 0 : MAGIC_FEATURE.SEGMENTS),
          );
    // There is no sc 1.
    const none = { serve: () => RESUME_GUEST };
    const osi = new OsiCalls(context.words, run);
    this.#exits = new Book3sExits(context, interrupts, emulation, faults, none, osi, paravirt, counters, run, debug);
    this.#registers = new ClassicRegisters(
      context,
      decrementer,
      () => this.#translationChanged(),
      () => debug.registersChanged(),
    );
    this.#bats = bats;
    this.#mmu = mmu;
    this.#vsids = vsids;
    this.#segments = segments;
    this.#shadow = shadow;
    this.#hosts = hosts;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#decrementer = decrementer;
    this.#storage = storage;
    this.#debug = debug;
    this.#osi = osi;
  }

  reset(): void {
    const words = this.#words;
    const osi = words[W_OSI] as number;
    words.fill(0, W_GPR, W_GPR + 64);
    words.fill(0, W_CR, W_CR + 8);
    words.fill(0, BOOK3S_STATE >> 2, DOUBLES >> 2);
    words.fill(0, ASSISTED >> 2, BOOK3S_STATE_END >> 2);
    for (const word of [...W_SPRG, ...W_SPRG_HIGH]) words[word] = 0;
    for (let n = 0; n < SEGMENTS; n++) words[W_SR[n] as number] = 0;
    words[W_RESERVE_ADDRESS] = NO_RESERVATION;
    words[W_OSI] = osi;
    words[W_PVR] = this.#model.pvr;
    words[W_PIR] = this.#parts.id;
    words[W_DABRX] = DABRX.PROBLEM | DABRX.PRIVILEGED;
    words[W_PC] = RESET_PC;
    words[W_PC + 1] = 0;
    this.#debug.reset();
    words[W_MSR] = 0;
    words[W_MSR + 1] = 0;
    this.#context.setMsr(MSR.IP, 0);
    this.#translationChanged();
    this.#context.refresh();
    this.#decrementer.reset();
  }

  begin(): void {
    this.#storage.complete();
    this.#osi.complete();
  }

  end(): void {}

  updateTimers(): number {
    this.#decrementer.poll(this.#time.timebase());
    return RESUME_GUEST;
  }

  nextTimer(): number {
    const { deadline } = this.#decrementer;
    return deadline === Number.POSITIVE_INFINITY ? deadline : this.#time.nanosecondsAt(deadline);
  }

  enter(): number {
    const words = this.#words;
    const rest = this.#storage.rest();
    if (rest !== RESUME_GUEST) return rest;
    if (words[W_HALTED] !== 0 && words[W_PENDING] !== 0) {
      words[W_HALTED] = 0;
      (this.#counts[COUNTER.halt_wakeup] as number)++;
    }
    const stepping = this.#context.stepping !== 0;
    if (stepping && this.#debug.host.due) return this.#debug.report();
    if (words[W_PENDING] !== 0 && !(stepping && this.#debug.host.blocksInterrupts)) this.#interrupts.deliver();
    if (words[W_HALTED] !== 0) return this.#halt();
    const action = this.#context.stepping === 0 ? RESUME_GUEST : this.#debug.begin();
    if (words[W_SEGMENTS_STALE] !== 0) {
      words[W_SEGMENTS_STALE] = 0;
      this.#segments.isStale = true;
      this.#context.invalidate();
    }
    if (this.#segments.isStale) this.#segments.refresh(this.#hosts, this.#vsids);
    return action;
  }

  handleExit(vector: number): number {
    this.#context.follow();
    const reason = this.#exits.handle(vector);
    return this.#debug.begun ? this.#debug.end(vector, reason) : reason;
  }

  readonly traced: FamilyTrace = {
    vectors: VECTOR_NAMES,
    program: SERVER_VECTOR.program,
    word: () => (this.#context.fetch() ? this.#context.instruction : 0),
    taken: () => this.#interrupts.taken,
  };

  setGuestDebug(debug: KvmGuestDebug): void {
    this.#debug.set(debug);
  }

  interrupt(kind: number): void {
    const interrupts = this.#interrupts;
    switch (kind >>> 0) {
      case KVM_INTERRUPT.SET:
        interrupts.set(PRIORITY.EXTERNAL, true);
        break;
      case KVM_INTERRUPT.SET_LEVEL:
        interrupts.set(PRIORITY.EXTERNAL_LEVEL, true);
        break;
      default:
        interrupts.set(PRIORITY.EXTERNAL, false);
        interrupts.set(PRIORITY.EXTERNAL_LEVEL, false);
    }
  }

  /** The family's processors have no critical input. */
  criticalInterrupt(): void {}

  enableCap(capability: VcpuCapability, argument: number | KvmConfigTlb): boolean {
    if (capability !== 'osi') return false;
    this.#osi.enable(argument !== 0);
    return true;
  }

  getRegs(): KvmRegs {
    return this.#registers.getRegs();
  }

  setRegs(regs: KvmRegs): void {
    this.#registers.setRegs(regs);
  }

  getSregs(): KvmSregs {
    return this.#registers.getSregs();
  }

  setSregs(sregs: Partial<KvmSregs>): void {
    this.#registers.setSregs(sregs);
  }

  getOneReg(id: bigint): bigint | undefined {
    return this.#registers.getOneReg(id);
  }

  setOneReg(id: bigint, value: bigint): boolean {
    return this.#registers.setOneReg(id, value);
  }

  get stats(): KvmStats {
    const assisted = Object.fromEntries(
      ASSISTED_NAMES.map((name, i) => [name, (this.#words[(ASSISTED >> 2) + i] as number) >>> 0]),
    );
    return { ...assisted, vsid_recycles: this.#vsids.recycled, shadow_pages: this.#shadow.count };
  }

  translate(low: number): KvmTranslation {
    if (((this.#words[W_MSR] as number) & MSR.DR) === 0)
      return { physicalAddress: low, valid: true, writeable: true, usermode: false };
    const mmu = this.#mmu;
    const translates = (user: boolean): boolean =>
      mmu.translate(low | 0, 0, user, ACCESS.READ, false) === TRANSLATION.OK;
    const { user } = this.#context;
    const usermode = translates(true);
    // What may be written is asked last, as the guest is.
    if (!(user && usermode) && !translates(false))
      return { physicalAddress: 0, valid: false, writeable: false, usermode: false };
    return { physicalAddress: mmu.page * 4096 + (low & 0xfff), valid: true, writeable: mmu.writable, usermode };
  }

  saveState(): KvmState {
    return { ...saveWords(this.#words, SAVED_WORDS), ...this.#decrementer.save() };
  }

  restoreState(state: KvmState): void {
    const put = readWords(state, SAVED_WORDS);
    const decStart = savedNumber(state, 'decStart', -TIMEBASE_LIMIT, TIMEBASE_LIMIT);
    if (state['magicMapped'] !== 0 && this.#parts.accel === 'trap')
      throw new KvmError(
        'the saved guest uses the paravirtual interface, which accel trap has not; pv, assist would fit',
      );
    const words = this.#words;
    put(words);
    words[W_MAGIC_MAPPED] = (words[W_MAGIC_MAPPED] as number) & 1;
    const msr = words[W_MSR] as number;
    words[W_MSR] = 0;
    words[W_MSR + 1] = 0;
    this.#context.setMsr(msr, 0);
    this.#translationChanged();
    this.#context.refresh();
    this.#interrupts.set(PRIORITY.DECREMENTER, ((words[W_PENDING] as number) & (1 << PRIORITY.DECREMENTER)) !== 0);
    this.#decrementer.restore({ decStart });
    this.#debug.reset();
  }

  /** KVM sets the guest's segments with the special registers; there is no TLB to set. */
  readonly tlbEntries = 0;
  setTlbEntry(): void {}

  /** The pages of a slot are to be written with a fault again, which marks them dirty. */
  protectPages(slot: MemorySlot, dirty: Uint8Array): void {
    const first = (slot.firstFrame + slot.delta) / PAGE_FRAMES;
    for (const [byte, bits] of dirty.entries())
      for (let bit = 0; bit < 8; bit++)
        if ((bits & (1 << bit)) !== 0) this.#shadow.dropHostPage(first + byte * 8 + bit);
  }

  /** The guest's hash table is in its memory. */
  hashTableChanged(): void {}

  slotsChanged(): void {
    this.#translationChanged();
  }

  /** The guest's BATs or its table were replaced: no shadow has to do with them any longer. */
  #translationChanged(): void {
    this.#bats.changed();
    this.#shadow.dropAll();
    this.#hosts.dropAll();
    this.#context.invalidate();
  }

  /** The guest waits for an interrupt, whether or not it lets it through. */
  #halt(): number {
    this.#parts.run.hlt.wakeAt = this.nextTimer();
    (this.#counts[COUNTER.halt_exits] as number)++;
    return KVM_EXIT.HLT;
  }
}
