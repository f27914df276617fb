import type { Device, DeviceSpec, DeviceState } from '../device.ts';
import { H_PARAMETER, H_SUCCESS, type Hypercall, type HypercallArguments } from '../hypercalls.ts';
import type { PowerSwitch } from '../power.ts';
import {
  RTAS_HARDWARE_ERROR,
  RTAS_PARAMETER_ERROR,
  RTAS_SUCCESS,
  type RtasArguments,
  type RtasCall,
} from './spapr-rtas.ts';

/** query-cpu-stopped-state's answer for a processor that runs (LoPAPR 1.1, section 7.3.3.8.3). */
const RUNNING = 2;

/**
 * H_GET_CPU_CHARACTERISTICS' behaviour bits, high word (as Linux's asm/hvcall.h names them): no L1D flush on entry, none on
 * user access, no store-forwarding barrier. Nothing here speculates, so nothing needs to be flushed; the bits that would
 * ask for flushes and barriers stay clear.
 */
const BEHAVIOUR_NO_L1D_FLUSH_ENTRY = 1 << 24;
const BEHAVIOUR_NO_L1D_FLUSH_UACCESS = 1 << 23;
const BEHAVIOUR_NO_STF_BARRIER = 1 << 22;
const BEHAVIOUR = BEHAVIOUR_NO_L1D_FLUSH_ENTRY | BEHAVIOUR_NO_L1D_FLUSH_UACCESS | BEHAVIOUR_NO_STF_BARRIER;

/** H_PERFMON's mode, high word. */
const MONITOR_ENABLED = 0x8000_0000;

/** What a partition may ask and tell the platform about its processors. All of them run from the start. */
export class SpaprProcessors implements Device {
  readonly hypercalls: readonly Hypercall[] = [
    { number: 0x7c, name: 'H_PERFMON', call: (args) => this.#performanceMonitor(args) },
    { number: 0xe4, name: 'H_CONFER', call: () => H_SUCCESS },
    { number: 0xe8, name: 'H_PROD', call: (args) => (args.number(0) < this.#count ? H_SUCCESS : H_PARAMETER) },
    { number: 0x1c8, name: 'H_GET_CPU_CHARACTERISTICS', call: (args) => this.#characteristics(args) },
  ];
  readonly rtas: readonly RtasCall[] = [
    { name: 'query-cpu-stopped-state', args: 1, results: 2, call: (args) => this.#stoppedState(args) },
    {
      name: 'start-cpu',
      args: 3,
      results: 1,
      call: (args) => (args.word(0) < this.#count ? RTAS_HARDWARE_ERROR : RTAS_PARAMETER_ERROR),
    },
    { name: 'stop-self', args: 0, results: 1, call: () => this.#stopSelf() },
  ];
  readonly #count: number;
  readonly #power: PowerSwitch;

  constructor(count: number, power: PowerSwitch) {
    this.#count = count;
    this.#power = power;
  }

  /** Modes to set and to take back (LoPAPR 1.1, 14.5.4.2): the monitor is always there, and has no other. */
  #performanceMonitor(args: HypercallArguments): number {
    const others = args.low(0) | args.low(1) | (args.high(0) & ~MONITOR_ENABLED) | (args.high(1) & ~MONITOR_ENABLED);
    if (others !== 0) return H_PARAMETER;
    args.set(0, MONITOR_ENABLED, 0);
    return H_SUCCESS;
  }

  #characteristics(args: HypercallArguments): number {
    args.set(0, 0, 0);
    args.set(1, BEHAVIOUR, 0);
    return H_SUCCESS;
  }

  #stoppedState(args: RtasArguments): number {
    if (args.word(0) >= this.#count) return RTAS_PARAMETER_ERROR;
    args.result(1, RUNNING);
    return RTAS_SUCCESS;
  }

  #stopSelf(): number {
    this.#power.press('crash', 'the guest stopped its last processor');
    return RTAS_SUCCESS;
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {}
}

/** The processors' services on a board with this many of them. */
export function spaprProcessors(options: { name: string; count: number }): DeviceSpec {
  return { name: options.name, create: ({ power }) => new SpaprProcessors(options.count, power) };
}
