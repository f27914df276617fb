import {
  type DcrRegion,
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  savedNumber,
} from '../device.ts';
import type { InterruptLine, InterruptSink } from '../interrupts.ts';

/** Registers, by DCR offset (PPC440EP User's Manual, "Universal Interrupt Controller"). */
const SR = 0; // status, write 1 to clear
const SRS = 1; // status, write 1 to set
const ER = 2; // enable
const CR = 3; // critical: 1 = the critical output
const PR = 4; // polarity
const TR = 5; // trigger: 1 = edge
const MSR = 6; // masked status: SR & ER
const VR = 7; // vector of the most urgent critical interrupt
const VCR = 8; // vector configuration: base address, bit 31 = PRO
export const UIC_DCR_COUNT = 9;

/** VCR[PRO]: 1 = interrupt 0 is the most urgent, 0 = interrupt 31. */
const VCR_PRO = 1;
/** Bytes between critical vectors. */
const VECTOR_SPACING = 512;

/**
 * The universal interrupt controller of the 4xx family: 32 inputs, an ordinary and a critical output.
 * Input n is bit n of the registers in the manual's numbering: 0x80000000 >>> n.
 * A level input's status bit follows its line; an edge input's is latched until the guest clears it.
 */
export class Uic implements Device, DcrRegion, InterruptSink {
  readonly dcr: readonly DcrRegion[] = [this];
  readonly #normal: InterruptLine;
  readonly #critical: InterruptLine;
  #lines = 0;
  #sr = 0;
  #er = 0;
  #cr = 0;
  #pr = 0;
  #tr = 0;
  #vcr = 0;

  constructor(normal: InterruptLine, critical: InterruptLine) {
    this.#normal = normal;
    this.#critical = critical;
  }

  setInput(input: number, active: boolean): void {
    if (!(input >= 0 && input < 32)) return;
    const mask = 0x80000000 >>> input;
    if (active) {
      this.#lines |= mask;
      this.#sr |= mask;
    } else {
      this.#lines &= ~mask;
      if ((this.#tr & mask) === 0) this.#sr &= ~mask;
    }
    this.#update();
  }

  #update(): void {
    const pending = this.#sr & this.#er;
    this.#normal.set((pending & ~this.#cr) !== 0);
    this.#critical.set((pending & this.#cr) !== 0);
  }

  /** The address of the most urgent critical interrupt's handler; 0 without one. */
  #vector(): number {
    const pending = this.#sr & this.#er & this.#cr;
    if (pending === 0) return 0;
    // Position counted from the most urgent end.
    const position = (this.#vcr & VCR_PRO) !== 0 ? Math.clz32(pending) : 31 - Math.clz32(pending & -pending);
    return ((this.#vcr & ~3) + position * VECTOR_SPACING) >>> 0;
  }

  readDcr(offset: number): number {
    switch (offset) {
      case SR:
      case SRS:
        return this.#sr >>> 0;
      case ER:
        return this.#er >>> 0;
      case CR:
        return this.#cr >>> 0;
      case PR:
        return this.#pr >>> 0;
      case TR:
        return this.#tr >>> 0;
      case MSR:
        return (this.#sr & this.#er) >>> 0;
      case VR:
        return this.#vector();
      case VCR:
        return this.#vcr >>> 0;
      default:
        return 0;
    }
  }

  writeDcr(offset: number, value: number): void {
    switch (offset) {
      case SR:
        // A level input that is still active sets its bit again at once.
        this.#sr = (this.#sr & ~value) | (this.#lines & ~this.#tr);
        break;
      case SRS:
        this.#sr |= value;
        break;
      case ER:
        this.#er = value;
        break;
      case CR:
        this.#cr = value;
        break;
      case PR:
        this.#pr = value;
        return;
      case TR:
        this.#tr = value;
        this.#sr |= this.#lines & ~value;
        break;
      case VCR:
        this.#vcr = value & ~2;
        return;
      default:
        return;
    }
    this.#update();
  }

  reset(): void {
    // The lines belong to other devices: they keep their levels.
    this.#er = this.#cr = this.#pr = this.#tr = this.#vcr = 0;
    this.#sr = this.#lines;
    this.#update();
  }

  save(): DeviceState {
    return {
      lines: this.#lines >>> 0,
      sr: this.#sr >>> 0,
      er: this.#er >>> 0,
      cr: this.#cr >>> 0,
      pr: this.#pr >>> 0,
      tr: this.#tr >>> 0,
      vcr: this.#vcr >>> 0,
    };
  }

  restore(state: DeviceState): void {
    this.#lines = savedNumber(state, 'lines') | 0;
    this.#sr = savedNumber(state, 'sr') | 0;
    this.#er = savedNumber(state, 'er') | 0;
    this.#cr = savedNumber(state, 'cr') | 0;
    this.#pr = savedNumber(state, 'pr') | 0;
    this.#tr = savedNumber(state, 'tr') | 0;
    this.#vcr = savedNumber(state, 'vcr') | 0;
    this.#update();
  }
}

/** A UIC on a board. `outputs`: the ordinary and the critical one. */
export function uic(options: {
  name: string;
  path: string;
  compatible: readonly string[];
  cellIndex: number;
  dcrBase: number;
  outputs: readonly [InterruptSpec, InterruptSpec];
}): DeviceSpec {
  return {
    name: options.name,
    dcr: [{ base: options.dcrBase, count: UIC_DCR_COUNT }],
    interrupts: options.outputs,
    node: {
      path: options.path,
      properties: {
        compatible: options.compatible,
        'interrupt-controller': true,
        'cell-index': [options.cellIndex],
        'dcr-reg': [options.dcrBase, UIC_DCR_COUNT],
        '#address-cells': [0],
        '#size-cells': [0],
        '#interrupt-cells': [2],
      },
    },
    create: ({ interrupts: [normal, critical] }) => new Uic(normal as InterruptLine, critical as InterruptLine),
  };
}
