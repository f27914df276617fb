/** A small 32-bit Book3S guest that its test writes in assembly: RAM from 0 in real mode, a device above it. */
import { assembleWords } from '../../../src/isa/index.ts';
import { type Accel, createVm, KVM_EXIT, type Vcpu, type Vm, type VmOptions } from '../../../src/kvm/index.ts';

export const RAM_BYTES = 16 * 2 ** 20;
export const CODE = 0x1_0000;
/** A store to this address ends a run. */
export const DEVICE = 0xe000_0000;
/** Where SDR1 of a test points: 64 KB, the smallest table. */
export const HTAB = 0x40_0000;

export const MSR = { EE: 0x8000, PR: 0x4000, FP: 0x2000, ME: 0x1000, IP: 0x40, IR: 0x20, DR: 0x10, VEC: 0x200_0000 };

export class ClassicGuest {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  now = 0;

  constructor(cpu = '750', accel: Accel = 'trap', options: Partial<VmOptions> = {}) {
    this.vm = createVm({
      cpu,
      accel,
      clock: { now: () => this.now },
      timebaseFrequency: 1e9,
      maxMemory: RAM_BYTES + 2 ** 20,
      ...options,
    });
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM_BYTES });
    this.vcpu = this.vm.createVcpu(0);
    this.set({ pc: CODE, msr: 0 });
  }

  set({ pc, msr, gpr = {} }: { pc?: number; msr?: number; gpr?: Record<number, number> }): void {
    const regs = this.vcpu.getRegs();
    if (pc !== undefined) regs.pc = BigInt(pc);
    if (msr !== undefined) regs.msr = BigInt(msr);
    for (const [n, value] of Object.entries(gpr)) regs.gpr[Number(n)] = BigInt(value >>> 0);
    this.vcpu.setRegs(regs);
  }

  write(source: string, at = CODE): void {
    for (const [i, word] of assembleWords(source, at).entries()) this.vm.memory.write32(at + 4 * i, word);
  }

  /** Runs until the guest stores to the device; answers the value. */
  run(): number {
    const reason = this.vcpu.run(1e9);
    const { mmio, internal } = this.vcpu.kvmRun;
    if (reason !== KVM_EXIT.MMIO || !mmio.isWrite)
      throw new Error(`exit ${reason} at 0x${this.vcpu.getRegs().pc.toString(16)} ${internal.message}`);
    return mmio.data;
  }

  gpr(n: number): number {
    return Number(this.vcpu.getRegs().gpr[n]);
  }

  sreg(name: string): number {
    return Number(this.vcpu.getSregs()[name]);
  }

  /**
   * Puts an entry for a page of a segment into the hash table at HTAB (65536 bytes) and answers its address.
   * `secondary`: into the group of the other hash; `slot`: which of the eight.
   */
  page(vsid: number, effective: number, real: number, { pp = 2, secondary = false, slot = 0, wimg = 0 } = {}): number {
    const index = (effective >>> 12) & 0xffff;
    const hash = (vsid & 0x7_ffff) ^ index;
    const group = HTAB + (((secondary ? ~hash : hash) & 0x3ff) << 6) + 8 * slot;
    this.vm.memory.write32(group, (0x8000_0000 | (vsid << 7) | (secondary ? 0x40 : 0) | (index >>> 10)) >>> 0);
    this.vm.memory.write32(group + 4, (real | (wimg << 3) | pp) >>> 0);
    return group;
  }
}

/** `lis` and `ori` of a 32-bit constant. */
export const li32 = (register: number, value: number): string =>
  `lis ${register},${(value << 0) >> 16}; ori ${register},${register},${value & 0xffff};`;
