/** A small assembler in the GNU assembler's syntax, for tests and for code that is built at run time. */
import { encodeOperands, formsNamed } from './encoder.ts';
import { evaluate, type Lookup } from './expression.ts';

/** A mistake in the source, with its line. */
export class AssemblerError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
    this.name = 'AssemblerError';
    this.line = line;
  }
}

/** More than any test needs; a slip in .org or .space must not fill the memory. */
const MAX_BYTES = 1 << 24;

/** Something that takes place in the output, written once all labels are known. */
interface Item {
  readonly line: number;
  readonly address: number;
  readonly bytes: number;
  readonly write: (lookup: Lookup) => readonly number[];
}

/** Cuts a line into statements: comments go, `;` separates, strings are kept whole. */
function statements(line: string): string[] {
  const parts: string[] = [''];
  for (const [token] of line.matchAll(/"(?:\\.|[^"\\])*"?|'(?:\\.|[^\\])'|\/\/|./gs)) {
    if (token === '#' || token === '//') break;
    if (token === ';') parts.push('');
    else parts[parts.length - 1] += token;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** Cuts operands at the commas that stand in no string and in no character. */
function operandsOf(text: string): string[] {
  if (text === '') return [];
  const parts: string[] = [''];
  for (const [token] of text.matchAll(/"(?:\\.|[^"\\])*"?|'(?:\\.|[^\\])'|./gs)) {
    if (token === ',') parts.push('');
    else parts[parts.length - 1] += token;
  }
  return parts.map((part) => part.trim());
}

function stringBytes(text: string): number[] {
  if (!/^"(?:\\.|[^"\\])*"$/.test(text)) throw new SyntaxError(`${text} is not a string in quotes`);
  const plain = text.slice(1, -1).replace(/\\([0-7]{1,3}|x[\da-fA-F]{1,2}|.)/g, (_, code: string) => {
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 255);
    if (/^x./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }[code] ?? code;
  });
  return [...new TextEncoder().encode(plain)];
}

const DATA_BYTES: Readonly<Record<string, number>> = {
  '.byte': 1,
  '.short': 2,
  '.half': 2,
  '.2byte': 2,
  '.long': 4,
  '.int': 4,
  '.word': 4,
  '.4byte': 4,
  '.quad': 8,
  '.8byte': 8,
};

function bigEndian(value: bigint, bytes: number): number[] {
  const bits = BigInt(8 * bytes);
  if (value < -(1n << (bits - 1n)) || value >= 1n << bits)
    throw new SyntaxError(`${value} does not fit ${bytes} bytes`);
  return Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * (bytes - 1 - i))) & 255n));
}

/** Directives that change nothing in a flat image. */
const IGNORED = new Set(['.text', '.data', '.globl', '.global', '.type', '.size', '.section', '.machine', '.file']);

class Assembly {
  readonly #origin: number;
  #address: number;
  #line = 0;
  readonly #items: Item[] = [];
  readonly #symbols = new Map<string, bigint>();
  /** Addresses of the local labels `1:` … by number. */
  readonly #locals = new Map<string, number[]>();

  constructor(origin: number) {
    this.#origin = origin;
    this.#address = origin;
  }

  source(text: string): void {
    text.split(/\r?\n/).forEach((line, index) => {
      this.#line = index + 1;
      for (const statement of statements(line)) this.#located(this.#line, () => this.#statement(statement));
    });
  }

  #located<T>(line: number, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof RangeError) throw new AssemblerError(line, error.message);
      throw error;
    }
  }

  #statement(text: string): void {
    const label = /^([\w.$]+):/.exec(text);
    if (label) {
      this.#label(label[1] as string);
      const rest = text.slice(label[0].length).trim();
      if (rest !== '') this.#statement(rest);
      return;
    }
    const [, mnemonic, operands] = /^(\S+)\s*(.*)$/s.exec(text) as RegExpExecArray as unknown as [
      string,
      string,
      string,
    ];
    if (mnemonic.startsWith('.')) this.#directive(mnemonic, operands);
    else this.#instruction(mnemonic, operandsOf(operands));
  }

  #label(name: string): void {
    if (/^\d+$/.test(name)) {
      this.#locals.set(name, [...(this.#locals.get(name) ?? []), this.#address]);
      return;
    }
    if (this.#symbols.has(name)) throw new SyntaxError(`'${name}' is defined twice`);
    this.#symbols.set(name, BigInt(this.#address));
  }

  #instruction(mnemonic: string, operands: readonly string[]): void {
    const forms = formsNamed(mnemonic);
    if (!forms) throw new SyntaxError(`there is no instruction '${mnemonic}'`);
    this.#advanceTo(Math.ceil(this.#address / 4) * 4);
    const address = this.#address;
    this.#add(4, (lookup) => bigEndian(BigInt(encodeOperands(forms, mnemonic, operands, address, lookup)), 4));
  }

  #directive(name: string, text: string): void {
    const operands = operandsOf(text);
    const bytes = DATA_BYTES[name];
    if (bytes !== undefined) {
      for (const operand of operands) this.#add(bytes, (lookup) => bigEndian(evaluate(operand, lookup), bytes));
      return;
    }
    switch (name) {
      case '.ascii':
      case '.asciz':
      case '.string':
        for (const operand of operands) {
          const content = stringBytes(operand);
          if (name !== '.ascii') content.push(0);
          this.#add(content.length, () => content);
        }
        return;
      case '.org':
        this.#advanceTo(this.#now(operands, 1)[0] as number);
        return;
      case '.align':
      case '.p2align':
      case '.balign': {
        const [amount] = this.#now(operands, 1) as [number];
        if (amount < 0 || amount > (name === '.balign' ? MAX_BYTES : 24))
          throw new SyntaxError(`no alignment: ${amount}`);
        const unit = name === '.balign' ? Math.max(amount, 1) : 2 ** amount;
        this.#advanceTo(Math.ceil(this.#address / unit) * unit);
        return;
      }
      case '.space':
      case '.skip': {
        const [count] = this.#now(operands, 1) as [number];
        if (count < 0) throw new SyntaxError(`no size: ${count}`);
        this.#advanceTo(this.#address + count);
        return;
      }
      case '.set':
      case '.equ': {
        const [symbol, value] = operands;
        if (operands.length !== 2) throw new SyntaxError(`${name} takes a name and a value`);
        this.#symbols.set(symbol as string, evaluate(value as string, this.#lookup(this.#address)));
        return;
      }
      default:
        if (!IGNORED.has(name)) throw new SyntaxError(`there is no directive '${name}'`);
    }
  }

  /** Values that must be known where they stand. */
  #now(operands: readonly string[], count: number): number[] {
    if (operands.length < count) throw new SyntaxError('a number is missing');
    return operands.slice(0, count).map((operand) => Number(evaluate(operand, this.#lookup(this.#address))));
  }

  #add(bytes: number, write: Item['write']): void {
    this.#items.push({ line: this.#line, address: this.#address, bytes, write });
    this.#advanceTo(this.#address + bytes);
  }

  #advanceTo(address: number): void {
    if (address < this.#address) throw new SyntaxError(`0x${address.toString(16)} lies behind`);
    if (address - this.#origin > MAX_BYTES) throw new SyntaxError('the program is too large');
    this.#address = address;
  }

  /** Names as they are at an address: labels, `.` for the address itself, `1b` and `1f` for the nearest local labels. */
  #lookup(address: number): Lookup {
    return (name) => {
      if (name === '.') return BigInt(address);
      const local = /^(\d+)([bf])$/.exec(name);
      if (!local) return this.#symbols.get(name);
      const places = this.#locals.get(local[1] as string) ?? [];
      const place = local[2] === 'b' ? places.findLast((at) => at <= address) : places.find((at) => at > address);
      return place === undefined ? undefined : BigInt(place);
    };
  }

  image(): Uint8Array {
    const image = new Uint8Array(this.#address - this.#origin);
    for (const { line, address, write } of this.#items)
      image.set(
        this.#located(line, () => write(this.#lookup(address))),
        address - this.#origin,
      );
    return image;
  }
}

/**
 * Assembles a program to the bytes that belong at `origin`, in big-endian order.
 * @throws AssemblerError for the first mistake.
 */
export function assemble(source: string, origin = 0): Uint8Array {
  const assembly = new Assembly(origin);
  assembly.source(source);
  return assembly.image();
}

/** As `assemble`, but as words: for programs of instructions only. */
export function assembleWords(source: string, origin = 0): Uint32Array {
  const bytes = assemble(source, origin);
  const view = new DataView(bytes.buffer);
  return Uint32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getUint32(4 * i));
}
