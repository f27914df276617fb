/** QEMU's options, by which its users begin here too: what each is called, or why there is none. */
const HABITS: Readonly<Record<string, string>> = {
  M: '--machine NAME is meant',
  machine: '--machine NAME is meant',
  m: '--memory SIZE is meant',
  cpu: '--cpu MODEL is meant',
  accel: '--accel WAY is meant',
  kernel: '--kernel FILE is meant',
  initrd: '--initrd FILE is meant',
  append: '--append WORDS is meant',
  dtb: '--dtb FILE is meant',
  icount: '--icount N is meant',
  'no-reboot': '--no-reboot is meant',
  smp: 'every machine has one processor',
  nographic: 'the console is this terminal always',
  serial: 'the console is this terminal always',
  display: '--display is meant, on a machine that has one',
  vga: '--display is meant, on a machine that has one',
  monitor: 'Ctrl-A c leads to the monitor',
  bios: '--bios FILE is meant',
  'enable-kvm': 'KVM is always there; --accel says how it serves the guest',
  drive: '--disk FILE is meant',
  hda: '--disk FILE is meant',
  blockdev: '--disk FILE is meant',
  cdrom: '--disk FILE,media=cdrom is meant',
  snapshot: '--disk FILE,snapshot=on is meant',
  nic: '--net user is meant',
  net: '--net user is meant',
  netdev: '--net user is meant',
  device: 'a machine has the devices that it has',
  s: '--gdb 1234 is meant',
  S: '--wait is meant, with --gdb PORT',
  gdb: '--gdb PORT is meant',
};

/** What to say of an option that there is not, when it is one of QEMU's; its values may stand right behind -M and -m. */
export function qemuHint(option: string): string | undefined {
  const name = /^-([mM])[0-9a-z]*$/.exec(option)?.[1] ?? option.replace(/^--?/, '');
  const whole = option.replace(/^--?/, '');
  const known = Object.hasOwn(HABITS, whole) ? whole : name;
  return Object.hasOwn(HABITS, known) ? HABITS[known] : undefined;
}
