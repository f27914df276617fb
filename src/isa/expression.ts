/** Expressions of the assembler: numbers, names and operators, with the GNU assembler's precedences. */

/** The value of a name at the place of the expression; undefined when there is no such name. */
export type Lookup = (name: string) => bigint | undefined;

const BINARY: Readonly<Record<string, { level: number; apply: (a: bigint, b: bigint) => bigint }>> = {
  '+': { level: 1, apply: (a, b) => a + b },
  '-': { level: 1, apply: (a, b) => a - b },
  '|': { level: 2, apply: (a, b) => a | b },
  '&': { level: 2, apply: (a, b) => a & b },
  '^': { level: 2, apply: (a, b) => a ^ b },
  '*': { level: 3, apply: (a, b) => a * b },
  '/': { level: 3, apply: (a, b) => a / nonZero(b) },
  '%': { level: 3, apply: (a, b) => a % nonZero(b) },
  '<<': { level: 3, apply: (a, b) => a << shiftCount(b) },
  '>>': { level: 3, apply: (a, b) => a >> shiftCount(b) },
};

/** What `@l`, `@h` and `@ha` make of an address: `@ha` allows for the sign of the `@l` that is added to it. */
const PARTS: Readonly<Record<string, (value: bigint) => bigint>> = {
  l: (value) => value & 0xffffn,
  h: (value) => (value >> 16n) & 0xffffn,
  ha: (value) => ((value + 0x8000n) >> 16n) & 0xffffn,
};

function nonZero(value: bigint): bigint {
  if (value === 0n) throw new SyntaxError('division by zero');
  return value;
}

function shiftCount(value: bigint): bigint {
  if (value < 0n || value > 63n) throw new SyntaxError(`a shift by ${value}`);
  return value;
}

/** A place among an expression's tokens. */
interface Cursor {
  readonly tokens: readonly string[];
  at: number;
}

function escaped(character: string): number {
  const known: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', 0: '\0' };
  const plain = character.startsWith('\\') ? (known[character.slice(1)] ?? character.slice(1)) : character;
  return plain.charCodeAt(0);
}

function primary(cursor: Cursor, lookup: Lookup): bigint {
  const token = cursor.tokens[cursor.at++];
  if (token === undefined) throw new SyntaxError('an expression is missing or incomplete');
  if (token === '-') return -primary(cursor, lookup);
  if (token === '+') return primary(cursor, lookup);
  if (token === '~') return ~primary(cursor, lookup);
  if (token === '(') {
    const value = sum(cursor, lookup, 1);
    if (cursor.tokens[cursor.at++] !== ')') throw new SyntaxError("')' is missing");
    return value;
  }
  if (token.startsWith("'")) return BigInt(escaped(token.slice(1, -1)));
  if (/^(0[xX][\da-fA-F]+|0[bB][01]+|[1-9]\d*|0)$/.test(token)) return BigInt(token);
  if (/^0[0-7]+$/.test(token)) return BigInt(`0o${token.slice(1)}`);
  const value = lookup(token);
  if (value !== undefined) return value;
  throw new SyntaxError(/^[\w.$]+$/.test(token) ? `'${token}' is not defined` : `'${token}' is not understood`);
}

function sum(cursor: Cursor, lookup: Lookup, level: number): bigint {
  let value = primary(cursor, lookup);
  for (;;) {
    const operator = BINARY[cursor.tokens[cursor.at] ?? ''];
    if (!operator || operator.level < level) return value;
    cursor.at++;
    value = operator.apply(value, sum(cursor, lookup, operator.level + 1));
  }
}

/**
 * The value of an expression. The parts of an address (`@l`) are unsigned halfwords.
 * @throws SyntaxError with what is wrong.
 */
export function evaluate(text: string, lookup: Lookup): bigint {
  const [, body, part] = /^(.*?)(?:@(\w+))?$/s.exec(text.trim()) as RegExpExecArray;
  const tokens = body?.match(/'(?:\\.|[^\\])'|[\w.$]+|<<|>>|\S/g) ?? [];
  const cursor: Cursor = { tokens, at: 0 };
  const value = sum(cursor, lookup, 1);
  if (cursor.at < tokens.length) throw new SyntaxError(`'${tokens[cursor.at]}' is not expected`);
  if (part === undefined) return value;
  const take = PARTS[part];
  if (!take) throw new SyntaxError(`'@${part}' is not known; @l, @h and @ha are`);
  return take(value);
}
