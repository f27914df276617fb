import { type DeviceState, type MmioRegion, savedRegisters } from '../device.ts';
import type { PciConfigSpace } from './config-space.ts';

/** Capability (PCI Local Bus Specification 3.0, section 6.8.2): message control, table and pending bits. */
const CAPABILITY = 0x11;
const CONTROL = 2;
const ENABLE = 0x8000;
const MASK_ALL = 0x4000;
/** An entry of the table: address low and high, data, vector control. */
const ENTRY_WORDS = 4;
const MASKED = 1;

/** The region that table and pending bits share. */
export const MSIX_BAR_BYTES = 0x1000;
const PENDING_OFFSET = 0x800;
const TWO_32 = 2 ** 32;

/** Takes a message-signalled interrupt: a word that a function writes to a bus address. */
export type MessageSink = (address: number, data: number) => void;

/** MSI-X of one function. */
export class Msix {
  readonly vectors: number;
  readonly #send: MessageSink;
  readonly #table: Uint32Array;
  readonly #pending: Uint32Array;
  #space: PciConfigSpace | undefined;
  #capability = 0;

  constructor(send: MessageSink, vectors: number) {
    this.vectors = vectors;
    this.#send = send;
    this.#table = new Uint32Array(ENTRY_WORDS * vectors);
    this.#pending = new Uint32Array(Math.ceil(vectors / 32));
  }

  /** Adds the capability to a configuration space; table and pending bits are `region` at BAR `bar`. */
  addTo(space: PciConfigSpace, bar: number): void {
    const body = new Uint8Array(10);
    const view = new DataView(body.buffer);
    view.setUint16(0, this.vectors - 1, true);
    view.setUint32(2, bar, true);
    view.setUint32(6, PENDING_OFFSET | bar, true);
    const writable = new Uint8Array(10);
    writable[1] = (ENABLE | MASK_ALL) >>> 8;
    this.#capability = space.addCapability(CAPABILITY, body, writable);
    this.#space = space;
  }

  readonly region: MmioRegion = {
    read: (offset, length) => {
      const words = offset < PENDING_OFFSET ? this.#table : this.#pending;
      const word = words[(offset % PENDING_OFFSET) >>> 2] ?? 0;
      return length === 4 ? word : (word >>> (8 * (offset & 3))) & ((1 << (8 * length)) - 1);
    },
    write: (offset, length, value) => {
      const word = offset >>> 2;
      if (length !== 4 || (offset & 3) !== 0 || word >= this.#table.length) return;
      this.#table[word] = value;
      if (word % ENTRY_WORDS === 3) this.#deliver(Math.floor(word / ENTRY_WORDS));
    },
  };

  get #control(): number {
    return this.#space?.get(this.#capability + CONTROL, 2) ?? 0;
  }

  get isEnabled(): boolean {
    return (this.#control & ENABLE) !== 0;
  }

  /** The guest has written [offset, end) of the configuration space. */
  written(offset: number, end: number): void {
    const at = this.#capability + CONTROL;
    if (offset < at + 2 && end > at) for (let vector = 0; vector < this.vectors; vector++) this.#deliver(vector);
  }

  /** Sets where a vector's message goes, as firmware does. */
  setMessage(vector: number, address: number, data: number): void {
    const at = ENTRY_WORDS * vector;
    this.#table[at] = address >>> 0;
    this.#table[at + 1] = Math.floor(address / TWO_32);
    this.#table[at + 2] = data;
  }

  /** Interrupts by a vector: at once, or when it is not masked any more. */
  raise(vector: number): void {
    if (vector >= this.vectors) return;
    this.#pending[vector >>> 5] = (this.#pending[vector >>> 5] as number) | (1 << (vector & 31));
    this.#deliver(vector);
  }

  #deliver(vector: number): void {
    const bit = 1 << (vector & 31);
    const pending = this.#pending[vector >>> 5] as number;
    if ((pending & bit) === 0) return;
    const at = ENTRY_WORDS * vector;
    const isMasked = ((this.#table[at + 3] as number) & MASKED) !== 0;
    if (isMasked || (this.#control & (ENABLE | MASK_ALL)) !== ENABLE) return;
    this.#pending[vector >>> 5] = pending & ~bit;
    const address = (this.#table[at + 1] as number) * TWO_32 + (this.#table[at] as number);
    this.#send(address, this.#table[at + 2] as number);
  }

  reset(): void {
    this.#table.fill(0);
    // Vectors begin masked (6.8.2.9).
    for (let vector = 0; vector < this.vectors; vector++) this.#table[ENTRY_WORDS * vector + 3] = MASKED;
    this.#pending.fill(0);
  }

  save(): DeviceState {
    return { table: Array.from(this.#table), pending: Array.from(this.#pending) };
  }

  restore(state: DeviceState): void {
    this.#table.set(savedRegisters(state, 'table', this.#table.length));
    this.#pending.set(savedRegisters(state, 'pending', this.#pending.length));
  }
}
