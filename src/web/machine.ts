import type { KvmRegs, KvmSregs, KvmTranslation } from '../kvm/api.ts';
import { MachineError } from '../machine/error.ts';
import type { DeviceState, MachineEnd, MachineHost, MachineState, RunOptions, SaveOptions } from '../machine/index.ts';
import {
  type FromMachine,
  type MachineCalls,
  type MachineDescription,
  type Port,
  portsOf,
  receiveError,
  type ServedOptions,
  type ServedRestoreOptions,
  type ToMachine,
  UNSENDABLE,
} from './protocol.ts';

/** What is said of the page's part in a machine. */
export interface BrowserSurroundings {
  /** Takes what the guest writes to its console. */
  readonly console: MachineHost['console'];
  /**
   * The machine's worker: one of the package's own if absent; a worker whose script calls `serveMachine`, for boards of
   * one's own or bundlers that do not know workers; false: the machine shares the page's thread.
   */
  readonly worker?: Worker | false | undefined;
}

/** A machine's options, with what the browser gives already in their place. */
export interface BrowserMachineOptions extends ServedOptions, BrowserSurroundings {}

/** Options of a machine that goes on from a snapshot. */
export interface BrowserRestoreOptions extends ServedRestoreOptions, BrowserSurroundings {}

interface Call {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

/** Ends the workers of machines that were thrown away. */
const abandoned = new FinalizationRegistry<Worker>((worker) => worker.terminate());

/** The page's end of the port. It holds on to no machine, so that one that is thrown away can be found. */
class Connection {
  readonly #port: Port;
  readonly #calls = new Map<number, Call>();
  #last = 0;
  #failure: Error | undefined;

  constructor(port: Port, console: MachineHost['console']) {
    this.#port = port;
    port.onmessage = ({ data }: MessageEvent<FromMachine>) => {
      if ('output' in data) {
        const { length } = data.output;
        try {
          console.write(data.output);
        } finally {
          port.postMessage({ shown: length } satisfies ToMachine);
        }
        return;
      }
      const call = this.#calls.get(data.id);
      this.#calls.delete(data.id);
      if ('error' in data) call?.reject(receiveError(data.error));
      else call?.resolve(data.answer as never);
    };
  }

  call<Name extends keyof MachineCalls>(
    name: Name,
    ...words: Parameters<MachineCalls[Name]>
  ): Promise<Awaited<ReturnType<MachineCalls[Name]>>> {
    return this.hand(name, [], ...words);
  }

  /** The same, with what the worker gets for itself. */
  hand<Name extends keyof MachineCalls>(
    name: Name,
    transfer: Transferable[],
    ...words: Parameters<MachineCalls[Name]>
  ): Promise<Awaited<ReturnType<MachineCalls[Name]>>> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure;
      const id = ++this.#last;
      try {
        this.#port.postMessage({ id, call: name, words } satisfies ToMachine, transfer);
      } catch (error) {
        throw new MachineError(`what a machine's worker is given must be data: ${(error as Error).message}`);
      }
      this.#calls.set(id, { resolve, reject });
    });
  }

  /** Nothing is answered any more. */
  fail(message: string): void {
    this.#failure ??= new MachineError(message);
    for (const { reject } of this.#calls.values()) reject(this.#failure);
    this.#calls.clear();
  }
}

/** A machine in a worker. Its methods are those of `Machine`, `Vcpu` and `GuestMemory`, and answer when the worker has. */
export class BrowserMachine {
  readonly #connection: Connection;
  readonly #worker: Worker | undefined;
  readonly description: MachineDescription;

  /** Use `createMachine`. */
  constructor(connection: Connection, worker: Worker | undefined, description: MachineDescription) {
    this.#connection = connection;
    this.#worker = worker;
    this.description = description;
  }

  /** Runs the guest until it, the user or an error ends it (`Machine.run`). */
  async run({ signal }: RunOptions = {}): Promise<MachineEnd> {
    if (signal?.aborted) throw signal.reason;
    const abort = (): void => void this.quit('aborted').catch(() => {});
    signal?.addEventListener('abort', abort);
    try {
      const end = await this.#connection.call('run');
      if (signal?.aborted && end.cause === 'quit') throw signal.reason;
      return end;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Resolves when the guest stands still, and its clock with it: memory, registers and devices belong together then. */
  pause(): Promise<void> {
    return this.#connection.call('pause');
  }

  resume(): Promise<void> {
    return this.#connection.call('resume');
  }

  /** Saves the whole machine (`Machine.save`); `restoreMachine` goes on from there. */
  save(options: SaveOptions = {}): Promise<Uint8Array> {
    return this.#connection.call('save', options);
  }

  /**
   * Serves gdb's remote protocol (`GdbConnection`): what is posted to the port that it answers are a client's bytes, Uint8Arrays,
   * and what comes from there are the answers. Null from either end is its last word.
   */
  async serveGdb(): Promise<MessagePort> {
    const { port1, port2 } = new MessageChannel();
    await this.#connection.hand('serveGdb', [port2], port2);
    return port1;
  }

  /** Ends the run at the next opportunity, with cause "quit". */
  quit(message?: string): Promise<void> {
    return message === undefined ? this.#connection.call('quit') : this.#connection.call('quit', message);
  }

  /** Ends the machine's worker at once, whatever it does; calls that wait for it are refused. */
  close(): void {
    this.#connection.fail('the machine was closed');
    this.#worker?.terminate();
  }

  /** Console input; the guest takes it at its own pace. */
  input(bytes: Uint8Array): Promise<void> {
    return this.#connection.call('input', bytes);
  }

  state(): Promise<MachineState> {
    return this.#connection.call('state');
  }

  stats(): Promise<Record<string, number>> {
    return this.#connection.call('stats');
  }

  /** Guest physical memory; undefined where there is none. */
  readMemory(address: number, length: number): Promise<Uint8Array | undefined> {
    return this.#connection.call('readMemory', address, length);
  }

  writeMemory(address: number, bytes: Uint8Array): Promise<boolean> {
    return this.#connection.call('writeMemory', address, bytes);
  }

  translate(effectiveAddress: number | bigint): Promise<KvmTranslation> {
    return this.#connection.call('translate', effectiveAddress);
  }

  getRegs(): Promise<KvmRegs> {
    return this.#connection.call('getRegs');
  }

  setRegs(regs: KvmRegs): Promise<void> {
    return this.#connection.call('setRegs', regs);
  }

  getSregs(): Promise<KvmSregs> {
    return this.#connection.call('getSregs');
  }

  setSregs(sregs: Partial<KvmSregs>): Promise<void> {
    return this.#connection.call('setSregs', sregs);
  }

  getOneReg(id: bigint): Promise<bigint | undefined> {
    return this.#connection.call('getOneReg', id);
  }

  setOneReg(id: bigint, value: bigint): Promise<boolean> {
    return this.#connection.call('setOneReg', id, value);
  }

  saveDevices(): Promise<Record<string, DeviceState>> {
    return this.#connection.call('saveDevices');
  }

  restoreDevices(states: Readonly<Record<string, DeviceState>>): Promise<void> {
    return this.#connection.call('restoreDevices', states);
  }
}

function startWorker(): Worker {
  // Bundlers find a worker by this very form.
  return new Worker(new URL('./machine-worker.js', import.meta.url), { type: 'module' });
}

/** The machine's end of a channel in this very thread. */
async function servePort(): Promise<MessagePort> {
  const { serveMachine } = await import('./serve.ts');
  const { port1, port2 } = new MessageChannel();
  serveMachine({ port: port1 });
  return port2;
}

/** Has a worker make a machine. */
async function make<Options extends BrowserSurroundings>(
  options: Options,
  call: (connection: Connection, served: Omit<Options, keyof BrowserSurroundings>) => Promise<MachineDescription>,
): Promise<BrowserMachine> {
  const { console, worker, ...served } = Object(options) as Options;
  if (typeof console?.write !== 'function')
    throw new MachineError('the option console is missing; an object with write(bytes) would fit');
  if (worker !== undefined && worker !== false && typeof worker?.postMessage !== 'function')
    throw new MachineError('the option worker is neither a Worker nor false');
  const unsendable = UNSENDABLE.find((name) => (served as Readonly<Record<string, unknown>>)[name] !== undefined);
  if (unsendable !== undefined)
    throw new MachineError(
      `the option ${unsendable} cannot be sent to a worker; disks, network, rng and balloon would fit`,
    );
  const thread = worker === false ? undefined : (worker ?? startWorker());
  const connection = new Connection(thread ?? (await servePort()), console);
  if (thread) {
    thread.onerror = ({ message }) =>
      connection.fail(`the machine's worker failed: ${message || 'its script does not load'}`);
    thread.onmessageerror = () => connection.fail("the machine's worker failed: a message cannot be read");
  }
  try {
    const machine = new BrowserMachine(connection, thread, await call(connection, served));
    if (thread) abandoned.register(machine, thread);
    return machine;
  } catch (error) {
    thread?.terminate();
    throw error;
  }
}

/**
 * Makes a machine in a worker, with a second worker that translates where memory can be shared (the page is isolated by COOP
 * and COEP); else the machine's worker translates too.
 * @throws MachineError or KvmError when an option does not fit, or the worker does not start.
 */
export function createMachine(options: BrowserMachineOptions): Promise<BrowserMachine> {
  return make(options, (connection, served) => connection.hand('create', portsOf(served), served));
}

/** Makes a machine that goes on from a snapshot (`BrowserMachine.save`, or a file of the command's), with all that `createMachine` brings. */
export function restoreMachine(snapshot: Uint8Array, options: BrowserRestoreOptions): Promise<BrowserMachine> {
  return make(options, (connection, served) => connection.hand('restore', portsOf(served), snapshot, served));
}
