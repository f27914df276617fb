/** A small e500v2 guest that its test writes in assembly: RAM from 0 mapped as itself by TLB1[0], a device above it. */
import { assembleWords } from '../../../src/isa/index.ts';
import { type Accel, createVm, KVM_EXIT, type Vcpu, type Vm, type VmOptions } from '../../../src/kvm/index.ts';

export const RAM_BYTES = 16 * 2 ** 20;
export const CODE = 0x1_0000;
/** IVOR n leads to here + n * 256, where a test finds out which interrupt there was. */
export const VECTORS = 0x2_0000;
/** A store to this address ends a run. */
export const DEVICE = 0xe000_0000;
/** Index of TLB1's first entry. */
export const TLB1 = 256;

const SIZE_16M = 7;
const SIZE_4K = 1;
const ALL = 0x3f;

export class E500Guest {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  now = 0;

  constructor(accel: Accel = 'trap', options: Partial<VmOptions> = {}) {
    this.vm = createVm({
      cpu: 'e500v2',
      accel,
      clock: { now: () => this.now },
      timebaseFrequency: 1e9,
      maxMemory: RAM_BYTES + 2 ** 20,
      ...options,
    });
    this.vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM_BYTES });
    this.vcpu = this.vm.createVcpu(0);
    this.map(TLB1, 0, 0, { size: SIZE_16M, permissions: ALL });
    this.map(TLB1 + 1, DEVICE, DEVICE, { size: SIZE_4K, permissions: ALL });
    this.set({ pc: CODE });
    for (const n of [...Array.from({ length: 16 }, (_, i) => i), 32, 33, 34, 35])
      this.vcpu.setSregs({ [`ivor${n}`]: n * 0x100 });
    this.vcpu.setSregs({ ivpr: VECTORS });
  }

  /** Sets a guest TLB entry. `real` may have 36 bits. */
  map(
    index: number,
    effective: number,
    real: number,
    { size = SIZE_4K, permissions = ALL, tid = 0, space = 0, valid = true } = {},
  ): void {
    this.vcpu.setTlbEntry(index, {
      mas1: ((valid ? 0x8000_0000 : 0) | (tid << 16) | (space << 12) | (size << 8)) >>> 0,
      mas2: effective,
      mas3: ((real % 2 ** 32) | permissions) >>> 0,
      mas7: Math.floor(real / 2 ** 32),
    });
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
}

/** `lis` and `ori` of a 32-bit constant. */
export const li32 = (register: number, value: number): string =>
  `lis ${register},${(value << 0) >> 16}; ori ${register},${register},${value & 0xffff};`;
