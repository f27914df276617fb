/** Names of a kernel's functions and data by address: out of its ELF file, or a System.map. */
import { MachineError } from '../error.ts';
import { ElfFile, isElf } from '../loaders/elf-file.ts';

/** Where Linux links its kernels: what runs untranslated has the addresses from zero on. */
const LINKED = { 32: 0xc000_0000n, 64: 0xc000_0000_0000_0000n } as const;
/** Behind the last symbol nothing is its. */
const LAST_BYTES = 0x1_0000n;
/** As many as the largest kernels have several times over. */
const MAX_SYMBOLS = 4_000_000;

/** Offsets in a symbol (System V ABI, chapter 4) by word size; types that are no code and no data. */
const SYMBOL = {
  32: { bytes: 16, value: 4, info: 12, section: 14 },
  64: { bytes: 24, value: 8, info: 4, section: 6 },
} as const;
/** Sections of symbols that are undefined, or numbers and no addresses. */
const NO_SECTION: ReadonlySet<number> = new Set([0, 0xfff1]);
const NO_ADDRESS: ReadonlySet<number> = new Set([3, 4, 6]);

export interface FoundSymbol {
  readonly name: string;
  readonly offset: bigint;
}

export class SymbolTable {
  readonly #addresses: BigUint64Array;
  readonly #names: readonly string[];
  #byName: Map<string, bigint> | undefined;

  private constructor(symbols: readonly (readonly [address: bigint, name: string])[]) {
    const sorted = symbols.toSorted(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : 1));
    // Of several names of an address, one: letters before what the linker made.
    const kept = sorted.filter(([address], i) => address !== sorted[i - 1]?.[0]);
    this.#addresses = BigUint64Array.from(kept, ([address]) => address);
    this.#names = kept.map(([, name]) => name);
    this.#byName = new Map(sorted.map(([address, name]) => [name, address]));
  }

  /** @throws MachineError when it is neither an ELF file with symbols nor a System.map. */
  static parse(file: Uint8Array): SymbolTable {
    const symbols = isElf(file) ? elfSymbols(file) : mapSymbols(file);
    if (symbols.length === 0)
      throw new MachineError('the file has no symbols; an unstripped vmlinux or its System.map would fit');
    return new SymbolTable(symbols);
  }

  get size(): number {
    return this.#names.length;
  }

  /** The symbol that an address belongs to; a kernel's real addresses count as well. */
  find(address: bigint, bits: 32 | 64): FoundSymbol | undefined {
    return this.#search(address) ?? (address < LINKED[bits] ? this.#search(address | LINKED[bits]) : undefined);
  }

  addressOf(name: string): bigint | undefined {
    return this.#byName?.get(name);
  }

  /** `name+0x1c`; undefined: there is no symbol. */
  describe(address: bigint, bits: 32 | 64): string | undefined {
    const found = this.find(address, bits);
    if (found === undefined) return undefined;
    return found.offset === 0n ? found.name : `${found.name}+0x${found.offset.toString(16)}`;
  }

  #search(address: bigint): FoundSymbol | undefined {
    const addresses = this.#addresses;
    let low = 0;
    let high = addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((addresses[middle] as bigint) <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const offset = address - (addresses[low - 1] as bigint);
    if (low === addresses.length && offset >= LAST_BYTES) return undefined;
    return { name: this.#names[low - 1] as string, offset };
  }
}

function elfSymbols(file: Uint8Array): [bigint, string][] {
  const elf = new ElfFile(file);
  const table = elf.section('.symtab')?.bytes;
  const strings = elf.section('.strtab')?.bytes;
  if (table === undefined || strings === undefined) return [];
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const { bytes, value, info, section } = SYMBOL[elf.bits];
  const decoder = new TextDecoder('latin1');
  const symbols: [bigint, string][] = [];
  for (let at = 0; at + bytes <= table.length && symbols.length < MAX_SYMBOLS; at += bytes) {
    if (NO_ADDRESS.has((table[at + info] as number) & 15)) continue;
    if (NO_SECTION.has(view.getUint16(at + section, elf.littleEndian))) continue;
    const name = view.getUint32(at, elf.littleEndian);
    const end = strings.indexOf(0, name);
    if (end <= name) continue;
    const address =
      elf.bits === 64
        ? view.getBigUint64(at + value, elf.littleEndian)
        : BigInt(view.getUint32(at + value, elf.littleEndian));
    symbols.push([address, decoder.decode(strings.slice(name, Math.min(end, name + 256)))]);
  }
  return symbols;
}

function mapSymbols(file: Uint8Array): [bigint, string][] {
  const symbols: [bigint, string][] = [];
  for (const line of new TextDecoder('latin1').decode(file.slice()).split('\n')) {
    const [, address = '', name = ''] = /^([0-9a-fA-F]{8,16}) [B-Zb-z] (\S{1,256})/.exec(line) ?? [];
    if (address !== '' && symbols.length < MAX_SYMBOLS) symbols.push([BigInt(`0x${address}`), name]);
  }
  return symbols;
}
