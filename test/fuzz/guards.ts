/** Host memory that a guest does not own: it has a pattern, and keeps it. */
import type { GuestMemory } from '../../src/kvm/index.ts';
import { type HostMemory, RAM_BASE, VCPU_BLOCK_BYTES, VCPU_BLOCKS } from '../../src/processor/index.ts';

const PATTERN = 0xa5;
const MARK = 0x5b;
const MARK_BYTES = 64;
/** Checked on both sides of what a guest may write to, after each guest. */
const NEAR_BYTES = 0x10000;
const MAX_VCPUS = 8;
const BEHIND_TABLE_BYTES = 2 ** 20;

/** What a guest may write to, and read-only memory of its. */
export interface Owned {
  /** Guest physical addresses. */
  readonly slots: readonly { readonly address: number; readonly bytes: number }[];
  /** KVM's hash table: its host real address, and how much of it belongs to the guest. Nothing else lies behind memory. */
  readonly table: { readonly start: number; readonly bytes: number };
  readonly readOnly?: { readonly address: number; readonly contents: Uint8Array };
}

interface Guard {
  readonly what: string;
  readonly start: number;
  readonly end: number;
}

export class Guards {
  readonly #guards: Guard[];
  readonly #host: Buffer;
  readonly #pattern: Buffer;
  readonly #rom: { readonly start: number; readonly bytes: Buffer } | undefined;

  /** @throws Error when a slot is not found. */
  constructor(host: HostMemory, guest: GuestMemory, { slots, table, readOnly }: Owned) {
    this.#host = Buffer.from(host.wasm.buffer as unknown as ArrayBuffer);
    const find = (address: number): number => {
      guest.fill(address, MARK_BYTES, MARK);
      const at = this.#host.indexOf(Buffer.alloc(MARK_BYTES, MARK), RAM_BASE);
      guest.fill(address, MARK_BYTES, 0);
      if (at < 0) throw new Error(`no memory at ${address}`);
      return at;
    };
    const places = [...slots, ...(readOnly ? [{ address: readOnly.address, bytes: readOnly.contents.length }] : [])]
      .map(({ address, bytes }) => ({ address, start: find(address), bytes }))
      .sort((one, other) => one.start - other.start);
    this.#guards = [
      {
        what: "the other vCPUs' blocks",
        start: VCPU_BLOCKS + VCPU_BLOCK_BYTES,
        end: VCPU_BLOCKS + MAX_VCPUS * VCPU_BLOCK_BYTES,
      },
    ];
    let end = RAM_BASE;
    for (const { start, bytes } of [...places, { start: table.start, bytes: 0 }]) {
      if (start > end) this.#guards.push({ what: 'what lies between the slots', start: end, end: start });
      end = start + bytes;
    }
    const behind = table.start + table.bytes;
    const last = Math.min(behind + BEHIND_TABLE_BYTES, host.byteLength);
    if (last > behind) this.#guards.push({ what: 'what lies behind the hash table', start: behind, end: last });
    for (const guard of this.#guards) this.#host.fill(PATTERN, guard.start, guard.end);
    this.#pattern = Buffer.alloc(Math.max(...this.#guards.map((guard) => guard.end - guard.start)), PATTERN);
    if (readOnly === undefined) return;
    const { address, contents } = readOnly;
    guest.writeBytes(address, contents);
    const start = places.find((place) => place.address === address)?.start as number;
    this.#rom = { start, bytes: Buffer.from(this.#host.subarray(start, start + contents.length)) };
  }

  /** @throws Error saying what was written to. */
  checkNear(): void {
    for (const { what, start, end } of this.#guards) {
      this.#compare(what, start, Math.min(end, start + NEAR_BYTES));
      this.#compare(what, Math.max(start, end - NEAR_BYTES), end);
    }
    const rom = this.#rom;
    if (
      rom !== undefined &&
      this.#host.compare(rom.bytes, 0, rom.bytes.length, rom.start, rom.start + rom.bytes.length) !== 0
    )
      throw new Error('the guest has written to read-only memory');
  }

  /** @throws Error saying what was written to. */
  checkAll(): void {
    for (const { what, start, end } of this.#guards) this.#compare(what, start, end);
  }

  #compare(what: string, start: number, end: number): void {
    if (this.#host.compare(this.#pattern, 0, end - start, start, end) === 0) return;
    let at = start;
    while (this.#host[at] === PATTERN) at++;
    throw new Error(`the guest has written to ${what}: host real address 0x${at.toString(16)}`);
  }
}
