/** Clusters that are counted in a piece. */
const CHUNK = 32_768;
/** 256 MiB of counts. */
const MAX_CHUNKS = 4096;
const MAX_COUNT = 65_535;

/** How often each cluster is in use, as the tables that lead to it have it. */
export class References {
  readonly #chunks = new Map<number, Uint16Array>();

  /** Gives the new count; undefined: there is no room for a cluster that is so far from the others. */
  add(cluster: number): number | undefined {
    const index = Math.floor(cluster / CHUNK);
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      if (this.#chunks.size === MAX_CHUNKS) return undefined;
      this.#chunks.set(index, (chunk = new Uint16Array(CHUNK)));
    }
    const count = Math.min(MAX_COUNT, (chunk[cluster % CHUNK] ?? 0) + 1);
    chunk[cluster % CHUNK] = count;
    return count;
  }

  count(cluster: number): number {
    return this.#chunks.get(Math.floor(cluster / CHUNK))?.[cluster % CHUNK] ?? 0;
  }

  /** Whether any cluster from `first` on, of `clusters`, is in use. */
  hasAny(first: number, clusters: number): boolean {
    for (let at = first; at < first + clusters; ) {
      const inChunk = Math.min(first + clusters - at, CHUNK - (at % CHUNK));
      const chunk = this.#chunks.get(Math.floor(at / CHUNK));
      if (chunk) for (let i = 0; i < inChunk; i++) if (chunk[(at % CHUNK) + i] !== 0) return true;
      at += inChunk;
    }
    return false;
  }

  /** The last cluster that is in use; -1: none. */
  last(): number {
    const index = Math.max(...this.#chunks.keys(), -1);
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) return -1;
    return index * CHUNK + chunk.findLastIndex((count) => count > 0);
  }
}
