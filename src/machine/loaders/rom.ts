import type { RomSpec } from '../board.ts';
import { formatBytes, hex, MachineError } from '../error.ts';
import { ElfFile, isElf } from './elf-file.ts';
import type { Segment } from './image.ts';

const PT_LOAD = 1;

/** A range of addresses. */
interface Range {
  readonly address: number;
  readonly bytes: number;
}

/** The ROM without what stands in the midst of it. */
export function romRanges({ address, bytes, gap }: RomSpec): Range[] {
  if (gap === undefined) return [{ address, bytes }];
  const behind = gap.address + gap.bytes;
  return [
    { address, bytes: gap.address - address },
    { address: behind, bytes: address + bytes - behind },
  ];
}

/** The parts of a segment that lie in the ROM. */
function clip(address: number, bytes: Uint8Array, rom: RomSpec): Segment[] {
  return romRanges(rom).flatMap((range) => {
    const start = Math.max(address, range.address);
    const end = Math.min(address + bytes.length, range.address + range.bytes);
    if (start >= end) return [];
    return [{ address: start, bytes: bytes.subarray(start - address, end - address), memoryBytes: end - start }];
  });
}

/**
 * Takes firmware apart for a ROM: an ELF file linked for it, or what the ROM ends with.
 * @throws MachineError when it does not fit.
 */
export function loadRom(file: Uint8Array, rom: RomSpec): Segment[] {
  const { address, bytes } = rom;
  if (!isElf(file)) {
    if (file.length === 0 || file.length > bytes)
      throw new MachineError(`the firmware has ${formatBytes(file.length)}; 1 byte to ${formatBytes(bytes)} would fit`);
    return clip(address + bytes - file.length, file, rom);
  }
  const segments = new ElfFile(file, 32).segments().flatMap(({ type, physical, offset, fileBytes }, i): Segment[] => {
    if (type !== PT_LOAD || fileBytes === 0) return [];
    const at = Number(physical);
    if (offset + fileBytes > file.length)
      throw new MachineError(`the firmware is cut off: its segment ${i} lies outside of the file`);
    if (at < address || at + fileBytes > address + bytes)
      throw new MachineError(
        `the firmware's segment ${i} is for ${hex(at)}; the ROM has ${formatBytes(bytes)} at ${hex(address)}`,
      );
    return clip(at, file.subarray(offset, offset + fileBytes), rom);
  });
  if (segments.length === 0) throw new MachineError('the firmware has nothing to load');
  return segments;
}
