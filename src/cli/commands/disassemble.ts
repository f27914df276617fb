import type { Command } from 'commander';
import { disassemble } from '../../isa/index.ts';
import { loadKernel } from '../../machine/loaders/index.ts';
import { CommandError } from '../errors.ts';
import { readInput } from '../files.ts';
import { print, printed } from '../print.ts';
import { parseAddress } from '../values.ts';

/** Everything that a 32-bit file can hold has room. */
const ADDRESS_SPACE = 2 ** 32;
/** Fewer zero words than this are written out. */
const ZEROS_LEFT_OUT = 8;
const CHUNK_CHARACTERS = 1 << 16;

interface DisassembleArguments {
  offset: number;
  start?: number;
  length?: number;
}

export function addDisassemble(program: Command): void {
  program
    .command('disassemble <file>')
    .description('print the instructions of an ELF, uImage or raw file, also gzipped')
    .option(
      '--offset <address>',
      'is added to the addresses of the file: 0xc0000000 suits a 32-bit Linux',
      parseAddress,
      0,
    )
    .option('--start <address>', 'the first address to print', parseAddress)
    .option('--length <bytes>', 'how much to print', parseAddress)
    .action(run);
}

async function run(file: string, options: DisassembleArguments): Promise<void> {
  const { segments } = loadKernel(readInput(file, 'file'), ADDRESS_SPACE);
  const start = options.start ?? 0;
  const end = start + (options.length ?? Number.POSITIVE_INFINITY);
  let any = false;
  for (const { address, bytes } of segments) {
    const base = (address + options.offset) % ADDRESS_SPACE;
    const from = Math.max(0, Math.ceil((start - base) / 4) * 4);
    const to = Math.min(bytes.length & ~3, end - base);
    if (from >= to) continue;
    any = true;
    await printWords(new DataView(bytes.buffer, bytes.byteOffset), base, from, to);
  }
  if (!any) throw new CommandError(`the file '${file}' has no instructions at these addresses`);
  await printed();
}

/** Prints the words of a segment from offset `from` up to `to`; long runs of zeros as one line, as objdump does. */
async function printWords(view: DataView, base: number, from: number, to: number): Promise<void> {
  let text = '';
  for (let at = from; at < to; at += 4) {
    const word = view.getUint32(at);
    if (word === 0) {
      let next = at + 4;
      while (next < to && view.getUint32(next) === 0) next += 4;
      if (next - at >= ZEROS_LEFT_OUT * 4) {
        text += '\t...\n';
        at = next - 4;
        continue;
      }
    }
    const address = base + at;
    const digits = word
      .toString(16)
      .padStart(8, '0')
      .replace(/..(?=.)/g, '$& ');
    text += `${address.toString(16).padStart(8, '0')}:\t${digits}\t${disassemble(word, address)}\n`;
    if (text.length >= CHUNK_CHARACTERS) {
      print(text);
      await printed();
      text = '';
    }
  }
  print(text);
}
