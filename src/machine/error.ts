/** Control and format characters, which terminals obey, and separators of lines. */
const NO_TEXT = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * A user's mistake or an unusable image. The message is one line: what was wrong, and what would fit.
 * Everything in `machine` that refuses its input throws this class and no other.
 */
export class MachineError extends Error {
  override name = 'MachineError';

  /** What a message quotes may come from a file: whatever would not stand on a line as text is written as its number. */
  constructor(message: string) {
    super(message.replace(NO_TEXT, (character) => `\\x${character.codePointAt(0)?.toString(16).padStart(2, '0')}`));
  }
}

/** An option that names what there is not, or does not fit the board. */
export class OptionError extends MachineError {
  override name = 'OptionError';
}

/** Formats a byte count for messages: "24 MiB", "1.5 MiB", "800 KiB" or "17 bytes". */
export function formatBytes(bytes: number): string {
  for (const [unit, name] of [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
  ] as const) {
    if (bytes >= unit) return `${Number((bytes / unit).toFixed(bytes % unit === 0 ? 0 : 1))} ${name}`;
  }
  return `${bytes} bytes`;
}

/** Formats an address or register for messages, as 0x followed by lower-case hex digits. */
export function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
