/** What a key after Ctrl-A asks for, in QEMU's way. */
export type EscapeAction = 'quit' | 'help' | 'save' | 'monitor' | 'picture';

export const ctrlA = 0x01;

export const escapeHelp = [
  'Ctrl-A h    prints this help',
  'Ctrl-A x    ends the machine',
  'Ctrl-A s    saves the machine to the file that --save names',
  'Ctrl-A c    goes to the monitor, and back to the guest',
  'Ctrl-A p    writes what the display shows to the file that --screenshot names',
  'Ctrl-A a    sends Ctrl-A (so does Ctrl-A Ctrl-A)',
].join('\r\n');

/** Finds QEMU's escape sequences in what is typed and takes them out of it. */
export class EscapeFilter {
  #afterEscape = false;

  /** Splits input into what goes to the guest and what was asked for, in order. */
  push(input: Uint8Array): { bytes: Uint8Array; actions: EscapeAction[] } {
    const bytes = new Uint8Array(input.length);
    const actions: EscapeAction[] = [];
    let length = 0;
    for (const byte of input) {
      if (!this.#afterEscape) {
        if (byte === ctrlA) this.#afterEscape = true;
        else bytes[length++] = byte;
        continue;
      }
      this.#afterEscape = false;
      const key = String.fromCharCode(byte);
      if (key === 'x') actions.push('quit');
      else if (key === 's') actions.push('save');
      else if (key === 'c') actions.push('monitor');
      else if (key === 'p') actions.push('picture');
      else if (key === 'h' || key === '?') actions.push('help');
      else if (key === 'a' || byte === ctrlA) bytes[length++] = ctrlA;
    }
    return { bytes: bytes.subarray(0, length), actions };
  }
}
