/**
 * PAPR hypercalls that KVM serves itself (Linux Power Architecture Platform Reference, "Hypervisor Call Functions");
 * the others go on to user space. A hypercall's number is in r3, its arguments from r4 on; the status comes back in r3.
 */
import { registersOf } from '../../isa/registers/index.ts';
import { type HostMemory, LEVELS_OF } from '../../processor/index.ts';
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { CIABR, DABRX, LPCR_AIL, LPCR_ILE, MSR } from '../book3s/bits.ts';
import type { Book3sContext } from '../book3s/context.ts';
import {
  W_CIABR,
  W_DABR,
  W_DABRX,
  W_DAWR,
  W_DAWRX,
  W_GPR,
  W_HALTED,
  W_HCALL,
  W_LPCR,
  W_MSR,
  W_SPRG,
} from '../book3s/layout.ts';
import { checkBits } from '../checks.ts';
import { RESUME_GUEST } from '../family.ts';
import type { MemorySlots } from '../slots.ts';
import { COUNTER, type VcpuCounters } from '../stats.ts';
import { H } from './hcall.ts';
import type { HashTableCalls } from './htab-calls.ts';
import type { VirtualProcessorAreas } from './vpa.ts';

/** Function numbers. */
export const HCALL = {
  H_REMOVE: 0x04,
  H_ENTER: 0x08,
  H_READ: 0x0c,
  H_CLEAR_MOD: 0x10,
  H_CLEAR_REF: 0x14,
  H_PROTECT: 0x18,
  H_SET_SPRG0: 0x24,
  H_SET_DABR: 0x28,
  H_PAGE_INIT: 0x2c,
  H_LOGICAL_CI_LOAD: 0x3c,
  H_LOGICAL_CI_STORE: 0x40,
  H_SET_XDABR: 0x134,
  H_REGISTER_VPA: 0xdc,
  H_CEDE: 0xe0,
  H_BULK_REMOVE: 0x124,
  H_SET_MODE: 0x31c,
} as const;

/** Not a status: user space serves it. */
const TO_USER_SPACE = 1;

/** The names of the functions that KVM counts, by number / 4; those of user space are counted by number. */
const NAMES = new Map<number, string>(Object.entries(HCALL).map(([name, nr]) => [nr, name.toLowerCase()]));

const DAWR_SPR = 180;
/** DABRX as a guest may set it: its own states, one at least. */
const DABRX_STATES = DABRX.PRIVILEGED | DABRX.PROBLEM;
const DABRX_SETTABLE = DABRX_STATES | DABRX.BTI;
/** LPCR[AIL]'s place. */
const AIL_SHIFT = 23;
const MODE_RESOURCE = {
  INSTRUCTION_BREAKPOINT: 1,
  DATA_WATCHPOINT: 2,
  ADDRESS_TRANSLATION: 3,
  LITTLE_ENDIAN: 4,
} as const;
const PAGE_INIT = { ZERO: 0x8000, COPY: 0x4000 } as const;
const LAST_COUNTED = 0x400;
const TWO_32 = 2 ** 32;

export class PaprHypercalls {
  readonly #words: Int32Array;
  /** The model has DAWR and CIABR. */
  readonly #hasWatchpoint: boolean;
  readonly #htab: HashTableCalls;
  readonly #areas: VirtualProcessorAreas;
  readonly #slots: MemorySlots;
  readonly #memory: HostMemory;
  readonly #counts: Float64Array;
  readonly #run: KvmRun;
  readonly #codeWritten: (address: number, length: number) => void;
  /** A register of the debug facilities was written. */
  readonly #onDebug: () => void;
  readonly #random: (() => bigint) | undefined;
  /** Calls by number / 4. */
  readonly #calls = new Float64Array(LAST_COUNTED / 4 + 1);

  constructor(
    context: Book3sContext,
    htab: HashTableCalls,
    areas: VirtualProcessorAreas,
    slots: MemorySlots,
    memory: HostMemory,
    counters: VcpuCounters,
    run: KvmRun,
    codeWritten: (address: number, length: number) => void,
    onDebug: () => void,
    random?: () => bigint,
  ) {
    this.#words = context.words;
    this.#hasWatchpoint = registersOf(LEVELS_OF[context.model.name]).has(DAWR_SPR);
    this.#htab = htab;
    this.#areas = areas;
    this.#slots = slots;
    this.#memory = memory;
    this.#counts = counters.counts;
    this.#run = run;
    this.#codeWritten = codeWritten;
    this.#onDebug = onDebug;
    this.#random = random;
  }

  /** Calls by name, or by number where KVM has no name for it. */
  get stats(): Record<string, number> {
    const stats: Record<string, number> = {};
    for (const [index, count] of this.#calls.entries())
      if (count > 0) stats[`hcall_${NAMES.get(index * 4) ?? `0x${(index * 4).toString(16)}`}`] = count;
    return stats;
  }

  /** Serves the hypercall in r3; PC is behind it. */
  serve(): number {
    const words = this.#words;
    (this.#counts[COUNTER.hcall_exits] as number)++;
    const wide = words[W_MSR + 1] !== 0;
    const nr = (wide ? ((words[W_GPR + 7] as number) >>> 0) * TWO_32 : 0) + ((words[W_GPR + 6] as number) >>> 0);
    const counted = nr < LAST_COUNTED && (nr & 3) === 0 ? nr >> 2 : LAST_COUNTED >> 2;
    (this.#calls[counted] as number)++;
    const status = this.#serve(nr);
    if (status === TO_USER_SPACE) return this.#toUserSpace(nr);
    words[W_GPR + 6] = status;
    words[W_GPR + 7] = status >> 31;
    return RESUME_GUEST;
  }

  /** Puts user space's results into the guest's registers. */
  complete(): void {
    const words = this.#words;
    if (words[W_HCALL] === 0) return;
    words[W_HCALL] = 0;
    const { paprHcall } = this.#run;
    checkBits('paprHcall.ret', paprHcall.ret, 64);
    this.#put(3, paprHcall.ret);
    for (let i = 0; i < 9; i++) this.#put(4 + i, paprHcall.args[i] as bigint);
  }

  #serve(nr: number): number {
    const words = this.#words;
    switch (nr) {
      case HCALL.H_ENTER:
        return this.#htab.enter();
      case HCALL.H_REMOVE:
        return this.#htab.remove();
      case HCALL.H_PROTECT:
        return this.#htab.protect();
      case HCALL.H_READ:
        return this.#htab.read();
      case HCALL.H_CLEAR_MOD:
        return this.#htab.clearChanged();
      case HCALL.H_CLEAR_REF:
        return this.#htab.clearReferenced();
      case HCALL.H_BULK_REMOVE:
        return this.#htab.bulkRemove();
      case HCALL.H_CEDE:
        // EE of a kernel: the mode stays what it is.
        words[W_MSR] = (words[W_MSR] as number) | MSR.EE;
        words[W_HALTED] = 1;
        return H.SUCCESS;
      case HCALL.H_SET_MODE:
        return this.#setMode();
      case HCALL.H_PAGE_INIT:
        return this.#pageInit();
      case HCALL.H_SET_SPRG0: {
        const sprg0 = W_SPRG[0] as number;
        words[sprg0] = words[W_GPR + 8] as number;
        words[sprg0 + 1] = words[W_GPR + 9] as number;
        return H.SUCCESS;
      }
      case HCALL.H_SET_DABR:
        return this.#setDabr(DABRX_STATES);
      case HCALL.H_SET_XDABR: {
        const dabrx = this.#address(5);
        if (dabrx > DABRX_SETTABLE || (dabrx & ~DABRX_SETTABLE) !== 0 || (dabrx & DABRX_STATES) === 0)
          return H.PARAMETER;
        return this.#setDabr(dabrx);
      }
      case HCALL.H_REGISTER_VPA:
        return this.#areas.register();
      case HCALL.H_LOGICAL_CI_LOAD:
      case HCALL.H_LOGICAL_CI_STORE:
        return this.#cacheInhibited(nr === HCALL.H_LOGICAL_CI_STORE);
      case 0x300: // H_RANDOM
        if (this.#random === undefined) return TO_USER_SPACE;
        this.#put(4, this.#random());
        return H.SUCCESS;
      default:
        return TO_USER_SPACE;
    }
  }

  #toUserSpace(nr: number): number {
    const words = this.#words;
    const { paprHcall } = this.#run;
    paprHcall.nr = nr;
    paprHcall.ret = 0n;
    for (let i = 0; i < 9; i++) {
      const low = (words[W_GPR + 8 + 2 * i] as number) >>> 0;
      const high = (words[W_GPR + 9 + 2 * i] as number) >>> 0;
      paprHcall.args[i] = (BigInt(high) << 32n) | BigInt(low);
    }
    words[W_HCALL] = 1;
    return KVM_EXIT.PAPR_HCALL;
  }

  /** A real address in a register, as a double; what is not exact is not memory either. */
  #address(register: number): number {
    const at = W_GPR + 2 * register;
    return ((this.#words[at + 1] as number) >>> 0) * TWO_32 + ((this.#words[at] as number) >>> 0);
  }

  #setDabr(dabrx: number): number {
    const words = this.#words;
    words[W_DABR] = words[W_GPR + 8] as number;
    words[W_DABR + 1] = words[W_GPR + 9] as number;
    words[W_DABRX] = dabrx;
    this.#onDebug();
    return H.SUCCESS;
  }

  #setMode(): number {
    const words = this.#words;
    const flags = this.#address(4);
    const resource = this.#address(5);
    const low = words[W_GPR + 12] as number;
    switch (resource) {
      case MODE_RESOURCE.INSTRUCTION_BREAKPOINT:
      case MODE_RESOURCE.DATA_WATCHPOINT: {
        if (!this.#hasWatchpoint) return H.P2;
        if (flags !== 0) return H.UNSUPPORTED_FLAG_63;
        const isData = resource === MODE_RESOURCE.DATA_WATCHPOINT;
        // Neither may be of the hypervisor's own code.
        if (!isData && (low & CIABR.STATE) === CIABR.HYPERVISOR) return H.P3;
        const second = this.#address(7);
        if (isData ? second > 0xffff || (second & DABRX.HYPERVISOR) !== 0 : second !== 0) return H.P4;
        const word = isData ? W_DAWR : W_CIABR;
        words[word] = low;
        words[word + 1] = words[W_GPR + 13] as number;
        if (isData) words[W_DAWRX] = second;
        this.#onDebug();
        return H.SUCCESS;
      }
      case MODE_RESOURCE.ADDRESS_TRANSLATION:
        if (this.#address(6) !== 0) return H.P3;
        if (this.#address(7) !== 0) return H.P4;
        // Translation off, or on at the only place that there is. The reference knows no other than off.
        if (flags !== 0 && flags !== LPCR_AIL >>> AIL_SHIFT) return H.UNSUPPORTED_FLAG_63;
        words[W_LPCR] = ((words[W_LPCR] as number) & ~LPCR_AIL) | (flags << AIL_SHIFT);
        return H.SUCCESS;
      case MODE_RESOURCE.LITTLE_ENDIAN:
        if (this.#address(6) !== 0) return H.P3;
        if (this.#address(7) !== 0) return H.P4;
        if (flags > 1) return H.UNSUPPORTED_FLAG_63;
        words[W_LPCR] = ((words[W_LPCR] as number) & ~LPCR_ILE) | (flags === 1 ? LPCR_ILE : 0);
        return H.SUCCESS;
      default:
        return H.P2;
    }
  }

  #pageInit(): number {
    const flags = this.#words[W_GPR + 8] as number;
    const destination = this.#address(5);
    const slot = this.#slots.find(Math.floor(destination / 1024));
    const to = destination % 4096 === 0 && slot?.readonly === false ? this.#slots.hostAddress(destination, 4096) : -1;
    if (to < 0) return H.PARAMETER;
    if ((flags & PAGE_INIT.COPY) !== 0) {
      const source = this.#address(6);
      const from = source % 4096 === 0 ? this.#slots.hostAddress(source, 4096) : -1;
      if (from < 0) return H.PARAMETER;
      this.#memory.u8.copyWithin(to, from, from + 4096);
    } else if ((flags & PAGE_INIT.ZERO) !== 0) this.#memory.u8.fill(0, to, to + 4096);
    else return H.SUCCESS;
    slot?.markDirty(destination / 4096);
    this.#codeWritten(to, 4096);
    return H.SUCCESS;
  }

  /** Accesses to memory by size 1, 2, 4 or 8; devices are user space's. */
  #cacheInhibited(store: boolean): number {
    const words = this.#words;
    const size = this.#address(4);
    const address = this.#address(5);
    if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return H.PARAMETER;
    const host = this.#slots.hostAddress(address, size);
    if (host < 0) return TO_USER_SPACE;
    if (address % size !== 0) return H.PARAMETER;
    const memory = this.#memory;
    if (store) {
      const slot = this.#slots.find(Math.floor(address / 1024));
      if (slot === null || slot.readonly) return H.PARAMETER;
      const low = words[W_GPR + 12] as number;
      const high = words[W_GPR + 13] as number;
      if (size === 1) memory.write8(host, low);
      else if (size === 2) memory.write16(host, low);
      else {
        const lowFirst = memory.littleEndian;
        memory.write32(size === 8 && !lowFirst ? host + 4 : host, low);
        if (size === 8) memory.write32(lowFirst ? host + 4 : host, high);
      }
      slot.markDirty(Math.floor(address / 4096));
      this.#codeWritten(host, size);
      return H.SUCCESS;
    }
    words[W_GPR + 9] = 0;
    if (size === 1) words[W_GPR + 8] = memory.read8(host);
    else if (size === 2) words[W_GPR + 8] = memory.read16(host);
    else {
      const lowFirst = memory.littleEndian;
      words[W_GPR + 8] = memory.read32(size === 8 && !lowFirst ? host + 4 : host);
      if (size === 8) words[W_GPR + 9] = memory.read32(lowFirst ? host + 4 : host);
    }
    return H.SUCCESS;
  }

  #put(register: number, value: bigint): void {
    this.#words[W_GPR + 2 * register] = Number(BigInt.asIntN(32, value));
    this.#words[W_GPR + 2 * register + 1] = Number(BigInt.asIntN(32, value >> 32n));
  }
}
