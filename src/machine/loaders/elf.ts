import { hex, MachineError } from '../error.ts';
import { checkFits, type KernelImage, type Segment } from './image.ts';

/** Header fields (System V ABI, chapter 4), for 32-bit files. */
const EI_CLASS = 4;
const EI_DATA = 5;
const E_TYPE = 16;
const E_MACHINE = 18;
const E_ENTRY = 24;
const E_PHOFF = 28;
const E_PHENTSIZE = 42;
const E_PHNUM = 44;
const HEADER_BYTES = 52;

const CLASS_32 = 1;
const CLASS_64 = 2;
const DATA_LITTLE = 1;
const DATA_BIG = 2;
const TYPE_EXECUTABLE = 2;
/** Relocatable kernels are linked as shared objects. */
const TYPE_SHARED = 3;
const MACHINE_PPC = 20;
const MACHINE_NAMES: Readonly<Record<number, string>> = {
  2: 'SPARC',
  3: 'x86',
  8: 'MIPS',
  20: 'PowerPC',
  21: '64-bit PowerPC',
  22: 'S/390',
  40: 'Arm',
  62: 'x86-64',
  183: 'AArch64',
  243: 'RISC-V',
};
const TYPE_NAMES: Readonly<Record<number, string>> = { 1: 'an object file', 4: 'a core dump' };

/** Program header fields. */
const P_TYPE = 0;
const P_OFFSET = 4;
const P_VADDR = 8;
const P_PADDR = 12;
const P_FILESZ = 16;
const P_MEMSZ = 20;
const PROGRAM_HEADER_BYTES = 32;
const PT_LOAD = 1;
const PT_INTERP = 3;

/** Where 32-bit Linux maps its first 256 MiB: kernels whose physical addresses were linked virtual are brought down. */
const KERNEL_BASE = 0xc0000000;
const PHYSICAL_MASK = 0x0fffffff;

export function isElf(file: Uint8Array): boolean {
  return file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

function checkIdentity(file: Uint8Array, view: DataView): void {
  const wish = 'a 32-bit big-endian PowerPC kernel would fit';
  const fileClass = file[EI_CLASS];
  const data = file[EI_DATA];
  const kind = fileClass === CLASS_64 ? '64-bit' : '32-bit';
  if (fileClass !== CLASS_32 && fileClass !== CLASS_64)
    throw new MachineError(`the ELF file's class is number ${fileClass}; ${wish}`);
  if (data !== DATA_LITTLE && data !== DATA_BIG)
    throw new MachineError(`the ELF file's byte order is number ${data}; ${wish}`);
  const machine = view.getUint16(E_MACHINE, data === DATA_LITTLE);
  const order = data === DATA_LITTLE ? 'little-endian' : 'big-endian';
  if (fileClass !== CLASS_32 || data !== DATA_BIG || machine !== MACHINE_PPC)
    throw new MachineError(
      `the ELF file is ${kind} ${order} for ${MACHINE_NAMES[machine] ?? `machine number ${machine}`}; ${wish}`,
    );
  const type = view.getUint16(E_TYPE);
  if (type !== TYPE_EXECUTABLE && type !== TYPE_SHARED)
    throw new MachineError(`the ELF file is ${TYPE_NAMES[type] ?? `of type ${type}`}, not executable; ${wish}`);
}

/** Takes a 32-bit big-endian PowerPC ELF kernel apart, by its segments' physical addresses. */
export function loadElf(file: Uint8Array, memoryBytes: number): KernelImage {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (!isElf(file)) throw new MachineError('the kernel is not an ELF file');
  if (file.length < HEADER_BYTES) throw new MachineError('the ELF file is cut off: it ends within its header');
  checkIdentity(file, view);

  const headers = view.getUint32(E_PHOFF);
  const headerBytes = view.getUint16(E_PHENTSIZE);
  const count = view.getUint16(E_PHNUM);
  if (count === 0) throw new MachineError('the ELF file has no program headers: a linked kernel would fit');
  if (headerBytes < PROGRAM_HEADER_BYTES || headers + count * headerBytes > file.length)
    throw new MachineError('the ELF file is cut off or damaged: its program headers lie outside of it');

  const segments: Segment[] = [];
  let entry = view.getUint32(E_ENTRY);
  let entryFound = false;
  let total = 0;
  for (let i = 0; i < count; i++) {
    const at = headers + i * headerBytes;
    const type = view.getUint32(at + P_TYPE);
    if (type === PT_INTERP)
      throw new MachineError('the ELF file is a program that needs an operating system; a kernel would fit');
    const memorySize = view.getUint32(at + P_MEMSZ);
    if (type !== PT_LOAD || memorySize === 0) continue;
    const offset = view.getUint32(at + P_OFFSET);
    const fileSize = view.getUint32(at + P_FILESZ);
    if (offset + fileSize > file.length)
      throw new MachineError(
        `the ELF file is cut off: segment ${i} ends at byte ${offset + fileSize}, the file at ${file.length}`,
      );
    if (fileSize > memorySize)
      throw new MachineError(`the ELF file is damaged: segment ${i} is larger in the file than in memory`);
    const linked = view.getUint32(at + P_PADDR);
    const address = linked >= KERNEL_BASE && linked >= memoryBytes ? linked & PHYSICAL_MASK : linked;
    checkFits(`the ELF file's segment ${i}`, address, memorySize, memoryBytes);
    // Overlapping segments could otherwise ask for any amount of work.
    total += memorySize;
    if (total > memoryBytes) throw new MachineError('the ELF file is damaged: its segments overlap');
    const virtual = view.getUint32(at + P_VADDR);
    if (!entryFound && entry >= virtual && entry < virtual + memorySize) {
      entry = entry - virtual + address;
      entryFound = true;
    }
    segments.push({ address, bytes: file.subarray(offset, offset + fileSize), memoryBytes: memorySize });
  }
  if (segments.length === 0) throw new MachineError('the ELF file has nothing to load: a linked kernel would fit');
  if (!entryFound || entry % 4 !== 0)
    throw new MachineError(`the ELF file's entry point ${hex(entry)} is not an instruction of one of its segments`);
  return { format: 'ELF', segments, entry };
}
