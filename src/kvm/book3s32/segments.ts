/**
 * The host's segment registers: all sixteen are made of the guest's before it runs, so that none is ever missed, and the
 * processor finds what it knew of an address space when the guest comes back to it.
 */
import { type ClassicCpu, SEGMENT_REGISTERS, SERVER_CONTEXTS, SR } from '../../processor/index.ts';
import {
  CONTEXT_FETCH,
  CONTEXT_KERNEL,
  CONTEXT_REAL,
  CONTEXT_USER,
  type ContextCpu,
  type ContextSegments,
  type HostContexts,
  MODE,
} from '../book3s/host-contexts.ts';
import { SEGMENT, type VsidMap } from '../book3s/vsid-map.ts';
import type { GuestBats } from './bats.ts';
import { W_MAGIC_EFFECTIVE, W_MAGIC_MAPPED, W_SR } from './layout.ts';

const NONE = -1;
/** Looks at all segments on end; four contexts have 64 of them. */
const ROUNDS = 8;

export class HostSegments implements ContextSegments, ContextCpu {
  readonly #cpu: ClassicCpu;
  readonly #words: Int32Array;
  readonly #bats: GuestBats;
  /** By context and register: the number of the VSID that stands there, and the guest's register that it was made of. */
  readonly #vsid = new Int32Array(SERVER_CONTEXTS * SEGMENT_REGISTERS).fill(NONE);
  readonly #made = new Int32Array(SERVER_CONTEXTS * SEGMENT_REGISTERS);
  /** The guest's registers, or which context is in use, may have changed. */
  isStale = true;

  constructor(cpu: ClassicCpu, words: Int32Array, bats: GuestBats) {
    this.#cpu = cpu;
    this.#words = words;
    this.#bats = bats;
  }

  selectContext(context: number): void {
    this.#cpu.selectContext(context);
    this.isStale = true;
  }

  configureContext(context: number, mode: { readonly assist: boolean }): void {
    this.#cpu.configureContext(context, mode);
  }

  /** Before the guest runs: vector code goes between user and kernel by itself. */
  refresh(hosts: HostContexts, vsids: VsidMap): void {
    // A VSID that is given away anew may be one that was just taken: another look finds it gone.
    for (let round = 0; round < ROUNDS && this.isStale; round++) {
      this.isStale = false;
      this.#refresh(CONTEXT_USER, MODE.PR | MODE.IR | MODE.DR, vsids);
      this.#refresh(CONTEXT_KERNEL, MODE.IR | MODE.DR, vsids);
      this.#refresh(CONTEXT_REAL, 0, vsids);
      this.#refresh(CONTEXT_FETCH, MODE.IR, vsids);
      if (hosts.current > CONTEXT_FETCH) this.#refresh(hosts.current, hosts.mode, vsids);
    }
  }

  #refresh(context: number, mode: number, vsids: VsidMap): void {
    const words = this.#words;
    const translation = mode & (MODE.IR | MODE.DR);
    const user = (mode & MODE.PR) !== 0;
    for (let i = 0; i < SEGMENT_REGISTERS; i++) {
      const at = context * SEGMENT_REGISTERS + i;
      const segment = translation === 0 ? 0 : (words[W_SR[i] as number] as number);
      if (this.#vsid[at] !== NONE && this.#made[at] === segment) continue;
      this.#made[at] = segment;
      const n = this.#number(i, segment, translation, user, vsids);
      this.#vsid[at] = n;
      this.#cpu.setSegment(context, i, n === 0 ? SR.T : SR.KS | SR.KP | vsids.hostVsid(n));
    }
  }

  /** Number of the host VSID of a segment; 0: there is none, it is no ordinary one. */
  #number(esid: number, segment: number, translation: number, user: boolean, vsids: VsidMap): number {
    const state = user ? SEGMENT.USER : 0;
    if (translation === 0) return vsids.get(esid, SEGMENT.REAL | state);
    if (translation !== (MODE.IR | MODE.DR)) {
      // One segment for fetches and data: a page of both has the translation that was asked for last.
      const kind = translation === MODE.IR ? SEGMENT.FETCH_REGISTER : SEGMENT.DATA_REGISTER;
      return vsids.get((segment >>> 0) * SEGMENT_REGISTERS + esid, kind | state);
    }
    const magic = !user && this.#isMagic(esid) ? SEGMENT.MAGIC : 0;
    const blocks = this.#bats.coversSome(esid, user);
    const special = (segment & SR.T) !== 0;
    if (special && !blocks && magic === 0) return 0;
    // The key and N decide with the page what may be done there.
    const value = special ? 0 : segment & ((user ? SR.KP : SR.KS) | SR.N | SR.VSID);
    if (blocks || special) return vsids.get(value * SEGMENT_REGISTERS + esid, SEGMENT.PIECE | state | magic);
    return vsids.get(value, SEGMENT.VIRTUAL | state | magic);
  }

  #isMagic(esid: number): boolean {
    const words = this.#words;
    return words[W_MAGIC_MAPPED] !== 0 && (words[W_MAGIC_EFFECTIVE] as number) >>> 28 === esid;
  }

  /** Number of the VSID that an address has in the context in use; 0: none. */
  numberAt(context: number, address: number): number {
    return Math.max(0, this.#vsid[context * SEGMENT_REGISTERS + (address >>> 28)] as number);
  }

  drop(context: number, first: number, count: number): void {
    for (let i = first; i < first + count; i++) this.#vsid[context * SEGMENT_REGISTERS + i] = NONE;
    this.isStale = true;
  }

  /** Every segment with a VSID goes: it is to be another's. */
  dropVsid(n: number): void {
    for (let i = this.#vsid.indexOf(n); i >= 0; i = this.#vsid.indexOf(n, i + 1)) {
      this.#vsid[i] = NONE;
      this.#cpu.setSegment(i >> 4, i & 15, SR.T);
      this.isStale = true;
    }
  }

  dropAll(context: number): void {
    this.drop(context, 0, SEGMENT_REGISTERS);
  }
}
