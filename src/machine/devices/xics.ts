import { type Device, type DeviceSpec, type DeviceState, type InterruptSpec, savedRegisters } from '../device.ts';
import { H_PARAMETER, H_SUCCESS, type Hypercall, type HypercallArguments } from '../hypercalls.ts';
import type { InterruptLine, InterruptSink } from '../interrupts.ts';
import { RTAS_PARAMETER_ERROR, RTAS_SUCCESS, type RtasArguments, type RtasCall } from './spapr-rtas.ts';

/** Source number of an interprocessor interrupt (LoPAPR 1.1, section 8.1, "Interrupt Source Numbers"). */
const IPI = 2;
/** The least favoured priority: nothing is delivered. */
const MASKED = 0xff;
const XISR_MASK = 0xffffff;

/** A source's status bits. */
const LEVEL = 1; // a level-sensitive input
const ASSERTED = 2; // its line is active
const SENT = 4; // level: presented, and not yet ended
const REJECTED = 8; // its presentation was refused: again when the server can take it
const MASKED_PENDING = 16; // edge: came while it was masked

/** The presentation layer's side of a processor: one interrupt at a time, by priority. */
interface Server {
  cppr: number;
  mfrr: number;
  /** The source that is presented, or 0. */
  xisr: number;
  priority: number;
}

/**
 * XICS, the interrupt controller of a PAPR partition: for each processor a presentation controller (ICP), which the guest
 * reaches by hypercalls, and one source controller (ICS), which it reaches through RTAS. Smaller priorities are more
 * favoured. Input n is the source of that number.
 */
export class Xics implements Device, InterruptSink {
  readonly hypercalls: readonly Hypercall[] = [
    { number: 0x64, name: 'H_EOI', call: (args) => this.#eoi(args) },
    { number: 0x68, name: 'H_CPPR', call: (args) => this.#cppr(args) },
    { number: 0x6c, name: 'H_IPI', call: (args) => this.#ipi(args) },
    { number: 0x70, name: 'H_IPOLL', call: (args) => this.#ipoll(args) },
    { number: 0x74, name: 'H_XIRR', call: (args) => this.#xirr(args) },
    { number: 0x2fc, name: 'H_XIRR_X', call: (args) => this.#xirrX(args) },
  ];
  readonly rtas: readonly RtasCall[] = [
    { name: 'ibm,set-xive', args: 3, results: 1, call: (args) => this.#setXive(args) },
    { name: 'ibm,get-xive', args: 1, results: 3, call: (args) => this.#getXive(args) },
    { name: 'ibm,int-off', args: 1, results: 1, call: (args) => this.#intOff(args) },
    { name: 'ibm,int-on', args: 1, results: 1, call: (args) => this.#intOn(args) },
  ];
  readonly #outputs: readonly InterruptLine[];
  readonly #servers: readonly Server[];
  readonly #firstSource: number;
  readonly #status: Uint8Array;
  readonly #server: Uint32Array;
  readonly #priority: Uint8Array;
  readonly #savedPriority: Uint8Array;
  readonly #levels: readonly number[];
  /** Sources whose presentation was refused: most of the time there is none to look for. */
  #rejected = 0;
  readonly #timebase: () => number;

  /**
   * `outputs`: the external-interrupt inputs of the processors, by server number. `sources`: the numbers of the sources,
   * and which of them are level-sensitive. `timebase`: the time base's value, to 53 bits.
   */
  constructor(
    outputs: readonly InterruptLine[],
    sources: { readonly first: number; readonly count: number; readonly levels: readonly number[] },
    timebase: () => number,
  ) {
    this.#outputs = outputs;
    this.#servers = outputs.map(() => ({ cppr: 0, mfrr: MASKED, xisr: 0, priority: MASKED }));
    this.#firstSource = sources.first;
    this.#status = new Uint8Array(sources.count);
    this.#server = new Uint32Array(sources.count);
    this.#priority = new Uint8Array(sources.count);
    this.#savedPriority = new Uint8Array(sources.count);
    this.#levels = sources.levels;
    this.#timebase = timebase;
    this.reset();
  }

  /** The index of a source number, or -1. */
  #index(source: number): number {
    const index = source - this.#firstSource;
    return index >= 0 && index < this.#status.length ? index : -1;
  }

  #has(index: number, bit: number): boolean {
    return ((this.#status[index] as number) & bit) !== 0;
  }

  #mark(index: number, bit: number): void {
    if ((bit & REJECTED) !== 0 && !this.#has(index, REJECTED)) this.#rejected++;
    this.#status[index] = (this.#status[index] as number) | bit;
  }

  #clear(index: number, bit: number): void {
    if ((bit & REJECTED) !== 0 && this.#has(index, REJECTED)) this.#rejected--;
    this.#status[index] = (this.#status[index] as number) & ~bit;
  }

  setInput(input: number, active: boolean): void {
    const index = this.#index(input);
    if (index < 0) return;
    if (!active) {
      this.#clear(index, ASSERTED);
      return;
    }
    this.#mark(index, ASSERTED);
    if (this.#has(index, LEVEL)) this.#presentLevel(index);
    else if (this.#priority[index] === MASKED) this.#mark(index, MASKED_PENDING);
    else this.#present(index);
  }

  /** Presents a level-sensitive source that is active, unless it is masked or already on its way. */
  #presentLevel(index: number): void {
    if (this.#priority[index] === MASKED || !this.#has(index, ASSERTED) || this.#has(index, SENT)) return;
    this.#mark(index, SENT);
    this.#present(index);
  }

  /** Offers a source to its server, which takes it if it is more favoured than what the server does and has. */
  #present(index: number): void {
    const server = this.#servers[this.#server[index] as number];
    const priority = this.#priority[index] as number;
    if (server === undefined || priority >= server.cppr || (server.xisr !== 0 && server.priority <= priority)) {
      this.#reject(index + this.#firstSource);
      return;
    }
    this.#offer(this.#server[index] as number, server, index + this.#firstSource, priority);
  }

  /** Presents `source` to the processor in place of what was presented. */
  #offer(number: number, server: Server, source: number, priority: number): void {
    const replaced = server.xisr;
    server.xisr = source;
    server.priority = priority;
    if (replaced !== 0) this.#reject(replaced);
    this.#outputs[number]?.assert();
  }

  /** Takes back a presentation. An interprocessor interrupt stays in MFRR anyway. */
  #reject(source: number): void {
    const index = this.#index(source);
    if (index < 0) return;
    this.#clear(index, SENT);
    this.#mark(index, REJECTED);
  }

  /** The most favoured of what waits for a server that can take something. */
  #resend(number: number): void {
    const server = this.#servers[number] as Server;
    this.#checkIpi(number, server);
    for (const source of this.#levels) {
      const index = source - this.#firstSource;
      if (this.#server[index] !== number) continue;
      this.#clear(index, REJECTED);
      this.#presentLevel(index);
    }
    for (let index = 0; this.#rejected > 0 && index < this.#status.length; index++) {
      if (this.#server[index] !== number || this.#priority[index] === MASKED) continue;
      if (!this.#has(index, REJECTED) || this.#has(index, LEVEL)) continue;
      this.#clear(index, REJECTED);
      this.#present(index);
    }
  }

  #checkIpi(number: number, server: Server): void {
    if (server.mfrr >= server.cppr || (server.xisr !== 0 && server.priority <= server.mfrr)) return;
    this.#offer(number, server, IPI, server.mfrr);
  }

  #setCppr(number: number, server: Server, cppr: number): void {
    const moreFavoured = cppr < server.cppr;
    server.cppr = cppr;
    if (!moreFavoured) {
      if (server.xisr === 0) this.#resend(number);
    } else if (server.xisr !== 0 && cppr <= server.priority) {
      const refused = server.xisr;
      server.xisr = 0;
      server.priority = MASKED;
      this.#outputs[number]?.deassert();
      this.#reject(refused);
    }
  }

  #cppr(args: HypercallArguments): number {
    this.#setCppr(args.cpu, this.#servers[args.cpu] as Server, args.low(0) & 0xff);
    return H_SUCCESS;
  }

  /** The source and the priority that it interrupted, and takes the interrupt. */
  #accept(number: number): number {
    const server = this.#servers[number] as Server;
    const xirr = ((server.cppr << 24) | server.xisr) >>> 0;
    if (server.xisr !== 0) {
      this.#outputs[number]?.deassert();
      server.cppr = server.priority;
      server.xisr = 0;
      server.priority = MASKED;
    }
    return xirr;
  }

  #xirr(args: HypercallArguments): number {
    args.set(0, 0, this.#accept(args.cpu));
    return H_SUCCESS;
  }

  #xirrX(args: HypercallArguments): number {
    args.set(0, 0, this.#accept(args.cpu));
    const timebase = this.#timebase();
    args.set(1, Math.floor(timebase / 2 ** 32), timebase >>> 0);
    return H_SUCCESS;
  }

  #eoi(args: HypercallArguments): number {
    const xirr = args.low(0);
    const server = this.#servers[args.cpu] as Server;
    server.cppr = xirr >>> 24;
    const index = this.#index(xirr & XISR_MASK);
    if (index >= 0 && this.#has(index, LEVEL)) this.#clear(index, SENT);
    if (server.xisr === 0) this.#resend(args.cpu);
    return H_SUCCESS;
  }

  #ipi(args: HypercallArguments): number {
    const number = args.number(0);
    const server = this.#servers[number];
    if (server === undefined) return H_PARAMETER;
    server.mfrr = args.low(1) & 0xff;
    this.#checkIpi(number, server);
    return H_SUCCESS;
  }

  #ipoll(args: HypercallArguments): number {
    const server = this.#servers[args.number(0)];
    if (server === undefined) return H_PARAMETER;
    args.set(0, 0, (server.cppr << 24) | server.xisr);
    args.set(1, 0, server.mfrr);
    return H_SUCCESS;
  }

  #write(index: number, server: number, priority: number, saved: number): void {
    this.#server[index] = server;
    this.#priority[index] = priority;
    this.#savedPriority[index] = saved;
    if (this.#has(index, LEVEL)) this.#presentLevel(index);
    else if (this.#has(index, MASKED_PENDING) && priority !== MASKED) {
      this.#clear(index, MASKED_PENDING);
      this.#present(index);
    }
  }

  #setXive(args: RtasArguments): number {
    const index = this.#index(args.word(0));
    const server = args.word(1);
    const priority = args.word(2);
    if (index < 0 || server >= this.#servers.length || priority > MASKED) return RTAS_PARAMETER_ERROR;
    this.#write(index, server, priority, priority);
    return RTAS_SUCCESS;
  }

  #getXive(args: RtasArguments): number {
    const index = this.#index(args.word(0));
    if (index < 0) return RTAS_PARAMETER_ERROR;
    args.result(1, this.#server[index] as number);
    args.result(2, this.#priority[index] as number);
    return RTAS_SUCCESS;
  }

  #intOff(args: RtasArguments): number {
    const index = this.#index(args.word(0));
    if (index < 0) return RTAS_PARAMETER_ERROR;
    this.#write(index, this.#server[index] as number, MASKED, this.#priority[index] as number);
    return RTAS_SUCCESS;
  }

  #intOn(args: RtasArguments): number {
    const index = this.#index(args.word(0));
    if (index < 0) return RTAS_PARAMETER_ERROR;
    const saved = this.#savedPriority[index] as number;
    this.#write(index, this.#server[index] as number, saved, saved);
    return RTAS_SUCCESS;
  }

  reset(): void {
    this.#servers.forEach((server, i) => {
      Object.assign(server, { cppr: 0, mfrr: MASKED, xisr: 0, priority: MASKED });
      this.#outputs[i]?.deassert();
    });
    // The lines belong to other devices: they keep their levels.
    for (let index = 0; index < this.#status.length; index++) this.#clear(index, ~ASSERTED);
    for (const source of this.#levels) this.#mark(source - this.#firstSource, LEVEL);
    this.#server.fill(0);
    this.#priority.fill(MASKED);
    this.#savedPriority.fill(MASKED);
  }

  save(): DeviceState {
    return {
      cppr: this.#servers.map(({ cppr }) => cppr),
      mfrr: this.#servers.map(({ mfrr }) => mfrr),
      xisr: this.#servers.map(({ xisr }) => xisr),
      pendingPriority: this.#servers.map(({ priority }) => priority),
      status: Array.from(this.#status),
      server: Array.from(this.#server),
      priority: Array.from(this.#priority),
      savedPriority: Array.from(this.#savedPriority),
    };
  }

  restore(state: DeviceState): void {
    const perServer = (name: string): number[] => savedRegisters(state, name, this.#servers.length);
    const [cppr, mfrr, xisr, priority] = [
      perServer('cppr'),
      perServer('mfrr'),
      perServer('xisr'),
      perServer('pendingPriority'),
    ];
    this.#servers.forEach((server, i) => {
      server.cppr = (cppr[i] ?? 0) & 0xff;
      server.mfrr = (mfrr[i] ?? MASKED) & 0xff;
      server.xisr = (xisr[i] ?? 0) & XISR_MASK;
      server.priority = (priority[i] ?? MASKED) & 0xff;
      this.#outputs[i]?.set(server.xisr !== 0);
    });
    const count = this.#status.length;
    this.#status.set(savedRegisters(state, 'status', count));
    // What is level-sensitive is the board's to say.
    for (const source of this.#levels) this.#mark(source - this.#firstSource, LEVEL);
    this.#rejected = this.#status.reduce((sum, status) => sum + ((status & REJECTED) !== 0 ? 1 : 0), 0);
    this.#server.set(savedRegisters(state, 'server', count));
    this.#priority.set(savedRegisters(state, 'priority', count));
    this.#savedPriority.set(savedRegisters(state, 'savedPriority', count));
  }
}

/** XICS on a board. `outputs`: the processors' external-interrupt inputs, by server number. */
export function xics(options: {
  name: string;
  outputs: readonly InterruptSpec[];
  sources: { readonly first: number; readonly count: number; readonly levels: readonly number[] };
  timebaseFrequency: number;
}): DeviceSpec {
  return {
    name: options.name,
    interrupts: options.outputs,
    node: {
      path: '/interrupt-controller',
      properties: {
        device_type: 'PowerPC-External-Interrupt-Presentation',
        compatible: 'IBM,ppc-xicp',
        'interrupt-controller': true,
        '#interrupt-cells': [2],
        'ibm,interrupt-server-ranges': [0, options.outputs.length],
      },
    },
    create: ({ interrupts, clock }) =>
      new Xics(interrupts, options.sources, () => Math.floor((clock.now() * options.timebaseFrequency) / 1e9)),
  };
}
