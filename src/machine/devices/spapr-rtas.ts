import type { GuestMemory } from '../../kvm/api.ts';
import type { Device, DeviceSpec, DeviceState, TreeValue } from '../device.ts';
import { H_PARAMETER, H_SUCCESS, type Hypercall, type HypercallArguments } from '../hypercalls.ts';

/** Return values (LoPAPR 1.1, table 8 and those of single calls). */
export const RTAS_SUCCESS = 0;
export const RTAS_NO_ERRORS_FOUND = 1;
export const RTAS_HARDWARE_ERROR = -1;
export const RTAS_PARAMETER_ERROR = -3;
export const RTAS_NOT_SUPPORTED = -3;

/** The hypercall that the blob makes: private to the hypervisor and its firmware. */
const H_RTAS = 0xf000;

/** Argument block: token, number of arguments, number of results, arguments, results; big-endian words. */
const HEADER_BYTES = 12;
/** Linux's block has room for sixteen words. */
const MOST_WORDS = 16;

/** The largest error log that event-scan could give, bytes. */
const ERROR_LOG_BYTES = 2048;

/**
 * The firmware's half, entered in real mode, 32 bits, big-endian, r3 = argument block:
 *   mr r4,r3; lis r3,0; ori r3,r3,0xf000; sc 1; blr
 */
const BLOB_WORDS = [0x7c641b78, 0x3c600000, 0x6063f000, 0x44000022, 0x4e800020] as const;
const BLOB_RESERVED = 65536;

/** The arguments of an RTAS call, and where its results go. One object for the life of a machine. */
export class RtasArguments {
  readonly #memory: GuestMemory;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #arguments = 0;
  #results = 0;
  /** The server number of the calling processor. */
  cpu = 0;

  constructor(memory: GuestMemory) {
    this.#memory = memory;
  }

  /** Reads the block at a guest physical address; false when there is none. Results start as zeros. */
  load(address: number): boolean {
    const header = this.#memory.readBytes(address, HEADER_BYTES);
    if (header === undefined) return false;
    const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
    this.#arguments = view.getUint32(4);
    this.#results = view.getUint32(8);
    if (this.#arguments + this.#results > MOST_WORDS || this.#results === 0) return false;
    const block = this.#memory.readBytes(address, HEADER_BYTES + 4 * (this.#arguments + this.#results));
    if (block === undefined) return false;
    this.#view = new DataView(block.buffer, block.byteOffset, block.length);
    for (let i = 0; i < this.#results; i++) this.result(i, 0);
    return true;
  }

  /** Puts the results, and nothing else, into guest memory. */
  store(address: number): void {
    const at = HEADER_BYTES + 4 * this.#arguments;
    const { buffer, byteOffset } = this.#view;
    this.#memory.writeBytes(address + at, new Uint8Array(buffer, byteOffset + at, 4 * this.#results));
  }

  get token(): number {
    return this.#view.getUint32(0);
  }

  /** Whether the guest passed so many arguments and has room for so many results, the status included. */
  shaped(args: number, results: number): boolean {
    return this.#arguments === args && this.#results === results;
  }

  word(argument: number): number {
    return this.#view.getUint32(HEADER_BYTES + 4 * argument);
  }

  /** Result 0 is the status. */
  result(index: number, value: number): void {
    this.#view.setUint32(HEADER_BYTES + 4 * (this.#arguments + index), value);
  }
}

/** A call of the run-time abstraction services that a device serves. */
export interface RtasCall {
  readonly name: RtasName;
  /** How many arguments it takes, and how many results it gives, the status included. */
  readonly args: number;
  readonly results: number;
  /** Serves it: further results go into the arguments, the status is returned. Never throws. */
  call(args: RtasArguments): number;
}

/** A device that serves some of them. */
export interface RtasDevice extends Device {
  readonly rtas: readonly RtasCall[];
}

/** The tokens: any numbers would do; these are the ones that QEMU gives. */
export const RTAS_TOKENS = {
  'display-character': 0x2000,
  'get-time-of-day': 0x2001,
  'set-time-of-day': 0x2002,
  'power-off': 0x2003,
  'system-reboot': 0x2004,
  'query-cpu-stopped-state': 0x2005,
  'start-cpu': 0x2006,
  'stop-self': 0x2007,
  'ibm,get-system-parameter': 0x2008,
  'ibm,set-xive': 0x200a,
  'ibm,get-xive': 0x200b,
  'ibm,int-off': 0x200c,
  'ibm,int-on': 0x200d,
  'check-exception': 0x200e,
  'event-scan': 0x200f,
  'nvram-fetch': 0x2012,
  'nvram-store': 0x2013,
  'read-pci-config': 0x2014,
  'write-pci-config': 0x2015,
  'ibm,read-pci-config': 0x2016,
  'ibm,write-pci-config': 0x2017,
  'ibm,query-interrupt-source-number': 0x2018,
  'ibm,change-msi': 0x2019,
  'get-sensor-state': 0x201d,
  'ibm,os-term': 0x201f,
} as const;
export type RtasName = keyof typeof RTAS_TOKENS;

/** The calls of a PCI host bridge, which a partition without one does not have. */
export const RTAS_PCI_CALLS: readonly RtasName[] = [
  'read-pci-config',
  'write-pci-config',
  'ibm,read-pci-config',
  'ibm,write-pci-config',
  'ibm,query-interrupt-source-number',
  'ibm,change-msi',
];

/** RTAS: takes the hypercalls of the blob apart and hands them to the devices that serve them. */
export class SpaprRtas implements Device {
  readonly hypercalls: readonly Hypercall[] = [{ number: H_RTAS, name: 'H_RTAS', call: (args) => this.#serve(args) }];
  readonly #args: RtasArguments;
  readonly #calls = new Map<number, RtasCall>();
  readonly #counts = new Map<RtasName, number>();
  #unknown = 0;
  #lastUnknown = 0;

  constructor(memory: GuestMemory, calls: Iterable<RtasCall>) {
    this.#args = new RtasArguments(memory);
    for (const call of calls) this.#calls.set(RTAS_TOKENS[call.name], call);
  }

  /** The names of the calls that it knows. */
  get names(): RtasName[] {
    return Array.from(this.#calls.values(), ({ name }) => name);
  }

  #serve(call: HypercallArguments): number {
    const args = this.#args;
    // The block is named by a 32-bit register.
    const address = call.low(0);
    if (!args.load(address)) return H_PARAMETER;
    args.cpu = call.cpu;
    args.result(0, this.#status(args));
    args.store(address);
    return H_SUCCESS;
  }

  #status(args: RtasArguments): number {
    const call = this.#calls.get(args.token);
    if (call === undefined) {
      this.#unknown++;
      this.#lastUnknown = args.token;
      return RTAS_PARAMETER_ERROR;
    }
    this.#counts.set(call.name, (this.#counts.get(call.name) ?? 0) + 1);
    return args.shaped(call.args, call.results) ? call.call(args) : RTAS_PARAMETER_ERROR;
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {}

  counters(): Record<string, number> {
    return { ...Object.fromEntries(this.#counts), unknown: this.#unknown, unknown_last: this.#lastUnknown };
  }
}

function blob(): Uint8Array {
  const bytes = new Uint8Array(4 * BLOB_WORDS.length);
  const view = new DataView(bytes.buffer);
  BLOB_WORDS.forEach((word, i) => {
    view.setUint32(4 * i, word);
  });
  return bytes;
}

/**
 * RTAS on a board: the blob at the end of RAM, and the node that a kernel entered without firmware finds it by. `devices`:
 * the names of those that serve calls; they stand before it in the board's list.
 */
export function spaprRtas(options: {
  name: string;
  memoryBytes: number;
  devices: readonly string[];
  hypertasFunctions: readonly string[];
  /** Calls that no device serves. */
  absent: readonly RtasName[];
}): DeviceSpec {
  // Entered in 32-bit mode; below 2 GB its address has no sign to be taken for one.
  const address = Math.min(options.memoryBytes, 2 ** 31) - BLOB_RESERVED;
  return {
    name: options.name,
    firmware: { address, reservedBytes: BLOB_RESERVED, bytes: blob() },
    node: {
      path: '/rtas',
      properties: {
        ...Object.fromEntries(
          Object.entries(RTAS_TOKENS)
            .filter(([name]) => !options.absent.includes(name as RtasName))
            .map(([name, token]): [string, TreeValue] => [name, [token]]),
        ),
        'ibm,hypertas-functions': options.hypertasFunctions,
        'ibm,extended-os-term': true,
        'rtas-event-scan-rate': [1],
        'rtas-error-log-max': [ERROR_LOG_BYTES],
        'rtas-size': [BLOB_RESERVED],
        'linux,rtas-base': [address],
        'linux,rtas-entry': [address],
      },
    },
    create: ({ memory, device }) =>
      new SpaprRtas(
        memory,
        options.devices.flatMap((name) => (device(name) as RtasDevice).rtas),
      ),
  };
}
