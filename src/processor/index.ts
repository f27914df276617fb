/** What KVM may use of the processor. */

import { HostServer, type ServerCpuOptions } from './book3s/host.ts';
import type { ServerCpu } from './book3s/interface.ts';
import { HostE500 } from './booke/host-e500.ts';
import { Host440 } from './booke/host440.ts';
import type { Host440Cpu, HostE500Cpu } from './booke/interface.ts';
import { type ClassicCpuOptions, HostClassic } from './classic/host.ts';
import type { ClassicCpu } from './classic/interface.ts';
import type { HostCpuOptions } from './interface.ts';

export type { ServerCpuOptions, ServerModelName } from './book3s/host.ts';
export * from './book3s/interface.ts';
export * from './book3s/layout.ts';
export * from './booke/interface.ts';
export * from './booke/layout.ts';
export type { ClassicCpuOptions, ClassicModelName } from './classic/host.ts';
export * from './classic/interface.ts';
export * from './interface.ts';
export * from './layout.ts';
export { LEVELS_OF, type ProcessorName } from './levels.ts';
export { HostMemory, type MemoryOrder } from './memory.ts';
export { CodeProfile } from './region/profile.ts';
export { type RegionFunction, TranslationServer } from './region/server.ts';

export { TOUCHED_PAGE_BYTES, touchedPages } from './touched.ts';
export type { Watch } from './watch.ts';

/** Makes a 440 on its block of host memory. */
export function createHostCpu(options: HostCpuOptions): Host440Cpu {
  return new Host440(options);
}

/** Makes an e500v2 on its block of host memory. */
export function createE500Cpu(options: HostCpuOptions): HostE500Cpu {
  return new HostE500(options);
}

/** Makes a Book III-S processor on its block of host memory. */
export function createServerCpu(options: ServerCpuOptions): ServerCpu {
  return new HostServer(options);
}

/** Makes a 32-bit Book3S processor on its block of host memory. */
export function createClassicCpu(options: ClassicCpuOptions): ClassicCpu {
  return new HostClassic(options);
}
