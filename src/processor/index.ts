/** What KVM may use of the processor. */

import { HostServer, type ServerCpuOptions } from './host-server.ts';
import { Host440 } from './host440.ts';
import type { Host440Cpu, HostCpuOptions } from './interface.ts';
import type { ServerCpu } from './interface-server.ts';

export type { CoreImage, CoreImages } from './core.ts';
export type { ServerCpuOptions, ServerModelName } from './host-server.ts';
export * from './interface.ts';
export * from './interface-server.ts';
export * from './layout.ts';
export * from './layout64.ts';
export { LEVELS_OF, type ProcessorName } from './levels.ts';
export { HostMemory, type MemoryOrder } from './memory.ts';
export {
  type RegionFunction,
  type TranslationJob,
  type TranslationPort,
  type TranslationResult,
  TranslationServer,
  type TranslationSetup,
} from './region/server.ts';

/** Makes a 440 on its block of host memory. */
export function createHostCpu(options: HostCpuOptions): Host440Cpu {
  return new Host440(options);
}

/** Makes a Book III-S processor on its block of host memory. */
export function createServerCpu(options: ServerCpuOptions): ServerCpu {
  return new HostServer(options);
}
