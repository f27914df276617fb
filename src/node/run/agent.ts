/**
 * The agent: PID 1 of the guest in which a command runs. It begins as a shell script for the busybox of the archive `run.cpio`, which
 * an image's guest has beside its kernel, and goes on as a program of ours (agent-code.ts), which does what it is told and
 * is in templates. Between it and the host are named console ports, each a stream of its own:
 *
 *   request   what is to be done (agent-program.ts)
 *   stdin, stdout, stderr
 *   signals   records for the command while it runs: signals, the size of its terminal
 *   status    how it ended
 */
import { AGENT_CODE_KEY, agentProgram } from './agent-code.ts';
import { type Architecture, HOME } from './agent-program.ts';
import { file, packCpio } from './cpio.ts';

export const PORTS = ['request', 'stdin', 'stdout', 'stderr', 'signals', 'status'] as const;
export type PortName = (typeof PORTS)[number];

/** Of the 9P share that is the folder. */
export const FOLDER_TAG = 'folder';

export const AGENT_PATH = `${HOME}/init`;

const SCRIPT = `#!${HOME}/busybox sh
own=${HOME}
$own/busybox mkdir -p /proc /sys /dev /tmp /root /etc
$own/busybox mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm $own/ports
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
chmod 1777 /tmp
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
while read -r module; do insmod $own/$module.ko; done <$own/modules
# The driver makes the ports one after another, and nobody names them here.
until [ -e $own/ports/request ] && [ -e $own/ports/stdin ] && [ -e $own/ports/stdout ] && [ -e $own/ports/stderr ] &&
  [ -e $own/ports/signals ] && [ -e $own/ports/status ]; do
  for port in /sys/class/virtio-ports/*; do
    name=
    read -r name <$port/name 2>/dev/null
    [ -n "$name" ] && [ -e /dev/\${port##*/} ] && ln -sf /dev/\${port##*/} $own/ports/$name
  done
  usleep 1000
done
[ -e /etc/passwd ] || echo 'root:x:0:0:root:/root:/bin/sh' >/etc/passwd
[ -e /etc/group ] || echo 'root:x:0:' >/etc/group
# The kernel lets a file system in memory have half of it: here three quarters of what is free, beside what it holds already.
while read -r name value unit; do
  case $name in
  MemAvailable:) room=$((value * 3 / 4)) ;;
  Shmem:) held=$value ;;
  esac
done </proc/meminfo
mount -o remount,size=$((room + held))k / 2>/dev/null
ip link set lo up
[ -x /sbin/ldconfig ] && ! [ -e /etc/ld.so.cache ] && /sbin/ldconfig
hostname powervisor
mkdir $own/over && mount -t tmpfs -o size=\${room}k over $own/over

exec 3>$own/ports/status
exec $own/agent
`;

/** What templates depend on of the agent. */
export const AGENT_KEY = SCRIPT + AGENT_CODE_KEY;

/** The archive that goes behind `run.cpio` in the initial RAM disk. */
export const agentArchive = (architecture: Architecture): Uint8Array =>
  packCpio([
    file(AGENT_PATH.slice(1), Buffer.from(SCRIPT), 0o755),
    file(`${HOME.slice(1)}/agent`, agentProgram(architecture === 'ppc64le', `${HOME}/ports/request`), 0o755),
  ]);
