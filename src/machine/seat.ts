import type { BoardInstance } from './instance.ts';
import type { DisplayDevice, KeyboardDevice, Picture, PointerDevice } from './picture.ts';

/** Where somebody sits: what the machine shows, and its keyboard and mouse, where it has them. */
export class Seat {
  readonly #display: DisplayDevice | undefined;
  readonly #keyboard: KeyboardDevice | undefined;
  readonly #pointer: PointerDevice | undefined;
  readonly #wake: () => void;

  /** `wake`: called when something was typed or moved. */
  constructor(instance: BoardInstance, wake: () => void) {
    const devices = instance.specs.map(({ name }) => instance.device(name));
    this.#display = devices.find((device) => device !== undefined && 'picture' in device) as DisplayDevice | undefined;
    this.#keyboard = devices.find((device) => device !== undefined && 'key' in device) as KeyboardDevice | undefined;
    this.#pointer = devices.find((device) => device !== undefined && 'move' in device) as PointerDevice | undefined;
    this.#wake = wake;
  }

  /** What the display shows now; undefined: the machine has none, or it shows nothing. */
  picture(): Picture | undefined {
    return this.#display?.picture();
  }

  /** A key by its name (`KeyboardEvent.code`: "KeyA", "Enter") goes down, or up. False: there is no such key. */
  key(name: string, isDown: boolean): boolean {
    const isThere = this.#keyboard?.key(name, isDown) ?? false;
    if (isThere) this.#wake();
    return isThere;
  }

  /** The mouse moves right and down by so many counts; `buttons`: 1 the first, 2 the second, their sum for both. False: there is none. */
  move(x: number, y: number, buttons: number): boolean {
    if (this.#pointer === undefined) return false;
    this.#pointer.move(Math.trunc(x) || 0, Math.trunc(y) || 0, buttons);
    this.#wake();
    return true;
  }
}
