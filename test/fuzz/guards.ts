/** Host memory that a guest does not own: it has a pattern, and keeps it. */
import type { GuestMemory } from '../../src/kvm/index.ts';
import { type HostMemory, RAM_BASE, VCPU_BLOCK_BYTES, VCPU_BLOCKS } from '../../src/processor/index.ts';
import { FAR_RAM, FAR_RAM_BYTES, HTAB_BYTES, RAM_BYTES, ROM, ROM_BYTES } from './server-places.ts';

const PATTERN = 0xa5;
const MARK = 0x5b;
const MARK_BYTES = 64;
/** Checked on both sides of what a guest may write to, after each guest. */
const NEAR_BYTES = 0x10000;
const MAX_VCPUS = 8;
const BEHIND_HTAB_BYTES = 2 ** 20;

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

  /** `htab`: host real address of KVM's hash table, of which a PAPR guest has the first HTAB_BYTES. `contents`: of the read-only memory. */
  constructor(host: HostMemory, guest: GuestMemory, htab: number, papr: boolean, contents: Uint8Array) {
    this.#host = Buffer.from(host.wasm.buffer as unknown as ArrayBuffer);
    const find = (address: number): number => {
      guest.fill(address, MARK_BYTES, MARK);
      const at = this.#host.indexOf(Buffer.alloc(MARK_BYTES, MARK), RAM_BASE);
      guest.fill(address, MARK_BYTES, 0);
      return at;
    };
    const rom = papr ? -1 : find(ROM);
    const slots = [
      { start: find(0), bytes: RAM_BYTES },
      ...(rom < 0 ? [] : [{ start: rom, bytes: ROM_BYTES }]),
      { start: find(FAR_RAM), bytes: FAR_RAM_BYTES },
    ].sort((one, other) => one.start - other.start);
    this.#guards = [
      {
        what: "the other vCPUs' blocks",
        start: VCPU_BLOCKS + VCPU_BLOCK_BYTES,
        end: VCPU_BLOCKS + MAX_VCPUS * VCPU_BLOCK_BYTES,
      },
    ];
    let end = RAM_BASE;
    for (const { start, bytes } of [...slots, { start: htab, bytes: 0 }]) {
      if (start > end) this.#guards.push({ what: 'what lies between the slots', start: end, end: start });
      end = start + bytes;
    }
    const behind = htab + (papr ? HTAB_BYTES : 0);
    this.#guards.push({ what: 'what lies behind the hash table', start: behind, end: behind + BEHIND_HTAB_BYTES });
    for (const guard of this.#guards) this.#host.fill(PATTERN, guard.start, guard.end);
    this.#pattern = Buffer.alloc(Math.max(...this.#guards.map((guard) => guard.end - guard.start)), PATTERN);
    if (rom < 0) return;
    guest.writeBytes(ROM, contents);
    this.#rom = { start: rom, bytes: Buffer.from(this.#host.subarray(rom, rom + ROM_BYTES)) };
  }

  /** @throws Error saying what was written to. */
  checkNear(): void {
    for (const { what, start, end } of this.#guards) {
      this.#compare(what, start, Math.min(end, start + NEAR_BYTES));
      this.#compare(what, Math.max(start, end - NEAR_BYTES), end);
    }
    const rom = this.#rom;
    if (rom !== undefined && this.#host.compare(rom.bytes, 0, ROM_BYTES, rom.start, rom.start + ROM_BYTES) !== 0)
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
