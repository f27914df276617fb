/** The hashed page table of a server processor for tests, filled by hand. */
import { HPTE, HPTE_BYTES, HPTEG_BYTES, HPTES_PER_GROUP, type ServerCpu } from '../../src/processor/index.ts';

export interface HashedPage {
  readonly vsid: number;
  readonly address: bigint;
  readonly real: number;
  /** Of doubleword 1: PP, N. */
  readonly flags: number;
}

const VALID = BigInt(HPTE.V);

/** Doublewords 0 and 1 of every entry of a page's primary and secondary group, as an array of index and hash bit. */
function* places(cpu: ServerCpu, vsid: number, address: bigint): Generator<readonly [at: number, secondary: boolean]> {
  const page = (address >> 12n) & 0xffffn;
  const { address: table, log2Groups } = cpu.hashTable;
  const hash = BigInt(vsid) ^ page;
  for (const secondary of [false, true]) {
    const group = Number((secondary ? ~hash : hash) & (2n ** BigInt(log2Groups) - 1n));
    for (let i = 0; i < HPTES_PER_GROUP; i++)
      yield [(table + group * HPTEG_BYTES + i * HPTE_BYTES) / 8, secondary] as const;
  }
}

/** Enters a page; answers the index of its doubleword 0 in memory as doublewords. */
export function enterPage(cpu: ServerCpu, { vsid, address, real, flags }: HashedPage): number {
  const u64 = new BigUint64Array(cpu.memory.wasm.buffer);
  const page = (address >> 12n) & 0xffffn;
  for (const [at, secondary] of places(cpu, vsid, address)) {
    if (((u64[at] as bigint) & VALID) !== 0n) continue;
    const avpn = (BigInt(vsid) << 12n) | ((page >> 11n) << BigInt(HPTE.AVPN_SHIFT));
    u64[at] = avpn | VALID | (secondary ? BigInt(HPTE.H) : 0n);
    u64[at + 1] = BigInt(real | flags);
    return at;
  }
  throw new RangeError('both groups are full');
}
