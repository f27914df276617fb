import type { Command } from 'commander';
import type { Accel } from '../../kvm/api.ts';
import { formatBytes } from '../../machine/error.ts';
import { encodePng, findBoard, hasFirmware, type MachineEnd, Monitor, SymbolTable } from '../../machine/index.ts';
import {
  codeCacheFolder,
  createMachine,
  findFirmware,
  type GdbServer,
  NodeHost,
  openTrace,
  restoreMachine,
  serveGdb,
  shareFolder,
  writeSnapshotFile,
} from '../../node/index.ts';
import { ConsoleInput } from '../console-input.ts';
import { type ConsolePortArgument, openConsolePorts, parseConsolePort } from '../console-ports.ts';
import { closeDisks, type DiskArgument, openDisks, parseDisk } from '../disks.ts';
import { CommandError, fileProblem, oneLine, UsageError } from '../errors.ts';
import { readInput, writeOutput } from '../files.ts';
import { type GdbAddress, parseGdb } from '../gdb.ts';
import { MonitorLine } from '../monitor-line.ts';
import { type NetworkArgument, parseNetworkArgument, plugIn } from '../network.ts';
import { ConsoleOutput } from '../output.ts';
import { parseShare, type ShareArgument } from '../shares.ts';
import { isIgnored } from '../signals.ts';
import { Terminal } from '../terminal.ts';
import { parseChoice, parseIcount, parseMemory, parseSeconds, parseThreads } from '../values.ts';

const accels = ['trap', 'pv', 'assist'] as const satisfies readonly Accel[];
const endSignals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
const brokenPipeStatus = 141;
/** A reader that has taken nothing for so long has stopped reading. */
const STALLED_MS = 500;

interface BootArguments {
  /** The board and the kernel; undefined: the snapshot in `restore` has all. */
  machine?: string;
  kernel?: string;
  bios?: string;
  restore?: string;
  save?: string;
  display?: boolean;
  screenshot?: string;
  initrd?: string;
  append?: string;
  memory?: number;
  dtb?: string;
  disk?: DiskArgument[];
  net?: NetworkArgument;
  cpu?: string;
  accel?: Accel;
  stats?: string;
  statsInterval?: number;
  timeout?: number;
  reboot: boolean;
  icount?: number;
  codeCache: string;
  translationMemory?: number;
  consolePort?: readonly ConsolePortArgument[];
  rng?: boolean;
  translationThreads?: number;
  share?: readonly ShareArgument[];
  gdb?: GdbAddress;
  wait?: boolean;
  symbols?: string;
  trace?: string;
  traceLimit?: number;
}

/** What a snapshot has, and a machine that is restored from one is not given, by the options' names. */
const IN_SNAPSHOTS = ['machine', 'kernel', 'bios', 'initrd', 'append', 'memory', 'cpu', 'dtb', 'icount'] as const;

export function addBoot(program: Command): void {
  program
    .command('boot')
    .description('boot a kernel; its console is this terminal')
    .option('--machine <name>', "the machine's name ('powervisor machines' lists them)")
    .option('--kernel <file>', 'the kernel: ELF, uImage or raw, also gzipped')
    .option('--bios <file>', "firmware, for machines that start from some (Debian's if absent)")
    .option('--initrd <file>', 'the initial RAM disk')
    .option('--append <words>', "the kernel's command line")
    .option('--memory <size>', "memory, such as 256M or 1G (the machine's own choice if absent)", parseMemory)
    .option('--cpu <model>', "processor (the machine's first if absent)")
    .option('--dtb <file>', 'a device tree to use in place of the built-in one')
    .option(
      '--disk <file>',
      'a disk: FILE[,format=raw|qcow2][,media=cdrom][,ro][,snapshot=on][,serial=WORD][,backing=FILE]; as often as there are disks',
      parseDisk,
    )
    .option(
      '--net <kind>',
      'a network card: user[,forward=tcp:HOSTPORT:GUESTPORT][,restrict=on][,host-loopback=on][,mac=ADDRESS], or none (as if absent)',
      parseNetworkArgument,
    )
    .option(
      '--accel <way>',
      `how privileged instructions are served: ${accels.join(', ')} (the machine's fastest if absent)`,
      (text: string) => parseChoice(text, accels, 'way'),
    )
    .option('--stats <file>', 'write exits by cause and other counters as JSON; - for standard output')
    .option('--stats-interval <seconds>', 'write that file also so often while the guest runs', parseSeconds)
    .option('--timeout <seconds>', 'end with status 124 after so much time', parseSeconds)
    .option(
      '--restore <file>',
      'go on from a snapshot in place of booting; it has the machine, its memory and its devices',
    )
    .option('--save <file>', 'where Ctrl-A s, or the signal SIGUSR1, saves the machine while it runs')
    .option('--display', 'a display, keyboard and mouse where the machine can have them; firmware then uses them')
    .option(
      '--screenshot <file>',
      'where Ctrl-A p writes what the display shows, as PNG, and what it showed in the end',
    )
    .option('--no-reboot', 'a reset by the guest ends the command')
    .option('--icount <n>', 'time is the count of instructions, 2^n nanoseconds each: runs repeat exactly', parseIcount)
    .option('--code-cache <folder>', 'where to remember what code was hot, or off', codeCacheFolder())
    .option(
      '--translation-threads <n>',
      'threads that translate hot code (as many as there are processors to spare)',
      parseThreads,
    )
    .option(
      '--translation-memory <size>',
      "memory for translations of the guest's code (an eighth of its own if absent, from 64M to 256M)",
      parseMemory,
    )
    .option(
      '--share <tag=folder>',
      'give the guest a folder, to be mounted as 9p by its tag; FOLDER,rw lets it write; may be repeated',
      parseShare,
    )
    .option(
      '--console-port <name=file>',
      'a named console port (virtio): what the guest writes goes to a file, or with name=unix:path to and from a socket',
      parseConsolePort,
    )
    .option(
      '--gdb <[host:]port>',
      "serve gdb's remote protocol there (on this computer alone if no host is named)",
      parseGdb,
    )
    .option('--wait', 'with --gdb: begin only when gdb says so')
    .option('--trace <file>', 'write down exits, interrupts and accesses, for Perfetto: .json or .pftrace')
    .option('--trace-limit <size>', 'where the trace ends, such as 64M (256M if absent)', parseMemory)
    .option(
      '--symbols <file>',
      "the kernel's vmlinux or System.map, for the monitor (the kernel itself if it has symbols)",
    )
    .option('--rng', 'a source of random numbers (virtio)')
    .addHelpText(
      'after',
      '\nCtrl-A x ends the machine, Ctrl-A h lists the keys. Exit status: 0 the guest ended itself (or Ctrl-A x),' +
        '\n124 time-out, 1 an error, 2 a wrong command line, 128 + number for a signal.',
    )
    .action(async (options: BootArguments) => {
      checkNeeded(options);
      process.exitCode = await boot(options);
    });
}

/** The options that there must be are asked for here, so that what is misspelt is named first. */
function checkNeeded(options: BootArguments): void {
  const { machine, kernel, bios, restore } = options;
  if (restore !== undefined) {
    const given = IN_SNAPSHOTS.find((name) => options[name] !== undefined);
    if (given !== undefined) throw new UsageError(`--${given} does not go with --restore: the snapshot has its own`);
    return;
  }
  if (machine === undefined) throw new UsageError("--machine <name> is missing; 'powervisor machines' lists the names");
  if (kernel === undefined && bios === undefined && !startsFromFirmware(machine))
    throw new UsageError('--kernel <file> is missing: an ELF file, a uImage or raw instructions');
}

/** Without a kernel there must be firmware. */
const startsFromFirmware = (machine: string): boolean => hasFirmware(findBoard(machine).boot);

/** The firmware that was named, or the machine's customary one; undefined: it has none, or there is none here. */
function firmware(machine: string, file: string | undefined): Uint8Array | undefined {
  const path = file ?? findFirmware(machine);
  return path === undefined ? undefined : readInput(path, 'firmware');
}

/** Names of the kernel's functions: of a file, or the kernel's own. @throws MachineError when a file that was named has none. */
function symbolsOf(file: string | undefined, kernel: Uint8Array | undefined): SymbolTable | undefined {
  if (file !== undefined) return SymbolTable.parse(readInput(file, 'symbols'));
  try {
    return kernel && SymbolTable.parse(kernel);
  } catch {
    return undefined;
  }
}

/** Boots, runs until the end, and answers the exit status. */
async function boot(options: BootArguments): Promise<number> {
  if (options.statsInterval !== undefined && (options.stats ?? '-') === '-')
    throw new UsageError('--stats-interval writes a file: --stats FILE names it');
  if (options.net !== undefined && options.icount !== undefined)
    throw new UsageError('--icount has runs repeat exactly, which a network cannot: --net none fits');
  if (options.wait === true && options.gdb === undefined)
    throw new UsageError('--wait waits for gdb: --gdb PORT says where it connects');
  const kernel = options.kernel === undefined ? undefined : readInput(options.kernel, 'kernel');
  const bios = options.machine === undefined ? undefined : firmware(options.machine, options.bios);
  const initrd = options.initrd === undefined ? undefined : readInput(options.initrd, 'initrd');
  const dtb = options.dtb === undefined ? undefined : readInput(options.dtb, 'device tree');

  const { consolePorts, close: closePorts } = await openConsolePorts(options.consolePort ?? []);

  /** The status that something outside of the guest decided on. */
  let decided: number | undefined;
  const { promise: unheard, resolve: giveUp } = Promise.withResolvers<void>();
  /** The machine has ended, and its output is on its way. */
  let isOver = false;
  const stop = (status: number): void => {
    decided ??= status;
    machine.quit();
    if (isOver) giveUp();
  };
  const output = new ConsoleOutput(
    process.stdout,
    (error) => {
      if (error.code !== 'EPIPE') console.error(`powervisor: cannot write to standard output: ${fileProblem(error)}`);
      stop(error.code === 'EPIPE' ? brokenPipeStatus : 1);
    },
    () => host.wake(),
  );
  const input = new ConsoleInput(process.stdin, (bytes) => machine.input(bytes));
  const host = new NodeHost(output, () => input.offer());
  const disks = await openDisks(options.disk ?? []);
  const network = await plugIn(options.net);
  const start = performance.now();
  const trace = options.trace === undefined ? undefined : openTrace(options.trace, options.traceLimit);
  const common = {
    host,
    disks,
    network: network.card,
    accel: options.accel,
    noReboot: !options.reboot,
    timeoutNs: options.timeout === undefined ? undefined : options.timeout * 1e9,
    codeCache: options.codeCache === 'off' ? (false as const) : options.codeCache,
    translationMemory: options.translationMemory,
    consolePorts,
    rng: options.rng,
    trace: trace && { ...trace, symbols: symbolsOf(options.symbols, kernel) },
    display: options.display,
    translationThreads: options.translationThreads,
    shares: options.share?.map(({ tag, folder, writable }) => ({ tag, server: shareFolder(folder, { writable }) })),
  };
  const machine =
    options.restore !== undefined || options.machine === undefined
      ? restoreMachine(options.restore ?? '', common)
      : createMachine({
          ...common,
          board: options.machine,
          kernel,
          bios,
          initrd,
          dtb,
          append: options.append,
          memoryBytes: options.memory,
          cpu: options.cpu,
          icount: options.icount === undefined ? undefined : 2 ** options.icount,
        });

  for (const [signal, status] of Object.entries(endSignals))
    if (!isIgnored(signal)) process.on(signal, () => stop(status));
  const say = (text: string): void => output.write(new TextEncoder().encode(text));
  /** The saving that is under way. */
  let saving: Promise<void> | undefined;
  const save = (): void => {
    const file = options.save;
    if (file === undefined) say('\r\npowervisor: there is no file to save to; --save FILE names one\r\n');
    else
      saving ??= writeSnapshotFile(file, (write) => machine.saveTo(write))
        .then(
          (bytes) => say(`\r\npowervisor: saved to '${file}', ${formatBytes(bytes)}\r\n`),
          (error) => say(`\r\npowervisor: ${oneLine(error)}\r\n`),
        )
        .finally(() => {
          saving = undefined;
        });
  };
  const picture = (isEnd = false): void => {
    const file = options.screenshot;
    if (file === undefined) {
      if (!isEnd) say('\r\npowervisor: there is no file for the picture; --screenshot FILE names one\r\n');
      return;
    }
    const shown = machine.seat.picture();
    if (shown === undefined) say('\r\npowervisor: the machine has no display, or it shows nothing\r\n');
    else {
      writeOutput(file, encodePng(shown), 'picture');
      if (!isEnd) say(`\r\npowervisor: ${shown.width}x${shown.height} written to '${file}'\r\n`);
    }
  };
  if (options.save !== undefined) process.on('SIGUSR1', save);
  let monitor: Monitor | undefined;
  const theMonitor = (): Monitor => (monitor ??= new Monitor(machine, symbolsOf(options.symbols, kernel)));
  const monitorLine = new MonitorLine(theMonitor, say);
  const terminal = new Terminal(process.stdin, {
    input: (bytes) => (monitorLine.isOn ? monitorLine.push(bytes) : input.push(bytes)),
    quit: () => stop(0),
    save,
    monitor: () => monitorLine.toggle(),
    picture: () => picture(),
    say,
  });
  const writeStats = (cause: MachineEnd['cause'] | 'running'): void => {
    if (options.stats === undefined) return;
    const seconds = (performance.now() - start) / 1000;
    const stats = { machine: machine.board.name, end: cause, seconds, ...machine.stats() };
    if (options.stats === '-') output.write(new TextEncoder().encode(`${JSON.stringify(stats)}\n`));
    else writeOutput(options.stats, `${JSON.stringify(stats, null, 2)}\n`, 'statistics');
  };
  let gdb: GdbServer | undefined;
  let end: MachineEnd;
  const timer = options.statsInterval && setInterval(writeStats, options.statsInterval * 1000, 'running');
  try {
    if (options.wait === true) await machine.debugger.stop();
    if (options.gdb !== undefined) {
      gdb = await serveGdb(machine, { ...options.gdb, monitor: (line) => theMonitor().execute(line) });
      console.error(`powervisor: gdb: target remote ${gdb.host}:${gdb.port}`);
    }
    end = await machine.run();
  } finally {
    machine.quit();
    clearInterval(timer);
    gdb?.close();
    network.close();
    terminal.close();
    process.off('SIGUSR1', save);
    await saving;
    await closeDisks(disks);
  }
  output.endLine();
  writeStats(end.cause);
  picture(true);
  await Promise.race([closePorts(), unheard]);
  isOver = true;
  // Whoever ended the machine does not wait for a reader that does not read, nor does whoever ends the command now.
  await Promise.race([output.drain(end.cause === 'quit' || end.cause === 'timeout' ? STALLED_MS : undefined), unheard]);
  return decided ?? statusOf(end, options.timeout);
}

function statusOf(end: MachineEnd, timeout: number | undefined): number {
  switch (end.cause) {
    case 'shutdown':
    case 'reset':
      return 0;
    case 'timeout':
      console.error(`powervisor: time-out: the guest had not ended itself after ${timeout} seconds`);
      return 124;
    default:
      throw new CommandError(end.message);
  }
}
