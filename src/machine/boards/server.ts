import type { Vcpu } from '../../kvm/api.ts';
import type { BootEntry, TreeConfiguration } from '../board.ts';
import type { TreeNodeSpec } from '../device.ts';

/** MSR bits (Power ISA 2.07 Book III-S, section 3.2.1). */
const MSR_SF = 1n << 63n;
const MSR_ME = 1n << 12n;
const MSR_LE = 1n;

/**
 * The state in which kexec enters a kernel (Linux's booting-without-of, "entry point to arch/powerpc"): real mode, 64 bits,
 * interrupts off, r3 = device tree, r4 = the kernel's own address, r5 = 0, which says that there is no Open Firmware.
 */
export function enterServer(vcpu: Vcpu, { address, deviceTree, littleEndian }: BootEntry): void {
  const regs = vcpu.getRegs();
  regs.gpr = regs.gpr.map(() => 0n);
  regs.gpr[3] = BigInt(deviceTree);
  regs.gpr[4] = BigInt(address);
  regs.pc = BigInt(address);
  regs.msr = MSR_SF | MSR_ME | (littleEndian ? MSR_LE : 0n);
  vcpu.setRegs(regs);
}

/** The node by which guests find KVM (Linux's Documentation/virt/kvm/ppc-pv.rst); none where it is not offered. */
export function hypervisorNode({ hcallInstructions }: TreeConfiguration): TreeNodeSpec[] {
  if (hcallInstructions === undefined) return [];
  return [{ path: '/hypervisor', properties: { compatible: 'linux,kvm', 'hcall-instructions': hcallInstructions } }];
}
