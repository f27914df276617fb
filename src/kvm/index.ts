/** KVM: the hypervisor. User space uses what this file exports and nothing else. */
import {
  CodeProfile,
  type CoreImages,
  createClassicCpu,
  createE500Cpu,
  createHostCpu,
  createServerCpu,
  type RegionFunction,
  TranslationServer,
} from '../processor/index.ts';
import type { TranslationSetup, Vm, VmOptions } from './api.ts';
import { ASSIST } from './models.ts';
import { VirtualMachine } from './vm.ts';

export * from './api.ts';
export { KVM_REG_PPC } from './one-reg.ts';
export { CodeProfile };

/**
 * KVM_CREATE_VM: a virtual machine without memory and vCPUs.
 * @throws KvmError when an option does not fit.
 */
export function createVm(options: VmOptions): Vm {
  return new VirtualMachine(options, { createHostCpu, createE500Cpu, createServerCpu, createClassicCpu });
}

/**
 * The far end of a `TranslationPort`: made on a thread of its own from what `TranslationPort.start` was given.
 * `compile` and `cores` as for `TranslationServer`.
 */
export function createTranslationServer(
  setup: TranslationSetup,
  compile?: (region: RegionFunction) => void,
  cores?: CoreImages,
): TranslationServer {
  return new TranslationServer(setup, ASSIST[setup.processor] ?? null, compile, cores);
}
