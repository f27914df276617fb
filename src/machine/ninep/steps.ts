/** Work that waits only where it must: generators that yield promises, and run at once as long as there are none. */
import type { Soon } from '../outside/folders.ts';

export type Steps<T> = Generator<Promise<unknown>, T, unknown>;

/** Waits for what may be there already. */
export function* now<T>(soon: Soon<T>): Steps<T> {
  return soon instanceof Promise ? ((yield soon) as T) : soon;
}

/** Runs steps: to the end at once, or behind a promise. */
export function run<T>(steps: Steps<T>): Soon<T> {
  const first = steps.next();
  return first.done ? first.value : goOn(steps, first.value);
}

async function goOn<T>(steps: Steps<T>, first: Promise<unknown>): Promise<T> {
  let waiting = first;
  for (;;) {
    let value: unknown;
    let isKept = true;
    try {
      value = await waiting;
    } catch (error) {
      isKept = false;
      value = error;
    }
    const result = isKept ? steps.next(value) : steps.throw(value);
    if (result.done) return result.value;
    waiting = result.value;
  }
}
