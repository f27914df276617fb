/** What promise.c has said, and whether a folder has it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SECTOR = 512;
const MOST = 300_000;

/** The same as in promise.c. */
function mix(n: number, v: number): number {
  let x = Math.imul(n + 1, 2_654_435_761) ^ Math.imul(v + 1, 2_246_822_519);
  x ^= x >>> 15;
  x = Math.imul(x, 3_266_489_917);
  return (x ^ (x >>> 13)) >>> 0;
}

/** Version `v` of file `n`. */
export function contentsOf(n: number, v: number): Buffer {
  const seed = mix(n, v);
  const bytes = Buffer.alloc(12 + (seed % (MOST - 12)));
  [n, v, bytes.length].forEach((value, i) => {
    bytes.writeUInt32LE(value, 4 * i);
  });
  for (let i = 12; i < bytes.length; i++) bytes[i] = (seed >>> (i & 15)) + i * 7;
  return bytes;
}

export class Promises {
  /** Versions by file: at least, and what is gone. */
  readonly #files = new Map<number, number>();
  readonly #gone = new Map<number, number>();
  /** Files that may be gone. */
  readonly #going = new Set<number>();
  readonly #sectors = new Map<number, number>();
  #log = 0;
  count = 0;

  /** Takes a line of the console; whether it is a promise. */
  hear(line: string): boolean {
    const [, what, first = '', second] = /^(FILE|GOING|GONE|LOG|SECTOR) (\d+)(?: (\d+))?$/.exec(line) ?? [];
    if (what === undefined) return false;
    const [n, v] = [Number(first), Number(second)];
    this.count++;
    if (what === 'LOG') this.#log = n;
    else if (what === 'GOING') this.#going.add(n);
    else if (what === 'SECTOR') this.#sectors.set(n, v);
    else if (what === 'FILE') {
      this.#files.set(n, v);
      this.#gone.delete(n);
      this.#going.delete(n);
    } else {
      this.#files.delete(n);
      this.#gone.set(n, v);
    }
    return true;
  }

  /** What the folder has not, of all that was promised. */
  broken(folder: string): string[] {
    const wrong: string[] = [];
    const read = (name: string): Buffer | undefined =>
      existsSync(join(folder, name)) ? readFileSync(join(folder, name)) : undefined;
    for (const [n, least] of this.#files) {
      const found = read(`f${n}`);
      if (found === undefined) {
        if (!this.#going.has(n)) wrong.push(`f${n}, of version ${least} at least, is not there`);
        continue;
      }
      const version = found.length >= 12 ? found.readUInt32LE(4) : 0;
      if (version < least) wrong.push(`f${n} is of version ${version}, not ${least}`);
      else if (!contentsOf(n, version).equals(found)) wrong.push(`f${n}, version ${version}, is damaged`);
    }
    for (const [n, most] of this.#gone) {
      const found = read(`f${n}`);
      if (found !== undefined && (found.length < 12 || found.readUInt32LE(4) <= most)) wrong.push(`f${n} is not gone`);
    }
    const log = read('log') ?? Buffer.alloc(0);
    if (log.length < this.#log) wrong.push(`the log has ${log.length} bytes, not ${this.#log}`);
    for (let at = 0; at < Math.min(log.length, this.#log); at++)
      if (log[at] !== (((at >>> 4) >>> (8 * (at & 3))) & 0xff)) {
        wrong.push(`the log is wrong from ${at} on`);
        break;
      }
    const blocks = read('blocks') ?? Buffer.alloc(0);
    for (const [n, least] of this.#sectors) {
      const sector = blocks.subarray(n * SECTOR, (n + 1) * SECTOR);
      const version = sector.length === SECTOR ? sector.readUInt32LE(4) : 0;
      const isWhole = sector.length === SECTOR && sector.readUInt32LE(0) === n;
      if (!isWhole || version < least) wrong.push(`sector ${n} is of version ${version}, not ${least}`);
      else if (sector.subarray(8).some((byte, i) => byte !== sector[4 + (i & 3)])) wrong.push(`sector ${n} is torn`);
    }
    return wrong;
  }
}
