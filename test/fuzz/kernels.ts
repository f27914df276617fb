/** Kernel files of every format, sound and damaged. */
import { gzipSync } from 'node:zlib';
import { crc32 } from '../../src/machine/loaders/crc32.ts';
import { addSections, makeElf, makeElf64, makeUImage } from '../machine/images.ts';
import { interestingWord } from '../truth/machine-state.ts';
import type { Random } from '../truth/random.ts';
import type { Target } from './programs.ts';

const VIRTUAL_32 = 0xc0000000;
const VIRTUAL_64 = 0xc000000000000000n;
const WRAPPED_KERNEL = '.kernel:vmlinux.strip';

/** A sound kernel file with a program for address 0. */
export function plainKernel(random: Random, program: Uint8Array, target: Target): Uint8Array {
  const kernel = unpacked(random, program, target);
  return random.chance(0.1) ? gzipSync(kernel, { level: 1 }) : kernel;
}

function unpacked(random: Random, program: Uint8Array, { family, littleEndian }: Target): Uint8Array {
  if (family === '440') {
    const choice = random.below(4);
    if (choice === 0) return makeUImage(program);
    if (choice === 1) return makeUImage(gzipSync(program, { level: 1 }), { compression: 1 });
    if (choice === 2) return program;
    const virtual = random.chance(0.5) ? VIRTUAL_32 : 0;
    return makeElf([{ virtual, physical: 0, bytes: program, memory: program.length + random.below(65536) }], virtual);
  }
  if (!littleEndian && random.chance(0.3)) return program;
  const virtual = random.chance(0.5) ? VIRTUAL_64 : 0n;
  const elf = makeElf64(
    [{ virtual, physical: 0n, bytes: program, memory: program.length + random.below(65536) }],
    virtual,
    littleEndian,
  );
  if (random.chance(0.8)) return elf;
  const inner = { name: WRAPPED_KERNEL, address: 0n, bytes: gzipSync(elf, { level: 1 }) };
  return addSections(makeElf([{ virtual: 0, physical: 0, bytes: new Uint8Array(64) }], 0), [inner]);
}

/** Damages a file somewhere, its first `head` bytes more often than others. */
export function damage(random: Random, file: Uint8Array, head: number): Uint8Array {
  let bytes = new Uint8Array(file);
  for (let count = 1 + random.below(4); count > 0; count--) {
    if (bytes.length < 8) return bytes;
    const range = random.chance(0.7) ? Math.min(head, bytes.length) : bytes.length;
    const at = random.below(range);
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const aligned = Math.min(at & ~3, bytes.length - 4);
    switch (random.below(9)) {
      case 0:
        bytes = bytes.slice(0, random.below(bytes.length));
        break;
      case 1: {
        const longer = new Uint8Array(bytes.length + random.below(random.chance(0.1) ? 2 ** 20 : 4096));
        longer.set(bytes);
        bytes = longer;
        break;
      }
      case 2:
        bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
        break;
      case 3:
        view.setUint32(
          aligned,
          random.pick([0, 1, 0xffffffff, 0x7fffffff, 0x80000000, bytes.length, bytes.length - 1]),
        );
        break;
      case 4:
        view.setInt32(aligned, interestingWord(random), random.chance(0.5));
        break;
      case 5:
        view.setUint32(aligned, (view.getUint32(aligned) + random.pick([1, -1, 4, -4, 64, 4096])) >>> 0);
        break;
      case 6:
        bytes.fill(random.below(256), at, at + random.below(64));
        break;
      default:
        bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
    }
  }
  return bytes;
}

/** Makes a damaged uImage's check sums right again, so that what is behind them is looked at. */
export function mendUImage(image: Uint8Array): void {
  if (image.length < 64) return;
  const view = new DataView(image.buffer, image.byteOffset);
  view.setUint32(12, image.length - 64);
  view.setUint32(24, crc32(image.subarray(64)));
  view.setUint32(4, 0);
  view.setUint32(4, crc32(image.subarray(0, 64)));
}
