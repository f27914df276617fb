/** What a page and its machine's worker say to each other. */
import { KvmError, type KvmRegs, type KvmSregs, type KvmTranslation } from '../kvm/api.ts';
import { MachineError, OptionError } from '../machine/error.ts';
import type {
  CardOptions,
  DeviceState,
  DiskFormat,
  MachineEnd,
  MachineOptions,
  MachineState,
  RestoreOptions,
  SaveOptions,
} from '../machine/index.ts';

/** Options whose values are objects with functions, which cannot be sent to a worker. */
export const UNSENDABLE = ['shares', 'consolePorts', 'devices'] as const satisfies readonly (keyof CardOptions)[];

/** A disk of a page's. */
export interface ServedDisk {
  /**
   * A `File` or another Blob (read only); a file of the page's own (OPFS), which only a machine in a worker can have; or the address
   * of a file on a server that answers ranges (read only).
   */
  readonly file: Blob | FileSystemFileHandle | string;
  /** Default: raw. */
  readonly format?: DiskFormat | undefined;
  /** The guest may not write. */
  readonly readOnly?: boolean | undefined;
  /** What the guest writes is kept in memory, and goes with the machine: also for what cannot be written itself. */
  readonly snapshot?: boolean | undefined;
  /** At most 20 characters of ASCII. */
  readonly serial?: string | undefined;
}

/** A network card of a page's. */
export interface ServedNetwork {
  /** The other end takes and gives Ethernet frames: a Uint8Array each. It is the machine's from then on. */
  readonly port: MessagePort;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
}

/** The devices of a page that can be sent. */
export interface ServedCards {
  readonly disks?: readonly ServedDisk[] | undefined;
  readonly network?: ServedNetwork | undefined;
}

/** What has to be handed over with the options. */
export function portsOf({ network }: ServedCards): MessagePort[] {
  return network?.port instanceof MessagePort ? [network.port] : [];
}

/** The options that are sent: all that can be cloned. */
export interface ServedOptions
  extends Omit<
      MachineOptions,
      | 'board'
      | 'host'
      | 'translation'
      | 'cores'
      | 'createVm'
      | 'trace'
      | keyof ServedCards
      | (typeof UNSENDABLE)[number]
    >,
    ServedCards {
  /** A board's name: one of the package's, or one that the worker's own script has (`serveMachine`). */
  readonly board: string;
  /**
   * Whether hot code is translated in a worker of its own. Default: true where memory can be shared (COOP and COEP), but
   * for runs that repeat exactly (`icount`).
   */
  readonly translationWorker?: boolean | undefined;
}

/** What a machine that goes on from a snapshot is given: all that can be cloned. */
export interface ServedRestoreOptions
  extends Omit<
      RestoreOptions,
      | 'board'
      | 'host'
      | 'translation'
      | 'cores'
      | 'createVm'
      | 'trace'
      | keyof ServedCards
      | (typeof UNSENDABLE)[number]
    >,
    ServedCards,
    Pick<ServedOptions, 'translationWorker'> {}

/** What became of the options. */
export interface MachineDescription {
  readonly board: string;
  readonly cpu: string;
  readonly accel: string;
  readonly memoryBytes: number;
  readonly translationWorker: boolean;
}

/** The calls that a page can make. Addresses of memory are guest physical. */
export interface MachineCalls {
  create(options: ServedOptions): Promise<MachineDescription>;
  restore(snapshot: Uint8Array, options: ServedRestoreOptions): Promise<MachineDescription>;
  save(options: SaveOptions): Promise<Uint8Array>;
  run(): Promise<MachineEnd>;
  pause(): Promise<void>;
  resume(): void;
  quit(message?: string): void;
  input(bytes: Uint8Array): void;
  state(): MachineState;
  stats(): Record<string, number>;
  readMemory(address: number, length: number): Uint8Array | undefined;
  writeMemory(address: number, bytes: Uint8Array): boolean;
  translate(effectiveAddress: number | bigint): KvmTranslation;
  getRegs(): KvmRegs;
  setRegs(regs: KvmRegs): void;
  getSregs(): KvmSregs;
  setSregs(sregs: Partial<KvmSregs>): void;
  getOneReg(id: bigint): bigint | undefined;
  setOneReg(id: bigint, value: bigint): boolean;
  /** Serves gdb on a port: bytes to and fro, null from the client's end when it goes. */
  serveGdb(port: MessagePort): void;
  saveDevices(): Record<string, DeviceState>;
  restoreDevices(states: Readonly<Record<string, DeviceState>>): void;
}

export interface CallMessage {
  readonly id: number;
  readonly call: keyof MachineCalls;
  readonly words: readonly unknown[];
}
/** The page has shown so many bytes of the console's output. */
export interface ShownMessage {
  readonly shown: number;
}
export type ToMachine = CallMessage | ShownMessage;

export interface SentError {
  readonly name: string;
  readonly message: string;
}
export type FromMachine =
  | { readonly output: Uint8Array }
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: SentError };

/** What both ends have: a Worker, a worker's own scope, or a MessagePort. */
export interface Port {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

/** The port of the worker that this code runs in. */
export function workerPort(): Port {
  return globalThis as unknown as Port;
}

export function sendError(error: unknown): SentError {
  return error instanceof Error
    ? { name: error.name, message: error.message }
    : { name: 'Error', message: String(error) };
}

/** The error again, of its own class where that is one of ours. */
export function receiveError({ name, message }: SentError): Error {
  if (name === 'MachineError') return new MachineError(message);
  if (name === 'OptionError') return new OptionError(message);
  if (name === 'KvmError') return new KvmError(message);
  return Object.assign(new Error(message), { name });
}
