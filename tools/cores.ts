/**
 * Makes the cores that start with the built command: `dist/cores`. A core is what a processor generates when it is made; one
 * of each processor, byte order and way of serving privileged instructions.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Accel, createVm } from '../src/kvm/index.ts';
import { coreFileNames, writeTables } from '../src/machine/cores.ts';

const folder = join(import.meta.dirname, '../dist/cores');
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const MSR_LE = 1n;

const machines: readonly { cpu: string; littleEndian?: boolean; accels: readonly Accel[] }[] = [
  { cpu: '440ep', accels: ['trap', 'assist'] },
  { cpu: 'e500v2', accels: ['trap', 'assist'] },
  ...['970', 'power7', 'power8'].flatMap((cpu) =>
    [false, true].map((littleEndian) => ({ cpu, littleEndian, accels: ['trap', 'assist'] as const })),
  ),
];
for (const { cpu, littleEndian = false, accels } of machines)
  for (const accel of accels) {
    const vm = createVm({
      cpu,
      accel,
      littleEndian,
      clock: { now: () => 0 },
      timebaseFrequency: 1e6,
      maxMemory: 65536,
      cores: {
        find: () => undefined,
        made: (name, image) => {
          // Where interrupts lead until the kernel says otherwise.
          if (name.includes('-mode3-')) return;
          const files = coreFileNames(name);
          writeFileSync(join(folder, files.module), image.bytes);
          writeFileSync(join(folder, files.tables), writeTables(image));
        },
      },
    });
    const vcpu = vm.createVcpu(0);
    if (!cpu.startsWith('power')) continue;
    // Firmware's code (RTAS) has 32 bits and is big-endian; the kernel's way there and back has 32 bits too.
    vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 65536 });
    for (const msr of littleEndian ? [0n, MSR_LE] : [0n]) {
      vcpu.setRegs({ ...vcpu.getRegs(), pc: 0n, msr });
      vcpu.run(1e6);
    }
  }
