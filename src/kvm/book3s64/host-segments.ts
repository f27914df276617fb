/**
 * The host's SLBs, one for each translation context, as KVM fills them. A full one gives up its oldest entry: the others,
 * and what the soft TLB has of them, stay.
 */

import { SERVER_CONTEXTS, SERVER_SLB_ENTRIES, type ServerCpu, SLB_VSID } from '../../processor/index.ts';
import type { ContextSegments } from '../book3s/host-contexts.ts';

export class HostSegments implements ContextSegments {
  readonly #cpu: ServerCpu;
  /** By context and entry: ESID, -1 for none, and the number of its VSID. */
  readonly #esid = new Float64Array(SERVER_CONTEXTS * SERVER_SLB_ENTRIES).fill(-1);
  readonly #vsid = new Int32Array(SERVER_CONTEXTS * SERVER_SLB_ENTRIES);
  /** By context: entries from here on have never been used, and the next to be given up when all are. */
  readonly #used = new Int32Array(SERVER_CONTEXTS);
  readonly #victim = new Int32Array(SERVER_CONTEXTS);

  constructor(cpu: ServerCpu) {
    this.#cpu = cpu;
  }

  /** Maps a segment of 256 MB in a context. */
  map(context: number, esid: number, n: number, hostVsid: number): void {
    const base = context * SERVER_SLB_ENTRIES;
    const used = this.#used[context] as number;
    let index = -1;
    for (let i = 0; i < used; i++) {
      const present = this.#esid[base + i];
      if (present === esid) {
        if (this.#vsid[base + i] === n) return;
        index = i;
        break;
      }
      if (present === -1) index = i;
    }
    if (index < 0) {
      if (used < SERVER_SLB_ENTRIES) {
        index = used;
        this.#used[context] = used + 1;
      } else {
        index = this.#victim[context] as number;
        this.#victim[context] = (index + 1) % SERVER_SLB_ENTRIES;
      }
    }
    this.#esid[base + index] = esid;
    this.#vsid[base + index] = n;
    this.#cpu.slbWrite(context, index, esid, hostVsid, SLB_VSID.KS | SLB_VSID.KP);
  }

  /** Drops what a context has of segments [first, first + count). */
  drop(context: number, first: number, count: number): void {
    const base = context * SERVER_SLB_ENTRIES;
    const end = first + count;
    for (let i = this.#used[context] as number; --i >= 0; ) {
      const esid = this.#esid[base + i] as number;
      if (esid < first || esid >= end) continue;
      this.#esid[base + i] = -1;
      this.#cpu.slbInvalidate(context, i);
    }
  }

  /** Drops every segment with a VSID. */
  dropVsid(n: number): void {
    for (let context = 0; context < SERVER_CONTEXTS; context++) {
      const base = context * SERVER_SLB_ENTRIES;
      for (let i = this.#used[context] as number; --i >= 0; ) {
        if (this.#vsid[base + i] !== n || this.#esid[base + i] === -1) continue;
        this.#esid[base + i] = -1;
        this.#cpu.slbInvalidate(context, i);
      }
    }
  }

  dropAll(context: number): void {
    const base = context * SERVER_SLB_ENTRIES;
    this.#esid.fill(-1, base, base + (this.#used[context] as number));
    this.#used[context] = 0;
    this.#victim[context] = 0;
    this.#cpu.slbInvalidateAll(context);
  }

  /** ESIDs that a context has, for tests. */
  segments(context: number): number[] {
    const base = context * SERVER_SLB_ENTRIES;
    return [...this.#esid.subarray(base, base + SERVER_SLB_ENTRIES)].filter((esid) => esid !== -1);
  }
}
