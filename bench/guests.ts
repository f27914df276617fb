/** The guests that can be measured: how each machine is started, and what its programs must answer. */

/** What one figure is, and what it has to be. */
export interface Metric {
  readonly name: string;
  readonly unit: 's' | 'ns/op';
  /** The program of the guest that prints it; undefined: measured on the host. */
  readonly program?: string;
  /** The checksum that the program must print with it. */
  readonly sum?: string;
  /** The least ratio (QEMU's time / our time) that we want. */
  readonly goal?: number;
}

export interface Guest {
  readonly name: string;
  /** QEMU's program and the options that choose the machine. */
  readonly qemu: readonly string[];
  /** The option words that choose ours. */
  readonly ours: readonly string[];
  readonly kernel: string;
  readonly initrd: string;
  readonly console: string;
}

const bamboo: Guest = {
  name: '440',
  qemu: ['qemu-system-ppc', '-M', 'bamboo', '-m', '256', '-nographic', '-no-reboot', '-nic', 'none'],
  ours: ['--machine', 'bamboo', '--memory', '256M'],
  kernel: 'uImage',
  initrd: 'initramfs.cpio.gz',
  console: 'ttyS0',
};

/** The first is measured when none is named. */
export const guests: readonly [Guest, ...Guest[]] = [bamboo];

/** The guest's programs, in the order in which its /bench.sh runs them. */
export const programs = ['bench-int', 'bench-mem', 'bench-fp', 'bench-sys'] as const;

export const LINUX_VERSION = 'boot to Linux version';
export const GUEST_READY = 'boot to GUEST-READY';
export const CPU_TIME = 'processor time of the run';

const seconds = (program: string, name: string, sum: string, goal?: number): Metric => ({
  name: `${program} ${name}`,
  unit: 's',
  program,
  sum,
  ...(goal !== undefined && { goal }),
});

const perOperation = (name: string, goal: number): Metric => ({
  name: `bench-sys ${name}`,
  unit: 'ns/op',
  program: 'bench-sys',
  goal,
});

/** The checksum in bench-int's line of its own. */
export const INT_CRC16 = 'c738';

/** Checksums are made of values, so they are those of any processor (guests/README.md), at scale 1. */
export const metrics: readonly Metric[] = [
  { name: LINUX_VERSION, unit: 's' },
  { name: GUEST_READY, unit: 's', goal: 1 },
  seconds('bench-int', 'mix', 'af027e06', 1.2),
  seconds('bench-mem', 'memcpy4M', '8cec1c61', 1),
  seconds('bench-mem', 'memcpy4K', '584d6d5f', 1),
  seconds('bench-mem', 'chase1M', '849f4caf', 5),
  seconds('bench-mem', 'stride4', '7d800020', 1),
  seconds('bench-mem', 'stride64', '7d800020', 1),
  seconds('bench-mem', 'stride1024', '7d800020', 5),
  seconds('bench-fp', 'matmul64', 'c502a671'),
  seconds('bench-fp', 'nbody', '96c97227'),
  perOperation('getppid', 0.8),
  perOperation('clock_gettime', 0.8),
  perOperation('pipe-self', 0.8),
  perOperation('pipe-pingpong', 0.8),
  perOperation('fork+wait', 0.8),
  perOperation('fork+exec+wait', 1),
  perOperation('mmap8+touch', 0.8),
  perOperation('pagefault', 0.8),
  perOperation('signal', 0.8),
  perOperation('protfault', 0.8),
  perOperation('sched_yield', 0.8),
  { name: CPU_TIME, unit: 's' },
];

/** The words after which the guest runs `chosen` programs (none: it only boots) and ends. */
export function commandLine(guest: Guest, chosen: readonly string[]): string {
  const left = programs.filter((program) => !chosen.includes(program));
  if (left.length === programs.length) return `console=${guest.console} poweroff`;
  const words = `console=${guest.console} bench poweroff`;
  if (left.length === 0) return words;
  // The programs that are not wanted are taken out of the guest's own script before its init starts.
  const edit = left.map((program) => `-e /${program}/d`).join(' ');
  return `${words} rdinit=/bin/sh -- -c "/bin/sed -i ${edit} /bench.sh; exec /init"`;
}
