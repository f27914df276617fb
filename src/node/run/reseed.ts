/**
 * A program for the guest: takes what it reads as random numbers of full worth, and has the kernel make new keys of them at once.
 * Two guests of one template would have the same random numbers else, and a shell cannot make ioctls. For 64-bit little-endian
 * PowerPC (ELFv2); its standard input is a struct rand_pool_info with 64 bytes, its standard output /dev/urandom.
 */
const CODE = [
  0x38000003,
  0x38600000,
  0x3881ff00,
  0x38a00048,
  0x44000002, // read(0, below the stack, 72)
  0x38000036,
  0x38600001,
  0x3c808008,
  0x60845203,
  0x38a1ff00,
  0x44000002, // ioctl(1, RNDADDENTROPY, the same)
  0x41830020, // bso to the end, with the error's number as status
  0x38000036,
  0x38600001,
  0x3c802000,
  0x60845207,
  0x44000002, // ioctl(1, RNDRESEEDCRNG)
  0x41830008, // bso to the end
  0x38600000,
  0x38000001,
  0x44000002, // exit(0)
];

/** Random bytes that it reads, behind two words. */
export const RANDOM_BYTES = 64;

/** Those bytes with what is before them: how many bits they are worth, and how many bytes they are (random(4)). */
export function poolOf(random: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(8 * RANDOM_BYTES, 0);
  head.writeUInt32LE(RANDOM_BYTES, 4);
  return Buffer.concat([head, random]);
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const BASE = 0x10000000n;

/** The program as an ELF file with one segment, which is all of it. */
export function reseedProgram(): Buffer {
  const start = HEADER_BYTES + SEGMENT_BYTES;
  const file = Buffer.alloc(start + 4 * CODE.length);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(21, 18); // EM_PPC64
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BASE + BigInt(start), 24); // e_entry
  file.writeBigUInt64LE(BigInt(HEADER_BYTES), 32); // e_phoff
  file.writeUInt32LE(2, 48); // ELFv2
  file.writeUInt16LE(HEADER_BYTES, 52);
  file.writeUInt16LE(SEGMENT_BYTES, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, HEADER_BYTES); // PT_LOAD
  file.writeUInt32LE(5, HEADER_BYTES + 4); // read and execute
  file.writeBigUInt64LE(BASE, HEADER_BYTES + 16);
  file.writeBigUInt64LE(BASE, HEADER_BYTES + 24);
  file.writeBigUInt64LE(BigInt(file.length), HEADER_BYTES + 32);
  file.writeBigUInt64LE(BigInt(file.length), HEADER_BYTES + 40);
  file.writeBigUInt64LE(0x10000n, HEADER_BYTES + 48);
  for (const [i, word] of CODE.entries()) file.writeUInt32LE(word, start + 4 * i);
  return file;
}
