/** The guests that can be measured: how each machine is started, and what its programs must answer. */
import type { Accel } from '../src/kvm/index.ts';

/** What one figure is, and what it has to be. */
export interface Metric {
  readonly name: string;
  readonly unit: 's' | 'ns/op' | 'MB';
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
  /** The processors that may be chosen, by our names; the first is chosen when none is named. None: the machine has one. */
  readonly cpus: readonly string[];
  /** How ours can serve privileged instructions. */
  readonly accels: readonly Accel[];
  readonly kernel: string;
  readonly initrd: string;
  readonly console: string;
  /** What we want, by figure or by program. */
  readonly goals: Readonly<Record<string, number>>;
}

const noScreen = ['-nographic', '-no-reboot', '-nic', 'none'];

const bamboo: Guest = {
  name: '440',
  qemu: ['qemu-system-ppc', '-M', 'bamboo', '-m', '256', ...noScreen],
  ours: ['--machine', 'bamboo', '--memory', '256M'],
  cpus: [],
  accels: ['trap', 'assist'],
  kernel: 'uImage',
  initrd: 'initramfs.cpio.gz',
  console: 'ttyS0',
  goals: {
    'boot to GUEST-READY': 1,
    'bench-int': 1.2,
    'bench-mem': 1,
    'bench-mem chase1M': 5,
    'bench-mem stride1024': 5,
    'bench-sys': 0.8,
    'bench-sys fork+exec+wait': 1,
  },
};

const ppce500: Guest = {
  ...bamboo,
  name: 'e500',
  qemu: ['qemu-system-ppc', '-M', 'ppce500', '-cpu', 'e500v2', '-m', '256', ...noScreen],
  ours: ['--machine', 'ppce500', '--memory', '256M'],
  accels: ['trap', 'pv', 'assist'],
  goals: {
    'boot to GUEST-READY': 1.1,
    'bench-int': 1.15,
    'bench-mem': 1,
    'bench-fp': 0.8,
    'bench-sys': 0.8,
    'bench-sys fork+exec+wait': 1.2,
  },
};

const server = {
  // VOF is the firmware that does nothing but hand over: with SLOF, most of a boot would be its own.
  qemu: ['qemu-system-ppc64', '-M', 'pseries,x-vof=on', '-m', '1024', '-vga', 'none', ...noScreen],
  ours: ['--machine', 'pseries', '--memory', '1G'],
  accels: ['trap', 'pv', 'assist'],
  kernel: 'vmlinux',
  initrd: 'initramfs.cpio.gz',
  console: 'hvc0',
  goals: {
    'boot to GUEST-READY': 1,
    'bench-int': 1.2,
    'bench-mem': 1,
    'bench-fp': 1,
    'bench-sys': 0.8,
    'bench-sys fork+exec+wait': 1,
  },
} as const;

/** The first is measured when none is named. */
export const guests: readonly [Guest, ...Guest[]] = [
  bamboo,
  ppce500,
  { ...server, name: 'book3s64', cpus: ['power8', 'power7'] },
  { ...server, name: 'book3s64-pv', cpus: ['power8', 'power7'] },
  { ...server, name: 'ppc64el', cpus: ['power8'] },
];

/** The guest on one of its processors. */
export function onCpu(guest: Guest, cpu: string | undefined = guest.cpus[0]): Guest {
  if (cpu === undefined) return guest;
  return { ...guest, qemu: [...guest.qemu, '-cpu', cpu.toUpperCase()], ours: [...guest.ours, '--cpu', cpu] };
}

/** The guest's programs, in the order in which its /bench.sh runs them. */
export const programs = ['bench-int', 'bench-mem', 'bench-fp', 'bench-sys'] as const;

export const LINUX_VERSION = 'boot to Linux version';
export const GUEST_READY = 'boot to GUEST-READY';
export const CPU_TIME = 'processor time of the run';

const seconds = (program: string, name: string, sum: string): Metric => ({
  name: `${program} ${name}`,
  unit: 's',
  program,
  sum,
});

const perOperation = (name: string): Metric => ({ name: `bench-sys ${name}`, unit: 'ns/op', program: 'bench-sys' });

/** The checksum in bench-int's line of its own. */
export const INT_CRC16 = 'c738';

/** Checksums are made of values, so they are those of any processor (guests/README.md), at scale 1. */
export const metrics: readonly Metric[] = [
  { name: LINUX_VERSION, unit: 's' },
  { name: GUEST_READY, unit: 's' },
  seconds('bench-int', 'mix', 'af027e06'),
  seconds('bench-mem', 'memcpy4M', '8cec1c61'),
  seconds('bench-mem', 'memcpy4K', '584d6d5f'),
  seconds('bench-mem', 'chase1M', '849f4caf'),
  seconds('bench-mem', 'stride4', '7d800020'),
  seconds('bench-mem', 'stride64', '7d800020'),
  seconds('bench-mem', 'stride1024', '7d800020'),
  seconds('bench-fp', 'matmul64', 'c502a671'),
  seconds('bench-fp', 'nbody', '96c97227'),
  perOperation('getppid'),
  perOperation('clock_gettime'),
  perOperation('pipe-self'),
  perOperation('pipe-pingpong'),
  perOperation('fork+wait'),
  perOperation('fork+exec+wait'),
  perOperation('mmap8+touch'),
  perOperation('pagefault'),
  perOperation('signal'),
  perOperation('protfault'),
  perOperation('sched_yield'),
  { name: CPU_TIME, unit: 's' },
];

/** The figures with what we want of them for this guest. */
export function metricsOf({ goals }: Guest): Metric[] {
  return metrics.map((metric) => {
    const goal = goals[metric.name] ?? goals[metric.program ?? ''];
    return goal === undefined ? metric : { ...metric, goal };
  });
}

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
