/** The Book3S 64 family: wires the guest's MMU, shadow pages, interrupts, emulation and hypercalls together for one vCPU. */
import { LEVELS_OF, SERVER_VECTOR, type ServerCpu } from '../../processor/index.ts';
import {
  KVM_EXIT,
  KVM_INTERRUPT,
  type KvmChainStep,
  type KvmConfigTlb,
  KvmError,
  type KvmGuestDebug,
  type KvmRegs,
  type KvmSregs,
  type KvmState,
  type KvmStats,
  type KvmTable,
  type KvmTranslation,
  type VcpuCapability,
} from '../api.ts';
import { MSR, MSR_SF } from '../book3s/bits.ts';
import { Book3sContext } from '../book3s/context.ts';
import { Book3sDebug } from '../book3s/debug.ts';
import { Decrementer } from '../book3s/decrementer.ts';
import { Book3sExits } from '../book3s/exits.ts';
import { HostContexts, MODE } from '../book3s/host-contexts.ts';
import { ParavirtHypercalls } from '../book3s/hypercalls.ts';
import { Book3sInterrupts, PRIORITY } from '../book3s/interrupts.ts';
import {
  ASSISTED,
  ASSISTED_NAMES,
  BOOK3S_STATE,
  DOUBLES,
  SAVED_WORDS,
  W_BESCR,
  W_CR,
  W_CTRL,
  W_GPR,
  W_HALTED,
  W_HIOR,
  W_MAGIC_MAPPED,
  W_MSR,
  W_OSI,
  W_PAPR,
  W_PC,
  W_PENDING,
  W_PIR,
  W_PVR,
  W_SDR1,
  W_WIDE_RESERVE_ADDRESS,
} from '../book3s/layout.ts';
import { ACCESS, TRANSLATION } from '../book3s/mmu.ts';
import { OsiCalls } from '../book3s/osi.ts';
import { ShadowPages } from '../book3s/shadow.ts';
import { StorageEmulation } from '../book3s/storage.ts';
import { VirtualTime } from '../book3s/virtual-time.ts';
import { VsidMap } from '../book3s/vsid-map.ts';
import { GuestDebug } from '../debug.ts';
import { type FamilyParts, type FamilyTrace, RESUME_GUEST, type VcpuFamily, vectorNames } from '../family.ts';
import { type MemorySlot, PAGE_FRAMES } from '../slots.ts';
import { readWords, savedBoolean, savedInteger, savedNumber, saveWords } from '../state.ts';
import { COUNTER } from '../stats.ts';
import { type GuestTime, TIMEBASE_LIMIT } from '../time.ts';
import { Book3sEmulation } from './emulate.ts';
import { ShadowFaults } from './faults.ts';
import { GuestHtab } from './guest-htab.ts';
import { HostSegments } from './host-segments.ts';
import { ServerTable } from './host-table.ts';
import { HashTableCalls } from './htab-calls.ts';
import { Inspection64 } from './inspection.ts';
import { GuestMmu64 } from './mmu.ts';
import type { ServerModel } from './models.ts';
import { HCALL, PaprHypercalls } from './papr.ts';
import { PerformanceMonitor } from './performance.ts';
import { Book3sRegisters } from './registers.ts';
import { SegmentEmulation } from './segments.ts';
import { GuestSlb } from './slb.ts';
import { SprEmulation } from './spr-emulation.ts';
import { sprTable } from './sprs.ts';

import { VirtualProcessorAreas, VPA_KIND, type VpaKind } from './vpa.ts';

/** Number of the host's process context that the first vCPU has: that of the talk's example. */
const FIRST_CONTEXT = 0x12345;
/** Not a valid reservation address (processor/book3s/layout.ts, WIDE_RESERVE_ADDRESS). */
const NO_RESERVATION = 1;
/** CTRL[RUN]. */
const CTRL_RUN = 1;
/** Where a processor begins after a reset. */
const RESET_PC = 0x100;

/** The areas that a guest registers, by their names in a state. */
const SAVED_AREAS: readonly (readonly [name: string, kind: VpaKind])[] = [
  ['vpa', VPA_KIND.VPA],
  ['slbShadow', VPA_KIND.SLB_SHADOW],
  ['dispatchTrace', VPA_KIND.DISPATCH_TRACE],
];

const VECTOR_NAMES = vectorNames(SERVER_VECTOR);
const HYPERCALL_NAMES = vectorNames(HCALL);

/** What tests make smaller. */
export interface Book3sLimits {
  /** VSIDs of the host's process context. */
  readonly vsids: number;
  readonly shadows: number;
}
const LIMITS: Book3sLimits = { vsids: 65535, shadows: 65536 };

export class Book3s64 implements VcpuFamily {
  readonly #parts: FamilyParts<ServerCpu>;
  readonly #model: ServerModel;
  readonly #words: Int32Array;
  readonly #time: GuestTime;
  readonly #counts: Float64Array;
  readonly #slb: GuestSlb;
  readonly #htab: GuestHtab;
  readonly #mmu: GuestMmu64;
  readonly #vsids: VsidMap;
  readonly #shadow: ShadowPages;
  readonly #hosts: HostContexts;
  readonly #context: Book3sContext;
  readonly #interrupts: Book3sInterrupts;
  readonly #decrementer: Decrementer;
  readonly #virtualTime: VirtualTime;
  readonly #monitor: PerformanceMonitor;
  readonly #sprs: SprEmulation;
  readonly #storage: StorageEmulation;
  readonly #papr: PaprHypercalls;
  readonly #areas: VirtualProcessorAreas;
  readonly #osi: OsiCalls;
  readonly #exits: Book3sExits;
  readonly #registers: Book3sRegisters;
  readonly #debug: Book3sDebug;
  readonly #inspection: Inspection64;

  constructor(parts: FamilyParts<ServerCpu>, model: ServerModel, limits: Book3sLimits = LIMITS) {
    const { cpu, memory, slots, time, counters, run, accel, hashTable } = parts;
    const { buffer } = memory.wasm;
    this.#parts = parts;
    this.#model = model;
    this.#time = time;
    this.#counts = counters.counts;
    const slb = new GuestSlb(buffer, cpu.base);
    const htab = new GuestHtab(memory, slots, hashTable, (address) => cpu.codeWritten(address, 4));
    const mmu = new GuestMmu64(slb, htab, model.multiPageSize, 2 ** (model.realBits - 32) - 1);
    const segments = new HostSegments(cpu);
    const vsids = new VsidMap(FIRST_CONTEXT + parts.id, limits.vsids, (n) => {
      shadow.dropVsid(n);
      segments.dropVsid(n);
    });
    const shadow: ShadowPages = new ShadowPages(new ServerTable(cpu), vsids, counters, limits.shadows);
    const hosts = new HostContexts(cpu, segments, accel === 'assist', MODE.SF | (memory.littleEndian ? MODE.LE : 0));
    const context = new Book3sContext(cpu, model, memory, slots, mmu, hosts, vsids);
    const interrupts = new Book3sInterrupts(context, counters);
    const decrementer = new Decrementer(context.words, buffer, cpu.base, time, (pending) =>
      interrupts.set(PRIORITY.DECREMENTER, pending),
    );
    const virtualTime = new VirtualTime(buffer, cpu.base, time);
    // What was emulated is carried out, too. The vector code's services cost one each (vectors.ts), but two are of no instruction
    // that the processor does not count by itself.
    const assisted = (name: (typeof ASSISTED_NAMES)[number]): number =>
      (context.words[(ASSISTED >> 2) + ASSISTED_NAMES.indexOf(name)] as number) >>> 0;
    const instructions = (): number =>
      cpu.retired +
      (counters.counts[COUNTER.emulated_inst_exits] as number) -
      assisted('assisted_sc') -
      assisted('assisted_unavailable');
    const monitor = new PerformanceMonitor(
      model.name,
      context,
      interrupts,
      time,
      virtualTime,
      buffer,
      cpu.base,
      instructions,
    );
    const debug = new Book3sDebug(new GuestDebug(counters, run), cpu, context, interrupts);
    const storage = new StorageEmulation(context, interrupts, memory.littleEndian, counters, run, debug);
    const emulatedSegments = new SegmentEmulation(context, slb, hosts, shadow, vsids, model.multiPageSize);
    const codeWritten = (address: number, length: number): void => cpu.codeWritten(address, length);
    const areas = new VirtualProcessorAreas(context.words, slots, memory, codeWritten);
    const papr = new PaprHypercalls(
      context,
      new HashTableCalls(context, htab, emulatedSegments),
      areas,
      slots,
      memory,
      counters,
      run,
      codeWritten,
      () => debug.registersChanged(),
    );
    const sprs = new SprEmulation(
      context,
      sprTable(LEVELS_OF[model.name]),
      decrementer,
      virtualTime,
      monitor,
      time,
      counters,
      instructions,
      () => this.#translationChanged(),
      () => debug.registersChanged(),
    );
    const emulation = new Book3sEmulation(context, interrupts, sprs, emulatedSegments, monitor, counters, () =>
      papr.serve(),
    );
    const faults = new ShadowFaults(
      context,
      interrupts,
      storage,
      slb,
      mmu,
      vsids,
      hosts,
      segments,
      shadow,
      slots,
      counters,
      run,
    );
    const paravirt =
      accel === 'trap'
        ? null
        : new ParavirtHypercalls(context, memory.littleEndian, () => {
            shadow.dropAll();
            hosts.dropAll();
          });
    const osi = new OsiCalls(context.words, run);
    this.#exits = new Book3sExits(context, interrupts, emulation, faults, papr, osi, paravirt, counters, run, debug);
    this.#registers = new Book3sRegisters(
      context,
      slb,
      decrementer,
      virtualTime,
      sprs,
      areas,
      () => time.timebase(),
      () => this.#translationChanged(),
      () => {
        debug.registersChanged();
        monitor.changed();
      },
    );
    this.#debug = debug;
    this.#osi = osi;
    this.#inspection = new Inspection64(context, slb, htab, mmu, vsids, shadow, faults, slots);
    this.#words = context.words;
    this.#slb = slb;
    this.#htab = htab;
    this.#mmu = mmu;
    this.#vsids = vsids;
    this.#shadow = shadow;
    this.#hosts = hosts;
    this.#context = context;
    this.#interrupts = interrupts;
    this.#decrementer = decrementer;
    this.#virtualTime = virtualTime;
    this.#monitor = monitor;
    this.#sprs = sprs;
    this.#storage = storage;
    this.#papr = papr;
    this.#areas = areas;
  }

  reset(): void {
    const words = this.#words;
    const papr = words[W_PAPR] as number;
    const osi = words[W_OSI] as number;
    words.fill(0, W_GPR, W_GPR + 64);
    words.fill(0, W_CR, W_CR + 8);
    words.fill(0, BOOK3S_STATE >> 2, DOUBLES >> 2);
    words[W_WIDE_RESERVE_ADDRESS] = NO_RESERVATION;
    words[W_WIDE_RESERVE_ADDRESS + 1] = 0;
    words[W_PVR] = this.#model.pvr;
    words[W_PIR] = this.#parts.id;
    words[W_CTRL] = CTRL_RUN;
    words[W_PAPR] = papr;
    words[W_OSI] = osi;
    words[W_HIOR] = papr !== 0 ? 0 : this.#model.hior;
    words[W_PC] = RESET_PC;
    words[W_PC + 1] = 0;
    this.#slb.clear();
    this.#debug.reset();
    words[W_MSR] = 0;
    words[W_MSR + 1] = 0;
    this.#context.setMsr(0, MSR_SF);
    this.#translationChanged();
    this.#context.refresh();
    this.#decrementer.reset();
    this.#virtualTime.reset();
    this.#sprs.instructions = 0;
    this.#monitor.changed();
  }

  begin(): void {
    if (this.#time.icount === 0) this.#areas.dispatch(true);
    this.#storage.complete();
    this.#osi.complete();
    this.#papr.complete();
  }

  end(): void {
    if (this.#time.icount === 0) this.#areas.dispatch(false);
  }

  updateTimers(): number {
    const now = this.#time.timebase();
    this.#decrementer.poll(now);
    this.#virtualTime.advance(now);
    if (this.#monitor.deadline !== Number.POSITIVE_INFINITY) this.#monitor.poll();
    return RESUME_GUEST;
  }

  nextTimer(): number {
    return Math.min(this.#timer(), this.#monitor.deadline);
  }

  /** Nanosecond at which the decrementer interrupts. */
  #timer(): number {
    const { deadline } = this.#decrementer;
    return deadline === Number.POSITIVE_INFINITY ? deadline : this.#time.nanosecondsAt(deadline);
  }

  enter(): number {
    const words = this.#words;
    const rest = this.#storage.rest();
    if (rest !== RESUME_GUEST) return rest;
    if (words[W_HALTED] !== 0 && words[W_PENDING] !== 0) {
      words[W_HALTED] = 0;
      // With counted time, runs of the processor are the host's business alone.
      if (this.#time.icount !== 0) this.#areas.dispatch(true);
      (this.#counts[COUNTER.halt_wakeup] as number)++;
    }
    const stepping = this.#context.stepping !== 0;
    if (stepping && this.#debug.host.due) return this.#debug.report();
    if (words[W_PENDING] !== 0 && !(stepping && this.#debug.host.blocksInterrupts)) this.#interrupts.deliver();
    if (words[W_HALTED] !== 0) return this.#halt();
    if (words[W_BESCR] !== 0) this.#monitor.branch();
    return this.#context.stepping === 0 ? RESUME_GUEST : this.#debug.begin();
  }

  handleExit(vector: number): number {
    this.#context.follow();
    const reason = this.#exits.handle(vector);
    return this.#debug.begun ? this.#debug.end(vector, reason) : reason;
  }

  tables(limit: number): readonly KvmTable[] {
    return this.#inspection.tables(limit);
  }

  chain(low: number, high: number): readonly KvmChainStep[] {
    return this.#inspection.chain(low, high);
  }

  readonly traced: FamilyTrace = {
    vectors: VECTOR_NAMES,
    hypercalls: HYPERCALL_NAMES,
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
    if (capability === 'osi') this.#osi.enable(argument !== 0);
    if (capability !== 'papr') return capability === 'osi';
    const words = this.#words;
    words[W_PAPR] = 1;
    words[W_HIOR] = 0;
    words[W_HIOR + 1] = 0;
    this.#context.setMsr(words[W_MSR] as number, words[W_MSR + 1] as number);
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
    return { ...assisted, ...this.#papr.stats, vsid_recycles: this.#vsids.recycled, shadow_pages: this.#shadow.count };
  }

  translate(low: number, high: number): KvmTranslation {
    const offset = low & 0xfff;
    if (((this.#words[W_MSR] as number) & MSR.DR) === 0) {
      const physicalAddress = (high & this.#context.realHigh) * 2 ** 32 + low;
      return { physicalAddress, valid: true, writeable: true, usermode: false };
    }
    const mmu = this.#mmu;
    const translates = (user: boolean): boolean =>
      mmu.translate(low | 0, high | 0, user, ACCESS.READ, false) === TRANSLATION.OK;
    const { user } = this.#context;
    const usermode = translates(true);
    // Problem state's pages have the keys of problem state: what may be written is asked last, as the guest is.
    if (!(user && usermode) && !translates(false))
      return { physicalAddress: 0, valid: false, writeable: false, usermode: false };
    return { physicalAddress: mmu.page * 4096 + offset, valid: true, writeable: mmu.writable, usermode };
  }

  saveState(): KvmState {
    this.#monitor.sync();
    const areas = SAVED_AREAS.map(([name, kind]) => [name, this.#areas.registered(kind).address] as const);
    return {
      ...saveWords(this.#words, SAVED_WORDS),
      ...Object.fromEntries(areas),
      ...this.#decrementer.save(),
      ...this.#virtualTime.save(),
      instructions: this.#sprs.instructions,
      ceded: this.#areas.ceded,
    };
  }

  restoreState(state: KvmState): void {
    const put = readWords(state, SAVED_WORDS);
    const time = (name: string): number => savedNumber(state, name, -TIMEBASE_LIMIT, TIMEBASE_LIMIT);
    const decrementer = { decStart: time('decStart') };
    const virtualTime = { vtb: time('vtb'), vtbRuns: savedBoolean(state, 'vtbRuns') };
    const instructions = savedInteger(state, 'instructions', -(2 ** 53));
    const ceded = savedBoolean(state, 'ceded');
    const areas = SAVED_AREAS.map(([name, kind]) => ({ kind, name, address: savedInteger(state, name) }));
    for (const { kind, name, address } of areas)
      if (!this.#areas.restore(kind, address, 0))
        throw new KvmError(`the saved state has its ${name} where no memory is`);
    this.#areas.ceded = ceded;
    const words = this.#words;
    put(words);
    if (words[W_MAGIC_MAPPED] !== 0 && this.#parts.accel === 'trap')
      throw new KvmError(
        'the saved guest uses the paravirtual interface, which accel trap has not; pv, assist would fit',
      );
    const msr = words[W_MSR] as number;
    const high = words[W_MSR + 1] as number;
    words[W_MSR] = 0;
    words[W_MSR + 1] = 0;
    this.#context.beforeState = null;
    this.#context.setMsr(msr, high);
    this.#translationChanged();
    this.#context.refresh();
    words[this.#context.wIntPending] = words[W_PENDING] === 0 ? 0 : 1;
    this.#decrementer.restore(decrementer);
    this.#virtualTime.restore(virtualTime);
    this.#sprs.instructions = instructions;
    this.#monitor.changed();
    this.#debug.reset();
  }

  /** KVM sets the guest's SLB with the special registers; there is no TLB to set. */
  readonly tlbEntries = 0;
  setTlbEntry(): void {}

  /** The pages of a slot are to be written with a fault again, which marks them dirty. */
  protectPages(slot: MemorySlot, dirty: Uint8Array): void {
    const first = (slot.firstFrame + slot.delta) / PAGE_FRAMES;
    for (const [byte, bits] of dirty.entries())
      for (let bit = 0; bit < 8; bit++)
        if ((bits & (1 << bit)) !== 0) this.#shadow.dropHostPage(first + byte * 8 + bit);
  }

  hashTableChanged(): void {
    this.#translationChanged();
  }

  slotsChanged(): void {
    this.#translationChanged();
  }

  /** The guest's SLB or its table was replaced: no shadow has to do with it any longer. */
  #translationChanged(): void {
    const words = this.#words;
    this.#slb.rebuild();
    this.#htab.setSdr1(words[W_SDR1] as number, words[W_SDR1 + 1] as number);
    this.#shadow.dropAll();
    this.#hosts.dropAll();
    this.#context.invalidate();
  }

  /** The guest waits for an interrupt, whether or not it lets it through. */
  #halt(): number {
    this.#monitor.sync();
    if (this.#time.icount !== 0) this.#areas.cede();
    this.#virtualTime.halt();
    this.#parts.run.hlt.wakeAt = Math.min(this.#timer(), this.#monitor.wakeAt);
    (this.#counts[COUNTER.halt_exits] as number)++;
    return KVM_EXIT.HLT;
  }
}
