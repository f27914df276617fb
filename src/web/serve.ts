import type { CoreImages } from '../kvm/api.ts';
import { readCore } from '../machine/cores.ts';
import {
  type Board,
  BytesSource,
  GdbConnection,
  Machine,
  type MachineEnd,
  MachineError,
  type MachineOptions,
  Monitor,
  SnapshotReader,
} from '../machine/index.ts';
import { type OpenedCards, openServedCards } from './cards.ts';
import { BrowserHost } from './host.ts';
import {
  type FromMachine,
  type MachineCalls,
  type MachineDescription,
  type Port,
  type ServedCards,
  type ServedOptions,
  type ServedRestoreOptions,
  sendError,
  type ToMachine,
  workerPort,
} from './protocol.ts';
import { canShareMemory, WorkerTranslationPort } from './translation-port.ts';

/** Output that the page has not shown yet: when there is more, the guest waits. */
const MAX_UNSHOWN_BYTES = 2 ** 20;

/** The cores that came with the package, fetched while the machine is made: only a worker may wait for that. */
const coreFiles: CoreImages = {
  find: (name) =>
    readCore(name, (file) => {
      const request = new XMLHttpRequest();
      request.open('GET', new URL(`./cores/${file}`, import.meta.url), false);
      request.responseType = 'arraybuffer';
      request.send();
      if (request.status !== 200) throw new Error(`${file} is not there`);
      return new Uint8Array(request.response as ArrayBuffer);
    }),
};

/** A host that does not run ahead of the page that shows its output. */
class ServedHost extends BrowserHost {
  readonly #output: { unshown: number; room: () => void };

  constructor(send: (message: FromMachine, transfer: Transferable[]) => void, onTurn: () => void) {
    const output = { unshown: 0, room: (): void => {} };
    const write = (bytes: Uint8Array): void => {
      output.unshown += bytes.length;
      send({ output: bytes }, [bytes.buffer as ArrayBuffer]);
    };
    super({ write }, onTurn);
    this.#output = output;
  }

  shown(bytes: number): void {
    this.#output.unshown -= bytes;
    if (this.#output.unshown <= MAX_UNSHOWN_BYTES) this.#output.room();
  }

  override async yield(): Promise<void> {
    if (this.#output.unshown > MAX_UNSHOWN_BYTES)
      await new Promise<void>((resolve) => {
        this.#output.room = resolve;
      });
    return super.yield();
  }
}

/** A client of gdb's protocol at the other end of a port. */
function serveGdb(machine: Machine, port: MessagePort): void {
  const monitor = new Monitor(machine);
  const target = { debugger: machine.debugger, monitor: (line: string) => monitor.execute(line) };
  const connection = new GdbConnection(target, {
    write: (bytes) => port.postMessage(bytes.slice()),
    close: () => {
      port.postMessage(null);
      port.close();
    },
  });
  port.onmessage = ({ data }: MessageEvent<unknown>) => {
    if (data instanceof Uint8Array) connection.receive(data);
    else connection.close();
  };
}

/** One machine and its console, at the worker's end of a port. */
class Served {
  readonly #boards: readonly Board[];
  readonly #input: Uint8Array[] = [];
  readonly #host: ServedHost;
  #machine: Machine | undefined;
  #isMaking = false;
  #opened: OpenedCards | undefined;

  constructor(port: Port, boards: readonly Board[]) {
    this.#boards = boards;
    this.#host = new ServedHost(
      (message, transfer) => port.postMessage(message, transfer),
      () => this.#offer(),
    );
    port.onmessage = ({ data }: MessageEvent<ToMachine>) => {
      if ('shown' in data) this.#host.shown(data.shown);
      else
        void this.#serve(data.call, data.words).then(
          (answer) => port.postMessage({ id: data.id, answer } satisfies FromMachine),
          (error) => port.postMessage({ id: data.id, error: sendError(error) } satisfies FromMachine),
        );
    };
  }

  async #serve(call: keyof MachineCalls, words: readonly unknown[]): Promise<unknown> {
    const serve = this.#calls[call] as (...words: readonly unknown[]) => unknown;
    return serve(...words);
  }

  get #made(): Machine {
    if (this.#machine === undefined) throw new MachineError('the machine is not made yet');
    return this.#machine;
  }

  readonly #calls: MachineCalls = {
    create: (options) => this.#create(options),
    restore: (snapshot, options) => this.#restore(snapshot, options),
    save: (options) => this.#made.save(options),
    run: () => this.#run(),
    pause: () => this.#made.pause(),
    resume: () => this.#made.resume(),
    quit: (message) => this.#made.quit(message),
    input: (bytes) => {
      this.#input.push(bytes);
      this.#offer();
    },
    state: () => this.#made.state,
    stats: () => this.#made.stats(),
    readMemory: (address, length) => this.#made.vm.memory.readBytes(address, length),
    writeMemory: (address, bytes) => this.#made.vm.memory.writeBytes(address, bytes),
    translate: (address) => this.#made.vcpu.translate(address),
    getRegs: () => this.#made.vcpu.getRegs(),
    setRegs: (regs) => this.#made.vcpu.setRegs(regs),
    getSregs: () => this.#made.vcpu.getSregs(),
    setSregs: (sregs) => this.#made.vcpu.setSregs(sregs),
    getOneReg: (id) => this.#made.vcpu.getOneReg(id),
    setOneReg: (id, value) => this.#made.vcpu.setOneReg(id, value),
    serveGdb: (port) => serveGdb(this.#made, port),
    saveDevices: () => this.#made.saveDevices(),
    restoreDevices: (states) => this.#made.restoreDevices(states),
  };

  /** Disks are closed, and whole, when the answer is there. */
  async #run(): Promise<MachineEnd> {
    const machine = this.#made;
    const isFirst = machine.state === 'created';
    try {
      return await machine.run();
    } finally {
      if (isFirst) await this.#opened?.close();
    }
  }

  async #create(options: ServedOptions): Promise<MachineDescription> {
    const board = this.#boardOf(options.board);
    return this.#make(options, options.icount !== undefined, (rest) => Machine.create({ ...rest, board }));
  }

  async #restore(snapshot: Uint8Array, options: ServedRestoreOptions): Promise<MachineDescription> {
    const reader = new SnapshotReader(new BytesSource(snapshot), {});
    const board = this.#boardOf(reader.header.board);
    return this.#make(options, reader.header.icount !== undefined, (rest) =>
      Machine.restore(reader, { ...rest, board }),
    );
  }

  /** A board of the worker's own, or the name of one of the package's. */
  #boardOf(name: string): Board | string {
    return this.#boards.find((board) => board.name === name) ?? name;
  }

  /** Has `make` make the machine with the browser's part in it. `counted`: its runs are to repeat exactly. */
  async #make<Options extends Pick<ServedOptions, 'translationWorker'> & ServedCards>(
    options: Options,
    counted: boolean,
    make: (
      options: Omit<Options, 'translationWorker' | keyof ServedCards> &
        Pick<MachineOptions, 'host' | 'cores' | 'translation' | keyof ServedCards>,
    ) => Machine,
  ): Promise<MachineDescription> {
    const { translationWorker, disks, network, ...rest } = options;
    if (this.#machine !== undefined || this.#isMaking) throw new MachineError('this worker has a machine already');
    if (translationWorker !== undefined && typeof translationWorker !== 'boolean')
      throw new MachineError('the option translationWorker is true or false');
    if (translationWorker === true && !canShareMemory())
      throw new MachineError('a translation worker needs a page that is isolated by COOP and COEP');
    this.#isMaking = true;
    let opened: OpenedCards | undefined;
    try {
      opened = await openServedCards({ disks, network });
      return this.#makeWith(opened, translationWorker, counted, (part) => make({ ...rest, ...part }));
    } catch (error) {
      await opened?.close();
      throw error;
    } finally {
      this.#isMaking = false;
    }
  }

  #makeWith(
    opened: OpenedCards,
    translationWorker: boolean | undefined,
    counted: boolean,
    make: (part: Pick<MachineOptions, 'host' | 'cores' | 'translation' | keyof ServedCards>) => Machine,
  ): MachineDescription {
    const translates = translationWorker ?? (!counted && canShareMemory());
    const translation = translates ? new WorkerTranslationPort() : undefined;
    try {
      const machine = make({
        ...opened.cards,
        host: this.#host,
        // A page's own thread may not wait for files.
        cores: typeof document === 'undefined' ? coreFiles : undefined,
        translation,
      });
      this.#machine = machine;
      this.#opened = opened;
      const { board, cpu, accel, memoryBytes } = machine;
      return { board: board.name, cpu: cpu.model, accel, memoryBytes, translationWorker: translates };
    } catch (error) {
      translation?.close();
      throw error;
    }
  }

  /** Gives the guest what it has room for. */
  #offer(): void {
    for (let first = this.#input[0]; first !== undefined; first = this.#input[0]) {
      const taken = this.#machine?.input(first) ?? 0;
      if (taken < first.length) {
        this.#input[0] = first.subarray(taken);
        return;
      }
      this.#input.shift();
    }
  }
}

export interface ServeOptions {
  /** Boards of one's own, which a page names like the package's. */
  readonly boards?: readonly Board[];
  /** In place of the worker's own port. */
  readonly port?: Port;
}

/** Makes this worker one that `createMachine` can be given: it serves a machine to the page that made it. */
export function serveMachine({ boards = [], port = workerPort() }: ServeOptions = {}): void {
  new Served(port, boards);
}
