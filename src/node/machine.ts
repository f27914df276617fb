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
  /** Whether hot code is translated on a thread of its own. Default: true, but for runs that repeat exactly (`icount`). */
  readonly translationThread?: boolean | undefined;
  /**
   * Folder of a file in which runs remember what code was hot, so that the next one begins with it; false: none. Default:
   * the command's, `codeCacheFolder()`; none for runs that repeat exactly.
   */
  readonly codeCache?: string | false | undefined;
}

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
    translationThread,
    codeCache: folder = codeCacheFolder(),
    ...rest
  } = Object(options) as NodeMachineOptions;
  if (console === undefined && host === undefined)
    throw new MachineError('the option console is missing; process.stdout would fit, or an object with write(bytes)');
  if (console !== undefined && typeof console?.write !== 'function')
    throw new MachineError('the option console has no function write; process.stdout would fit');
  if (translationThread !== undefined && typeof translationThread !== 'boolean')
    throw new MachineError('the option translationThread is true or false');
  if (folder !== false && typeof folder !== 'string')
    throw new MachineError('the option codeCache is the path of a folder, or false');
  const threaded = translationThread ?? rest.icount === undefined;
  const translation = threaded ? new NodeTranslationPort() : undefined;
  const codeCache = folder !== false && rest.icount === undefined ? new CodeCacheFile(folder) : undefined;
  try {
    const machine = Machine.create({
      ...rest,
      host: host ?? new NodeHost(console as MachineHost['console']),
      cores: new CoreFiles(),
      translation,
      codeCache,
    });
    if (translation) abandoned.register(machine, translation);
    return machine;
  } catch (error) {
    translation?.close();
    codeCache?.close();
    throw error;
  }
}
