import type { Clock } from '../../kvm/api.ts';
import {
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  savedNumber,
  savedReal,
  savedRegisters,
  type TimedDevice,
  type TreeNodeSpec,
} from '../device.ts';
import type { ExternalProxy, InterruptLine } from '../interrupts.ts';
import { OPENPIC_BYTES, OpenPic } from './openpic.ts';

/** What Freescale's controller has beyond an Open PIC (MPC8544E Reference Manual, chapter 10; QorIQ ones, MPIC 4.x). */
const BRR1 = 0x0000;
const FEATURES = 0x1000;
const TFRR = 0x10f0;
const MSIR = 0x1600; // shared message registers, 16 bytes apart; reading one clears it
const MSIR_END = 0x1680;
const MSI_BYTES = 0x200;
const MSISR = 0x1720; // which of them have messages
const MSIIR = 0x1740; // a message: register in bits 31-29, bit in 28-24
const ILR = 0x18; // of a source: which output it goes to
const SOURCES = 0x10000;

/** MPIC 4.2, IP block 0x40. */
const BLOCK_REVISION = 0x00400402;
const OPENPIC_VERSION = 2;
/** Sources that FEATURES tells of: 12 external ones, from 16 on internal ones. Messages are beyond, as they are in the chip. */
const NAMED_SOURCES = 196;
const EXTERNAL_SOURCES = 12;
const MESSAGE_SOURCE = 224;
const MESSAGE_REGISTERS = 8;
const SOURCE_COUNT = 256;
/** CONFIGURATION's mode: 3, the processor takes the vector from EPR ("external proxy facility"). */
const MODE_PROXY = 0x60000000;
const ILR_CRITICAL = 1;
/** Sense cell of the device tree. */
const EDGE_RISING = 0;

/** Timers count down at this rate, Hz. */
const TIMER_FREQUENCY = 25_000_000;
const TICK_NS = 1e9 / TIMER_FREQUENCY;
const TIMERS = 4;
const TIMER_COUNT = 0x00;
const TIMER_BASE = 0x10;
const TOGGLE = 0x80000000;
const COUNT_INHIBIT = 0x80000000;
/** Timers interrupt no more often than this, nanoseconds: the rest of a hasty one's periods is lost, as if nobody had looked. */
const LEAST_PERIOD_NS = 10_000;
const NEVER = Number.POSITIVE_INFINITY;

/** A timer: it counts from its base to 0, interrupts, and begins again. */
interface Timer {
  /** Base count with the inhibit bit. */
  base: number;
  /** The toggle bit, which changes with each interrupt. */
  toggle: number;
  /** Ticks that are left, while it is inhibited. */
  rest: number;
  /** When it reaches 0, nanoseconds of the guest's clock; NEVER: it does not count. */
  expires: number;
}

/** Freescale's interrupt controller: an Open PIC with messages, counting timers, a critical output and external proxy. */
export class Mpic extends OpenPic implements TimedDevice, ExternalProxy {
  readonly #critical: InterruptLine;
  readonly #clock: Clock;
  readonly #messages = new Uint32Array(MESSAGE_REGISTERS);
  readonly #isCritical = new Uint8Array(SOURCE_COUNT);
  /** Sources that assert the critical output. */
  readonly #asserting = new Uint8Array(SOURCE_COUNT);
  #assertingCount = 0;
  readonly #timers: Timer[] = Array.from({ length: TIMERS }, () => ({ base: 0, toggle: 0, rest: 0, expires: NEVER }));
  #timerFrequency = TIMER_FREQUENCY;
  /** When a timer interrupted last. */
  #fired = 0;

  constructor(output: InterruptLine, critical: InterruptLine, clock: Clock) {
    super(output, {
      sources: SOURCE_COUNT,
      vectorMask: 0xffff,
      version: OPENPIC_VERSION,
      vendor: 0,
      configurationMask: MODE_PROXY,
      destinationMask: 1,
      spurious: 0xffff,
      fixedSense: EXTERNAL_SOURCES,
    });
    this.#critical = critical;
    this.#clock = clock;
  }

  proxied(): number | undefined {
    return (this.configuration & MODE_PROXY) === MODE_PROXY ? this.acknowledge() : undefined;
  }

  /** Critical interrupts are neither acknowledged nor ended, and have no priority. */
  protected override route(source: number, isReady: boolean): boolean {
    const isAsserting = isReady && this.#isCritical[source] === 1;
    if (isAsserting !== (this.#asserting[source] === 1)) {
      this.#asserting[source] = isAsserting ? 1 : 0;
      this.#assertingCount += isAsserting ? 1 : -1;
      this.#critical.set(this.#assertingCount > 0);
    }
    return isReady && !isAsserting;
  }

  override read(offset: number, length: number): number {
    if (length !== 4) return 0;
    if (offset === BRR1) return BLOCK_REVISION;
    if (isIlr(offset)) return this.#isCritical[(offset - SOURCES) >> 5] as number;
    return super.read(offset, length);
  }

  override write(offset: number, length: number, value: number): void {
    if (length === 4 && isIlr(offset)) {
      const source = (offset - SOURCES) >> 5;
      this.#isCritical[source] = (value & 0xff) === ILR_CRITICAL ? 1 : 0;
      this.update(source);
    } else super.write(offset, length, value);
  }

  override readGlobal(offset: number): number {
    if (offset >= MSIR && offset < MSIR_END) {
      const index = (offset - MSIR) >> 4;
      const value = this.#messages[index] as number;
      this.#messages[index] = 0;
      this.setInput(MESSAGE_SOURCE + index, false);
      return value;
    }
    switch (offset) {
      case FEATURES:
        return ((NAMED_SOURCES - 1) << 16) | OPENPIC_VERSION;
      case TFRR:
        return this.#timerFrequency;
      case MSISR:
        return this.#messages.reduce((bits, messages, i) => bits | (messages !== 0 ? 1 << i : 0), 0);
      default:
        return super.readGlobal(offset);
    }
  }

  override writeGlobal(offset: number, value: number): void {
    if (offset === MSIIR) {
      const index = value >>> 29;
      this.#messages[index] = ((this.#messages[index] as number) | (1 << ((value >>> 24) & 31))) >>> 0;
      this.setInput(MESSAGE_SOURCE + index, true);
    } else if (offset === TFRR) this.#timerFrequency = value;
    else super.writeGlobal(offset, value);
  }

  override readTimer(index: number, register: number): number {
    const timer = this.#timers[index] as Timer;
    if (register === TIMER_BASE) return timer.base;
    if (register !== TIMER_COUNT) return super.readTimer(index, register);
    this.turn();
    return (timer.toggle | this.#ticks(timer)) >>> 0;
  }

  /** Ticks that are left. */
  #ticks({ expires, rest }: Timer): number {
    if (expires === NEVER) return rest;
    return Math.min(Math.max(0, Math.ceil((expires - this.#clock.now()) / TICK_NS)), TOGGLE - 1);
  }

  override writeTimer(index: number, register: number, value: number): void {
    if (register !== TIMER_BASE) {
      super.writeTimer(index, register, value);
      return;
    }
    this.turn();
    const timer = this.#timers[index] as Timer;
    const wasInhibited = (timer.base & COUNT_INHIBIT) !== 0;
    timer.rest = this.#ticks(timer);
    timer.base = value;
    if ((value & COUNT_INHIBIT) !== 0) timer.expires = NEVER;
    // The transition starts the count anew; otherwise the base is for the next time.
    else if (wasInhibited) {
      timer.toggle = 0;
      timer.rest = 0;
      // A base of 0 would interrupt without end: such a timer does not count.
      timer.expires = value === 0 ? NEVER : this.#clock.now() + value * TICK_NS;
    }
  }

  due(): number {
    let first = NEVER;
    for (let i = 0; i < TIMERS; i++) first = Math.min(first, (this.#timers[i] as Timer).expires);
    return Math.max(first, this.#fired + LEAST_PERIOD_NS);
  }

  turn(): void {
    for (let i = 0; i < TIMERS; i++) {
      const timer = this.#timers[i] as Timer;
      if (timer.expires === NEVER) continue;
      const late = this.#clock.now() - timer.expires;
      if (late < 0) continue;
      const period = (timer.base & ~COUNT_INHIBIT) * TICK_NS;
      // Periods that have passed since are one interrupt, as the pending bit has it.
      const periods = period === 0 ? 1 : 1 + Math.floor(late / period);
      if (periods % 2 === 1) timer.toggle = (timer.toggle ^ TOGGLE) >>> 0;
      timer.expires = period === 0 ? NEVER : timer.expires + periods * period;
      this.#fired = this.#clock.now();
      this.pulse(this.timerSource(i));
    }
  }

  override reset(): void {
    this.#messages.fill(0);
    for (let i = 0; i < MESSAGE_REGISTERS; i++) this.setInput(MESSAGE_SOURCE + i, false);
    this.#isCritical.fill(0);
    this.#asserting.fill(0);
    this.#assertingCount = 0;
    this.#critical.set(false);
    this.#timerFrequency = TIMER_FREQUENCY;
    this.#fired = 0;
    for (const timer of this.#timers) {
      timer.base = COUNT_INHIBIT;
      timer.toggle = timer.rest = 0;
      timer.expires = NEVER;
    }
    super.reset();
  }

  override save(): DeviceState {
    return {
      ...super.save(),
      messages: Array.from(this.#messages),
      critical: Array.from(this.#isCritical),
      timerFrequency: this.#timerFrequency,
      bases: this.#timers.map(({ base }) => base),
      toggles: this.#timers.map(({ toggle }) => toggle),
      rests: this.#timers.map(({ rest }) => rest),
      // How long from now; -1: it does not count.
      ...Object.fromEntries(
        this.#timers.map(({ expires }, i) => [
          `timer${i}`,
          expires === NEVER ? -1 : Math.max(0, expires - this.#clock.now()),
        ]),
      ),
    };
  }

  override restore(state: DeviceState): void {
    const messages = savedRegisters(state, 'messages', MESSAGE_REGISTERS);
    const critical = savedRegisters(state, 'critical', SOURCE_COUNT);
    const bases = savedRegisters(state, 'bases', TIMERS);
    const toggles = savedRegisters(state, 'toggles', TIMERS);
    const rests = savedRegisters(state, 'rests', TIMERS);
    const remaining = this.#timers.map((_, i) => savedReal(state, `timer${i}`, TOGGLE * TICK_NS));
    this.#timerFrequency = savedNumber(state, 'timerFrequency');
    this.#fired = 0;
    this.#messages.set(messages);
    this.#isCritical.set(critical.map((one) => one & 1));
    this.#timers.forEach((timer, i) => {
      timer.base = bases[i] as number;
      timer.toggle = ((toggles[i] as number) & TOGGLE) >>> 0;
      timer.rest = (rests[i] as number) & ~TOGGLE;
      const left = remaining[i] as number;
      timer.expires = left < 0 ? NEVER : this.#clock.now() + left;
    });
    super.restore(state);
    for (let i = 0; i < MESSAGE_REGISTERS; i++) this.setInput(MESSAGE_SOURCE + i, this.#messages[i] !== 0);
  }
}

/** The offset of a source's ILR. */
function isIlr(offset: number): boolean {
  return offset >= SOURCES && offset < SOURCES + 32 * SOURCE_COUNT && (offset & 31) === ILR;
}

/** The controller on a board. `path`: of the bus, in which it stands at `offset`; `outputs`: the ordinary and the critical one. */
export function mpic(options: {
  name: string;
  path: string;
  base: number;
  offset: number;
  outputs: readonly [InterruptSpec, InterruptSpec];
}): DeviceSpec {
  const { name, path, base, offset, outputs } = options;
  return {
    name,
    mmio: [{ base, size: OPENPIC_BYTES }],
    interrupts: outputs,
    node: {
      path: `${path}/pic@${offset.toString(16)}`,
      properties: {
        device_type: 'open-pic',
        compatible: 'fsl,mpic',
        reg: [offset, OPENPIC_BYTES],
        '#address-cells': [0],
        '#interrupt-cells': [2],
        'interrupt-controller': true,
      },
    },
    create: ({ interrupts: [output, critical], clock }) =>
      new Mpic(output as InterruptLine, critical as InterruptLine, clock),
  };
}

/** The node of the message interrupts of a controller that stands at `offset` of the bus at `path`. */
export function mpicMessages(options: { path: string; controller: string; offset: number }): TreeNodeSpec {
  const { path, controller, offset } = options;
  return {
    path: `${path}/msi@${(offset + MSIR).toString(16)}`,
    properties: {
      compatible: 'fsl,mpic-msi',
      reg: [offset + MSIR, MSI_BYTES],
      'msi-available-ranges': [0, 32 * MESSAGE_REGISTERS],
      'interrupt-parent': [{ phandle: controller }],
      interrupts: Array.from({ length: MESSAGE_REGISTERS }, (_, i) => [MESSAGE_SOURCE + i, EDGE_RISING]).flat(),
    },
  };
}
