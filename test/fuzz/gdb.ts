/**
 * A hostile client of the gdb server on a machine with a hostile program: packets that are right, nearly right, cut, garbled and
 * noise, in pieces of any length, while the guest runs and while it stands still; it goes away at any time.
 */
import { GdbConnection, Machine, Monitor } from '../../src/machine/index.ts';
import { Random } from '../truth/random.ts';
import { GuardedVms } from './guarded-vm.ts';
import { WallHost } from './hosts.ts';
import { type CaseEnd, checkEnd } from './judge.ts';
import { plainKernel } from './kernels.ts';
import { DEVICES, MEMORY, type Place, PROGRAM_BYTES } from './machines.ts';
import { makeProgram, type Target } from './programs.ts';

const MOST_PACKETS = 24;
/** What a client is answered at most: the longest replies are memory, two digits a byte. */
const MOST_ANSWERED_BYTES = 2 ** 24;
const END_MS = 30_000;

const ADDRESSES = [
  '0',
  '4',
  '100',
  '1000',
  '7ffffc',
  '800000',
  'c0000000',
  'fffffffc',
  'ffffffffffffffff',
  'c000000000000000',
];
const LENGTHS = ['0', '1', '4', '8', '40', '1000', 'ffff', '20000', 'ffffffff'];
const MONITOR = [
  'help',
  'info registers all',
  'info mmu 9',
  'info exits',
  'info devices',
  'chain 0x1000',
  'x 0 4096',
  'dis',
  'stop',
  'cont',
  'step 3',
  'break 0x100',
  'device serial0',
  'info htab 4096',
  '\0',
  'x '.repeat(900),
];

const hexOf = (text: string): string => Buffer.from(text).toString('hex');

/** A packet's contents, as a client that knows the protocol would send it, or nearly. */
function packet(random: Random): string {
  const address = (): string => (random.chance(0.7) ? random.pick(ADDRESSES) : (random.word() >>> 0).toString(16));
  const length = (): string => random.pick(LENGTHS);
  const place = (): string => `${address()},${length()}`;
  const digits = (): string => 'x0123456789abcdef'.charAt(random.below(17)).repeat(random.below(40));
  const thread = (): string => random.pick(['1', '0', '-1', 'p1.1', 'p-1.-1', 'p0.0', 'p9.9', '', 'z', '-']);
  const choices: readonly (() => string)[] = [
    () =>
      `qSupported:${random.pick(['multiprocess+;swbreak+;hwbreak+', 'error-message+', '', ';;;', 'xmlRegisters=i386'])}`,
    () =>
      random.pick([
        '?',
        'g',
        'qC',
        'qfThreadInfo',
        'qsThreadInfo',
        'QStartNoAckMode',
        'vMustReplyEmpty',
        'vCont?',
        '!',
        'qAttached:1',
        'qHostInfo',
        'qOffsets',
        'qTStatus',
        'qSymbol::',
        'R00',
        'i',
        'vCtrlC',
      ]),
    () => `G${digits()}`,
    () => `p${random.below(700).toString(16)}`,
    () => `P${random.below(700).toString(16)}=${digits()}`,
    () => `${random.pick(['m', 'x'])}${place()}`,
    () => `M${place()}:${digits()}`,
    () =>
      `X${address()},${random.below(40).toString(16)}:${String.fromCharCode(...Array.from({ length: random.below(40) }, () => random.below(256)))}`,
    () => `${random.pick(['Z', 'z'])}${random.below(6)},${place()}${random.pick(['', ';X1,00', ';cmds:0'])}`,
    () => random.pick(['c', 's', 'C05', 'S05;4', `c${address()}`, `s${address()}`]),
    () =>
      `vCont;${random.pick(['c', 's', 'C05', 'S05', `r${place()}`, 't', 'x', ''])}${random.pick(['', ':', `:${thread()}`, ';c', `;s:${thread()}`])}`,
    () => `H${random.pick(['g', 'c', ''])}${thread()}`,
    () => `T${thread()}`,
    () =>
      `qXfer:${random.pick(['features', 'memory-map', 'threads', 'auxv', ''])}:${random.pick(['read', 'write', ''])}:${random.pick(['target.xml', '', '../..'])}:${place()}`,
    () => `qRcmd,${hexOf(random.pick(MONITOR))}${random.chance(0.1) ? '7' : ''}`,
    () =>
      random.pick([
        'Qqemu.PhyMemMode:1',
        'Qqemu.PhyMemMode:0',
        'qqemu.PhyMemMode',
        'Qqemu.sstep=1',
        'qqemu.sstepbits',
        'qMemoryRegionInfo:zz',
      ]),
    () => `v${random.pick(['File:open:6a,0,1c0', 'FlashErase:0,1000', 'Kill;2', 'Attach;1', 'Run;'])}`,
    () => random.pick(['D', 'D;1', 'k', 'vKill;1']),
  ];
  return random.pick(random.chance(0.95) ? choices.slice(0, -1) : choices)();
}

/** The bytes of a packet, as they come over a line that is not good. */
function sent(random: Random): Uint8Array {
  if (random.chance(0.06)) return Uint8Array.of(3);
  if (random.chance(0.05)) return Uint8Array.from({ length: random.below(300) }, () => random.below(256));
  const contents = packet(random).replace(
    /[#$}]/g,
    (character) => `}${String.fromCharCode(character.charCodeAt(0) ^ 32)}`,
  );
  const sum = [...contents].reduce((total, character) => total + character.charCodeAt(0), 0) & 0xff;
  const bytes = [...Buffer.from(`$${contents}#${sum.toString(16).padStart(2, '0')}`, 'latin1')];
  if (random.chance(0.2)) bytes[random.below(bytes.length)] = random.below(256);
  if (random.chance(0.1)) bytes.splice(random.below(bytes.length), 1 + random.below(8));
  if (random.chance(0.1)) bytes.splice(random.below(bytes.length), 0, random.below(256));
  return Uint8Array.from(random.chance(0.2) ? [0x2b, ...bytes] : bytes);
}

/** What the server says must be packets and acknowledgements, whatever it was asked. */
class Listener {
  #text = '';
  #bytes = 0;

  take(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (this.#bytes > MOST_ANSWERED_BYTES) throw new Error(`${this.#bytes} bytes of answers`);
    this.#text += Buffer.from(bytes).toString('latin1');
    for (;;) {
      const found = /^[+-]*\$((?:[^#}]|\}[\s\S])*)#([0-9a-f]{2})/.exec(this.#text);
      if (found === null) return;
      const [all, contents = '', sum = ''] = found;
      let total = 0;
      for (let i = 0; i < contents.length; i++) total += contents.charCodeAt(i);
      if ((total & 0xff) !== Number.parseInt(sum, 16)) throw new Error(`a wrong sum: ${all.slice(0, 100)}`);
      this.#text = this.#text.slice(all.length);
    }
  }
}

export class HostileClients {
  readonly #place: Place;
  readonly #vms: GuardedVms;
  readonly #target: Target;

  constructor(place: Place) {
    const { bytes, htab } = MEMORY[place.board];
    this.#place = place;
    this.#vms = new GuardedVms('here', bytes, htab);
    this.#target = {
      family: place.board === 'bamboo' ? '440' : 'server',
      littleEndian: place.littleEndian,
      ramBytes: Math.min(bytes, PROGRAM_BYTES),
      devices: DEVICES[place.board],
    };
  }

  /** Has a client say what a seed says. @throws whatever must not be thrown. */
  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    const { board, cpu } = this.#place;
    const machine = Machine.create({
      board,
      cpu,
      host: new WallHost(() => true),
      memoryBytes: MEMORY[board].bytes,
      kernel: plainKernel(random, makeProgram(random, this.#target), this.#target),
      createVm: this.#vms.createVm,
      noReboot: random.chance(0.5),
    });
    const monitor = new Monitor(machine);
    const listener = new Listener();
    let isClosed = false;
    const connect = (): GdbConnection =>
      new GdbConnection(
        { debugger: machine.debugger, monitor: (line) => monitor.execute(line) },
        {
          write: (bytes) => listener.take(bytes),
          close: () => {
            isClosed = true;
          },
        },
      );
    let connection = connect();
    const run = machine.run();
    for (let packets = 1 + random.below(MOST_PACKETS); packets > 0; packets--) {
      let bytes = sent(random);
      while (bytes.length > 0) {
        const piece = random.chance(0.7) ? bytes.length : 1 + random.below(bytes.length);
        connection.receive(bytes.subarray(0, piece));
        bytes = bytes.subarray(piece);
        if (random.chance(0.3)) await new Promise((resolve) => setImmediate(resolve));
      }
      if (random.chance(0.02)) connection.close();
      if (random.chance(0.02)) await machine.pause();
      if (random.chance(0.04)) machine.resume();
      if (isClosed && random.chance(0.7)) {
        isClosed = false;
        connection = connect();
      }
    }
    connection.close();
    machine.quit();
    let late: NodeJS.Timeout | undefined;
    const over = new Promise<undefined>((resolve) => {
      late = setTimeout(resolve, END_MS, undefined);
    });
    const end = await Promise.race([run, over]);
    clearTimeout(late);
    if (end === undefined) throw new Error('a machine that was told to end goes on');
    this.#vms.check();
    return checkEnd(end);
  }

  checkAll(): void {
    this.#vms.checkAll();
  }
}
