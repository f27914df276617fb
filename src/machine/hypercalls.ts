import type { KvmRun } from '../kvm/api.ts';
import { MachineError } from './error.ts';

/** Return codes of hypercalls (LoPAPR 1.1, table 170), as far as devices here use them. */
export const H_SUCCESS = 0;
export const H_HARDWARE = -1;
export const H_FUNCTION = -2;
export const H_PRIVILEGE = -3;
export const H_PARAMETER = -4;

/** r3 for the return codes 0, -1 … : nothing is allocated for a call. */
const RETURNED: readonly bigint[] = Array.from({ length: 8 }, (_, i) => BigInt.asUintN(64, BigInt(-i)));

/**
 * The arguments of a hypercall and what it gives back: the 64-bit registers r4 … r12 as pairs of words, argument 0 being
 * r4. One object for the life of a machine.
 */
export class HypercallArguments {
  #words: Uint32Array = new Uint32Array(18);
  /** The server number of the calling processor. */
  cpu = 0;

  /** Looks at the shared area's registers, low words first as on the little-endian hosts that run WebAssembly. */
  bind(registers: BigUint64Array, cpu: number): void {
    if (this.#words.buffer !== registers.buffer || this.#words.byteOffset !== registers.byteOffset)
      this.#words = new Uint32Array(registers.buffer, registers.byteOffset, registers.length * 2);
    this.cpu = cpu;
  }

  low(argument: number): number {
    return this.#words[argument * 2] as number;
  }

  high(argument: number): number {
    return this.#words[argument * 2 + 1] as number;
  }

  /** The argument as a number; NaN when it has more than 53 bits. */
  number(argument: number): number {
    const high = this.high(argument);
    return high < 2 ** 21 ? high * 2 ** 32 + this.low(argument) : Number.NaN;
  }

  set(argument: number, high: number, low: number): void {
    this.#words[argument * 2] = low;
    this.#words[argument * 2 + 1] = high;
  }
}

/** A hypercall that a device serves. */
export interface Hypercall {
  readonly number: number;
  /** PAPR's name, which statistics use. */
  readonly name: string;
  /** Serves it: results go into the arguments, and the return code is one of the above. Never throws. */
  call(args: HypercallArguments): number;
}

interface Entry {
  readonly hypercall: Hypercall;
  count: number;
}

/** The hypercall dispatcher: what the bus is to MMIO. A call that no device serves is counted and answers H_FUNCTION. */
export class Hypercalls {
  readonly #entries = new Map<number, Entry>();
  readonly #args = new HypercallArguments();
  #unknown = 0;
  #lastUnknown = 0;

  add(hypercall: Hypercall): void {
    if (this.#entries.has(hypercall.number))
      throw new MachineError(`two devices of this board serve the hypercall ${hypercall.name}`);
    this.#entries.set(hypercall.number, { hypercall, count: 0 });
  }

  /** PAPR's name of a number; undefined: no device serves it. */
  nameOf(number: number): string | undefined {
    return this.#entries.get(number)?.hypercall.name;
  }

  /** Serves the hypercall of a PAPR_HCALL exit of the processor with server number `cpu`. */
  serve(call: KvmRun['paprHcall'], cpu: number): void {
    const entry = this.#entries.get(call.nr);
    let code = H_FUNCTION;
    if (entry === undefined) {
      this.#unknown++;
      this.#lastUnknown = call.nr;
    } else {
      entry.count++;
      this.#args.bind(call.args, cpu);
      code = entry.hypercall.call(this.#args);
    }
    call.ret = RETURNED[-code] as bigint;
  }

  /** Calls by name. Empty on boards without hypercalls. */
  counters(): Record<string, number> {
    if (this.#entries.size === 0 && this.#unknown === 0) return {};
    const all: Record<string, number> = {};
    for (const { hypercall, count } of this.#entries.values()) all[`hypercall_${hypercall.name}`] = count;
    all['hypercall_unknown'] = this.#unknown;
    all['hypercall_unknown_last'] = this.#lastUnknown;
    return all;
  }
}
