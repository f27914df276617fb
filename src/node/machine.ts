import { availableParallelism } from 'node:os';
import {
  BytesSource,
  Machine,
  MachineError,
  type MachineHost,
  type MachineOptions,
  type RestoreOptions,
  SnapshotReader,
} from '../machine/index.ts';
import { CodeCacheFile, codeCacheFolder } from './code-cache.ts';
import { nodeCodecs } from './codecs.ts';
import { CoreFiles } from './core-files.ts';
import { NodeHost } from './host.ts';
import { SnapshotFile } from './snapshot-file.ts';
import { NodeTranslationPort } from './translation-port.ts';

/** What Node gives in place of some of a machine's options. */
type Given = 'host' | 'translation' | 'cores' | 'codeCache';

/** What is said of Node's part in a machine. */
export interface NodeSurroundings {
  /** Takes what the guest writes to its console: `process.stdout`, or something of the caller's own. */
  readonly console?: MachineHost['console'] | undefined;
  /** In place of a `NodeHost` on `console`. */
  readonly host?: MachineHost | undefined;
  /**
   * Threads that translate hot code; 0: the guest's own does. Default: as many as the computer has processors to spare, from
   * 1 to 4, and none for runs that repeat exactly (`icount`).
   */
  readonly translationThreads?: number | undefined;
  /**
   * Folder of a file in which runs remember what code was hot, so that the next one begins with it; false: none. Default:
   * the command's, `codeCacheFolder()`; none for runs that repeat exactly.
   */
  readonly codeCache?: string | false | undefined;
}

/** A machine's options, with what Node gives already in their place. */
export interface NodeMachineOptions extends Omit<MachineOptions, Given>, NodeSurroundings {}

/** Options of a machine that goes on from a snapshot, or of a fork. */
export interface NodeRestoreOptions extends Omit<RestoreOptions, Given>, NodeSurroundings {}

/** More have nothing to do, and each takes memory. */
export const MAX_THREADS = 16;
const USUAL_THREADS = 4;

const spareThreads = (): number => Math.min(Math.max(1, availableParallelism() - 1), USUAL_THREADS);

/** Ends the threads of machines that were thrown away without a run. */
const abandoned = new FinalizationRegistry<NodeTranslationPort>((port) => port.close());

/** Has `make` make a machine with Node's part in it. `counted`: its runs are to repeat exactly. */
function surround<Options extends NodeSurroundings, Made extends Machine | Promise<Machine>>(
  options: Options,
  counted: boolean,
  make: (options: Omit<Options, keyof NodeSurroundings> & Pick<MachineOptions, Given>) => Made,
): Made {
  const {
    console,
    host,
    translationThreads,
    codeCache: folder = codeCacheFolder(),
    ...rest
  } = Object(options) as Options;
  if (console === undefined && host === undefined)
    throw new MachineError('the option console is missing; process.stdout would fit, or an object with write(bytes)');
  if (console !== undefined && typeof console?.write !== 'function')
    throw new MachineError('the option console has no function write; process.stdout would fit');
  if (
    translationThreads !== undefined &&
    !(Number.isInteger(translationThreads) && translationThreads >= 0 && translationThreads <= MAX_THREADS)
  )
    throw new MachineError(`the option translationThreads is a number from 0 to ${MAX_THREADS}`);
  if (translationThreads && counted)
    throw new MachineError(
      'runs that repeat exactly (icount) translate on their own thread: translationThreads does not go with it',
    );
  if (folder !== false && typeof folder !== 'string')
    throw new MachineError('the option codeCache is the path of a folder, or false');
  const threads = translationThreads ?? (counted ? 0 : spareThreads());
  // The first is to be ready when it is needed; the others may never be.
  const translation = Array.from({ length: threads }, (_, i) => new NodeTranslationPort({ waits: i > 0 }));
  const codeCache = folder !== false && !counted ? new CodeCacheFile(folder) : undefined;
  const failed = (error: unknown): never => {
    for (const port of translation) port.close();
    codeCache?.close();
    throw error;
  };
  try {
    const made = make({
      ...rest,
      host: host ?? new NodeHost(console as MachineHost['console']),
      cores: new CoreFiles(),
      translation,
      codeCache,
    });
    if (made instanceof Promise) return made.then((machine) => keep(machine, translation), failed) as Made;
    return keep(made, translation) as Made;
  } catch (error) {
    return failed(error);
  }
}

function keep(machine: Machine, translation: readonly NodeTranslationPort[]): Machine {
  for (const port of translation) abandoned.register(machine, port);
  return machine;
}

/**
 * Makes a machine that is as fast as the command: with a thread that translates, the cores that came with the package,
 * and the memory of what was hot. The thread ends with the machine's run, or with `quit()`.
 * @throws MachineError or KvmError when an option does not fit.
 */
export function createMachine(options: NodeMachineOptions): Machine {
  return surround(options, Object(options).icount !== undefined, (all) => Machine.create(all));
}

/**
 * Makes a machine that goes on from a snapshot: its bytes, or the path of its file. With all that `createMachine` brings.
 * @throws MachineError or KvmError when the snapshot is damaged, or does not fit.
 */
export function restoreMachine(snapshot: Uint8Array | string, options: NodeRestoreOptions): Machine {
  const file = typeof snapshot === 'string' ? new SnapshotFile(snapshot) : undefined;
  try {
    const reader = new SnapshotReader(file ?? new BytesSource(snapshot as Uint8Array), nodeCodecs);
    return surround(options, reader.header.icount !== undefined, (all) => Machine.restore(reader, all));
  } finally {
    file?.close();
  }
}

/** Makes a second machine of the state of one that runs, or stands still: `Machine.fork` with all that `createMachine` brings. */
export function forkMachine(machine: Machine, options: NodeRestoreOptions): Promise<Machine> {
  return surround(options, machine.icount !== undefined, (all) => machine.fork(all));
}
