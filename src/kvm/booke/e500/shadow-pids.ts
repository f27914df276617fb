/**
 * Shadow PIDs: an id of the host's for each (address space, PID, privilege) of the guest's that is in use, so that a change
 * of any of them flushes nothing (the reference's e500_mmu_host.c). Ids are given out until there are none left; then the
 * host's TLB is emptied, and it begins anew.
 */
const KEYS = 2 * 256 * 2;
/** Of contexts that are not one PID's: both privileges while PID1 or PID2 is in use, or MSR[IS] ≠ MSR[DS]. */
const MIXED = KEYS;
const LAST_ID = 255;

export class ShadowPids {
  readonly #ids = new Int16Array(KEYS + 2);
  #next = 1;

  /** Number of a context. `privilege`: 0 user, 1 kernel. */
  keyOf(space: number, pid: number, privilege: number): number {
    return (space << 9) | (pid << 1) | privilege;
  }

  mixedKey(privilege: number): number {
    return MIXED + privilege;
  }

  /** Whether this many contexts would get their ids without others losing theirs. */
  hasRoom(count: number): boolean {
    return this.#next + count - 1 <= LAST_ID;
  }

  /** The id of a context, 1 to 255; `hasRoom` has said that there is one. */
  idOf(key: number): number {
    const known = this.#ids[key] as number;
    if (known !== 0) return known;
    const id = this.#next++;
    this.#ids[key] = id;
    return id;
  }

  /** The host's TLB is empty: no id means anything any more. */
  forget(): void {
    this.#ids.fill(0);
    this.#next = 1;
  }
}
