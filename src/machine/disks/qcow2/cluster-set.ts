/** Clusters in a chunk: a bitmap of 4 KiB. */
const CHUNK = 32_768;
/** 64 MiB of bitmaps: more tables than any image has whose tables lie near each other. */
const MAX_CHUNKS = 16_384;

/** A set of numbers of clusters, which takes little room where they are near each other. */
export class ClusterSet {
  readonly #chunks = new Map<number, Uint32Array>();

  has(cluster: number): boolean {
    const chunk = this.#chunks.get(Math.floor(cluster / CHUNK));
    const bit = cluster % CHUNK;
    return chunk !== undefined && (((chunk[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) !== 0;
  }

  /** False: it was there already, or there is no room for one that is so far from the others. */
  add(cluster: number): boolean {
    const index = Math.floor(cluster / CHUNK);
    let chunk = this.#chunks.get(index);
    if (chunk === undefined) {
      if (this.#chunks.size === MAX_CHUNKS) return false;
      this.#chunks.set(index, (chunk = new Uint32Array(CHUNK / 32)));
    }
    const word = (cluster % CHUNK) >>> 5;
    const bit = 1 << (cluster & 31);
    const old = chunk[word] ?? 0;
    chunk[word] = old | bit;
    return (old & bit) === 0;
  }

  delete(cluster: number): void {
    const chunk = this.#chunks.get(Math.floor(cluster / CHUNK));
    if (chunk === undefined) return;
    const word = (cluster % CHUNK) >>> 5;
    chunk[word] = (chunk[word] ?? 0) & ~(1 << (cluster & 31));
  }
}
