/**
 * The agent: PID 1 of the guest in which a command runs. It is a shell script for the busybox of the archive `run.cpio`, which an
 * image's guest has beside its kernel. Between it and the host are named console ports, each a stream of its own:
 *
 *   request   what to run, as a shell script, up to the host's hanging up
 *   stdin, stdout, stderr
 *   signals   names of signals for the command, a line each
 *   status    "status N" when the command has ended and its output is through, or "error TEXT" when it could not be started
 */
import { file, packCpio } from './cpio.ts';
import { poolOf, reseedProgram } from './reseed.ts';

export const PORTS = ['request', 'stdin', 'stdout', 'stderr', 'signals', 'status'] as const;
export type PortName = (typeof PORTS)[number];

/** Of the 9P share that is the folder. */
export const FOLDER_TAG = 'folder';

/** Where the agent is in the guest; nothing of an image is there. */
const HOME = '.powervisor';
export const AGENT_PATH = `/${HOME}/init`;

const SCRIPT = `#!/${HOME}/busybox sh
own=/${HOME}
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
# The kernel lets a file system in memory have half of it.
mount -o remount,size=90% / 2>/dev/null
ip link set lo up
[ -x /sbin/ldconfig ] && ! [ -e /etc/ld.so.cache ] && /sbin/ldconfig
exec 3>$own/ports/status
fail() {
  echo "error $1" >&3
  poweroff -f
  sleep 100
}
hostname powervisor
# Pipes between the command and the ports: they can be opened again by their names in /dev, and break as pipes do.
mkfifo -m 666 $own/stdin $own/stdout $own/stderr
mkdir $own/lower $own/over && mount -t tmpfs -o size=90% over $own/over && mkdir $own/over/upper $own/over/work

# All up to here is in a template.
cat $own/ports/request >$own/request
. $own/request
date -s @$time >/dev/null
printf "$random" | $own/reseed 1<>/dev/urandom || fail 'the guest takes no random numbers'
if [ $network = user ]; then
  ip link set eth0 up && ip address add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2 ||
    fail 'the guest has no network'
  rm -f /etc/resolv.conf
  echo nameserver 10.0.2.3 >/etc/resolv.conf
fi
options=trans=virtio,version=9p2000.L,msize=512000
if [ -n "$folder" ]; then
  mkdir -p "$folder" || fail "the guest cannot make the folder $folder"
  if [ $writable = 1 ]; then
    mount -t 9p -o $options,cache=mmap ${FOLDER_TAG} "$folder" || fail "the guest cannot mount the folder $folder"
  else
    mount -t 9p -o $options,cache=loose,ro ${FOLDER_TAG} $own/lower &&
      mount -t overlay -o lowerdir=$own/lower,upperdir=$own/over/upper,workdir=$own/over/work overlay "$folder" ||
      fail "the guest cannot mount the folder $folder"
  fi
fi

# Where the program is: 127 there is none, 126 it cannot be started.
find_program() {
  program=$1
  case $1 in
  */*) ;;
  *)
    missing=127
    IFS=:
    for one in $search; do
      [ -f "$one/$1" ] && program=$one/$1 || continue
      [ -x "$program" ] && break
    done
    unset IFS
    ;;
  esac
  case $program in
  */*) ;;
  *) return 127 ;;
  esac
  [ -e "$program" ] || return 127
  [ -f "$program" ] && [ -x "$program" ] || return 126
}

copy() { exec dd bs=64k 2>/dev/null; }
copy <$own/stdout >$own/ports/stdout &
out=$!
error_pipe=$own/stdout
error=$out
if [ $merged = 0 ]; then
  error_pipe=$own/stderr
  copy <$own/stderr >$own/ports/stderr &
  error=$!
fi
input=/dev/null
if [ $input_given = 1 ]; then
  input=$own/stdin
  ( copy <$own/ports/stdin >$own/stdin ) &
fi
( while read -r signal; do
  [ -e $own/pid ] && read -r pid <$own/pid && kill -s $signal -- -$pid
done ) <$own/ports/signals &
# In the foreground: what a shell starts in the background ignores SIGINT.
(
  exec 3>&-
  cd "$directory" 2>/dev/null || { echo "powervisor: the guest has no folder $directory" >&2; exit 125; }
  find_program "$name"
  case $? in
  127) echo "powervisor: $name: not found in the guest" >&2; exit 127 ;;
  126) echo "powervisor: $name: cannot be started" >&2; exit 126 ;;
  esac
  read -r pid rest </proc/self/stat
  echo $pid >$own/pid
  start
) <$input >$own/stdout 2>$error_pipe
status=$?
rm -f $own/pid
# What the command left running ends with it, so that the pipes do.
rest=
for process in /proc/[0-9]*; do
  process=\${process#/proc/}
  case $process in
  1 | $out | $error) ;;
  *) rest="$rest $process" ;;
  esac
done
kill -9 $rest 2>/dev/null
wait $out $error
[ $writable = 1 ] && sync
echo "status $status" >&3
poweroff -f
sleep 100
`;

/** The archive that goes behind `run.cpio` in the initial RAM disk. */
export const agentArchive = (): Uint8Array =>
  packCpio([file(AGENT_PATH.slice(1), Buffer.from(SCRIPT), 0o755), file(`${HOME}/reseed`, reseedProgram(), 0o755)]);

export interface Request {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where in the guest the command runs. */
  readonly directory: string;
  /** Where in the guest the shared folder is. */
  readonly folder: string | undefined;
  readonly isWritable: boolean;
  readonly network: 'none' | 'user';
  /** There is a standard input. */
  readonly hasInput: boolean;
  /** Standard error goes where standard output goes. */
  readonly isMerged: boolean;
  /** Seconds since 1970. */
  readonly time: number;
  /** For the guest's generator: RANDOM_BYTES. */
  readonly random: Uint8Array;
}

/** A word of the shell, whatever is in it. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What the port `request` takes. */
export function formatRequest(request: Request): Buffer {
  const {
    command,
    environment,
    directory,
    folder = '',
    isWritable,
    network,
    hasInput,
    isMerged,
    time,
    random,
  } = request;
  const [name = '', ...words] = command;
  const flag = (value: boolean): number => (value ? 1 : 0);
  const variables = Object.entries(environment).map(([one, value]) => quote(`${one}=${value}`));
  const octal = Array.from(poolOf(random), (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
  return Buffer.from(`\
random='${octal}'
time=${Math.floor(time)}
directory=${quote(directory)}
folder=${quote(folder)}
writable=${flag(isWritable)}
network=${network}
input_given=${flag(hasInput)}
merged=${flag(isMerged)}
search=${quote(environment['PATH'] ?? '')}
name=${quote(name)}
start() { exec setsid env -i ${variables.join(' ')} "$program" ${words.map(quote).join(' ')}; }
`);
}
