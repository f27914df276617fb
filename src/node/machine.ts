import { availableParallelism } from 'node:os';
import { Machine, MachineError, type MachineHost, type MachineOptions } from '../machine/index.ts';
import { CodeCacheFile, codeCacheFolder } from './code-cache.ts';
import { CoreFiles } from './core-files.ts';
import { NodeHost } from './host.ts';
import { NodeTranslationPort } from './translation-port.ts';

/** A machine's options, with what Node gives already in their place. */
export interface NodeMachineOptions extends Omit<MachineOptions, 'host' | 'translation' | 'cores' | 'codeCache'> {
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

/** More have nothing to do, and each takes memory. */
const MAX_THREADS = 16;
const USUAL_THREADS = 4;

const spareThreads = (): number => Math.min(Math.max(1, availableParallelism() - 1), USUAL_THREADS);

/** Ends the threads of machines that were thrown away without a run. */
const abandoned = new FinalizationRegistry<NodeTranslationPort>((port) => port.close());

/**
 * Makes a machine that is as fast as the command: with a thread that translates, the cores that came with the package,
 * and the memory of what was hot. The thread ends with the machine's run, or with `quit()`.
 * @throws MachineError or KvmError when an option does not fit.
 */
export function createMachine(options: NodeMachineOptions): Machine {
  const {
    console,
    host,
    translationThreads,
    codeCache: folder = codeCacheFolder(),
    ...rest
  } = Object(options) as NodeMachineOptions;
  if (console === undefined && host === undefined)
    throw new MachineError('the option console is missing; process.stdout would fit, or an object with write(bytes)');
  if (console !== undefined && typeof console?.write !== 'function')
    throw new MachineError('the option console has no function write; process.stdout would fit');
  if (
    translationThreads !== undefined &&
    !(Number.isInteger(translationThreads) && translationThreads >= 0 && translationThreads <= MAX_THREADS)
  )
    throw new MachineError(`the option translationThreads is a number from 0 to ${MAX_THREADS}`);
  if (translationThreads && rest.icount !== undefined)
    throw new MachineError(
      'runs that repeat exactly (icount) translate on their own thread: translationThreads does not go with it',
    );
  if (folder !== false && typeof folder !== 'string')
    throw new MachineError('the option codeCache is the path of a folder, or false');
  const threads = translationThreads ?? (rest.icount === undefined ? spareThreads() : 0);
  // The first is to be ready when it is needed; the others may never be.
  const translation = Array.from({ length: threads }, (_, i) => new NodeTranslationPort({ waits: i > 0 }));
  const codeCache = folder !== false && rest.icount === undefined ? new CodeCacheFile(folder) : undefined;
  try {
    const machine = Machine.create({
      ...rest,
      host: host ?? new NodeHost(console as MachineHost['console']),
      cores: new CoreFiles(),
      translation,
      codeCache,
    });
    for (const port of translation) abandoned.register(machine, port);
    return machine;
  } catch (error) {
    for (const port of translation) port.close();
    codeCache?.close();
    throw error;
  }
}
