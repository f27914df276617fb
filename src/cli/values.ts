import { MAX_THREADS } from '../node/index.ts';
import { UsageError } from './errors.ts';

const units: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** A size of memory in bytes: "256M", "1G", "65536K"; a bare number counts MiB, as QEMU's -m does. */
export function parseMemory(text: string): number {
  const match = /^(\d+)([KMG])?i?B?$/i.exec(text);
  const bytes = match ? Number(match[1]) * (units[(match[2] ?? 'M').toUpperCase()] ?? 0) : 0;
  if (bytes === 0) throw new UsageError(`'${text}' is not a memory size; a number with K, M or G fits, such as 256M`);
  if (bytes > 2 ** 40) throw new UsageError(`a memory of ${text} is more than any machine has; 256M fits each board`);
  return bytes;
}

/** Bytes of a disk or of a part of it: "10G", "1.5G", "64k"; a bare number counts bytes, as qemu-img has it. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([KMGTP])?(?:i?B)?$/i.exec(text);
  const power = 'KMGTP'.indexOf((match?.[2] ?? ' ').toUpperCase()) + 1;
  const bytes = Math.round(Number(match?.[1] ?? Number.NaN) * 1024 ** power);
  if (!(bytes <= 2 ** 53 - 512))
    throw new UsageError(`'${text}' is not a size; a number with K, M, G or T fits, such as 10G`);
  return bytes;
}

/** A time-out in seconds; fractions are allowed. */
export function parseSeconds(text: string): number {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds <= 0 || seconds > 2_000_000) {
    throw new UsageError(`'${text}' is not a time-out; a number of seconds from 0.001 to 2000000 fits`);
  }
  return seconds;
}

/** Threads beside the guest's own. */
export function parseThreads(text: string): number {
  const threads = /^\d{1,2}$/.test(text) ? Number(text) : -1;
  if (threads < 0 || threads > MAX_THREADS)
    throw new UsageError(`'${text}' is no number of threads; one from 0 to ${MAX_THREADS} fits`);
  return threads;
}

/** QEMU's icount shift: an instruction takes 2^shift nanoseconds. */
export function parseIcount(text: string): number {
  const shift = /^\d+$/.test(text) ? Number(text) : -1;
  if (shift < 0 || shift > 10) {
    throw new UsageError(`'${text}' is no --icount; a number from 0 to 10 fits (an instruction takes 2^N nanoseconds)`);
  }
  return shift;
}

/** An address or length, decimal or 0x hexadecimal. */
export function parseAddress(text: string): number {
  const value = /^(0x[0-9a-f]{1,13}|\d{1,15})$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw new UsageError(`'${text}' is not an address; a number such as 0x1000 fits`);
  return value;
}

/** One word out of a list. */
export function parseChoice<T extends string>(text: string, choices: readonly T[], what: string): T {
  const choice = choices.find((one) => one === text);
  if (choice === undefined) throw new UsageError(`there is no ${what} '${text}'; ${choices.join(', ')} fit`);
  return choice;
}
