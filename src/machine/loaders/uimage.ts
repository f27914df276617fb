import { hex, MachineError } from '../error.ts';
import { checksum, type FastCodecs, gunzip } from './gzip.ts';
import { checkFits, type KernelImage } from './image.ts';

/** U-Boot's legacy image header: 64 bytes, big-endian (U-Boot include/image.h, struct image_header). */
export const UIMAGE_MAGIC = 0x27051956;
export const UIMAGE_HEADER_BYTES = 64;
const HEADER_CRC = 4;
const SIZE = 12;
const LOAD = 16;
const ENTRY = 20;
const DATA_CRC = 24;
const OS = 28;
const ARCHITECTURE = 29;
const TYPE = 30;
const COMPRESSION = 31;

const OS_LINUX = 5;
const ARCHITECTURE_PPC = 7;
const TYPE_KERNEL = 2;
const COMPRESSION_NONE = 0;
const COMPRESSION_GZIP = 1;

/** Takes a uImage apart: a Linux kernel for PowerPC, not compressed or with gzip. */
export function loadUImage(file: Uint8Array, memoryBytes: number, fast?: FastCodecs): KernelImage {
  if (file.length < UIMAGE_HEADER_BYTES) throw new MachineError('the uImage is cut off: it ends within its header');
  // A copy, to be changed: a Buffer's `slice` would not make one.
  const header = new Uint8Array(file.subarray(0, UIMAGE_HEADER_BYTES));
  const view = new DataView(header.buffer);
  const headerCrc = view.getUint32(HEADER_CRC);
  view.setUint32(HEADER_CRC, 0);
  if (view.getUint32(0) !== UIMAGE_MAGIC)
    throw new MachineError(`the kernel is not a uImage: it begins with ${hex(view.getUint32(0))}`);
  if (checksum(header, fast) !== headerCrc)
    throw new MachineError("the uImage's header is damaged: its check sum is wrong");

  const size = view.getUint32(SIZE);
  const data = file.subarray(UIMAGE_HEADER_BYTES, UIMAGE_HEADER_BYTES + size);
  if (data.length < size)
    throw new MachineError(`the uImage is cut off: it has ${data.length} of the ${size} bytes that its header says`);
  const expect = (field: number, wanted: number, what: string, wish: string): void => {
    const value = view.getUint8(field);
    if (value !== wanted)
      throw new MachineError(`the uImage's ${what} is number ${value}; ${wanted} (${wish}) would fit`);
  };
  expect(ARCHITECTURE, ARCHITECTURE_PPC, 'architecture', 'PowerPC');
  expect(OS, OS_LINUX, 'operating system', 'Linux');
  expect(TYPE, TYPE_KERNEL, 'type', 'kernel');
  const compression = view.getUint8(COMPRESSION);
  if (compression !== COMPRESSION_NONE && compression !== COMPRESSION_GZIP)
    throw new MachineError(`the uImage's compression is number ${compression}; 0 (none) or 1 (gzip) would fit`);
  if (checksum(data, fast) !== view.getUint32(DATA_CRC))
    throw new MachineError("the uImage's data is damaged: its check sum is wrong");

  const address = view.getUint32(LOAD);
  const entry = view.getUint32(ENTRY);
  checkFits("the uImage's load address", address, 1, memoryBytes);
  const bytes = compression === COMPRESSION_GZIP ? gunzip(data, memoryBytes - address, 'the uImage', fast) : data;
  checkFits('the uImage', address, bytes.length, memoryBytes);
  if (entry % 4 !== 0 || entry < address || entry >= address + bytes.length)
    throw new MachineError(
      `the uImage's entry point ${hex(entry)} is not an instruction of its ${bytes.length} bytes at ${hex(address)}`,
    );
  const segments = [{ address, bytes, memoryBytes: bytes.length }];
  return { format: 'uImage', segments, entry, littleEndian: false };
}
