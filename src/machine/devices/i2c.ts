/** What hangs on an I2C bus (NXP UM10204): a slave with a 7-bit address. */
export interface I2cSlave {
  /** A transfer to or from it begins. */
  start(isRead: boolean): void;
  /** A byte of the master's. False: not acknowledged. */
  write(byte: number): boolean;
  /** The next byte for the master. */
  read(): number;
}

/** The bus: who answers which address. */
export class I2cBus {
  readonly #slaves = new Map<number, I2cSlave>();

  attach(address: number, slave: I2cSlave): void {
    this.#slaves.set(address, slave);
  }

  slave(address: number): I2cSlave | undefined {
    return this.#slaves.get(address);
  }
}

/** A device that has such a bus. */
export interface I2cHost {
  readonly i2c: I2cBus;
}
