import type { Accel, CodeProfile, CoreImages, TranslationPort, Vm, VmOptions } from '../kvm/api.ts';
import type { Board } from './board.ts';
import type { BootFiles } from './boot.ts';
import type { CardOptions } from './cards.ts';
import { MachineError } from './error.ts';
import type { MachineHost } from './host.ts';
import { TRACE_FORMATS, type TraceFormatName, type TraceOptions } from './trace/index.ts';

/** Where a trace goes, and in which of `TRACE_FORMATS`. */
export interface MachineTrace extends TraceOptions {
  readonly format: TraceFormatName;
}

/** Everything that makes one machine. */
export interface MachineOptions extends BootFiles, CardOptions {
  /** A board's name (`boards`), or a board of one's own. */
  readonly board: string | Board;
  readonly host: MachineHost;
  /** Guest RAM in bytes; the board's customary size when absent. */
  readonly memoryBytes?: number | undefined;
  /** Processor model, one of the board's; its customary one when absent. */
  readonly cpu?: string | undefined;
  /** One of the board's; its fastest when absent. */
  readonly accel?: Accel | undefined;
  /** Retired-instruction time: nanoseconds per instruction (`VmOptions.icount`). */
  readonly icount?: number | undefined;
  /** A reset by the guest ends the run. */
  readonly noReboot?: boolean | undefined;
  /** Ends the run after so many nanoseconds of the host's clock; pauses do not count. */
  readonly timeoutNs?: number | undefined;
  /** Bytes that translations of code may take (`VmOptions.translationMemory`). */
  readonly translationMemory?: number | undefined;
  /** Passed on to KVM. */
  readonly translation?: TranslationPort | readonly TranslationPort[] | undefined;
  /** Passed on to KVM. */
  readonly cores?: CoreImages | undefined;
  /** What was hot in earlier runs, and is added to. Not used under `icount`, whose runs repeat exactly. */
  readonly codeCache?: CodeCache | undefined;
  /** Has what happens written down: exits, interrupts, accesses (`docs/seeing.md`). */
  readonly trace?: MachineTrace | undefined;
  /** In place of KVM's own: for tests, and for other implementations of the interface. */
  readonly createVm?: ((options: VmOptions) => Vm) | undefined;
}

/** What a machine that goes on from a snapshot is given: what it is, the snapshot says. */
export interface RestoreOptions
  extends Omit<
    MachineOptions,
    'board' | 'cpu' | 'memoryBytes' | 'icount' | 'kernel' | 'bios' | 'initrd' | 'dtb' | 'append' | 'accel'
  > {
  /** A board of one's own; it must have the name of the board that was saved. */
  readonly board?: string | Board | undefined;
  /** Another one than that of the machine that was saved. */
  readonly accel?: Accel | undefined;
}

/** Who keeps the memory of what was hot. */
export interface CodeCache {
  readonly profile: CodeProfile;
  /** The run has ended: nothing more is added. */
  close?(): void;
}

/** What would fit in place of a value that does not; undefined: it fits. */
type Check = (value: unknown) => string | undefined;

const isBytes = (value: unknown): boolean =>
  // By its tag, so that those of other realms (frames, test runners) fit as well.
  ArrayBuffer.isView(value) && (value as Uint8Array)[Symbol.toStringTag] === 'Uint8Array';

const bytes: Check = (value) =>
  isBytes(value)
    ? undefined
    : typeof value === 'string'
      ? "the file's contents, a Uint8Array, would fit"
      : 'a Uint8Array would fit';

const text: Check = (value) => (typeof value === 'string' ? undefined : 'a string would fit');
const truth: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false would fit');
const func: Check = (value) => (typeof value === 'function' ? undefined : 'a function would fit');

/** A number in (0, limit]. */
const numberOf =
  (what: string, limit: number): Check =>
  (value) =>
    typeof value === 'number' && value > 0 && value <= limit ? undefined : `${what} above 0 would fit`;

/** An object with functions under these names, which may be paths: "clock.now". */
const objectWith =
  (what: string, ...names: string[]): Check =>
  (value) => {
    const isMissing = (name: string): boolean =>
      typeof name.split('.').reduce<unknown>((at, step) => Object(at)[step], value) !== 'function';
    const missing = Object(value) === value ? names.find(isMissing) : '';
    if (missing === undefined) return undefined;
    return `${what} would fit${missing === '' ? '' : `, which has a function ${missing}`}`;
  };

/** One value that fits, or a list of them. */
const oneOrMore =
  (check: Check): Check =>
  (value) =>
    [value]
      .flat()
      .map(check)
      .find((wrong) => wrong !== undefined);

const board: Check = (value) =>
  typeof value === 'string'
    ? undefined
    : objectWith(
        'the name of a board, or a board of your own',
        'devices',
        'treeNodes',
        'memory.fits',
        'boot.enter',
      )(value);

/** A list of at most `limit` objects, each of which fits. */
const listOf =
  (what: string, limit: number, one: Check): Check =>
  (value) => {
    if (!Array.isArray(value)) return `a list of ${what} would fit`;
    if (value.length > limit) return `it has ${value.length} ${what}, and at most ${limit} would fit`;
    return value.map((each) => one(each)).find((fits) => fits !== undefined);
  };

/** An object with such a property; `isOptional`: or without it. */
const property =
  (name: string, check: Check, isOptional = false): Check =>
  (value) => {
    const own: unknown = Object(value)[name];
    if (own === undefined && isOptional && Object(value) === value) return undefined;
    const fits = Object(value) === value ? check(own) : 'it is an object';
    return fits === undefined ? undefined : `${name}: ${fits}`;
  };

/** The first of some checks that a value does not pass. */
const all =
  (...checks: readonly Check[]): Check =>
  (value) => {
    for (const check of checks) {
      const fits = check(value);
      if (fits !== undefined) return fits;
    }
    return undefined;
  };

/** A string whose characters are ASCII's printable ones, at most so many. */
const word =
  (limit: number): Check =>
  (value) =>
    typeof value === 'string' && value.length > 0 && value.length <= limit && /^[\x20-\x7e]*$/.test(value)
      ? undefined
      : `1 to ${limit} printable ASCII characters would fit`;

const number =
  (least: number, most: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= least && (value as number) <= most
      ? undefined
      : `a whole number from ${least} to ${most} would fit`;

const MOST_DEVICES = 32;
const store = objectWith('a BlockStore', 'read', 'write', 'writeZeroes', 'discard', 'flush');
const disk = all(
  property('store', store),
  property(
    'store',
    property('size', (value) => (isDiskSize(value) ? undefined : 'a multiple of 512 would fit')),
  ),
  property('serial', word(20), true),
  property('readOnly', truth, true),
  property('media', (value) => (value === 'disk' || value === 'cdrom' ? undefined : 'disk or cdrom would fit'), true),
  property('bus', text, true),
);
const isDiskSize = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) % 512 === 0;
const mac: Check = (value) =>
  typeof value === 'string' && /^[\da-f][02468ace](:[\da-f]{2}){5}$/i.test(value)
    ? undefined
    : 'six bytes such as "52:54:00:12:34:56" would fit, the first of them even';
const network = all(
  property('link', objectWith('a PacketLink', 'send', 'roomAgain', 'reset')),
  property('mac', mac, true),
  property('mtu', number(68, 65520), true),
);
const share = all(property('tag', word(64)), property('server', objectWith('a MessageServer', 'answer', 'reset')));
const consolePort = all(property('name', word(64)), property('end', objectWith('a PortEnd', 'write')));
const card = all(
  property('device', objectWith('a VirtioSpec', 'create')),
  property('device', property('name', word(64))),
  property('bus', text, true),
);

const CHECKS: { readonly [Name in keyof Required<MachineOptions>]: Check } = {
  board,
  host: objectWith('a host', 'clock.now', 'console.write', 'sleep', 'wake', 'yield'),
  kernel: bytes,
  bios: bytes,
  initrd: bytes,
  dtb: bytes,
  append: text,
  memoryBytes: (value) => (typeof value === 'number' ? undefined : 'a number of bytes would fit, such as 2 ** 28'),
  cpu: text,
  accel: text,
  icount: numberOf('a number of nanoseconds', 1e6),
  noReboot: truth,
  timeoutNs: numberOf('a number of nanoseconds', Number.POSITIVE_INFINITY),
  translationMemory: numberOf('a number of bytes', Number.POSITIVE_INFINITY),
  translation: oneOrMore(objectWith('a translation port', 'start', 'post', 'poll')),
  cores: objectWith('an object', 'find'),
  codeCache: objectWith('an object with a profile', 'profile.find'),
  trace: all(
    property('sink', objectWith('an object', 'write')),
    property('format', (value) =>
      TRACE_FORMATS.some((one) => one === value) ? undefined : `${TRACE_FORMATS.join(' or ')} would fit`,
    ),
    property('maxBytes', number(2 ** 16, Number.MAX_SAFE_INTEGER), true),
    property('symbols', objectWith('a SymbolTable', 'describe'), true),
  ),
  createVm: func,
  disks: listOf('disks', MOST_DEVICES, disk),
  network,
  shares: listOf('shares', MOST_DEVICES, share),
  consolePorts: listOf('console ports', MOST_DEVICES, consolePort),
  rng: truth,
  balloon: truth,
  display: truth,
  devices: listOf('devices', MOST_DEVICES, card),
};
const REQUIRED = ['board', 'host'] as const satisfies readonly (keyof MachineOptions)[];

/** A value, short enough for a message. */
function describe(value: unknown): string {
  if (typeof value === 'string') return `the string "${value.slice(0, 64)}"`;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return 'a function';
  return `an object (${Object.prototype.toString.call(value).slice('[object '.length, -1)})`;
}

/** What a snapshot says itself. */
const IN_SNAPSHOTS: ReadonlySet<string> = new Set<keyof MachineOptions>([
  'cpu',
  'memoryBytes',
  'icount',
  'kernel',
  'bios',
  'initrd',
  'dtb',
  'append',
]);
const RESTORE_NAMES = Object.keys(CHECKS).filter((name) => !IN_SNAPSHOTS.has(name));

/**
 * Checks the kinds of all options; what depends on the board is checked with the board.
 * @throws MachineError with one line: which option is wrong, and what would fit.
 */
export function checkOptions(options: unknown): asserts options is MachineOptions {
  checkNames(options, Object.keys(CHECKS), REQUIRED);
}

/** The same for `Machine.restore`. */
export function checkRestoreOptions(options: unknown): asserts options is RestoreOptions {
  checkNames(options, RESTORE_NAMES, ['host']);
}

function checkNames(options: unknown, names: readonly string[], required: readonly (keyof MachineOptions)[]): void {
  if (Object(options) !== options)
    throw new MachineError(`a machine's options are an object, not ${describe(options)}`);
  const given = options as Readonly<Record<string, unknown>>;
  for (const name of required)
    if (given[name] === undefined)
      throw new MachineError(
        `the option ${name} is missing: ${CHECKS[name](undefined) ?? 'the name of a board would fit'}`,
      );
  for (const [name, value] of Object.entries(given)) {
    if (!names.includes(name))
      throw new MachineError(
        `there is no option ${JSON.stringify(name.slice(0, 64))}; the options are: ${names.join(', ')}`,
      );
    if (value === undefined) continue;
    const fits = CHECKS[name as keyof MachineOptions](value);
    if (fits !== undefined) throw new MachineError(`the option ${name} is ${describe(value)}; ${fits}`);
  }
}
