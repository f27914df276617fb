/** A client of gdb's remote serial protocol, for tests: written from the protocol's description, without the server's code. */

/** What carries bytes to the server, and tells of its answers. */
export interface Wire {
  send(bytes: Uint8Array): void;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const sumOf = (contents: string): string => {
  let sum = 0;
  for (let i = 0; i < contents.length; i++) sum += contents.charCodeAt(i);
  return (sum & 0xff).toString(16).padStart(2, '0');
};
export const toHex = (line: string): string => Buffer.from(line, 'latin1').toString('hex');

/** A run of equal characters as it is told ("0*(" is 12 zeros), and characters that would mean something else. */
function unpack(contents: string): string {
  let out = '';
  for (let i = 0; i < contents.length; i++) {
    const character = contents[i] as string;
    if (character === '}') out += String.fromCharCode(contents.charCodeAt(++i) ^ 0x20);
    else if (character === '*') out += (out.at(-1) ?? '').repeat(contents.charCodeAt(++i) - 29);
    else out += character;
  }
  return out;
}

export class GdbClient {
  wire: Wire = { send: () => {} };
  /** Packets that were sent, without acknowledgements. */
  sent = 0;
  /** Output of `monitor` commands. */
  output = '';
  #received = '';
  #acknowledges = true;
  readonly #replies: string[] = [];
  #waiting: ((reply: string) => void) | undefined;

  receive(bytes: Uint8Array): void {
    this.#received += text(bytes);
    for (;;) {
      const found = /^[^$]*\$((?:[^#}]|\}[\s\S])*)#([0-9a-f]{2})/.exec(this.#received);
      if (found === null) return;
      this.#received = this.#received.slice(found[0].length);
      const [, contents = '', sum] = found;
      if (sumOf(contents) !== sum) throw new Error(`a packet's sum is ${sum}: ${contents.slice(0, 80)}`);
      if (this.#acknowledges) this.wire.send(Buffer.from('+'));
      const reply = unpack(contents);
      if (/^O[0-9a-f]+$/.test(reply)) this.output += Buffer.from(reply.slice(1), 'hex').toString();
      else if (this.#waiting === undefined) this.#replies.push(reply);
      else {
        const waiting = this.#waiting;
        this.#waiting = undefined;
        waiting(reply);
      }
    }
  }

  /** The next reply. */
  reply(): Promise<string> {
    const first = this.#replies.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Sends a packet whose contents are characters of one byte. */
  post(contents: string): void {
    this.sent++;
    const escaped = contents.replace(
      /[#$}]/g,
      (character) => `}${String.fromCharCode(character.charCodeAt(0) ^ 0x20)}`,
    );
    this.wire.send(Buffer.from(`$${escaped}#${sumOf(escaped)}`, 'latin1'));
  }

  ask(contents: string): Promise<string> {
    this.post(contents);
    return this.reply();
  }

  interrupt(): void {
    this.wire.send(Uint8Array.of(3));
  }

  async withoutAcknowledgements(): Promise<void> {
    const reply = await this.ask('QStartNoAckMode');
    if (reply !== 'OK') throw new Error(`QStartNoAckMode: ${reply}`);
    this.#acknowledges = false;
  }

  /** The output of a `monitor` command. */
  async monitor(line: string): Promise<string> {
    this.output = '';
    const reply = await this.ask(`qRcmd,${Buffer.from(line).toString('hex')}`);
    if (reply !== 'OK') throw new Error(`monitor ${line}: ${reply}`);
    return this.output;
  }

  /** All of an object of qXfer. */
  async transfer(object: string, annex: string, piece = 0x1000): Promise<string> {
    let whole = '';
    for (;;) {
      const at = whole.length.toString(16);
      const reply = await this.ask(`qXfer:${object}:read:${annex}:${at},${piece.toString(16)}`);
      if (!/^[ml]/.test(reply)) throw new Error(`qXfer:${object}:${annex}: ${reply}`);
      whole += reply.slice(1);
      if (reply[0] === 'l') return whole;
    }
  }
}

/** A register's number and bits by name, out of a target description. */
export function registersOf(description: string): Map<string, { number: number; bits: number }> {
  const registers = new Map<string, { number: number; bits: number }>();
  let next = 0;
  for (const [, attributes = ''] of description.matchAll(/<reg ([^>]*)\/>/g)) {
    const attribute = (name: string): string | undefined => new RegExp(`${name}="([^"]*)"`).exec(attributes)?.[1];
    const number = Number(attribute('regnum') ?? next);
    registers.set(attribute('name') ?? '', { number, bits: Number(attribute('bitsize')) });
    next = number + 1;
  }
  return registers;
}
