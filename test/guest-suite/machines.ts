/** The machines that the guest debian-tools can be run on. */
import { ourContender, qemuContender } from '../../bench/contenders.ts';
import { type Guest, onCpu } from '../../bench/guests.ts';

/** A Debian with compilers and interpreters, in one initial RAM disk. */
export const debianTools: Guest = onCpu({
  name: 'debian-tools',
  qemu: [
    'qemu-system-ppc64',
    '-M',
    'pseries,x-vof=on',
    '-m',
    '2048',
    '-vga',
    'none',
    '-nographic',
    '-no-reboot',
    '-nic',
    'none',
  ],
  ours: ['--machine', 'pseries', '--memory', '2G'],
  cpus: ['power8'],
  accels: ['assist', 'pv', 'trap'],
  kernel: 'vmlinux',
  initrd: 'initramfs.cpio.zst',
  console: 'hvc0',
  goals: {},
});

/** Who can run it: ours by the way in which privileged instructions are served, and QEMU. */
export const machineNames: readonly string[] = [...debianTools.accels, 'qemu'];

/** The command that boots the guest to its shell; `more` are words for `powervisor boot`. */
export function bootCommand(name: string, folder: string, more: readonly string[] = []): string[] {
  const contender =
    name === 'qemu' ? qemuContender(debianTools, folder) : ourContender(debianTools, folder, name, more);
  return contender.command(`console=${debianTools.console} quiet`);
}
