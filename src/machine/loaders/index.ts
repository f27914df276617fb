import { loadElf } from './elf.ts';
import { isElf } from './elf-file.ts';
import { type FastCodecs, gunzip, isGzip } from './gzip.ts';
import type { KernelImage } from './image.ts';
import { loadRaw } from './raw.ts';
import { loadUImage, UIMAGE_MAGIC } from './uimage.ts';

/**
 * Takes a kernel file apart: ELF, uImage or raw instructions, each of them also inside gzip. `memoryBytes`: guest RAM, from
 * address 0. `fast`: what the host does faster. `bits`: the word size of the ELF files that fit; any when absent.
 * Throws MachineError when the file is none of them, is damaged,
 * or does not fit.
 */
export function loadKernel(file: Uint8Array, memoryBytes: number, fast?: FastCodecs, bits?: 32 | 64): KernelImage {
  if (isGzip(file)) {
    // An ELF file may be larger than what it loads: debug information.
    const inner = gunzip(file, Math.max(2 * memoryBytes, 2 ** 26), 'the kernel', fast);
    return loadPlain(inner, memoryBytes, fast, bits);
  }
  return loadPlain(file, memoryBytes, fast, bits);
}

function loadPlain(file: Uint8Array, memoryBytes: number, fast?: FastCodecs, bits?: 32 | 64): KernelImage {
  if (isElf(file)) return loadElf(file, memoryBytes, bits, fast);
  if (file.length >= 4 && new DataView(file.buffer, file.byteOffset).getUint32(0) === UIMAGE_MAGIC)
    return loadUImage(file, memoryBytes, fast);
  return loadRaw(file, memoryBytes);
}
