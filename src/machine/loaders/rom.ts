import { formatBytes, MachineError } from '../error.ts';
import { ElfFile, isElf } from './elf-file.ts';
import type { Segment } from './image.ts';

const PT_LOAD = 1;

/**
 * Takes firmware apart for a ROM of `bytes` bytes at `address`: an ELF file linked for it, or what the ROM ends with.
 * @throws MachineError when it does not fit.
 */
export function loadRom(file: Uint8Array, { address, bytes }: { address: number; bytes: number }): Segment[] {
  if (!isElf(file)) {
    if (file.length === 0 || file.length > bytes)
      throw new MachineError(`the firmware has ${formatBytes(file.length)}; 1 byte to ${formatBytes(bytes)} would fit`);
    return [{ address: address + bytes - file.length, bytes: file, memoryBytes: file.length }];
  }
  const segments = new ElfFile(file, 32).segments().flatMap(({ type, physical, offset, fileBytes }, i): Segment[] => {
    if (type !== PT_LOAD || fileBytes === 0) return [];
    const at = Number(physical);
    if (offset + fileBytes > file.length)
      throw new MachineError(`the firmware is cut off: its segment ${i} lies outside of the file`);
    if (at < address || at + fileBytes > address + bytes)
      throw new MachineError(
        `the firmware's segment ${i} is for the address 0x${at.toString(16)}; the ROM has ${formatBytes(bytes)} ` +
          `at 0x${address.toString(16)}`,
      );
    return [{ address: at, bytes: file.subarray(offset, offset + fileBytes), memoryBytes: fileBytes }];
  });
  if (segments.length === 0) throw new MachineError('the firmware has nothing to load');
  return segments;
}
