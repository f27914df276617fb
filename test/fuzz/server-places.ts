/** Where things stand in the memory of hostile 64-bit guests. Addresses as two words are high and low. */

/** Guest RAM from 0 on; behind the interrupt vectors code up to CODE_END, many times the same. */
export const RAM_BYTES = 4 * 2 ** 20;
export const CODE = 0x2000;
export const CODE_BYTES = 0x2000;
export const CODE_END = 0x40000;
/** Argument blocks for RTAS, 64 bytes each. */
export const RTAS_BLOCKS = 0x60000;
export const RTAS_BLOCK_COUNT = 8;
/** The guest's own hash table: the smallest that hardware has. */
export const HTAB = 0x100000;
export const HTAB_BYTES = 2 ** 18;
/** Read-only memory: a hash table. */
export const ROM = 0x800000;
export const ROM_BYTES = HTAB_BYTES;
/** A second piece of RAM, small and far away. */
export const FAR_RAM = 0x800000000;
export const FAR_RAM_BYTES = 0x10000;
/** The customary place of the magic page, as a displacement. */
export const MAGIC = -4096;

export const PLACES: readonly (readonly [number, number])[] = [
  [0, 0],
  [0, 0x1000],
  [0, RTAS_BLOCKS],
  [0, HTAB],
  [0, HTAB + 0x1000],
  [0, RAM_BYTES - 0x1000],
  [0, RAM_BYTES - 4],
  [0, RAM_BYTES],
  [0, ROM],
  [0, 0x02201000],
  [0, 0x10000000],
  [0, 0xf0000000],
  [0, 0xf0001000],
  [0, 0xfffff000],
  [FAR_RAM / 2 ** 32, 0],
  [FAR_RAM / 2 ** 32, FAR_RAM_BYTES - 0x1000],
  [FAR_RAM / 2 ** 32, FAR_RAM_BYTES],
  [0x10, 0],
  [0x0fffffff, 0xfffff000],
  [0x7fffffff, 0xfffff000],
  [0xc0000000, 0],
  [0xc0000000, HTAB],
  [0xf0000000, 0x1000],
  [0xffffffff, 0xfffff000],
];
