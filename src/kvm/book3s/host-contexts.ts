/**
 * The host's translation contexts: each mode that the guest runs in has one, so that a change of mode selects another and
 * flushes nothing. User, kernel and real mode of the usual width and byte order keep theirs; the other modes take turns in
 * the rest.
 */
import { type ContextMode, SERVER_CONTEXTS } from '../../processor/index.ts';
import { MSR, MSR_SF } from './bits.ts';

/** A mode as a number: MSR[PR], [IR], [DR], [SF] and [LE]. */
export const MODE = { PR: 1, IR: 2, DR: 4, SF: 8, LE: 16 } as const;
const MODES = 32;
export const CONTEXT_USER = 0;
export const CONTEXT_KERNEL = 1;
export const CONTEXT_REAL = 2;
/** Of 32-bit processors: the kernel with translation of fetches alone, as Linux looks at its hash table. */
export const CONTEXT_FETCH = 3;

export function modeOf(msrLow: number, msrHigh: number): number {
  return (
    ((msrLow & MSR.PR) !== 0 ? MODE.PR : 0) |
    ((msrLow & MSR.IR) !== 0 ? MODE.IR : 0) |
    ((msrLow & MSR.DR) !== 0 ? MODE.DR : 0) |
    ((msrHigh & MSR_SF) !== 0 ? MODE.SF : 0) |
    ((msrLow & MSR.LE) !== 0 ? MODE.LE : 0)
  );
}

/** The host's segments, by translation context. */
export interface ContextSegments {
  /** Drops what a context has of segments [first, first + count), of 256 MB. */
  drop(context: number, first: number, count: number): void;
  dropAll(context: number): void;
}

/** A processor with translation contexts, SERVER_CONTEXTS of them. */
export interface ContextCpu {
  selectContext(context: number): void;
  configureContext(context: number, mode: ContextMode): void;
}

export class HostContexts {
  readonly #cpu: ContextCpu;
  readonly #segments: ContextSegments;
  readonly #modes: readonly ContextMode[];
  /** By mode: its context, -1 for none; by context: its mode, -1 for none. */
  readonly #contextOf = new Int8Array(MODES).fill(-1);
  readonly #modeOf = new Int8Array(SERVER_CONTEXTS).fill(-1);
  readonly #firstShared: number;
  #next: number;
  /** The context in use, and its mode. */
  current = -1;
  mode = -1;

  /** `assist`: the guest's kernel runs with assist meanings. `usual`: bits of MODE of the usual width and byte order; `fetch`: CONTEXT_FETCH is one's own. */
  constructor(cpu: ContextCpu, segments: ContextSegments, assist: boolean, usual: number, fetch = false) {
    this.#cpu = cpu;
    this.#segments = segments;
    this.#modes = Array.from({ length: MODES }, (_, mode) => ({
      assist: assist && (mode & MODE.PR) === 0,
      sixtyFour: (mode & MODE.SF) !== 0,
      littleEndian: (mode & MODE.LE) !== 0,
    }));
    this.#assign(CONTEXT_USER, usual | MODE.PR | MODE.IR | MODE.DR);
    this.#assign(CONTEXT_KERNEL, usual | MODE.IR | MODE.DR);
    this.#assign(CONTEXT_REAL, usual);
    if (fetch) this.#assign(CONTEXT_FETCH, usual | MODE.IR);
    this.#firstShared = fetch ? CONTEXT_FETCH + 1 : CONTEXT_FETCH;
    this.#next = this.#firstShared;
  }

  /** Selects the context of a mode. */
  select(mode: number): void {
    let context = this.#contextOf[mode] as number;
    if (context < 0) {
      context = this.#next;
      this.#next = context + 1 === SERVER_CONTEXTS ? this.#firstShared : context + 1;
      this.#assign(context, mode);
    }
    this.mode = mode;
    this.current = context;
    this.#cpu.selectContext(context);
  }

  /** The processor is in the context of a mode already: the vector code has selected it. */
  follow(mode: number): void {
    if (mode === this.mode) return;
    this.mode = mode;
    this.current = this.#contextOf[mode] as number;
  }

  /** Drops segments [first, first + count) in every mode that translates. */
  dropSegments(first: number, count: number): void {
    for (let context = 0; context < SERVER_CONTEXTS; context++)
      if ((this.#modeOf[context] as number) > 0 && ((this.#modeOf[context] as number) & (MODE.IR | MODE.DR)) !== 0)
        this.#segments.drop(context, first, count);
  }

  dropAll(): void {
    for (let context = 0; context < SERVER_CONTEXTS; context++) this.#segments.dropAll(context);
  }

  #assign(context: number, mode: number): void {
    const old = this.#modeOf[context] as number;
    if (old >= 0) this.#contextOf[old] = -1;
    this.#contextOf[mode] = context;
    this.#modeOf[context] = mode;
    this.#segments.dropAll(context);
    this.#cpu.configureContext(context, this.#modes[mode] as ContextMode);
  }
}
