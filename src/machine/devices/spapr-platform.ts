import type { GuestMemory } from '../../kvm/api.ts';
import type { Device, DeviceSpec, DeviceState } from '../device.ts';
import type { PowerSwitch } from '../power.ts';
import {
  RTAS_NO_ERRORS_FOUND,
  RTAS_NOT_SUPPORTED,
  RTAS_PARAMETER_ERROR,
  RTAS_SUCCESS,
  type RtasArguments,
  type RtasCall,
} from './spapr-rtas.ts';

/** Parameters of ibm,get-system-parameter (LoPAPR 1.1, table 45). */
const SPLPAR_CHARACTERISTICS = 20;
const PLATFORM_PROCESSOR_DIAGNOSTICS = 42;
const DIAGNOSTICS_DISABLED = 0;

/** The longest message of ibm,os-term that is shown. */
const MESSAGE_BYTES = 256;

/** Power, errors and facts of the platform. There are no errors and no sensors. */
export class SpaprPlatform implements Device {
  readonly rtas: readonly RtasCall[] = [
    { name: 'power-off', args: 2, results: 1, call: () => this.#press('shutdown') },
    { name: 'system-reboot', args: 0, results: 1, call: () => this.#press('reset') },
    { name: 'ibm,os-term', args: 1, results: 1, call: (args) => this.#osTerm(args) },
    { name: 'check-exception', args: 6, results: 1, call: () => RTAS_NO_ERRORS_FOUND },
    { name: 'event-scan', args: 4, results: 1, call: () => RTAS_NO_ERRORS_FOUND },
    { name: 'get-sensor-state', args: 2, results: 2, call: () => RTAS_NOT_SUPPORTED },
    { name: 'ibm,get-system-parameter', args: 3, results: 1, call: (args) => this.#systemParameter(args) },
  ];
  readonly #memory: GuestMemory;
  readonly #power: PowerSwitch;
  readonly #splpar: string;

  constructor(memory: GuestMemory, power: PowerSwitch, facts: { processors: number; memoryBytes: number }) {
    this.#memory = memory;
    this.#power = power;
    const { processors, memoryBytes } = facts;
    this.#splpar = [
      `MaxEntCap=${processors}`,
      `DesMem=${memoryBytes / 2 ** 20}`,
      `DesProcs=${processors}`,
      `MaxPlatProcs=${processors}`,
    ].join(',');
  }

  #press(kind: 'shutdown' | 'reset'): number {
    this.#power.press(kind);
    return RTAS_SUCCESS;
  }

  #osTerm(args: RtasArguments): number {
    const address = args.word(0);
    let text = '';
    for (let i = 0; i < MESSAGE_BYTES; i++) {
      const byte = this.#memory.read8(address + i) ?? 0;
      if (byte === 0) break;
      text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ' ';
    }
    this.#power.press('crash', `the guest crashed: ${text.trim()}`);
    return RTAS_SUCCESS;
  }

  /** The value as a 16-bit length and as many of its bytes as the guest's buffer has room for. */
  #systemParameter(args: RtasArguments): number {
    const value = this.#parameterValue(args.word(0));
    if (value === undefined) return RTAS_NOT_SUPPORTED;
    const bytes = new Uint8Array(2 + value.length);
    new DataView(bytes.buffer).setUint16(0, value.length);
    bytes.set(value, 2);
    const room = args.word(2);
    if (room < 2 || !this.#memory.writeBytes(args.word(1), bytes.subarray(0, room))) return RTAS_PARAMETER_ERROR;
    return RTAS_SUCCESS;
  }

  #parameterValue(parameter: number): Uint8Array | undefined {
    switch (parameter) {
      case SPLPAR_CHARACTERISTICS:
        return Uint8Array.from(`${this.#splpar}\0`, (character) => character.charCodeAt(0));
      case PLATFORM_PROCESSOR_DIAGNOSTICS:
        return Uint8Array.of(DIAGNOSTICS_DISABLED);
      default:
        return undefined;
    }
  }

  reset(): void {}

  save(): DeviceState {
    return {};
  }

  restore(): void {}
}

/** The platform's services on a board. */
export function spaprPlatform(options: { name: string; processors: number; memoryBytes: number }): DeviceSpec {
  return { name: options.name, create: ({ memory, power }) => new SpaprPlatform(memory, power, options) };
}
