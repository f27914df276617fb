/** What KVM may use of the processor. */
import { Host440 } from './host440.ts';
import type { Host440Cpu, HostCpuOptions } from './interface.ts';

export * from './interface.ts';
export * from './interface-server.ts';
export * from './layout.ts';
export * from './layout64.ts';
export { HostMemory, type MemoryOrder } from './memory.ts';
export {
  type RegionFunction,
  type TranslationJob,
  type TranslationPort,
  type TranslationResult,
  TranslationServer,
  type TranslationSetup,
} from './region/server.ts';

/** Makes a host processor on its block of host memory. */
export function createHostCpu(options: HostCpuOptions): Host440Cpu {
  return new Host440(options);
}
