import { fstatSync } from 'node:fs';
import { constants } from 'node:os';
import type { Command } from 'commander';
import {
  PROGRAM_ARCHITECTURES,
  type ProgramArchitecture,
  type RunResult,
  startCommand,
  TerminalReporter,
  type TerminalSize,
} from '../../node/run/index.ts';
import { OWN_STATUS, oneLine, UsageError } from '../errors.ts';
import { isIgnored } from '../signals.ts';
import { parseChoice, parseMemory, parseSeconds } from '../values.ts';

/** What is not the command's own status: ours, timeout(1)'s, and that of a guest that is gone. */
const STATUS = { refused: OWN_STATUS, timeout: 124, lost: 255 } as const;
const BROKEN_PIPE_STATUS = 141;
/** Lines of a lost guest's console that are shown. */
const CONSOLE_LINES = 20;
/** Of Linux's, where it says what was wrong; registers and stack come behind. */
const FAULT = /Kernel panic|Oops|BUG:|Out of memory/;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

interface RunArguments {
  image?: string;
  arch?: ProgramArchitecture;
  pull?: boolean;
  sysroot?: string;
  user?: string;
  shell?: boolean;
  env?: Record<string, string>;
  cwd?: string;
  folder: string | false;
  rw?: boolean;
  net?: 'none' | 'user';
  memory?: number;
  template: boolean;
  timeout?: number;
}

/** NAME=VALUE, or NAME for the host's own value; one beside those before. */
function parseVariable(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  const name = at < 0 ? text : text.slice(0, at);
  if (name === '') throw new UsageError(`'${text}' is no variable; NAME=VALUE fits, or NAME for its value here`);
  const value = at < 0 ? process.env[name] : text.slice(at + 1);
  return value === undefined ? before : { ...before, [name]: value };
}

export function addRun(program: Command): void {
  program
    .command('run')
    .description('run a command on a PowerPC, in a fresh machine; its status is the exit status')
    .argument('[command...]', "the program and its arguments, after --; the image's own if absent")
    .option(
      '--image <name>',
      'whose files it finds: debian, debian-tools, ppc64, ppc; a folder or archive by path; HOST/NAME:TAG of a registry',
    )
    .option('--arch <name>', 'whose programs the image has: ppc64le (if absent), ppc64, ppc', (text) =>
      parseChoice(text, PROGRAM_ARCHITECTURES, 'architecture'),
    )
    .option('--pull', "ask the registry again for what the image's tag stands for")
    .option('--sysroot <folder>', 'load libraries from here, as /usr/powerpc64-linux-gnu of a cross compiler')
    .option('--user <name>', 'whose the command is: NAME or UID, with :GROUP or without')
    .option('--shell', 'when the command has failed, a shell in its place to look around; without a command just that')
    .option(
      '--env <name=value>',
      'a variable of its environment; NAME alone has the value here; may be repeated',
      parseVariable,
    )
    .option('--cwd <folder>', 'where in the machine it runs (the shared folder if absent)')
    .option('--folder <folder>', 'the folder that it finds at the same path', process.cwd())
    .option('--no-folder', 'share no folder')
    .option('--rw', 'what it writes in the folder is kept; else that is gone with the machine')
    .option('--net <kind>', 'none (if absent) or user', (text) =>
      parseChoice(text, ['none', 'user'] as const, 'network'),
    )
    .option('--no-template', 'boot, in place of going on from a machine that was saved ready for its command')
    .option('--memory <size>', "memory, such as 256M or 1G (the image's own if absent)", parseMemory)
    .option('--timeout <seconds>', 'end with status 124 after so much time', parseSeconds)
    .addHelpText(
      'after',
      "\nExit status: the command's, 128 + number for a signal, 127 not found, 126 cannot be started, 125 an error of" +
        '\npowervisor itself, 124 time-out, 255 the machine was lost, 141 nobody reads the output.',
    )
    .action(async (command: string[], options: RunArguments) => {
      process.exitCode = await run(command, options);
    });
}

/** Both lead to the same place, so what comes first is to be there first. */
function areSame(one: number, other: number): boolean {
  try {
    const [a, b] = [fstatSync(one), fstatSync(other)];
    return a.dev === b.dev && a.ino === b.ino && a.rdev === b.rdev;
  } catch {
    return false;
  }
}

/** A command that leaves a shell behind when it fails; its status stays. */
const LOOK_AROUND = '"$@" || { status=$?; echo "powervisor: status $status" >&2; sh -i; exit $status; }';
const withShell = (command: readonly string[]): readonly string[] =>
  command.length === 0 ? ['/bin/sh', '-i'] : ['/bin/sh', '-c', LOOK_AROUND, 'sh', ...command];

/** The size of our terminal, where input and output are one. */
function terminalSize(): TerminalSize | undefined {
  const { stdin, stdout } = process;
  return stdin.isTTY && stdout.isTTY ? { rows: stdout.rows, columns: stdout.columns } : undefined;
}

async function run(given: readonly string[], options: RunArguments): Promise<number> {
  const command = options.shell ? withShell(given) : given;
  const terminal = terminalSize();
  let running: Awaited<ReturnType<typeof startCommand>>;
  const end = new AbortController();
  let ended: NodeJS.Signals | undefined;
  for (const signal of SIGNALS)
    if (!isIgnored(signal))
      process.on(signal, () => {
        // The second time it is meant for us.
        if (ended !== undefined || running === undefined) end.abort();
        ended = signal;
        running?.kill(signal.slice('SIG'.length));
      });
  let result: RunResult;
  try {
    running = await startCommand(command, {
      image: options.image,
      architecture: options.arch,
      refresh: options.pull,
      sysroot: options.sysroot,
      user: options.user,
      terminal,
      report: new TerminalReporter(process.stderr, 'powervisor: '),
      env: options.env,
      cwd: options.cwd,
      folder: options.folder,
      writable: options.rw,
      network: options.net,
      memoryBytes: options.memory,
      template: options.template,
      timeoutMs: options.timeout === undefined ? undefined : options.timeout * 1000,
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: areSame(1, 2) ? 'stdout' : process.stderr,
      signal: end.signal,
    });
    if (terminal) {
      process.stdin.setRawMode(true);
      process.stdout.on('resize', () => running.resize({ rows: process.stdout.rows, columns: process.stdout.columns }));
    }
    result = await running.result;
  } catch (error) {
    if (end.signal.aborted && ended !== undefined) return 128 + constants.signals[ended];
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return BROKEN_PIPE_STATUS;
    console.error(`powervisor: ${oneLine(error)}`);
    return OWN_STATUS;
  } finally {
    if (terminal) process.stdin.setRawMode(false);
  }
  if (result.cause === 'exited') return result.status as number;
  if (result.cause === 'lost') {
    const lines = result.console.split(/\r?\n/).filter((line) => line.trim() !== '');
    const fault = lines.findIndex((line) => FAULT.test(line));
    const shown = fault < 0 ? lines.slice(-CONSOLE_LINES) : lines.slice(fault, fault + CONSOLE_LINES);
    for (const line of shown) console.error(`powervisor: guest: ${line.replace(/[^ -~]/g, '')}`);
  }
  console.error(`powervisor: ${result.message}`);
  return STATUS[result.cause];
}
