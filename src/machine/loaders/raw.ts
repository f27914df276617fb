import { MachineError } from '../error.ts';
import { checkFits, type KernelImage } from './image.ts';

/** Files that are often given by mistake: their first bytes, and what to say. */
const MISTAKES: readonly { readonly at: number; readonly bytes: readonly number[]; readonly name: string }[] = [
  { at: 0, bytes: [0xd0, 0x0d, 0xfe, 0xed], name: 'a device tree (.dtb)' },
  { at: 0, bytes: [0x30, 0x37, 0x30, 0x37, 0x30], name: 'a cpio archive (an initrd)' },
  { at: 0, bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a], name: 'xz-compressed data' },
  { at: 0, bytes: [0x28, 0xb5, 0x2f, 0xfd], name: 'zstd-compressed data' },
  { at: 0, bytes: [0x42, 0x5a, 0x68], name: 'bzip2-compressed data' },
  { at: 0, bytes: [0x50, 0x4b, 0x03, 0x04], name: 'a zip archive' },
  { at: 0x202, bytes: [0x48, 0x64, 0x72, 0x53], name: 'a Linux kernel for x86' },
];
/** As many bytes decide whether a file is text. */
const TEXT_SAMPLE = 256;

function isText(file: Uint8Array): boolean {
  return file.subarray(0, TEXT_SAMPLE).every((byte) => (byte >= 0x20 && byte < 0x7f) || (byte >= 9 && byte <= 13));
}

/** Takes a file as instructions, loaded at 0 and entered there. */
export function loadRaw(file: Uint8Array, memoryBytes: number): KernelImage {
  const wish = 'a uImage, an ELF file or PowerPC instructions would fit';
  const mistake = MISTAKES.find(({ at, bytes }) => bytes.every((byte, i) => file[at + i] === byte));
  if (mistake !== undefined) throw new MachineError(`the kernel is ${mistake.name}; ${wish}`);
  if (file.length < 4) throw new MachineError(`the kernel has ${file.length} bytes; ${wish}`);
  if (isText(file)) throw new MachineError(`the kernel is a text file; ${wish}`);
  checkFits('the kernel', 0, file.length, memoryBytes);
  const segments = [{ address: 0, bytes: file, memoryBytes: file.length }];
  return { format: 'raw', segments, entry: 0, littleEndian: false };
}
