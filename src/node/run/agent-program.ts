/**
 * What the guest's agent does with a request: sets the clock and the random numbers, mounts, starts the command between pipes or on a
 * terminal, passes bytes and signals on, and tells of the end on the port `status`: "wait" and the command's status as wait(2) has
 * it, or a line "error TEXT" when it could not be started.
 */
import { MachineError } from '../../machine/index.ts';
import { LIST_BYTES } from './agent-code.ts';
import { CALL, type Place, StepList } from './steps.ts';

/** Of the 64-bit guest, by its processor as uname has it. */
export type Architecture = 'ppc64le' | 'ppc64';

/** A 9P share, and where it is to be. */
export interface Mount {
  readonly tag: string;
  readonly target: string;
  /** `overlay`: what is written is the guest's alone. */
  readonly mode: 'ro' | 'overlay' | 'rw';
}

export interface Request {
  readonly architecture: Architecture;
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where in the guest the command runs. */
  readonly directory: string;
  readonly mounts: readonly Mount[];
  /** Folders of the guest that are to be at a second place too, with what is mounted in them, after the mounts. */
  readonly binds: readonly { readonly source: string; readonly target: string }[];
  /** Folders of the guest that are to be laid over others, which then show what is in either and cannot be written. */
  readonly covers: readonly { readonly above: string; readonly target: string }[];
  /** Folder of the guest that is the command's root. */
  readonly root?: string | undefined;
  /** The command's programs are of 32 bits, and are to see a processor of such. */
  readonly is32Bit?: boolean | undefined;
  readonly network: 'none' | 'user';
  /** There is a standard input. */
  readonly hasInput: boolean;
  /** Standard error goes where standard output goes. */
  readonly isMerged: boolean;
  /** Whose the command's process is; root's when absent. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** The command's terminal, in place of pipes. */
  readonly terminal?: { readonly rows: number; readonly columns: number } | undefined;
  /** Seconds since 1970. */
  readonly time: number;
  /** For the guest's generator: RANDOM_BYTES. */
  readonly random: Uint8Array;
}

/** Where the agent's things are in the guest; nothing of an image is there. */
export const HOME = '/.powervisor';
/** Random bytes that the guest is given. */
export const RANDOM_BYTES = 64;

/** Records of the port `signals`: what is to be done, and with what. */
const CONTROL = { kill: 0, resize: 1 } as const;
export const CONTROL_BYTES = 16;

const isLittle = (architecture: Architecture): boolean => architecture === 'ppc64le';

/** A record that sends a signal, by its number in Linux, to the command and what it started. */
export function killRecord(architecture: Architecture, signal: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(CONTROL_BYTES));
  view.setBigUint64(0, BigInt(CONTROL.kill), isLittle(architecture));
  view.setBigUint64(8, BigInt(signal), isLittle(architecture));
  return new Uint8Array(view.buffer);
}

/** `struct winsize` of ioctl_tty(2). */
function windowSize(architecture: Architecture, rows: number, columns: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint16(0, rows, isLittle(architecture));
  view.setUint16(2, columns, isLittle(architecture));
  return new Uint8Array(view.buffer);
}

/** A record that says how large the terminal is. */
export function resizeRecord(architecture: Architecture, rows: number, columns: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(CONTROL_BYTES));
  view.setBigUint64(0, BigInt(CONTROL.resize), isLittle(architecture));
  const record = new Uint8Array(view.buffer);
  record.set(windowSize(architecture, rows, columns), 8);
  return record;
}

/** Numbers of Linux on PowerPC: asm/fcntl.h, asm/ioctls.h, linux/random.h, linux/sched.h, linux/mount.h, linux/reboot.h. */
const AT_FDCWD = -100;
const O = { readOnly: 0, writeOnly: 1, readWrite: 2, noTerminal: 0x100, closeOnExec: 0x80000 } as const;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const IOCTL = {
  addEntropy: 0x80085203,
  reseed: 0x20005207,
  unlockTerminal: 0x80045431,
  openPeer: 0x20005441,
  setWindow: 0x80087467,
  setControlling: 0x540e,
} as const;
const SIGCHLD = 17;
const SIGKILL = 9;
/** VM, FS, FILES, SIGHAND, THREAD, PARENT_SETTID, CHILD_CLEARTID. */
const CLONE_THREAD = 0x310f00;
/** VM, VFORK. */
const CLONE_CHILD = 0x4100 | SIGCHLD;
const MS = { readOnly: 1, bind: 4096, recursive: 16384 } as const;
/** linux/personality.h. */
const PER_LINUX32 = 8;
const REBOOT = [0xfee1dead, 672274793, 0x4321fedc] as const;
const ERROR = { notFound: -2, notExecutable: -8, denied: -13, notFolder: -20 } as const;

const STATUS_FILE = 3;
/** Files that the agent has open before the list: standard ones, the ports `status` and `request`. */
const FIRST_FILE = 5;
/** The port's driver takes no more at once (drivers/char/virtio_console.c). */
const PIECE_BYTES = 32768;
const CANNOT_START = 126;
const NOT_FOUND = 127;
const NO_FOLDER = 125;

const NETWORK =
  'ip link set eth0 up && ip address add 10.0.2.15/24 dev eth0 && ip route add default via 10.0.2.2 && ' +
  'mkdir -p $0/etc && rm -f $0/etc/resolv.conf && echo nameserver 10.0.2.3 >$0/etc/resolv.conf';
const SHARE_OPTIONS = 'trans=virtio,version=9p2000.L,msize=512000';

/** Makes the list of one request. */
class AgentList extends StepList {
  readonly #request: Request;
  readonly #later: (() => void)[] = [];
  readonly #zero = this.words(0);
  readonly #one = this.words(1);
  #files = FIRST_FILE;

  constructor(request: Request) {
    super(isLittle(request.architecture));
    this.#request = request;
  }

  make(): Uint8Array<ArrayBuffer> {
    const { mounts, binds, covers, network, time, random } = this.#request;
    this.step(CALL.fcntl, [STATUS_FILE, F_SETFD, FD_CLOEXEC]);
    this.step(CALL.clockSettime, [0, this.words(Math.floor(time), Math.floor((time % 1) * 1e9))]);
    this.#reseed(random);
    for (const [i, mount] of mounts.entries()) this.#mount(mount, i);
    for (const { source, target } of binds) {
      this.#makeFolders(target);
      const how = MS.bind | MS.recursive;
      this.#call(CALL.mount, [this.text(source), this.text(target), 0, how], `cannot show ${source} at ${target}`);
    }
    for (const { above, target } of covers) {
      this.#makeFolders(target);
      const overlay = this.text('overlay');
      const layers = this.text(`lowerdir=${above}:${target}`);
      this.#call(CALL.mount, [overlay, this.text(target), overlay, 0, layers], `cannot lay ${above} over ${target}`);
    }
    if (network === 'user') this.#connect();
    this.#command();
    for (let i = 0; i < this.#later.length; i++) this.#later[i]?.();
    return this.finish();
  }

  /** A system call without which the command cannot run. */
  #call(call: number, args: Parameters<StepList['step']>[1], problem: string, result?: Place): Place {
    return this.step(call, args, { onError: this.#refuse(problem), ...(result && { result }) });
  }

  /** Steps that stand behind all others. */
  #apart(make: (place: Place) => void): Place {
    const place = this.place();
    this.#later.push(() => make(place));
    return place;
  }

  #refuse(problem: string): Place {
    return this.#apart((place) => {
      const line = Buffer.from(`error the guest ${problem.replaceAll('\n', ' ')}\n`);
      this.step(CALL.write, [STATUS_FILE, this.bytes(line), line.length], {}, place);
      this.#powerOff();
    });
  }

  #powerOff(): void {
    this.step(CALL.reboot, REBOOT);
    const wait = this.place();
    this.step(CALL.pause, [], { next: wait }, wait);
  }

  #goTo(place: Place): void {
    this.ifEqual(this.#zero, 0, place);
  }

  #open(path: string, flags: number): number {
    this.#call(CALL.openat, [AT_FDCWD, this.text(path), flags | O.closeOnExec], `cannot open ${path}`);
    return this.#files++;
  }

  #reseed(random: Uint8Array): void {
    // struct rand_pool_info: how many bits they are worth, and how many bytes they are.
    const head = new DataView(new ArrayBuffer(8));
    head.setUint32(0, 8 * random.length, this.isLittle);
    head.setUint32(4, random.length, this.isLittle);
    const pool = this.bytes(Buffer.concat([new Uint8Array(head.buffer), random]));
    const problem = 'takes no random numbers';
    const source = this.#open('/dev/urandom', O.readWrite);
    this.#call(CALL.ioctl, [source, IOCTL.addEntropy, pool], problem);
    this.#call(CALL.ioctl, [source, IOCTL.reseed], problem);
    this.step(CALL.close, [source]);
    this.#files--;
  }

  #connect(): void {
    const shell = this.text(`${HOME}/busybox`);
    const words = this.words(...['sh', '-c', NETWORK, this.#request.root ?? ''].map((word) => this.text(word)), 0);
    const child = this.#apart((place) => {
      this.step(CALL.execve, [shell, words, this.words(0)], {}, place);
      this.step(CALL.exitGroup, [1]);
    });
    const status = this.words(0);
    const wait = this.place();
    this.step(CALL.clone, [CLONE_CHILD], { onZero: child, result: this.argument(wait, 0) });
    this.step(CALL.wait4, [0, status], {}, wait);
    const connected = this.place();
    this.ifEqual(status, 0, connected);
    this.#goTo(this.#refuse('has no network'));
    this.here(connected);
  }

  /** A folder and those that it is in. */
  #makeFolders(path: string): void {
    const names = path.split('/').filter((name) => name !== '');
    for (let i = 1; i <= names.length; i++)
      this.step(CALL.mkdirat, [AT_FDCWD, this.text(`/${names.slice(0, i).join('/')}`), 0o755]);
  }

  #mount({ tag, target, mode }: Mount, number: number): void {
    const problem = `cannot mount the folder ${target}`;
    this.#makeFolders(target);
    const [source, type] = [this.text(tag), this.text('9p')];
    if (mode === 'rw') {
      const options = this.text(`${SHARE_OPTIONS},cache=mmap`);
      this.#call(CALL.mount, [source, this.text(target), type, 0, options], problem);
      return;
    }
    const options = this.text(`${SHARE_OPTIONS},cache=loose`);
    if (mode === 'ro') {
      this.#call(CALL.mount, [source, this.text(target), type, MS.readOnly, options], problem);
      return;
    }
    const [lower, upper, work] = ['lower', 'over/upper', 'over/work'].map((name) => `${HOME}/${name}${number}`);
    for (const folder of [lower, upper, work]) this.#makeFolders(folder as string);
    this.#call(CALL.mount, [source, this.text(lower as string), type, MS.readOnly, options], problem);
    const layers = this.text(`lowerdir=${lower},upperdir=${upper},workdir=${work}`);
    const overlay = this.text('overlay');
    this.#call(CALL.mount, [overlay, this.text(target), overlay, 0, layers], problem);
  }

  #pipe(): { readonly read: number; readonly write: number } {
    this.#call(CALL.pipe2, [this.words(0), O.closeOnExec], 'has no room for a pipe');
    const ends = { read: this.#files, write: this.#files + 1 };
    this.#files += 2;
    const { user } = this.#request;
    // What is in /dev by the name of stdout is opened with the rights of a file.
    if (user) for (const end of [ends.read, ends.write]) this.step(CALL.fchown, [end, user.uid, user.gid]);
    return ends;
  }

  /** Starts a thread; what it answers waits for its end. */
  #thread(start: Place): () => void {
    const id = this.words(1);
    const started = this.words(0);
    this.step(CALL.clone, [CLONE_THREAD, 0, id, 0, id], { onZero: start, result: started });
    return () => {
      const [again, wait, over] = [this.place(), this.place(), this.place()];
      this.copy(this.argument(wait, 2), started);
      this.ifEqual(id, 0, over, again);
      this.step(CALL.futex, [id, 0, 0, 0], {}, wait);
      this.#goTo(again);
      this.here(over);
    };
  }

  /** Passes on what comes from one file to another, until that has ended. */
  #relay(from: number, to: number, closes: boolean): () => void {
    const buffer = this.scratch(PIECE_BYTES);
    return this.#thread(
      this.#apart((read) => {
        const end = this.place();
        const write = this.place();
        const count = this.argument(write, 2);
        this.step(CALL.read, [from, buffer, PIECE_BYTES], { result: count, onZero: end, onError: end }, read);
        this.step(CALL.write, [to, buffer, 0], { onError: end, next: read }, write);
        this.here(end);
        if (closes) this.step(CALL.close, [to]);
        this.step(CALL.exit, [0]);
      }),
    );
  }

  #command(): void {
    const { hasInput, isMerged, mounts, terminal, architecture } = this.#request;
    const port = (name: string, flags: number): number => this.#open(`${HOME}/ports/${name}`, flags);
    const waits: (() => void)[] = [];
    const control = port('signals', O.readOnly);
    /** Files of the command, which are closed here when it runs. */
    const own: number[] = [];
    let files: readonly [number, number, number];
    let screen = -1;
    const outPort = port('stdout', O.writeOnly);
    const inPort = hasInput ? port('stdin', O.readOnly) : -1;
    if (terminal) {
      screen = this.#open('/dev/ptmx', O.readWrite | O.noTerminal);
      this.#call(CALL.ioctl, [screen, IOCTL.unlockTerminal, this.#zero], 'has no terminal');
      const flags = O.readWrite | O.noTerminal | O.closeOnExec;
      this.#call(CALL.ioctl, [screen, IOCTL.openPeer, flags], 'has no terminal');
      const peer = this.#files++;
      const window = this.bytes(windowSize(architecture, terminal.rows, terminal.columns));
      this.step(CALL.ioctl, [screen, IOCTL.setWindow, window]);
      files = [peer, peer, peer];
      own.push(peer);
      waits.push(this.#relay(screen, outPort, false));
      if (hasInput) this.#relay(inPort, screen, false);
    } else {
      const out = this.#pipe();
      const errors = isMerged ? out : this.#pipe();
      own.push(out.write);
      waits.push(this.#relay(out.read, outPort, false));
      if (!isMerged) {
        own.push(errors.write);
        waits.push(this.#relay(errors.read, port('stderr', O.writeOnly), false));
      }
      const input = hasInput ? this.#pipe() : { read: this.#open('/dev/null', O.readOnly), write: -1 };
      own.push(input.read);
      if (hasInput) this.#relay(inPort, input.write, true);
      files = [input.read, out.write, errors.write];
    }

    const pid = this.words(0);
    const status = this.bytes(Buffer.from('wait\0\0\0\0'));
    this.step(CALL.clone, [CLONE_CHILD], {
      onZero: this.#apart((place) => this.#child(place, files)),
      onError: this.#refuse('cannot start a process'),
      result: pid,
    });
    for (const one of own) this.step(CALL.close, [one]);
    const [isIt, kill] = [this.place(), this.place()];
    this.copy(this.argument(isIt, 1), pid);
    this.negate(this.argument(kill, 0), pid);
    this.#thread(this.#controls(control, screen, kill));
    const last = this.words(0);
    const again = this.place();
    const over = this.place();
    this.step(CALL.wait4, [-1, status.plus(4)], { result: last, onError: over }, again);
    this.ifEqual(this.low(last), 0, over, isIt);
    this.#goTo(again);
    // What the command left running ends with it, so that the pipes do.
    this.step(CALL.kill, [-1, SIGKILL], {}, over);
    for (const wait of waits) wait();
    if (mounts.some(({ mode }) => mode === 'rw')) this.step(CALL.sync);
    this.step(CALL.write, [STATUS_FILE, status, 8]);
    this.#powerOff();
  }

  /** What the host sends while the command runs. */
  #controls(control: number, screen: number, kill: Place): Place {
    return this.#apart((read) => {
      const record = this.words(0, 0);
      const end = this.place();
      const resize = this.place();
      this.step(CALL.read, [control, record, CONTROL_BYTES], { onZero: end, onError: end }, read);
      this.ifEqual(this.low(record), CONTROL.resize, resize);
      this.copy(this.argument(kill, 1), record.plus(8));
      this.step(CALL.kill, [0, 0], { next: read }, kill);
      this.step(CALL.ioctl, [screen, IOCTL.setWindow, record.plus(8)], { next: read }, resize);
      this.step(CALL.exit, [0], {}, end);
    });
  }

  /** The command's process, until it is the command. */
  #child(place: Place, files: readonly number[]): void {
    const { command, environment, directory, user, terminal, root, is32Bit } = this.#request;
    const [name = '', ...words] = command;
    const fail = (text: string, status: number, at = this.place()): Place => {
      const line = Buffer.from(`powervisor: ${text}\n`);
      this.step(CALL.write, [2, this.bytes(line), line.length], {}, at);
      this.step(CALL.exitGroup, [status]);
      return at;
    };
    const failLater = (text: string, status: number): Place => this.#apart((at) => fail(text, status, at));
    this.step(CALL.setsid, [], {}, place);
    for (const [i, file] of files.entries()) this.step(CALL.dup2, [file, i]);
    if (terminal) this.step(CALL.ioctl, [0, IOCTL.setControlling, 0]);
    if (root !== undefined)
      this.step(CALL.chroot, [this.text(root)], { onError: failLater('the guest has no root', NO_FOLDER) });
    if (is32Bit) this.step(CALL.personality, [PER_LINUX32]);
    if (user) {
      const onError = failLater('the guest cannot become the user', NO_FOLDER);
      this.step(CALL.setgroups, [0, 0], { onError });
      this.step(CALL.setgid, [user.gid], { onError });
      this.step(CALL.setuid, [user.uid], { onError });
    }
    this.step(CALL.chdir, [this.text(directory)], {
      onError: failLater(`the guest has no folder ${directory}`, NO_FOLDER),
    });
    const variables = this.words(...Object.entries(environment).map(([one, value]) => this.text(`${one}=${value}`)), 0);
    const rest = [...words.map((word) => this.text(word)), 0];
    const list = this.words(this.text(name), ...rest);
    const cannot = failLater(`${name}: cannot be started`, CANNOT_START);
    const denied = this.words(0);
    for (const path of candidates(name, environment['PATH'])) {
      const program = this.text(path);
      const error = this.words(0);
      const [onDenied, next] = [this.place(), this.place()];
      // A file without a format is a script of the shell's (execvp(3)).
      const script = this.#apart((at) => {
        const shell = this.text('/bin/sh');
        this.step(CALL.execve, [shell, this.words(shell, program, ...rest), variables], {}, at);
        this.#goTo(cannot);
      });
      this.step(CALL.execve, [program, list, variables], { result: error });
      this.ifEqual(this.low(error), ERROR.notExecutable, script);
      this.ifEqual(this.low(error), ERROR.denied, onDenied);
      this.ifEqual(this.low(error), ERROR.notFound, next);
      this.ifEqual(this.low(error), ERROR.notFolder, next);
      this.#goTo(cannot);
      this.negate(denied, this.#one, onDenied);
      this.here(next);
    }
    this.ifEqual(denied, 0, failLater(`${name}: not found in the guest`, NOT_FOUND));
    this.#goTo(cannot);
  }
}

/** Where a program may be: as execvp(3) looks for it. */
function candidates(name: string, search = ''): string[] {
  if (name.includes('/')) return [name];
  return search === '' ? [] : search.split(':').map((folder) => `${folder || '.'}/${name}`);
}

/**
 * What the port `request` takes.
 * @throws MachineError when the command is longer than any that Linux takes.
 */
export function formatRequest(request: Request): Uint8Array<ArrayBuffer> {
  const list = new AgentList(request).make();
  if (list.length > LIST_BYTES)
    throw new MachineError("the command's arguments and variables are longer than Linux takes");
  return list;
}
