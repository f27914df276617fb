import {
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  interruptProperties,
  type MmioRegion,
  savedNumber,
  savedRegisters,
} from '../device.ts';
import type { InterruptLine } from '../interrupts.ts';
import { I2cBus, type I2cHost, type I2cSlave } from './i2c.ts';

/** Registers, a byte each (MPC8544E Reference Manual, section 11.3). */
const ADR = 0x00; // own slave address
const FDR = 0x04; // frequency divider
const CR = 0x08; // control
const SR = 0x0c; // status
const DR = 0x10; // data
export const MPC_I2C_BYTES = 0x14;

const CR_MEN = 0x80; // enable
const CR_MIEN = 0x40; // interrupt enable
const CR_MSTA = 0x20; // master: setting it is a START, clearing it a STOP
const CR_MTX = 0x10; // transmit
const CR_RSTA = 0x04; // repeated START; reads as zero
const CR_WRITABLE = 0xf9;

const SR_MCF = 0x80; // byte transferred
const SR_MBB = 0x20; // bus busy
const SR_MAL = 0x10; // arbitration lost
const SR_MIF = 0x02; // interrupt
const SR_RXAK = 0x01; // not acknowledged
const SR_AT_RESET = SR_MCF | SR_RXAK;

/** Where a transfer is. */
const IDLE = 0;
const ADDRESS = 1;
const DATA = 2;

/** The I2C controller of the MPC85xx family as master; nobody else on the bus speaks of itself. A byte takes no time. */
export class MpcI2c implements Device, MmioRegion, I2cHost {
  readonly mmio: readonly MmioRegion[] = [this];
  readonly i2c = new I2cBus();
  readonly #line: InterruptLine;
  #adr = 0;
  #fdr = 0;
  #cr = 0;
  #sr = SR_AT_RESET;
  #dr = 0;
  /** IDLE, ADDRESS: START was sent, DATA: the address was. */
  #phase = IDLE;
  /** Address of the slave in the transfer, 0: nobody answered. */
  #address = 0;

  constructor(line: InterruptLine) {
    this.#line = line;
  }

  get #slave(): I2cSlave | undefined {
    return this.#phase === DATA ? this.i2c.slave(this.#address) : undefined;
  }

  #update(): void {
    const enabled = CR_MEN | CR_MIEN;
    this.#line.set((this.#cr & enabled) === enabled && (this.#sr & SR_MIF) !== 0);
  }

  read(offset: number, length: number): number {
    if (length !== 1) return 0;
    switch (offset) {
      case ADR:
        return this.#adr;
      case FDR:
        return this.#fdr;
      case CR:
        return this.#cr;
      case SR:
        return this.#sr;
      case DR: {
        const byte = this.#dr;
        // Reading what came has the master fetch the next byte (11.4.1.3).
        if ((this.#cr & (CR_MSTA | CR_MTX)) === CR_MSTA && this.#phase === DATA) {
          this.#dr = this.#slave?.read() ?? 0xff;
          this.#transferred(true);
        }
        return byte;
      }
      default:
        return 0;
    }
  }

  write(offset: number, length: number, value: number): void {
    if (length !== 1) return;
    switch (offset) {
      case ADR:
        this.#adr = value & 0xfe;
        break;
      case FDR:
        this.#fdr = value & 0x3f;
        break;
      case CR:
        this.#writeControl(value);
        break;
      case SR:
        this.#sr &= value | ~(SR_MIF | SR_MAL);
        this.#update();
        break;
      case DR:
        this.#dr = value & 0xff;
        if ((this.#cr & (CR_MSTA | CR_MTX)) === (CR_MSTA | CR_MTX)) this.#send(value & 0xff);
        break;
    }
  }

  #writeControl(value: number): void {
    const before = this.#cr;
    this.#cr = value & CR_WRITABLE;
    if ((value & CR_MEN) === 0) {
      this.#cr = 0;
      this.#sr = SR_AT_RESET;
      this.#phase = IDLE;
    } else if ((value & CR_MSTA) === 0) {
      this.#phase = IDLE;
      this.#sr &= ~SR_MBB;
    } else if ((before & CR_MSTA) === 0 || (value & CR_RSTA) !== 0) {
      this.#phase = ADDRESS;
      this.#sr |= SR_MBB;
    }
    this.#update();
  }

  #send(byte: number): void {
    if (this.#phase === ADDRESS) {
      this.#phase = DATA;
      this.#address = byte >>> 1;
      const slave = this.#slave;
      slave?.start((byte & 1) !== 0);
      this.#transferred(slave !== undefined);
    } else if (this.#phase === DATA) this.#transferred(this.#slave?.write(byte) ?? false);
  }

  #transferred(isAcknowledged: boolean): void {
    this.#sr = (this.#sr & ~SR_RXAK) | SR_MCF | SR_MIF | (isAcknowledged ? 0 : SR_RXAK);
    this.#update();
  }

  reset(): void {
    this.#adr = this.#fdr = this.#cr = this.#dr = this.#address = 0;
    this.#sr = SR_AT_RESET;
    this.#phase = IDLE;
    this.#update();
  }

  save(): DeviceState {
    return {
      registers: [this.#adr, this.#fdr, this.#cr, this.#sr, this.#dr],
      phase: this.#phase,
      address: this.#address,
    };
  }

  restore(state: DeviceState): void {
    const [adr = 0, fdr = 0, cr = 0, sr = 0, dr = 0] = savedRegisters(state, 'registers', 5);
    const phase = savedNumber(state, 'phase');
    this.#address = savedNumber(state, 'address') & 0x7f;
    this.#phase = phase === ADDRESS || phase === DATA ? phase : IDLE;
    this.#adr = adr & 0xfe;
    this.#fdr = fdr & 0x3f;
    this.#cr = cr & CR_WRITABLE;
    this.#sr = sr & 0xff;
    this.#dr = dr & 0xff;
    this.#update();
  }
}

/** The controller on a board. `path`: of the bus, in which it stands at `offset`; `base`: guest physical. */
export function mpcI2c(options: {
  name: string;
  path: string;
  base: number;
  offset: number;
  interrupt: InterruptSpec;
}): DeviceSpec {
  const { name, path, base, offset, interrupt } = options;
  return {
    name,
    mmio: [{ base, size: MPC_I2C_BYTES }],
    interrupts: [interrupt],
    node: {
      path: `${path}/i2c@${offset.toString(16)}`,
      properties: {
        device_type: 'i2c',
        compatible: 'fsl-i2c',
        reg: [offset, MPC_I2C_BYTES],
        'cell-index': [0],
        ...interruptProperties([interrupt]),
      },
    },
    create: ({ interrupts: [line] }) => new MpcI2c(line as InterruptLine),
  };
}
