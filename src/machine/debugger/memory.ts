/** A guest's memory as its debugger sees it: through the guest's own translation, or by real addresses. */
import type { Vcpu, Vm } from '../../kvm/api.ts';

/** No processor here has smaller pages. */
const PIECE_BYTES = 1024n;

export class DebugMemory {
  readonly #vm: Vm;
  readonly #vcpu: Vcpu;
  readonly #bits: 32 | 64;
  /** Addresses are real ones. */
  physical = false;

  constructor(vm: Vm, vcpu: Vcpu, bits: 32 | 64) {
    this.#vm = vm;
    this.#vcpu = vcpu;
    this.#bits = bits;
  }

  /** Where an address is in the guest's real memory; undefined: nowhere. */
  realAddress(address: bigint): number | undefined {
    const wrapped = BigInt.asUintN(this.#bits, address);
    if (this.physical) return wrapped < 2n ** 53n ? Number(wrapped) : undefined;
    const { valid, physicalAddress } = this.#vcpu.translate(wrapped);
    return valid ? physicalAddress : undefined;
  }

  /** Bytes from an address on: as many as there are up to `length`; undefined: not one. */
  read(address: bigint, length: number): Uint8Array | undefined {
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const { real, count } of this.#pieces(address, length)) {
      const piece = this.#vm.memory.readBytes(real, count);
      if (piece === undefined) break;
      bytes.set(piece, at);
      at += count;
    }
    return at === 0 && length > 0 ? undefined : bytes.subarray(0, at);
  }

  /** Writes all of it, or nothing. What the guest may not write the debugger may. */
  write(address: bigint, bytes: Uint8Array): boolean {
    const { memory } = this.#vm;
    const pieces = [...this.#pieces(address, bytes.length)];
    const total = pieces.reduce((sum, { count }) => sum + count, 0);
    if (total !== bytes.length || pieces.some(({ real, count }) => !memory.contains(real, count))) return false;
    let at = 0;
    for (const { real, count } of pieces) {
      if (!memory.writeBytes(real, bytes.subarray(at, at + count))) return false;
      at += count;
    }
    return true;
  }

  /** An unsigned number of 1, 2, 4 or 8 bytes in the guest's byte order. */
  number(address: bigint, bytes: number): bigint | undefined {
    const found = this.read(address, bytes);
    if (found === undefined || found.length < bytes) return undefined;
    const ordered = this.#vm.memory.littleEndian ? [...found].reverse() : [...found];
    return ordered.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }

  *#pieces(address: bigint, length: number): Generator<{ real: number; count: number }> {
    let at = address;
    let left = length;
    while (left > 0) {
      const real = this.realAddress(at);
      if (real === undefined) return;
      const count = Math.min(left, Number(PIECE_BYTES - (at & (PIECE_BYTES - 1n))));
      yield { real, count };
      at += BigInt(count);
      left -= count;
    }
  }
}
