/** KVM: the hypervisor. User space uses what this file exports and nothing else. */
import { createHostCpu } from '../processor/index.ts';
import type { Vm, VmOptions } from './api.ts';
import { VirtualMachine } from './vm.ts';

export * from './api.ts';

/**
 * KVM_CREATE_VM: a virtual machine without memory and vCPUs.
 * @throws KvmError when an option does not fit.
 */
export function createVm(options: VmOptions): Vm {
  return new VirtualMachine(options, createHostCpu);
}
