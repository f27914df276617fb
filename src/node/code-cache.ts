import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { CodeProfile } from '../kvm/index.ts';
import type { CodeCache } from '../machine/index.ts';

/** What this program understands of the file. */
const FILE = 'hot-2.bin';
const LIMIT_BYTES = 4 * 2 ** 20;
const CRC_BYTES = 4;
/** A run that is killed loses what it found since the last of these. */
const WRITE_EVERY_MS = 15_000;

/** The customary folder: `$XDG_CACHE_HOME/powervisor`. */
export const codeCacheFolder = (): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'powervisor');

/**
 * Keeps the memory of what was hot in a file, so that the next run has it translated at once. The file is replaced as a
 * whole: runs beside each other and those that are killed leave one that is right. A file that cannot be read or is
 * damaged counts as none, and one that cannot be written is not: a run is never wrong for it, only slower.
 */
export class CodeCacheFile implements CodeCache {
  readonly profile: CodeProfile;
  readonly #folder: string;
  readonly #file: string;
  readonly #timer: NodeJS.Timeout;
  #written = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.#file = join(folder, FILE);
    this.profile = CodeProfile.from(this.#read());
    this.#timer = setInterval(() => this.#write(), WRITE_EVERY_MS).unref();
  }

  /** The run has ended. */
  close(): void {
    clearInterval(this.#timer);
    this.#write();
  }

  #read(): Uint8Array | undefined {
    try {
      const bytes = readFileSync(this.#file);
      if (bytes.length < CRC_BYTES || bytes.length > LIMIT_BYTES + CRC_BYTES) return undefined;
      const contents = bytes.subarray(CRC_BYTES);
      return bytes.readUInt32LE(0) === crc32(contents) ? contents : undefined;
    } catch {
      return undefined;
    }
  }

  #write(): void {
    if (this.profile.changes === this.#written) return;
    this.#written = this.profile.changes;
    const temporary = `${this.#file}.${process.pid}`;
    try {
      // What runs beside this one have found is theirs to keep.
      this.profile.merge(CodeProfile.from(this.#read()));
      const contents = this.profile.bytes(LIMIT_BYTES);
      const sum = Buffer.alloc(CRC_BYTES);
      sum.writeUInt32LE(crc32(contents));
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      writeFileSync(temporary, Buffer.concat([sum, contents]), { mode: 0o600 });
      renameSync(temporary, this.#file);
    } catch {
      try {
        rmSync(temporary, { force: true });
      } catch {
        // Where nothing can be written, nothing is left.
      }
    }
  }
}
