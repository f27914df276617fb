/** Ranges of effective addresses that something watches. A 64-bit address is two words, as it stands in a vCPU's block. */

/** The order of two addresses, as the sign of a number. */
export function compareAddresses(aLow: number, aHigh: number, bLow: number, bHigh: number): number {
  return aHigh === bHigh ? (aLow >>> 0) - (bLow >>> 0) : (aHigh >>> 0) - (bHigh >>> 0);
}

export class WatchedRange {
  /** First and last byte. */
  readonly firstLow: number;
  readonly firstHigh: number;
  readonly lastLow: number;
  readonly lastHigh: number;
  readonly loads: boolean;
  readonly stores: boolean;

  /** `bytes` from an address on, at most to the end of the address space. */
  constructor(low: number, high: number, bytes: number, { loads, stores }: { loads: boolean; stores: boolean }) {
    const last = (low >>> 0) + bytes - 1;
    const lastHigh = (high >>> 0) + Math.floor(last / 2 ** 32);
    const isWhole = lastHigh < 2 ** 32;
    this.firstLow = low | 0;
    this.firstHigh = high | 0;
    this.lastLow = isWhole ? last | 0 : -1;
    this.lastHigh = isWhole ? lastHigh | 0 : -1;
    this.loads = loads;
    this.stores = stores;
  }

  /** Whether an access to `bytes` bytes at an address is one that is watched. */
  meets(low: number, high: number, bytes: number, store: boolean): boolean {
    if (!(store ? this.stores : this.loads)) return false;
    if (compareAddresses(low, high, this.lastLow, this.lastHigh) > 0) return false;
    const last = (low >>> 0) + bytes - 1;
    const lastHigh = last < 2 ** 32 ? high : (high + 1) | 0;
    return compareAddresses(last | 0, lastHigh, this.firstLow, this.firstHigh) >= 0;
  }

  /** Whether a page of 4 KB has a byte that is watched. */
  coversPage(low: number, high: number): boolean {
    return (
      compareAddresses(low | 0xfff, high, this.firstLow, this.firstHigh) >= 0 &&
      compareAddresses(low & ~0xfff, high, this.lastLow, this.lastHigh) <= 0
    );
  }
}
