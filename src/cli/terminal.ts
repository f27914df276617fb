import { ctrlA, EscapeFilter, escapeHelp } from './escape.ts';

export interface TerminalEvents {
  /** What was typed, for the guest. */
  input(bytes: Uint8Array): void;
  /** Ctrl-A x. */
  quit(): void;
  /** Ctrl-A s. */
  save(): void;
  /** Ctrl-A c. */
  monitor(): void;
  /** Ctrl-A p. */
  picture(): void;
  /** Text for whoever sits at the terminal. */
  say(text: string): void;
}

/**
 * Standard input as a guest's console: the terminal in raw mode, or a pipe, whose end leaves the guest running.
 * `close` gives the terminal back; so does every other end of the process.
 */
export class Terminal {
  #stdin: NodeJS.ReadStream;
  #raw: boolean;
  #restore = (): void => this.#setRaw(false);
  #resume = (): void => {
    // After a stop from outside the shell has put its own mode back.
    this.#setRaw(false);
    this.#setRaw(true);
  };

  constructor(stdin: NodeJS.ReadStream, events: TerminalEvents) {
    this.#stdin = stdin;
    this.#raw = stdin.isTTY === true;
    if (this.#raw) {
      process.on('exit', this.#restore);
      process.on('SIGCONT', this.#resume);
      this.#setRaw(true);
    }
    const filter = new EscapeFilter();
    const piece = (data: Uint8Array): void => {
      const { bytes, actions } = filter.push(data);
      if (bytes.length > 0) events.input(bytes);
      for (const action of actions) {
        if (action === 'quit') events.quit();
        else if (action === 'save') events.save();
        else if (action === 'monitor') events.monitor();
        else if (action === 'picture') events.picture();
        else events.say(`\r\n${escapeHelp}\r\n`);
      }
    };
    stdin.on('data', (data: Uint8Array) => {
      // What is typed behind an escape key may be for somebody else.
      let start = 0;
      for (let at = data.indexOf(ctrlA); at >= 0; at = data.indexOf(ctrlA, at + 2)) {
        piece(data.subarray(start, at + 2));
        start = at + 2;
      }
      if (start < data.length) piece(data.subarray(start));
    });
    // A terminal that goes away is an end of the input like any other.
    stdin.on('error', () => {});
  }

  #setRaw(on: boolean): void {
    try {
      if (this.#raw) this.#stdin.setRawMode(on);
    } catch {}
  }

  close(): void {
    this.#setRaw(false);
    process.off('exit', this.#restore);
    process.off('SIGCONT', this.#resume);
    this.#stdin.removeAllListeners('data');
    this.#stdin.pause();
    this.#stdin.unref?.();
  }
}
