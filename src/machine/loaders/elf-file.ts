import { MachineError } from '../error.ts';

/** Header fields that are the same for both word sizes (System V ABI, chapter 4). */
const EI_CLASS = 4;
const EI_DATA = 5;
const E_TYPE = 16;
const E_MACHINE = 18;
const E_ENTRY = 24;

const CLASS_32 = 1;
const CLASS_64 = 2;
const DATA_LITTLE = 1;
const DATA_BIG = 2;
const TYPE_EXECUTABLE = 2;
/** Relocatable kernels are linked as shared objects. */
const TYPE_SHARED = 3;
const MACHINE_PPC = 20;
const MACHINE_PPC64 = 21;
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

/** Offsets of the other fields, by word size; sizes in bytes. */
const LAYOUTS = {
  32: {
    header: { bytes: 52, phoff: 28, shoff: 32, phentsize: 42, phnum: 44, shentsize: 46, shnum: 48, shstrndx: 50 },
    program: { bytes: 32, offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20 },
    section: { bytes: 40, addr: 12, offset: 16, size: 20 },
  },
  64: {
    header: { bytes: 64, phoff: 32, shoff: 40, phentsize: 54, phnum: 56, shentsize: 58, shnum: 60, shstrndx: 62 },
    program: { bytes: 56, offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40 },
    section: { bytes: 64, addr: 16, offset: 24, size: 32 },
  },
} as const;

const KERNELS = {
  32: 'a 32-bit big-endian PowerPC kernel would fit',
  64: 'a 64-bit PowerPC kernel would fit',
  any: 'a PowerPC kernel would fit',
} as const;

/** A program header. Addresses have up to 64 bits; the bytes lie in the file. */
export interface ElfSegment {
  readonly type: number;
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly offset: number;
  readonly fileBytes: number;
  readonly memoryBytes: number;
}

/** A section whose bytes lie in the file. */
export interface ElfSection {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

export function isElf(file: Uint8Array): boolean {
  return file[0] === 0x7f && file[1] === 0x45 && file[2] === 0x4c && file[3] === 0x46;
}

/** An executable for PowerPC of either word size and byte order: its header and what the header leads to. */
export class ElfFile {
  readonly bits: 32 | 64;
  readonly littleEndian: boolean;
  readonly entry: bigint;
  readonly #file: Uint8Array;
  readonly #view: DataView;

  /** Checks the header. `bits`: the word size that fits, if not any. Throws MachineError for everything else. */
  constructor(file: Uint8Array, bits?: 32 | 64) {
    this.#file = file;
    this.#view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    if (!isElf(file)) throw new MachineError('the kernel is not an ELF file');
    this.bits = file[EI_CLASS] === CLASS_64 ? 64 : 32;
    this.littleEndian = file[EI_DATA] === DATA_LITTLE;
    if (file.length < LAYOUTS[this.bits].header.bytes)
      throw new MachineError('the ELF file is cut off: it ends within its header');
    this.#checkIdentity(bits);
    this.entry = this.#address(E_ENTRY);
  }

  #checkIdentity(bits: 32 | 64 | undefined): void {
    const wish = KERNELS[bits ?? 'any'];
    const fileClass = this.#file[EI_CLASS];
    const data = this.#file[EI_DATA];
    if (fileClass !== CLASS_32 && fileClass !== CLASS_64)
      throw new MachineError(`the ELF file's class is number ${fileClass}; ${wish}`);
    if (data !== DATA_LITTLE && data !== DATA_BIG)
      throw new MachineError(`the ELF file's byte order is number ${data}; ${wish}`);
    const machine = this.half(E_MACHINE);
    const ours = this.bits === 64 ? machine === MACHINE_PPC64 : machine === MACHINE_PPC && !this.littleEndian;
    if (!ours || (bits !== undefined && bits !== this.bits))
      throw new MachineError(
        `the ELF file is ${this.bits}-bit ${this.littleEndian ? 'little' : 'big'}-endian for ` +
          `${MACHINE_NAMES[machine] ?? `machine number ${machine}`}; ${wish}`,
      );
    const type = this.half(E_TYPE);
    if (type !== TYPE_EXECUTABLE && type !== TYPE_SHARED)
      throw new MachineError(`the ELF file is ${TYPE_NAMES[type] ?? `of type ${type}`}, not executable; ${wish}`);
  }

  half(at: number): number {
    return this.#view.getUint16(at, this.littleEndian);
  }

  word(at: number): number {
    return this.#view.getUint32(at, this.littleEndian);
  }

  #address(at: number): bigint {
    return this.bits === 64 ? this.#view.getBigUint64(at, this.littleEndian) : BigInt(this.word(at));
  }

  /** A file offset or a size: what no file has stays more than any file has. */
  #size(at: number): number {
    return Number(this.#address(at));
  }

  /** The program headers. Throws MachineError when they are not in the file. */
  segments(): ElfSegment[] {
    const { header, program } = LAYOUTS[this.bits];
    const offset = this.#size(header.phoff);
    const entryBytes = this.half(header.phentsize);
    const count = this.half(header.phnum);
    if (count === 0) throw new MachineError('the ELF file has no program headers: a linked kernel would fit');
    if (entryBytes < program.bytes || offset + count * entryBytes > this.#file.length)
      throw new MachineError('the ELF file is cut off or damaged: its program headers lie outside of it');
    return Array.from({ length: count }, (_, i) => {
      const at = offset + i * entryBytes;
      return {
        type: this.word(at),
        virtual: this.#address(at + program.vaddr),
        physical: this.#address(at + program.paddr),
        offset: this.#size(at + program.offset),
        fileBytes: this.#size(at + program.filesz),
        memoryBytes: this.#size(at + program.memsz),
      };
    });
  }

  /** The section of this name; undefined when there is none that lies in the file. Kernels do without sections. */
  section(name: string): ElfSection | undefined {
    const { header, section } = LAYOUTS[this.bits];
    const offset = this.#size(header.shoff);
    const entryBytes = this.half(header.shentsize);
    const count = this.half(header.shnum);
    if (entryBytes < section.bytes || offset + count * entryBytes > this.#file.length) return undefined;
    const contents = (index: number): ElfSection | undefined => {
      if (index >= count) return undefined;
      const at = offset + index * entryBytes;
      const start = this.#size(at + section.offset);
      const end = start + this.#size(at + section.size);
      if (end > this.#file.length) return undefined;
      return { address: this.#address(at + section.addr), bytes: this.#file.subarray(start, end) };
    };
    const names = contents(this.half(header.shstrndx))?.bytes;
    if (names === undefined) return undefined;
    const wanted = Uint8Array.from(`${name}\0`, (character) => character.charCodeAt(0));
    for (let i = 0; i < count; i++) {
      const at = this.word(offset + i * entryBytes);
      if (wanted.every((byte, j) => names[at + j] === byte)) return contents(i);
    }
    return undefined;
  }
}
