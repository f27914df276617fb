import { hex, MachineError } from '../error.ts';
import { ElfFile, type ElfSegment } from './elf-file.ts';
import { type FastCodecs, gunzip } from './gzip.ts';
import { checkFits, type KernelImage, type Segment } from './image.ts';

const PT_LOAD = 1;
const PT_INTERP = 3;

/** Where Linux maps physical address 0: kernels whose physical addresses were linked virtual are brought down by the mask. */
const LINEAR_MAPPINGS = {
  32: { base: 0xc0000000n, mask: 0x0fffffffn },
  64: { base: 0xc000000000000000n, mask: 0x0fffffffffffffffn },
} as const;

/** The section of function descriptors (64-bit ELF V1 ABI): an entry point in it is the address of one, not of code. */
const DESCRIPTORS = '.opd';
/** Linux's boot wrapper (zImage) carries the kernel proper in this section, as gzip data. */
const WRAPPED_KERNEL = '.kernel:vmlinux.strip';

/**
 * Takes a PowerPC ELF kernel apart, by its segments' physical addresses. `bits`: the word size that fits, if not any. `fast`:
 * what the host does faster.
 */
export function loadElf(file: Uint8Array, memoryBytes: number, bits?: 32 | 64, fast?: FastCodecs): KernelImage {
  const wrapped = wrappedKernel(file);
  if (wrapped !== undefined) {
    const inner = gunzip(wrapped, Math.max(2 * memoryBytes, 2 ** 26), 'the zImage', fast);
    return loadUnwrapped(new ElfFile(inner, bits), inner, memoryBytes);
  }
  return loadUnwrapped(new ElfFile(file, bits), file, memoryBytes);
}

/** A wrapper is of either word size, whatever the kernel in it. */
function wrappedKernel(file: Uint8Array): Uint8Array | undefined {
  try {
    return new ElfFile(file).section(WRAPPED_KERNEL)?.bytes;
  } catch {
    return undefined;
  }
}

/** The first word of the function descriptor that the entry point names, if it names one. */
function entryPoint(elf: ElfFile): bigint {
  const descriptors = elf.bits === 64 ? elf.section(DESCRIPTORS) : undefined;
  if (descriptors === undefined) return elf.entry;
  const { address, bytes } = descriptors;
  const offset = elf.entry - address;
  if (offset < 0n || offset + 8n > BigInt(bytes.length)) return elf.entry;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getBigUint64(Number(offset), elf.littleEndian);
}

function loadUnwrapped(elf: ElfFile, file: Uint8Array, memoryBytes: number): KernelImage {
  const { base, mask } = LINEAR_MAPPINGS[elf.bits];
  const wanted = entryPoint(elf);
  const segments: Segment[] = [];
  let entry: number | undefined;
  let total = 0;
  elf.segments().forEach((segment: ElfSegment, i) => {
    if (segment.type === PT_INTERP)
      throw new MachineError('the ELF file is a program that needs an operating system; a kernel would fit');
    const { physical, virtual, offset, fileBytes, memoryBytes: size } = segment;
    if (segment.type !== PT_LOAD || size === 0) return;
    if (offset + fileBytes > file.length)
      throw new MachineError(
        `the ELF file is cut off: segment ${i} ends at byte ${offset + fileBytes}, the file at ${file.length}`,
      );
    if (fileBytes > size)
      throw new MachineError(`the ELF file is damaged: segment ${i} is larger in the file than in memory`);
    const address = Number(physical >= base && physical >= memoryBytes ? physical & mask : physical);
    checkFits(`the ELF file's segment ${i}`, address, size, memoryBytes);
    // Overlapping segments could otherwise ask for any amount of work.
    total += size;
    if (total > memoryBytes) throw new MachineError('the ELF file is damaged: its segments overlap');
    if (entry === undefined && wanted >= virtual && wanted < virtual + BigInt(size))
      entry = Number(wanted - virtual) + address;
    segments.push({ address, bytes: file.subarray(offset, offset + fileBytes), memoryBytes: size });
  });
  if (segments.length === 0) throw new MachineError('the ELF file has nothing to load: a linked kernel would fit');
  if (entry === undefined || entry % 4 !== 0)
    throw new MachineError(`the ELF file's entry point ${hex(wanted)} is not an instruction of one of its segments`);
  return { format: 'ELF', segments, entry, littleEndian: elf.littleEndian };
}
