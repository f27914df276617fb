import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { gzipSync } from 'fflate';
import { MachineError } from '../../src/machine/error.ts';
import { crc32 } from '../../src/machine/loaders/crc32.ts';
import { gunzip } from '../../src/machine/loaders/gzip.ts';
import { loadKernel } from '../../src/machine/loaders/index.ts';
import { type ElfSegment, makeElf, makeUImage } from './images.ts';

const MiB = 2 ** 20;
const code = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7 + (i >> 3)) & 0xff);

function refuses(file: Uint8Array, message: RegExp, bits: 32 | 64 = 32): void {
  assert.throws(
    () => loadKernel(file, 16 * MiB, undefined, bits),
    (error) => {
      assert.ok(error instanceof MachineError, String(error));
      assert.match(error.message, message);
      assert.ok(!error.message.includes('\n'));
      return true;
    },
  );
}

test('CRC-32 is that of gzip', () => {
  const digits = Uint8Array.from('123456789', (digit) => digit.charCodeAt(0));
  assert.equal(crc32(digits), 0xcbf43926);
  assert.equal(crc32(digits.subarray(4), crc32(digits.subarray(0, 4))), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test('a uImage is loaded where its header says, decompressed or as it is', () => {
  for (const [data, compression] of [
    [code, 0],
    [gzipSync(code), 1],
  ] as const) {
    const kernel = loadKernel(makeUImage(data, { load: 0x400000, entry: 0x400100, compression }), 16 * MiB);
    assert.equal(kernel.format, 'uImage');
    assert.equal(kernel.entry, 0x400100);
    assert.equal(kernel.segments.length, 1);
    assert.equal(kernel.segments[0]?.address, 0x400000);
    assert.deepEqual(kernel.segments[0]?.bytes, code);
  }
});

test("a Buffer out of Node's pool does as well, and is left as it was", () => {
  for (const image of [makeUImage(gzipSync(code), { compression: 1 }), makeElf([kernelSegment], 0xc0000000)]) {
    const buffer = Buffer.from(image);
    for (let i = 0; i < 2; i++) assert.deepEqual(loadKernel(buffer, 16 * MiB).segments[0]?.bytes.length, code.length);
    assert.deepEqual(new Uint8Array(buffer), image);
  }
});

test('unusable uImages are refused with what is wrong', () => {
  const good = makeUImage(gzipSync(code), { compression: 1 });
  refuses(good.subarray(0, 40), /cut off.*header/);
  refuses(good.subarray(0, good.length - 1), /cut off/);
  refuses(makeUImage(code, { arch: 2 }), /architecture is number 2; 7 \(PowerPC\) would fit/);
  refuses(makeUImage(code, { os: 1 }), /operating system/);
  refuses(makeUImage(code, { type: 3 }), /type is number 3; 2 \(kernel\)/);
  refuses(makeUImage(code, { compression: 2 }), /compression is number 2; 0 \(none\) or 1 \(gzip\)/);
  refuses(makeUImage(code, { compression: 1 }), /not gzip data/);
  refuses(makeUImage(code, { load: 0x1000000 }), /16 MiB; 17 MiB or more would fit/);
  refuses(makeUImage(code, { load: 0x1000000 - 4096 }), /needs memory/);
  refuses(makeUImage(code, { load: 0, entry: 8000 }), /entry point/);
  refuses(makeUImage(code, { load: 0, entry: 6 }), /entry point/);
  const noise = good.slice();
  noise[200] = (noise[200] as number) ^ 1;
  refuses(noise, /data is damaged/);
});

test('no single changed bit in a uImage goes unnoticed', () => {
  const good = makeUImage(gzipSync(code), { compression: 1 });
  fc.assert(
    fc.property(fc.nat(good.length * 8 - 1), (bit) => {
      const bad = good.slice();
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      // Another magic number makes it another format: instructions.
      if (bit < 32) return;
      refuses(bad, /./);
    }),
    { numRuns: 400 },
  );
});

test('decompression stops at what guest memory can hold', () => {
  const bomb = gzipSync(new Uint8Array(64 * MiB), { level: 9 });
  refuses(makeUImage(bomb, { compression: 1 }), /needs more memory|16 MiB/);
  // A trailer that lies about the size.
  const lying = bomb.slice();
  new DataView(lying.buffer).setUint32(lying.length - 4, 4096, true);
  refuses(makeUImage(lying, { compression: 1 }), /size or check sum/);
  assert.throws(() => gunzip(lying, 2 ** 16, 'it'), MachineError);
  // Large files go another way. Noise does not compress.
  let seed = 1;
  const noise = Uint8Array.from({ length: 5 * MiB }, () => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return seed >>> 8;
  });
  const large = gzipSync(noise, { level: 1 });
  assert.ok(large.length > 4 * MiB);
  assert.equal(crc32(gunzip(large, 8 * MiB, 'it')), crc32(noise));
  new DataView(large.buffer, large.byteOffset).setUint32(large.length - 4, 1, true);
  assert.throws(() => gunzip(large, 2 * MiB, 'it'), /needs more memory/);
});

test("the host's decompressor is used, and what it gives is checked", () => {
  const image = makeUImage(gzipSync(code), { compression: 1 });
  const limits: number[] = [];
  const gunzip = (_bytes: Uint8Array, limit: number): Uint8Array => {
    limits.push(limit);
    return code;
  };
  const sums: number[] = [];
  const sum = (bytes: Uint8Array): number => {
    sums.push(bytes.length);
    return crc32(bytes);
  };
  const kernel = loadKernel(image, 16 * MiB, { gunzip, crc32: sum });
  assert.equal(kernel.segments[0]?.bytes, code);
  assert.deepEqual(limits, [16 * MiB]);
  // Of the header, the data and what was decompressed.
  assert.deepEqual(sums, [64, image.length - 64, code.length]);
  assert.throws(() => loadKernel(image, 16 * MiB, { crc32: () => 1 }), MachineError);
  assert.throws(() => loadKernel(image, 16 * MiB, { gunzip: () => code.subarray(1) }), MachineError);
  const failing = (): never => {
    throw new RangeError('too long');
  };
  assert.throws(() => loadKernel(image, 16 * MiB, { gunzip: failing }), MachineError);
});

test('damaged gzip data gives a MachineError and nothing else', () => {
  const good = gzipSync(code);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
      const bad = good.slice();
      bad[at] = value;
      try {
        assert.deepEqual(gunzip(bad, MiB, 'it'), code);
      } catch (error) {
        assert.ok(error instanceof MachineError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

const kernelSegment: ElfSegment = { virtual: 0xc0000000, physical: 0, bytes: code, memory: 0x8000 };

test('an ELF kernel is loaded by its physical addresses, and its entry point follows', () => {
  const second: ElfSegment = { virtual: 0xc0100000, physical: 0x100000, bytes: code.subarray(0, 16) };
  const file = makeElf([kernelSegment, second], 0xc0000010);
  for (const kernel of [loadKernel(file, 16 * MiB), loadKernel(gzipSync(file), 16 * MiB)]) {
    assert.equal(kernel.format, 'ELF');
    assert.equal(kernel.entry, 0x10);
    assert.deepEqual(
      kernel.segments.map(({ address, memoryBytes }) => [address, memoryBytes]),
      [
        [0, 0x8000],
        [0x100000, 16],
      ],
    );
    assert.deepEqual(kernel.segments[0]?.bytes, code);
  }
  const virtual = makeElf([{ ...kernelSegment, physical: 0xc0000000 }], 0xc0000000);
  assert.equal(loadKernel(virtual, 16 * MiB).segments[0]?.address, 0, 'linked without physical addresses');
});

test('unusable ELF files are refused with what is wrong', () => {
  const elf = (patch: (view: DataView) => void): Uint8Array => makeElf([kernelSegment], 0xc0000000, patch);
  refuses(
    elf((view) => view.setUint8(4, 2)),
    /64-bit/,
  );
  refuses(
    elf((view) => {
      view.setUint8(5, 1);
      view.setUint16(18, 62, true);
    }),
    /32-bit little-endian for x86-64; a 32-bit big-endian PowerPC kernel would fit/,
  );
  refuses(
    elf((view) => view.setUint16(18, 8)),
    /MIPS/,
  );
  refuses(
    elf((view) => view.setUint16(16, 1)),
    /an object file, not executable/,
  );
  refuses(
    elf((view) => view.setUint16(44, 0)),
    /no program headers/,
  );
  refuses(
    elf((view) => view.setUint32(28, 0xfffffff0)),
    /program headers lie outside/,
  );
  refuses(
    elf((view) => view.setUint16(42, 8)),
    /program headers/,
  );
  const good = elf(() => {});
  refuses(good.subarray(0, 30), /cut off/);
  refuses(good.subarray(0, good.length - 10), /cut off: segment 0/);
  refuses(makeElf([{ ...kernelSegment, physical: 0xffc000 }], 0xc0000000), /segment 0 needs memory.*17 MiB or more/);
  refuses(makeElf([{ ...kernelSegment, memory: 100 }], 0xc0000000), /larger in the file/);
  refuses(makeElf([kernelSegment], 0xd0000000), /entry point 0xd0000000/);
  refuses(makeElf([{ ...kernelSegment, type: 3 }], 0xc0000000), /needs an operating system/);
  refuses(makeElf([{ ...kernelSegment, type: 4 }], 0xc0000000), /nothing to load/);
  const large = { ...kernelSegment, memory: 9 * MiB };
  refuses(makeElf([large, large], 0xc0000000), /overlap/);
});

test('damaged ELF files are loaded or refused, within memory', () => {
  const good = makeElf([kernelSegment, { ...kernelSegment, physical: 0x100000 }], 0xc0000000);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(52 + 64 - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
      const bad = good.slice();
      for (const [at, value] of changes) bad[at] = value;
      try {
        for (const { address, bytes, memoryBytes } of loadKernel(bad, 16 * MiB).segments) {
          assert.ok(address >= 0 && address + memoryBytes <= 16 * MiB);
          assert.ok(bytes.length <= memoryBytes);
        }
      } catch (error) {
        assert.ok(error instanceof MachineError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test('other files are taken as instructions, unless they are clearly something else', () => {
  const kernel = loadKernel(Uint8Array.of(0x48, 0, 0, 0), 16 * MiB);
  assert.deepEqual([kernel.format, kernel.entry, kernel.segments[0]?.address], ['raw', 0, 0]);
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  refuses(text('#!/bin/sh\necho hello\n'), /text file/);
  refuses(text('070701000000000000'), /cpio archive/);
  refuses(Uint8Array.of(0xd0, 0x0d, 0xfe, 0xed, 0), /device tree/);
  refuses(Uint8Array.of(1, 2), /2 bytes/);
  refuses(new Uint8Array(0), /0 bytes/);
  refuses(new Uint8Array(17 * MiB).fill(0x60), /16 MiB|text/);
  refuses(new Uint8Array(17 * MiB).fill(0x81), /17 MiB or more would fit/);
});
