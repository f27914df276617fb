/**
 * gdb's remote serial protocol for one client, over any stream of bytes (gdb's manual, appendix "Remote Protocol"): the
 * guest stands still from the moment that it connects until it says otherwise.
 */
import type { Debugger, DebugStop, WatchedAccess } from '../debugger/index.ts';
import type { MachineEnd } from '../loop.ts';
import { memoryMap, memoryRegion, targetDescription, threadList } from './features.ts';
import {
  bytesOf,
  framePacket,
  fromHex,
  PACKET_BYTES,
  PacketReader,
  parseCount,
  parseNumber,
  textOf,
  toHex,
} from './packets.ts';
import { RegisterPackets } from './registers.ts';

/** What a connection is made on. */
export interface GdbTransport {
  write(bytes: Uint8Array): void;
  close(): void;
}

/** What a connection is made for. */
export interface GdbTarget {
  readonly debugger: Debugger<MachineEnd>;
  /** `monitor` commands: answers what is to be printed. */
  readonly monitor?: ((line: string) => Promise<string>) | undefined;
}

/** Errno's numbers, which is what gdb's users have learnt to read. */
const ERROR = { NO_SUCH: 'E02', BUSY: 'E10', FAULT: 'E0e', INVALID: 'E16', NO_SPACE: 'E1c' } as const;
const SIGNAL = { INT: '02', TRAP: '05' } as const;
/** Packets that wait for the guest to stand still: a client has one on its way, and a hostile one not more than this. */
const MAX_WAITING_BYTES = 2 ** 22;
/** What the protocol counts in a reply besides the contents. */
const FRAME_BYTES = 8;
const MAX_READ_BYTES = (PACKET_BYTES - FRAME_BYTES) >> 1;
/** Of text in a packet of a `monitor` command's output. */
const OUTPUT_PIECE = 4096;

const WATCH_KINDS: Readonly<Record<string, WatchedAccess>> = { 2: 'write', 3: 'read', 4: 'access' };
const WATCH_REASONS: Readonly<Record<WatchedAccess, string>> = { write: 'watch', read: 'rwatch', access: 'awatch' };

/** What gdb is told; QEMU's names for threads and processes, which its users know. */
const PROCESS = '1';
const THREAD_NAME = 'CPU#0';

/** QEMU's bits of `sstepbits`: a step, without interrupts, without timers. */
const STEP_BITS = { ENABLE: 1, NOIRQ: 2, NOTIMER: 4 } as const;

export class GdbConnection {
  readonly #debugger: Debugger<MachineEnd>;
  readonly #monitor: GdbTarget['monitor'];
  readonly #transport: GdbTransport;
  readonly #registers: RegisterPackets;
  readonly #reader: PacketReader;
  readonly #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #isBusy = false;
  #isClosed = false;
  /** The client waits for the guest to stop. */
  #runs = false;
  #acknowledges = true;
  /** What was sent last, for a client that did not get it. */
  #last: Uint8Array | undefined;
  #multiprocess = false;
  #tellsBreakpoints = false;
  #tellsErrors = false;
  readonly #hardware = new Set<bigint>();
  #unsubscribe = (): void => {};

  constructor({ debugger: machineDebugger, monitor }: GdbTarget, transport: GdbTransport) {
    this.#debugger = machineDebugger;
    this.#monitor = monitor;
    this.#transport = transport;
    this.#registers = new RegisterPackets(machineDebugger.registers, machineDebugger.littleEndian);
    this.#reader = new PacketReader({
      packet: (contents) => this.#packet(contents),
      broken: () => this.#acknowledge('-'),
      interrupt: () => void machineDebugger.stop(),
      acknowledged: (isGood) => {
        if (!isGood && this.#acknowledges && this.#last !== undefined) this.#transport.write(this.#last);
      },
    });
    this.#unsubscribe = machineDebugger.onStop((stop) => this.#stopped(stop));
    this.#isBusy = true;
    void machineDebugger.stop().then(() => {
      this.#isBusy = false;
      void this.#serve();
    });
  }

  /** Bytes from the client. */
  receive(bytes: Uint8Array): void {
    if (!this.#isClosed) this.#reader.push(bytes);
  }

  /** The client is gone: breakpoints go with it, and the guest goes on. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unsubscribe();
    this.#waiting.length = 0;
    this.#debugger.blockInterrupts = true;
    this.#debugger.detach();
    this.#transport.close();
  }

  #acknowledge(sign: '+' | '-'): void {
    if (this.#acknowledges) this.#transport.write(bytesOf(sign));
  }

  #packet(contents: Uint8Array): void {
    this.#acknowledge('+');
    this.#waiting.push(contents);
    this.#waitingBytes += contents.length + 1;
    if (this.#waitingBytes > MAX_WAITING_BYTES) this.close();
    else if (!this.#isBusy) void this.#serve();
  }

  /** Answers what has come, one after the other. */
  async #serve(): Promise<void> {
    this.#isBusy = true;
    for (let packet = this.#waiting.shift(); packet !== undefined && !this.#isClosed; packet = this.#waiting.shift()) {
      this.#waitingBytes -= packet.length + 1;
      const answer = this.#answer(packet);
      const reply = typeof answer === 'object' && 'then' in answer ? await answer : answer;
      if (reply !== undefined && !this.#isClosed) this.#send(reply);
    }
    this.#isBusy = false;
  }

  #send(contents: string | Uint8Array): void {
    this.#last = framePacket(contents);
    this.#transport.write(this.#last);
  }

  /** The reply to a packet; undefined: it comes later, or there is none. */
  #answer(bytes: Uint8Array): string | Uint8Array | undefined | Promise<string | undefined> {
    // Binary data may be long: only what is in front of it is text.
    const text = textOf(bytes.subarray(0, bytes[0] === 0x58 ? 64 : bytes.length));
    const rest = text.slice(1);
    if (this.#runs && !/^[qQHT!]|^v/.test(text)) return ERROR.BUSY;
    switch (text[0]) {
      case '?':
        return this.#stopReply(this.#debugger.stopped ?? { cause: 'asked' });
      case 'g':
        return this.#registers.readGeneral();
      case 'G':
        return this.#registers.writeGeneral(rest) ? 'OK' : ERROR.INVALID;
      case 'p':
        return this.#readRegister(rest);
      case 'P':
        return this.#writeRegister(rest);
      case 'm':
      case 'x':
        return this.#readMemory(text[0], rest);
      case 'M':
        return this.#writeHex(rest);
      case 'X':
        return this.#writeBinary(text, bytes);
      case 'Z':
      case 'z':
        return this.#breakpoint(text[0] === 'Z', rest);
      case 'c':
      case 's':
        return this.#resumeAt(text[0], rest);
      case 'C':
      case 'S':
        return this.#resumeAt(text[0].toLowerCase(), rest.split(';')[1] ?? '');
      case 'H':
        return this.#isThread(rest.slice(1)) ? 'OK' : ERROR.NO_SUCH;
      case 'T':
        return this.#isThread(rest) ? 'OK' : ERROR.NO_SUCH;
      case 'D':
        this.#send('OK');
        this.close();
        return undefined;
      case 'k':
        this.#kill();
        return undefined;
      case 'v':
        return this.#verb(rest);
      case 'q':
        return this.#query(rest);
      case 'Q':
        return this.#set(rest);
      default:
        return '';
    }
  }

  // Registers and memory.

  #readRegister(rest: string): string {
    const register = this.#debugger.registers.byNumber(parseCount(rest) ?? -1);
    return register === undefined ? ERROR.NO_SUCH : this.#registers.read(register);
  }

  #writeRegister(rest: string): string {
    const [number = '', digits = ''] = rest.split('=');
    const register = this.#debugger.registers.byNumber(parseCount(number) ?? -1);
    if (register === undefined) return ERROR.NO_SUCH;
    return this.#registers.write(register, digits) ? 'OK' : ERROR.INVALID;
  }

  #readMemory(kind: 'm' | 'x', rest: string): string | Uint8Array {
    const { address, length } = parsePlace(rest);
    if (address === undefined || length === undefined) return ERROR.INVALID;
    const bytes = this.#debugger.memory.read(address, Math.min(length, MAX_READ_BYTES));
    if (bytes === undefined) return this.#error(ERROR.FAULT, 'no memory is mapped there');
    if (kind === 'm') return toHex(bytes);
    const reply = new Uint8Array(bytes.length + 1);
    reply[0] = 0x62;
    reply.set(bytes, 1);
    return reply;
  }

  #writeHex(rest: string): string {
    const colon = rest.indexOf(':');
    const bytes = colon < 0 ? undefined : fromHex(rest.slice(colon + 1));
    return this.#writeMemory(rest.slice(0, colon), bytes);
  }

  #writeBinary(text: string, bytes: Uint8Array): string {
    const colon = text.indexOf(':');
    return this.#writeMemory(text.slice(1, colon), colon < 0 ? undefined : bytes.subarray(colon + 1));
  }

  #writeMemory(place: string, bytes: Uint8Array | undefined): string {
    const { address, length } = parsePlace(place);
    if (address === undefined || bytes === undefined || bytes.length !== length) return ERROR.INVALID;
    if (this.#debugger.memory.write(address, bytes)) return 'OK';
    return this.#error(ERROR.FAULT, 'no memory is mapped there');
  }

  // Breakpoints.

  #breakpoint(isSet: boolean, rest: string): string {
    const [, kind = '', place = ''] = /^([0-4]),([^;]*)/.exec(rest) ?? [];
    const { address, length } = parsePlace(place);
    if (kind === '') return '';
    if (address === undefined || length === undefined) return ERROR.INVALID;
    const access = WATCH_KINDS[kind];
    if (access !== undefined) {
      if (length === 0) return ERROR.INVALID;
      const watchpoint = { address, bytes: length, access };
      const isThere = this.#debugger.watchpoints.some(
        (one) => one.address === address && one.bytes === length && one.access === access,
      );
      if (!isSet) this.#debugger.removeWatchpoint(watchpoint);
      else if (!isThere && !this.#debugger.addWatchpoint(watchpoint)) return this.#noRoom();
      return 'OK';
    }
    if (!isSet) {
      this.#hardware.delete(address);
      this.#debugger.removeBreakpoint(address);
      return 'OK';
    }
    if (!this.#debugger.breakpoints.includes(address) && !this.#debugger.addBreakpoint(address)) return this.#noRoom();
    if (kind === '1') this.#hardware.add(address);
    return 'OK';
  }

  #noRoom(): string {
    return this.#error(ERROR.NO_SPACE, 'there are as many breakpoints as there is room for');
  }

  #error(code: string, text: string): string {
    return this.#tellsErrors ? `E.${text}` : code;
  }

  // Running.

  #resumeAt(action: string, address: string): string | undefined {
    if (address !== '') {
      const at = parseNumber(address);
      const pc = this.#debugger.registers.byName('pc');
      if (at === undefined || pc === undefined) return ERROR.INVALID;
      this.#debugger.registers.write(pc, at);
    }
    return this.#go(action === 's' ? () => this.#debugger.step() : () => this.#debugger.go());
  }

  #go(resume: () => void): string | undefined {
    const stop = this.#debugger.stopped;
    if (stop?.cause === 'ended') return this.#stopReply(stop);
    this.#runs = true;
    resume();
    return undefined;
  }

  #verb(rest: string): string | undefined {
    if (rest === 'Cont?') return 'vCont;c;C;s;S;r';
    if (rest.startsWith('Cont;')) return this.#runs ? ERROR.BUSY : this.#continue(rest.slice(5));
    if (rest === 'Kill' || rest.startsWith('Kill;')) {
      this.#send('OK');
      this.#kill();
      return undefined;
    }
    return '';
  }

  /** `vCont`: the first action that names the thread, or none, is its. */
  #continue(actions: string): string | undefined {
    for (const one of actions.split(';')) {
      const [action = '', thread = '-1'] = one.split(':');
      if (!this.#isThread(thread)) continue;
      switch (action[0]) {
        case 'c':
        case 'C':
          return this.#go(() => this.#debugger.go());
        case 's':
        case 'S':
          return this.#go(() => this.#debugger.step());
        case 'r': {
          const [first = '', end = ''] = action.slice(1).split(',');
          const from = parseNumber(first);
          const to = parseNumber(end);
          if (from === undefined || to === undefined) return ERROR.INVALID;
          return this.#go(() => this.#debugger.step({ first: from, end: to }));
        }
        default:
          return ERROR.INVALID;
      }
    }
    return ERROR.NO_SUCH;
  }

  #kill(): void {
    this.#debugger.quit('killed by gdb');
    this.close();
  }

  #stopped(stop: DebugStop<MachineEnd>): void {
    if (!this.#runs) return;
    this.#runs = false;
    this.#send(this.#stopReply(stop));
    if (stop.cause === 'ended') this.close();
  }

  #stopReply(stop: DebugStop<MachineEnd>): string {
    if (stop.cause === 'ended') {
      const status = stop.end.cause === 'error' ? '01' : '00';
      return `W${status}${this.#multiprocess ? `;process:${PROCESS}` : ''}`;
    }
    const signal = stop.cause === 'asked' ? SIGNAL.INT : SIGNAL.TRAP;
    return `T${signal}${this.#registers.expedited()}thread:${this.#threadId};${this.#reason(stop)}`;
  }

  #reason(stop: DebugStop<MachineEnd>): string {
    if (stop.cause === 'watchpoint') {
      const kind = this.#debugger.watchpoints.find(({ address }) => address === stop.address)?.access ?? 'access';
      return `${WATCH_REASONS[kind]}:${stop.address.toString(16)};`;
    }
    if (stop.cause !== 'breakpoint' || !this.#tellsBreakpoints) return '';
    return this.#hardware.has(this.#debugger.registers.pc) ? 'hwbreak:;' : 'swbreak:;';
  }

  // Threads.

  get #threadId(): string {
    return this.#multiprocess ? `p${PROCESS}.1` : '1';
  }

  /** The one processor, any, or all. */
  #isThread(text: string): boolean {
    const [, process = '-1', thread = '-1'] = /^(?:p(-1|[0-9a-f]+)(?:\.|$))?(-1|[0-9a-f]+)?$/.exec(text) ?? [
      '',
      'none',
    ];
    const isOne = (id: string): boolean => id === '-1' || /^0*[01]$/.test(id);
    return isOne(process) && isOne(thread);
  }

  // Queries.

  #query(rest: string): string | Promise<string | undefined> {
    const [name = ''] = rest.split(/[:,;]/, 1);
    const words = rest.slice(name.length + 1);
    switch (name) {
      case 'Supported':
        return this.#supported(words);
      case 'Xfer':
        return this.#transfer(words);
      case 'C':
        return `QC${this.#threadId}`;
      case 'fThreadInfo':
        return `m${this.#threadId}`;
      case 'sThreadInfo':
        return 'l';
      case 'ThreadExtraInfo':
        return this.#isThread(words) ? toHex(bytesOf(this.#threadText)) : ERROR.NO_SUCH;
      case 'Attached':
        return '1';
      case 'Rcmd':
        return this.#runs ? ERROR.BUSY : this.#command(words);
      case 'HostInfo':
        return `${this.#hostInfo}ostype:unknown;watchpoint_exceptions_received:before;`;
      case 'ProcessInfo':
        return `pid:1;${this.#hostInfo}`;
      case 'MemoryRegionInfo':
        return memoryRegion(parseNumber(words), this.#debugger.registers.family.bits);
      case 'qemu.PhyMemMode':
        return this.#debugger.memory.physical ? '1' : '0';
      case 'qemu.sstepbits':
        return `ENABLE=${STEP_BITS.ENABLE},NOIRQ=${STEP_BITS.NOIRQ},NOTIMER=${STEP_BITS.NOTIMER}`;
      case 'qemu.sstep':
        return `0x${(this.#debugger.blockInterrupts ? 7 : STEP_BITS.ENABLE).toString(16)}`;
      default:
        return '';
    }
  }

  #set(rest: string): string | undefined {
    if (rest === 'StartNoAckMode') {
      this.#send('OK');
      this.#acknowledges = false;
      return undefined;
    }
    const physical = /^qemu\.PhyMemMode:([01])$/.exec(rest)?.[1];
    if (physical !== undefined) {
      this.#debugger.memory.physical = physical === '1';
      return 'OK';
    }
    const steps = /^qemu\.sstep=(?:0x)?([0-7])$/.exec(rest)?.[1];
    if (steps !== undefined) {
      this.#debugger.blockInterrupts = (Number(steps) & (STEP_BITS.NOIRQ | STEP_BITS.NOTIMER)) !== 0;
      return 'OK';
    }
    return '';
  }

  #supported(words: string): string {
    const client = new Set(words.split(';'));
    this.#multiprocess = client.has('multiprocess+');
    this.#tellsBreakpoints = client.has('swbreak+') && client.has('hwbreak+');
    this.#tellsErrors = client.has('error-message+');
    return [
      `PacketSize=${PACKET_BYTES.toString(16)}`,
      'QStartNoAckMode+',
      'qXfer:features:read+',
      'qXfer:memory-map:read+',
      'qXfer:threads:read+',
      'vContSupported+',
      'swbreak+',
      'hwbreak+',
      'binary-upload+',
      ...(this.#multiprocess ? ['multiprocess+'] : []),
    ].join(';');
  }

  #transfer(words: string): string {
    const [object = '', verb = '', annex = '', place = ''] = words.split(':');
    const { address: offset, length } = parsePlace(place);
    if (verb !== 'read') return '';
    const { registers } = this.#debugger;
    const whole =
      object === 'features'
        ? annex === 'target.xml'
          ? targetDescription(registers)
          : undefined
        : object === 'memory-map'
          ? memoryMap(registers.family.bits)
          : object === 'threads'
            ? threadList(this.#threadId, this.#threadText)
            : '';
    if (whole === '') return '';
    if (whole === undefined) return 'E00';
    if (offset === undefined || length === undefined) return ERROR.INVALID;
    const from = Number(offset);
    const piece = whole.slice(from, from + Math.min(length, PACKET_BYTES - FRAME_BYTES));
    return `${from + piece.length < whole.length ? 'm' : 'l'}${piece}`;
  }

  async #command(hex: string): Promise<string | undefined> {
    const line = fromHex(hex);
    if (line === undefined) return ERROR.INVALID;
    if (this.#monitor === undefined) return '';
    const output = await this.#monitor(new TextDecoder().decode(line.slice()));
    const bytes = new TextEncoder().encode(output);
    for (let at = 0; at < bytes.length && !this.#isClosed; at += OUTPUT_PIECE)
      this.#send(`O${toHex(bytes.subarray(at, at + OUTPUT_PIECE))}`);
    return 'OK';
  }

  get #threadText(): string {
    return `${THREAD_NAME} [${this.#debugger.stopped === undefined ? 'running' : 'halted'}]`;
  }

  /** For lldb, which has to be told the byte order. */
  get #hostInfo(): string {
    const { bits } = this.#debugger.registers.family;
    const { littleEndian } = this.#debugger;
    const triple = `powerpc${bits === 64 ? '64' : ''}${littleEndian ? 'le' : ''}-unknown-unknown`;
    const endian = littleEndian ? 'little' : 'big';
    return `triple:${toHex(bytesOf(triple))};endian:${endian};ptrsize:${bits / 8};`;
  }
}

/** `ADDRESS,LENGTH`. */
function parsePlace(text: string): { readonly address: bigint | undefined; readonly length: number | undefined } {
  const [address = '', length = ''] = text.split(',');
  return { address: parseNumber(address), length: parseCount(length) };
}
