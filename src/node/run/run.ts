import { resolve } from 'node:path';
import { type Readable, Writable } from 'node:stream';
import { type Machine, type MachineEnd, MachineError, type PortEnd } from '../../machine/index.ts';
import { createMachine, restoreMachine } from '../machine.ts';
import { createUserNetwork } from '../network.ts';
import type { Reporter } from '../packages/progress.ts';
import { randomBytes } from '../random.ts';
import { AGENT_KEY, AGENT_PATH, PORTS, type PortName } from './agent.ts';
import { formatRequest, killRecord, RANDOM_BYTES, resizeRecord } from './agent-program.ts';
import { openGuestFiles } from './guest-files.ts';
import { findImage, type ProgramArchitecture } from './image.ts';
import { LINUX_SIGNALS } from './signals.ts';
import { InputPort, OutputPort, StatusPort } from './streams.ts';
import { dropTemplate, hasTemplate, saveTemplate, templatePath } from './template.ts';
import { findUser, type User } from './users.ts';

export interface RunOptions {
  /**
   * Whose files the command finds: `debian`, `debian-tools`, `ppc64`, `ppc`; the path of a folder or an archive (a root file system,
   * OCI's image layout, `docker save`); or HOST/NAME:TAG of a registry. Default: the architecture's own. `debian` is made of Debian's
   * packages when it is not there, what a registry has is fetched once.
   */
  readonly image?: string | undefined;
  /** Of the image, where there are some. Default: the image's own, or ppc64le. */
  readonly architecture?: ProgramArchitecture | undefined;
  /** Ask the registry again for what the image's tag stands for. */
  readonly refresh?: boolean | undefined;
  /** Hears what is fetched for an image. Default: nobody. */
  readonly report?: Reporter | undefined;
  /** A folder of the host whose libraries programs load: those of a cross compiler's packages, say. */
  readonly sysroot?: string | undefined;
  /** NAME or UID, or either with :GROUP. Default: the image's own, or root. */
  readonly user?: string | undefined;
  /** The command has a terminal of this size in place of pipes; its standard error goes where its output goes. */
  readonly terminal?: TerminalSize | undefined;
  /** The host's folder that the guest has at the same path; false: none. Default: `cwd`. */
  readonly folder?: string | false | undefined;
  /** What the guest writes in the folder is written on the host; else it is gone with the guest. */
  readonly writable?: boolean | undefined;
  /** Where in the guest the command runs. Default: the folder, or else `/`. */
  readonly cwd?: string | undefined;
  /** Variables of the command's environment, beside PATH, HOME, USER and LANG; nothing of the host's is passed on. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Default: the command has no input. */
  readonly stdin?: Readable | Uint8Array | string | undefined;
  /** Default: it is collected, and is in the result. */
  readonly stdout?: Writable | undefined;
  /** `stdout`: standard error comes in the same stream as standard output, in the order of the command's writes. */
  readonly stderr?: Writable | 'stdout' | undefined;
  /** Default: none. */
  readonly network?: 'none' | 'user' | undefined;
  /**
   * false: the guest boots. Else it goes on from a template, a machine that was saved ready for its command, in the user's cache; the
   * first run of an image makes that.
   */
  readonly template?: boolean | undefined;
  /** Guest memory in bytes; what the image is content with when absent. */
  readonly memoryBytes?: number | undefined;
  /** Ends the run after so many milliseconds, the guest's start included. */
  readonly timeoutMs?: number | undefined;
  /** Ends the run, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** How a run ended. */
export interface RunResult {
  /**
   * `exited`: the command ended, by `status`. `timeout`: it had not by then. `lost`: the guest ended without a status, such as by
   * a panic of its kernel. `refused`: the guest could not do what was asked, and the command did not run.
   */
  readonly cause: 'exited' | 'timeout' | 'lost' | 'refused';
  /** The command's status as a shell has it: 128 + N for signal N, 127 not found, 126 not startable. Undefined unless it exited. */
  readonly status: number | undefined;
  /** One line on it. */
  readonly message: string;
  /** What was collected; empty where a stream took it. */
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  /** The end of what the guest's kernel wrote to its console. */
  readonly console: string;
}

/** A command that runs. */
export interface RunningCommand {
  readonly result: Promise<RunResult>;
  /** Sends a signal to the command and what it started, by its name: "INT". Before it runs nothing happens. */
  kill(signal: string): void;
  /** The command's terminal has another size. */
  resize(size: TerminalSize): void;
}

const CONSOLE_CHARACTERS = 8192;
/** Collected bytes of one stream; what is more ends the run. */
const MOST_COLLECTED = 2 ** 30;

/** Keeps all that is written to it. */
class Collector extends Writable {
  #pieces: Buffer[] = [];
  #bytes = 0;

  override _write(piece: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#bytes += piece.length;
    if (this.#bytes > MOST_COLLECTED) {
      done(new MachineError('the command wrote more than a gigabyte; a stream for it would fit'));
      return;
    }
    this.#pieces.push(piece);
    done();
  }

  take(): Uint8Array {
    return Buffer.concat(this.#pieces);
  }
}

function checkCommand(command: readonly string[]): void {
  if (!Array.isArray(command) || command.some((word) => typeof word !== 'string') || !command[0])
    throw new MachineError('a command is a list of strings: the program, and its arguments');
  if (command.some((word) => word.includes('\0'))) throw new MachineError('an argument has no zero byte in it');
}

function checkVariables(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env))
    if (name === '' || /[=\0]/.test(name) || typeof value !== 'string' || value.includes('\0'))
      throw new MachineError(`${JSON.stringify(name)} is no variable for a command's environment`);
}

const CUSTOMARY_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  USER: 'root',
  LANG: 'C.UTF-8',
} as const;

const environmentOf = (user: User | undefined, terminal: TerminalSize | undefined): Record<string, string> => ({
  ...(user && { HOME: user.home, USER: user.name }),
  ...(terminal && { TERM: 'xterm' }),
});

const inputOf = (stdin: Readable | Uint8Array | string): Readable | Uint8Array =>
  typeof stdin === 'string' ? Buffer.from(stdin) : stdin;

/**
 * Starts a command in a guest of its own; without one, what the image is for. Rejects with a MachineError of one line when an option does not fit, or the image is not
 * there.
 */
export async function startCommand(given: readonly string[], options: RunOptions = {}): Promise<RunningCommand> {
  const { env = {}, folder = process.cwd(), network = 'none', timeoutMs, signal, writable = false, terminal } = options;
  checkVariables(env);
  signal?.throwIfAborted();
  const image = await findImage(options.image, options);
  const { config } = image.root ?? {};
  const command = given.length > 0 ? given : (config?.command ?? []);
  checkCommand(command);
  const wanted = options.user ?? config?.user;
  const user = wanted === undefined ? undefined : await findUser(image, wanted);
  const files = await openGuestFiles(image, { folder, writable, sysroot: options.sysroot });
  const link = network === 'user' ? await createUserNetwork() : undefined;

  /** How the run ends, if not by the guest's own end. */
  let outcome: Pick<RunResult, 'cause' | 'status' | 'message'> | undefined;
  let failure: unknown;
  const decide = (cause: RunResult['cause'], message: string, status?: number): void => {
    outcome ??= { cause, message, status };
    machine.quit();
  };
  const fail = (error: unknown): void => {
    failure ??= error;
    machine.quit();
  };
  let stalled = 0;
  const stall = (isStalled: boolean): void => {
    stalled += isStalled ? 1 : -1;
    if (stalled === 0) machine.resume();
    else if (stalled === 1 && isStalled) void machine.pause();
  };
  const collectors = { stdout: new Collector(), stderr: new Collector() };
  const stdout = new OutputPort(options.stdout ?? collectors.stdout, stall, fail);
  const isMerged = options.stderr === 'stdout';
  const errorStream = options.stderr === 'stdout' ? undefined : options.stderr;
  const stderr = new OutputPort(errorStream ?? collectors.stderr, stall, fail);
  const stdin = new InputPort(options.stdin === undefined ? new Uint8Array() : inputOf(options.stdin));
  const signals = new InputPort(new Uint8Array(), { stays: true });
  const { architecture } = image;
  const request = (): Uint8Array =>
    formatRequest({
      architecture,
      command,
      environment: { ...CUSTOMARY_ENVIRONMENT, ...environmentOf(user, terminal), ...config?.env, ...env },
      directory: options.cwd ?? (folder ? resolve(folder) : (config?.directory ?? '/')),
      ...files.request,
      is32Bit: image.is32Bit,
      user,
      terminal,
      network,
      hasInput: options.stdin !== undefined,
      isMerged,
      time: Date.now() / 1000,
      random: randomBytes(RANDOM_BYTES),
    });
  const status = new StatusPort(
    architecture === 'ppc64le',
    (raw) => {
      const number = (raw & 127) === 0 ? (raw >> 8) & 255 : 128 + (raw & 127);
      decide('exited', `the command ended with status ${number}`, number);
    },
    (problem) => decide('refused', problem.replace(/[^ -~]/g, '?')),
  );
  const requestPort = new InputPort(request, {
    // All is ready but the command: that is the template.
    beforeFirst: async () => {
      if (!isRestored && options.template !== false) await saveTemplate(template, machine);
    },
  });
  const ends: Readonly<Record<PortName, PortEnd>> = {
    request: requestPort,
    stdin,
    stdout,
    stderr,
    signals,
    status,
  };

  let consoleText = '';
  const surroundings = {
    console: {
      write: (bytes: Uint8Array) => {
        consoleText = (consoleText + Buffer.from(bytes).toString('latin1')).slice(-CONSOLE_CHARACTERS);
      },
    },
    rng: true,
    consolePorts: PORTS.map((name) => ({ name, end: ends[name] })),
    ...(files.shares.length > 0 && { shares: files.shares }),
    ...(link && { network: { link } }),
    noReboot: true,
  };
  const memoryBytes = options.memoryBytes ?? image.memoryBytes;
  const append = `console=hvc0 quiet panic=-1 oops=panic rdinit=${AGENT_PATH}`;
  const template = templatePath([
    ...[image.stamp, append, String(memoryBytes), network, ...files.shares.map(({ tag }) => tag), process.version],
    AGENT_KEY,
  ]);
  const restore = (): Machine | undefined => {
    if (options.template === false || !hasTemplate(template)) return undefined;
    try {
      return restoreMachine(template, surroundings);
    } catch {
      dropTemplate(template);
      return undefined;
    }
  };
  const restored = restore();
  const isRestored = restored !== undefined;
  const machine =
    restored ?? createMachine({ ...surroundings, board: 'pseries', ...image.read(), append, memoryBytes });
  // The guest opened it before it was saved.
  if (isRestored) requestPort.opened(true);

  const wait = async (): Promise<RunResult> => {
    const timer = timeoutMs === undefined ? undefined : setTimeout(timedOut, timeoutMs);
    let end: MachineEnd;
    try {
      end = await machine.run(signal ? { signal } : {});
    } finally {
      clearTimeout(timer);
      stdin.close();
      link?.close();
      files.close();
    }
    if (failure !== undefined) throw failure;
    await Promise.race([Promise.all([stdout.drain(), stderr.drain()]), isTimedOut.promise]);
    if (failure !== undefined) throw failure;
    const lost = { cause: 'lost', status: undefined, message: `the guest was lost: ${end.message}` } as const;
    return {
      ...(outcome ?? lost),
      stdout: collectors.stdout.take(),
      stderr: collectors.stderr.take(),
      console: consoleText,
    };
  };
  const isTimedOut = Promise.withResolvers<void>();
  const timedOut = (): void => {
    decide('timeout', `the command had not ended after ${Number(timeoutMs) / 1000} seconds`);
    isTimedOut.resolve();
  };
  return {
    result: wait(),
    kill: (name) => {
      const number = Object.hasOwn(LINUX_SIGNALS, name) ? LINUX_SIGNALS[name] : undefined;
      if (number !== undefined) signals.push(killRecord(architecture, number));
    },
    resize: ({ rows, columns }) => {
      if (terminal) signals.push(resizeRecord(architecture, rows, columns));
    },
  };
}

/** Runs a command in a guest of its own, and answers how it ended. Rejects as `startCommand` does. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return (await startCommand(command, options)).result;
}
