import type { Monitor } from '../machine/index.ts';

const PROMPT = '(powervisor) ';
const MAX_LINE = 400;
const ENTER: ReadonlySet<number> = new Set([10, 13]);
const ERASE: ReadonlySet<number> = new Set([8, 127]);
const CTRL_C = 3;

/** The monitor at the terminal that the guest's console is at: lines are edited here, and answered one after the other. */
export class MonitorLine {
  readonly #monitor: () => Monitor;
  readonly #say: (text: string) => void;
  #line = '';
  #last: Promise<void> = Promise.resolve();
  /** What is typed is the monitor's. */
  isOn = false;

  /** `monitor` is asked for when it is first wanted. */
  constructor(monitor: () => Monitor, say: (text: string) => void) {
    this.#monitor = monitor;
    this.#say = say;
  }

  toggle(): void {
    this.isOn = !this.isOn;
    this.#line = '';
    this.#say(this.isOn ? `\r\n${PROMPT}` : '\r\n');
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (ENTER.has(byte)) this.#enter();
      else if (byte === CTRL_C) {
        this.#line = '';
        this.#say(`^C\r\n${PROMPT}`);
      } else if (ERASE.has(byte)) {
        if (this.#line !== '') this.#say('\b \b');
        this.#line = this.#line.slice(0, -1);
      } else if (byte >= 32 && byte < 127 && this.#line.length < MAX_LINE) {
        this.#line += String.fromCharCode(byte);
        this.#say(String.fromCharCode(byte));
      }
    }
  }

  #enter(): void {
    const line = this.#line;
    this.#line = '';
    this.#say('\r\n');
    this.#last = this.#last.then(async () => {
      const text = await this.#monitor().execute(line);
      this.#say(`${text.replaceAll('\n', '\r\n')}${this.isOn ? PROMPT : ''}`);
    });
  }
}
