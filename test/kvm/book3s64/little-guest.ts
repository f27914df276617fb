/** A few instructions of a server's kernel or program on a real VM; each interrupt's vector ends the run. */
import { assembleWords } from '../../../src/isa/index.ts';
import { type Accel, type Clock, createVm, KVM_EXIT, type Vcpu, type Vm } from '../../../src/kvm/index.ts';

export const SF = 1n << 63n;
export const MSR = { PR: 0x4000n, FP: 0x2000n, ME: 0x1000n, FE0: 0x800n, FE1: 0x100n, IR: 0x20n, DR: 0x10n } as const;
export const CODE = 0x1_0000;
export const DATA = 0x2_0000;
/** Where no memory is: a store there ends a run, and tells that no interrupt has. */
export const END = 0xf000_0000;
const MEMORY = 2 ** 21;
const HTAB = 0x10_0000;
const VSID = 0x300;
const HIOR = 0x1030_0000_0000_0001n;
const FSCR = 0x1030_0000_0000_00a3n;

export const ACCELS: readonly Accel[] = ['trap', 'pv', 'assist'];
export const CPUS = ['970', 'power7', 'power8'] as const;

/** How a run ended: the vector (0: at its end), SRR0, SRR1's own bits, FSCR, and the registers. */
export interface Ending {
  readonly vector: number;
  readonly srr0: bigint;
  readonly flags: bigint;
  readonly fscr: bigint | undefined;
  readonly gpr: readonly bigint[];
}

export interface GuestOptions {
  readonly clock?: Clock;
  /** The byte order that memory is kept in; the guest's own is big-endian. */
  readonly littleEndian?: boolean;
  /** A partition's: without translation. */
  readonly papr?: boolean;
}

export class LittleGuest {
  readonly vm: Vm;
  readonly vcpu: Vcpu;

  /** Time is counted by instructions, or by a clock. */
  constructor(cpu: string, accel: Accel, { clock, littleEndian = false, papr = false }: GuestOptions = {}) {
    this.vm = createVm({
      cpu,
      accel,
      littleEndian,
      clock: clock ?? { now: () => 0 },
      icount: clock === undefined ? 1 : 0,
      timebaseFrequency: 1e9,
      maxMemory: MEMORY,
    });
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: MEMORY });
    this.vcpu = this.vm.createVcpu(0);
    this.vcpu.setOneReg(HIOR, 0n);
    if (papr) {
      this.vcpu.enableCap('papr');
      this.vm.allocateHtab(18);
    }
    const end = `li r31,-1; lis r31,${END >>> 16}; clrldi r31,r31,32; stw r0,0(r31)`;
    for (let vector = 0x100; vector < 0x1000; vector += 0x20) this.place(vector, end);
    for (const page of [CODE >> 12, DATA >> 12]) this.#enter(page);
    this.#enter(END / 4096);
    this.vcpu.setSregs({ sdr1: BigInt(HTAB), slbe0: 0x800_0000n, slbv0: BigInt(VSID) << 12n });
    this.vcpu.setSregs({ slbe1: 0xf800_0001n, slbv1: BigInt(VSID) << 12n });
  }

  /** Maps a page of a segment to the real page of its number, for everybody. */
  #enter(page: number): void {
    const inSegment = page & 0xffff;
    const group = (VSID ^ inSegment) & 0x7ff;
    const entry = new DataView(new ArrayBuffer(16));
    entry.setBigUint64(0, (BigInt(VSID) << 12n) | (BigInt(inSegment >> 11) << 7n) | 1n);
    entry.setBigUint64(8, (BigInt(page) << 12n) | 2n);
    for (let at = HTAB + group * 128; ; at += 16) {
      if ((this.vm.memory.read32(at + 4) as number) !== 0) continue;
      this.vm.memory.writeBytes(at, new Uint8Array(entry.buffer));
      return;
    }
  }

  place(address: number, source: string): void {
    const words = assembleWords(source, address);
    const bytes = new DataView(new ArrayBuffer(4 * words.length));
    for (const [i, word] of words.entries()) bytes.setUint32(4 * i, word);
    this.vm.memory.writeBytes(address, new Uint8Array(bytes.buffer));
  }

  set fscr(value: bigint) {
    this.vcpu.setOneReg(FSCR, value);
  }

  /** Runs `source` from CODE on. `msr`: beside SF and ME; PR, with translation, where it is a program's. */
  run(source: string, gpr: Readonly<Record<number, bigint>> = {}, msr = 0n): Ending {
    const { vcpu } = this;
    this.place(CODE, `${source}; stw r0,0(r30)`);
    const regs = vcpu.getRegs();
    for (const [n, value] of Object.entries(gpr)) regs.gpr[Number(n)] = value;
    regs.gpr[30] = BigInt(END);
    vcpu.setRegs({ ...regs, pc: BigInt(CODE), msr: SF | MSR.ME | msr });
    const exit = vcpu.run(1e9);
    const { pc, srr0, srr1, gpr: after } = vcpu.getRegs();
    if (exit !== KVM_EXIT.MMIO) throw new Error(`the guest ended with exit ${exit} at 0x${pc.toString(16)}`);
    const vector = pc < 0x1000n ? Number(pc & 0xfe0n) : 0;
    return { vector, srr0, flags: srr1 & 0x783f_0000n, fscr: vcpu.getOneReg(FSCR), gpr: after };
  }
}
