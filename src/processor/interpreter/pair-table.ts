import type { Operands, Semantics } from '../../isa/semantics.ts';
import { HANDLER, type HandlerPair, type HandlerSpec } from './interpreter.ts';
import type { StaticValues } from './variants.ts';

/** Whether a meaning writes storage: it is run against a builder that only listens. */
function writesStorage({ meaning, values }: HandlerSpec, levels: ReadonlySet<string>): boolean {
  let writes = false;
  const answer = { type: 'i32' };
  const listener = new Proxy({} as Semantics, {
    get: (_target, name) =>
      name === 'levels'
        ? levels
        : (...args: unknown[]) => {
            writes ||= name === 'zeroBlock' || String(name).startsWith('store');
            for (const arg of args) if (typeof arg === 'function') arg(answer);
            return answer;
          },
  });
  const known = values as Record<string, number>;
  meaning(listener, new Proxy({} as Operands, { get: (_target, name: string) => known[name] ?? answer }));
  return writes;
}

/** An instruction as the list of pairs has it: mnemonic, `near`, values of static fields. */
const SHAPE = /^(\S+)( near)?(?: \{(.*)\})?$/;

function specOf(shape: string, specs: readonly HandlerSpec[]): number {
  const [, mnemonic, near, list = ''] = SHAPE.exec(shape) ?? [];
  const values = list === '' ? [] : list.split(' ').map((one) => one.split('=') as [keyof StaticValues, string]);
  return specs.findIndex(
    (spec) =>
      spec.instruction.mnemonic === mnemonic &&
      spec.near === (near !== undefined) &&
      spec.meaning === spec.instruction.meaning &&
      values.every(([name, value]) => spec.values[name] === Number(value)),
  );
}

/** Those pairs of a list that a processor has, each as the places of its two handlers in `specs`. */
export function findPairs(specs: readonly HandlerSpec[], list: readonly string[]): [number, number][] {
  return list
    .map((line) => line.split(' + ').map((shape) => specOf(shape, specs)))
    .filter(([first = -1, second = -1]) => first >= 0 && second >= 0) as [number, number][];
}

/**
 * Handlers that do two instructions. The records stay as they are but for the first one's handler number, so that each
 * can still be entered alone.
 */
export class PairTable {
  readonly #pairs: Int32Array;
  readonly #firstHandler: number;
  /** By handler: its row in `#handlers`, 0 when it begins no pair. */
  readonly #rows: Uint8Array;
  /** By row and second handler: the pair's handler, or 0. */
  readonly #handlers: Uint16Array;
  readonly #columns: number;

  /** @param pairs what `findPairs` gave, two numbers each. @param specCount handlers of one instruction. */
  constructor(pairs: Int32Array, specCount: number) {
    this.#pairs = pairs;
    this.#columns = HANDLER.first + specCount;
    this.#firstHandler = this.#columns;
    this.#rows = new Uint8Array(this.#columns);
    let rows = 1;
    for (let i = 0; i < pairs.length; i += 2) {
      const first = HANDLER.first + (pairs[i] as number);
      if (this.#rows[first] === 0) this.#rows[first] = rows++;
    }
    this.#handlers = new Uint16Array(rows * this.#columns);
    for (let i = 0; i < pairs.length; i += 2) {
      const row = this.#rows[HANDLER.first + (pairs[i] as number)] as number;
      this.#handlers[row * this.#columns + HANDLER.first + (pairs[i + 1] as number)] = this.#firstHandler + (i >> 1);
    }
  }

  /** The two instructions of each, out of the handlers of one. */
  specs(singles: readonly HandlerSpec[], levels: ReadonlySet<string>): readonly HandlerPair[] {
    return Array.from({ length: this.#pairs.length / 2 }, (_, i) => {
      const first = singles[this.#pairs[2 * i] as number] as HandlerSpec;
      const second = singles[this.#pairs[2 * i + 1] as number] as HandlerSpec;
      return { first, second, mayDrop: writesStorage(first, levels) };
    });
  }

  /** The handler that does both, or 0. Both are handlers of one instruction each. */
  handlerOf(first: number, second: number): number {
    const row = this.#rows[first] as number;
    return row === 0 ? 0 : (this.#handlers[row * this.#columns + second] as number);
  }

  /** The handler of the first instruction alone, for any handler. */
  singleOf(handler: number): number {
    if (handler < this.#firstHandler) return handler;
    return HANDLER.first + (this.#pairs[2 * (handler - this.#firstHandler)] as number);
  }
}
