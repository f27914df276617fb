/** A Book3S 64 guest on a host processor that runs nothing: the test says which interrupt comes, and reads the host's SLBs and table. */
import { assembleWords } from '../../../src/isa/index.ts';
import type { Accel } from '../../../src/kvm/api.ts';
import { Book3s64, type Book3sLimits } from '../../../src/kvm/book3s64/book3s64.ts';
import { EMULATED_MNEMONICS } from '../../../src/kvm/book3s64/emulate.ts';
import { BOOK3S_MODELS, type ServerModel } from '../../../src/kvm/book3s64/models.ts';
import { MemorySlot, MemorySlots } from '../../../src/kvm/slots.ts';
import { VcpuCounters } from '../../../src/kvm/stats.ts';
import { GuestTime } from '../../../src/kvm/time.ts';
import { createKvmRun } from '../../../src/kvm/vcpu.ts';
import {
  type ContextMode,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  HOST_HTAB,
  HostMemory,
  HPTE,
  PC,
  RAM_BASE,
  SERVER_SLB_ENTRIES,
  SERVER_VECTOR,
  type ServerCpu,
  SRR1_PROGRAM,
  VCPU_BLOCKS,
} from '../../../src/processor/index.ts';

export const SF = 1n << 63n;
export const VIRTUAL = SF | 0x30n;
export const USER = SF | 0x4030n;
export const REAL = SF;
/** Kernel code of the tests, a real address. */
export const CODE = 0x1000;
const RAM_BYTES = 2 ** 20;
/** The guest's hash table, KVM's as PAPR has it: 2^11 groups behind RAM. */
const TABLE = RAM_BASE + RAM_BYTES;
const TABLE_LOG2 = 18;

interface Segment {
  readonly esid: number;
  readonly vsid: number;
}

/** What the host's table has of a page. */
export interface Shadow {
  /** Host real address, as a double. */
  readonly real: number;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly secondary: boolean;
}

export class FakeServer implements ServerCpu {
  readonly memory: HostMemory;
  readonly base = VCPU_BLOCKS;
  readonly hashTable: { readonly address: number; readonly log2Groups: number };
  readonly stats: Record<string, number> = {};
  readonly retired = 0;
  onTick = (): number => 0;
  context = -1;
  readonly modes: (ContextMode | undefined)[] = [];
  /** By context and entry. */
  readonly slbs: (Segment | undefined)[][] = Array.from({ length: 8 }, () => []);
  readonly invalidated: string[] = [];

  constructor(log2Groups: number) {
    this.memory = HostMemory.create(TABLE + 2 ** TABLE_LOG2, 7);
    this.hashTable = { address: HOST_HTAB, log2Groups };
  }

  run(): never {
    throw new Error('this processor runs nothing');
  }
  setWatch(): void {}
  step(): never {
    return this.run();
  }
  codeWritten(): void {}
  selectContext(context: number): void {
    this.context = context;
  }
  configureContext(context: number, mode: ContextMode): void {
    this.modes[context] = mode;
  }
  slbWrite(context: number, index: number, esid: number, vsid: number): void {
    if (index >= SERVER_SLB_ENTRIES) throw new Error(`SLB entry ${index}`);
    (this.slbs[context] as (Segment | undefined)[])[index] = { esid, vsid };
  }
  slbInvalidate(context: number, index: number): void {
    (this.slbs[context] as (Segment | undefined)[])[index] = undefined;
  }
  slbInvalidateAll(context: number): void {
    this.slbs[context] = [];
  }
  tlbInvalidate(vsid: number, page: number): void {
    this.invalidated.push(`${vsid.toString(16)}:${page.toString(16)}`);
  }

  /** The host's VSID of the segment that an address is in, in the context in use. */
  vsidOf(address: bigint): number | undefined {
    const esid = Number(address >> 28n);
    return (this.slbs[this.context] as (Segment | undefined)[]).find((segment) => segment?.esid === esid)?.vsid;
  }

  /** Searches the host's table as hardware does (Power ISA 2.07 Book III-S, 5.7.7.3). */
  search(vsid: number, page: number): Shadow | undefined {
    const { address, log2Groups } = this.hashTable;
    const mask = 2n ** BigInt(log2Groups) - 1n;
    const hash = (BigInt(vsid) ^ BigInt(page)) & mask;
    const words = new DataView(this.memory.wasm.buffer);
    for (const secondary of [false, true]) {
      const group = address + Number(secondary ? ~hash & mask : hash) * 128;
      for (let entry = group; entry < group + 128; entry += 16) {
        const word0 = words.getBigUint64(entry, true);
        const wanted = (BigInt(vsid) << 12n) | (BigInt(page >> 11) << 7n) | BigInt(HPTE.V | (secondary ? HPTE.H : 0));
        if (word0 !== wanted) continue;
        const word1 = words.getBigUint64(entry + 8, true);
        const low = Number(word1 & 0xfffn);
        return {
          real: Number((word1 >> 12n) << 12n),
          writable: (low & HPTE.PP) === HPTE.PP_READ_WRITE,
          executable: (low & HPTE.N) === 0,
          secondary,
        };
      }
    }
    return undefined;
  }

  /** What an access to an address in the context in use finds. */
  shadow(address: bigint): Shadow | undefined {
    const vsid = this.vsidOf(address);
    return vsid === undefined ? undefined : this.search(vsid, Number((address >> 12n) & 0xffffn));
  }
}

export interface RigOptions {
  readonly model?: ServerModel['name'];
  readonly accel?: Accel;
  readonly limits?: Book3sLimits;
  readonly log2Groups?: number;
}

export class Rig {
  readonly cpu: FakeServer;
  readonly family: Book3s64;
  readonly slots = new MemorySlots(RAM_BASE, RAM_BYTES);
  readonly run = createKvmRun();
  readonly counters = new VcpuCounters(EMULATED_MNEMONICS, String);
  readonly #doublewords: BigUint64Array;

  constructor({ model = 'power8', accel = 'pv', limits, log2Groups = 11 }: RigOptions = {}) {
    const cpu = new FakeServer(log2Groups);
    this.cpu = cpu;
    this.#doublewords = new BigUint64Array(cpu.memory.wasm.buffer);
    this.slots.set({ slot: 0, guestPhysAddr: 0, memorySize: RAM_BYTES });
    const parts = {
      id: 0,
      cpu,
      memory: cpu.memory,
      slots: this.slots,
      time: new GuestTime({ now: () => 0 }, 1e9, 0),
      counters: this.counters,
      run: this.run,
      accel,
      hashTable: { address: TABLE, log2Bytes: TABLE_LOG2 },
    };
    this.family = new Book3s64(parts, BOOK3S_MODELS.find(({ name }) => name === model) as ServerModel, limits);
    this.family.reset();
  }

  /** Puts a slot where the test wants it in host memory: only KVM's arithmetic ever sees it. */
  place(guest: number, bytes: number, host: number, logged = false): MemorySlot {
    const slot = new MemorySlot(9, guest / 1024, (guest + bytes) / 1024, (host - guest) / 1024, false, logged);
    this.slots.slots.push(slot);
    return slot;
  }

  /** An entry of the guest's table for a page of 2^shift bytes in a segment of 256 MB: answers its index. */
  enter(vsid: bigint, address: bigint, real: bigint, { shift = 12, low = 0x2n } = {}): number {
    const page = address & 0xfff_ffffn;
    const hash = Number((vsid ^ (page >> BigInt(shift))) & 0x7ffn);
    const large = shift > 12 ? 4n : 0n;
    const avpn = (((vsid << 16n) | (page >> 12n)) >> 11n) & ~((1n << BigInt(Math.max(0, shift - 23))) - 1n);
    const size = shift === 16 ? 0x1000n : 0n;
    for (let i = 0; i < 8; i++) {
      const at = TABLE + hash * 128 + i * 16;
      if (this.cpu.memory.read64(at) !== 0n) continue;
      this.cpu.memory.write64(at, (avpn << 7n) | large | 1n);
      this.cpu.memory.write64(at + 8, real | size | low);
      return hash * 8 + i;
    }
    throw new Error('a group of the guest is full');
  }

  /** Empties an entry of the guest's table, which tells KVM nothing. */
  remove(index: number): void {
    this.cpu.memory.write64(TABLE + index * 16, 0n);
  }

  /** Entry `index` of the guest's SLB: the segment of 256 MB that an address is in; flags of slbmte's RS. */
  segment(index: number, address: bigint, vsid: bigint, flags = 0n): void {
    this.family.setSregs({
      [`slbe${index}`]: ((address >> 28n) << 28n) | 0x800_0000n | BigInt(index),
      [`slbv${index}`]: (vsid << 12n) | flags,
    });
  }

  set(changes: { pc?: bigint; msr?: bigint; gpr?: Readonly<Record<number, bigint>> }): void {
    const regs = this.family.getRegs();
    regs.pc = changes.pc ?? regs.pc;
    regs.msr = changes.msr ?? regs.msr;
    for (const [n, value] of Object.entries(changes.gpr ?? {})) regs.gpr[Number(n)] = value;
    this.family.setRegs(regs);
  }

  /** The host processor's interrupts. */
  fault(vector: number, address: bigint, syndrome = 0): number {
    this.#doublewords[(VCPU_BLOCKS + EXIT_ADDRESS) / 8] = address;
    this.cpu.memory.i32[(VCPU_BLOCKS + EXIT_SYNDROME) / 4] = syndrome;
    return this.family.handleExit(vector);
  }

  /** Does what an access to an address ends with, as long as the host has no translation: what it finds then. */
  access(address: bigint, store = false): Shadow | undefined {
    const { cpu } = this;
    for (let i = 0; i < 4; i++) {
      const shadow = cpu.shadow(address);
      if (shadow !== undefined && (shadow.writable || !store)) return shadow;
      const { pc } = this;
      if (cpu.vsidOf(address) === undefined) this.fault(SERVER_VECTOR.dataSegment, address);
      else {
        const why = shadow === undefined ? 0x4000_0000 : 0x0800_0000;
        this.fault(SERVER_VECTOR.dataStorage, address, why | (store ? 0x0200_0000 : 0));
      }
      // The guest has got an interrupt.
      if (this.pc !== pc) return undefined;
    }
    throw new Error('the host does not come to an end');
  }

  /** Emulates an instruction in the mode at hand; code is fetched with translation off. */
  emulate(source: string): void {
    const { msr } = this.family.getRegs();
    this.cpu.memory.write32(RAM_BASE + CODE, assembleWords(source, 0)[0] as number);
    this.set({ pc: BigInt(CODE), msr: REAL });
    this.fault(SERVER_VECTOR.program, 0n, SRR1_PROGRAM.PRIV);
    this.set({ msr });
  }

  get pc(): bigint {
    return this.#doublewords[(VCPU_BLOCKS + PC) / 8] as bigint;
  }
}
