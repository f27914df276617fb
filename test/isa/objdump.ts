/** The reference disassembler, where it is installed, and what was recorded from it for where it is not. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OBJDUMP = 'powerpc-linux-gnu-objdump';

/** What is recorded of each form: a digest of the texts of its random words, and one of them to look at. */
export interface Recording {
  /** The version of objdump; others write some words differently. */
  readonly version: string;
  readonly wordsPerForm: number;
  readonly forms: Readonly<Record<string, { readonly digest: string; readonly word: string; readonly text: string }>>;
}

export const RECORDING_FILE = join(import.meta.dirname, 'data', 'objdump.json');

export function recording(): Recording {
  return JSON.parse(readFileSync(RECORDING_FILE, 'utf8')) as Recording;
}

/** The version of the installed objdump, undefined without one. */
export function objdumpVersion(): string | undefined {
  try {
    const answer = execFileSync(OBJDUMP, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return /(\d+\.\d+)/.exec(answer)?.[1];
  } catch {
    return undefined;
  }
}

/** One line of a listing. */
export interface Line {
  readonly address: number;
  readonly word: number;
  readonly text: string;
}

function lines(listing: string): Line[] {
  return [...listing.matchAll(/^ *([0-9a-f]+):\t((?:[0-9a-f]{2} ){4})\t(.*?)\s*$/gm)].map(
    ([, address, bytes, text]) => ({
      address: Number.parseInt(address as string, 16),
      word: Number.parseInt((bytes as string).replaceAll(' ', ''), 16),
      // A target with its symbol is written without the 0x.
      text: (text as string).replace(/\b([0-9a-f]+) <[^>]*>$/, '0x$1'),
    }),
  );
}

/** What objdump calls the families of processors. */
export type Dialect = '440' | 'e500' | 'power8';

const run = (dialect: Dialect, ...options: string[]): Line[] =>
  lines(execFileSync(OBJDUMP, ['-M', dialect, ...options], { encoding: 'latin1', maxBuffer: 1 << 29 }));

/** The texts of words that stand one after the other from address 0 on. */
export function objdumpWords(words: readonly number[], dialect: Dialect = '440'): Line[] {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-objdump-'));
  try {
    const bytes = Buffer.alloc(4 * words.length);
    for (const [index, word] of words.entries()) bytes.writeUInt32BE(word >>> 0, 4 * index);
    const file = join(folder, 'words.bin');
    writeFileSync(file, bytes);
    return run(dialect, '-D', '-z', '-b', 'binary', '-m', 'powerpc', '-EB', file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The text section of an ELF file. */
export const objdumpText = (file: string): Line[] => run('440', '-d', '-z', '-j', '.text', file);

/** A text without its address: the target of a relative branch becomes a distance. */
export function relocatable({ address, word, text }: Line): string {
  const opcode = word >>> 26;
  if ((opcode !== 16 && opcode !== 18) || (word & 2) !== 0 || text.startsWith('.long')) return text;
  return text.replace(/0x([0-9a-f]+)$/, (_, target: string) => `.+${(Number.parseInt(target, 16) - address) | 0}`);
}
