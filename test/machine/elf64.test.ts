/** 64-bit kernels: both byte orders, function descriptors, and kernels in Linux's boot wrapper. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { gzipSync } from 'fflate';
import { MachineError } from '../../src/machine/error.ts';
import { loadKernel } from '../../src/machine/loaders/index.ts';
import { addSections, type Elf64Segment, makeElf, makeElf64 } from './images.ts';

const MiB = 2 ** 20;
const MEMORY = 16 * MiB;
const BASE = 0xc000000000000000n;
const code = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7 + (i >> 3)) & 0xff);
const segment: Elf64Segment = { virtual: BASE, physical: 0n, bytes: code, memory: 0x8000 };
/** The section of Linux's wrapper. */
const WRAPPED = '.kernel:vmlinux.strip';

const load = (file: Uint8Array, bits: 32 | 64 = 64): ReturnType<typeof loadKernel> =>
  loadKernel(file, MEMORY, undefined, bits);

function refuses(file: Uint8Array, message: RegExp, bits: 32 | 64 = 64): void {
  assert.throws(
    () => load(file, bits),
    (error) => {
      assert.ok(error instanceof MachineError, String(error));
      assert.match(error.message, message);
      assert.ok(!error.message.includes('\n'));
      return true;
    },
  );
}

for (const littleEndian of [false, true]) {
  const order = littleEndian ? 'little' : 'big';
  const descriptor = (address: bigint): Uint8Array => {
    const bytes = new Uint8Array(24);
    new DataView(bytes.buffer).setBigUint64(0, address, littleEndian);
    return bytes;
  };

  test(`a ${order}-endian kernel is loaded by its physical addresses, plain and gzipped`, () => {
    const second: Elf64Segment = { virtual: BASE + 0x100000n, physical: 0x100000n, bytes: code.subarray(0, 16) };
    const file = makeElf64([segment, second], BASE + 0x10n, littleEndian);
    for (const kernel of [load(file), load(gzipSync(file))]) {
      assert.deepEqual([kernel.format, kernel.entry, kernel.littleEndian], ['ELF', 0x10, littleEndian]);
      assert.deepEqual(
        kernel.segments.map(({ address, memoryBytes }) => [address, memoryBytes]),
        [
          [0, 0x8000],
          [0x100000, 16],
        ],
      );
      assert.deepEqual(kernel.segments[0]?.bytes, code);
    }
    const virtual = load(makeElf64([{ ...segment, physical: BASE + 0x4000n }], BASE, littleEndian));
    assert.equal(virtual.segments[0]?.address, 0x4000, 'linked without physical addresses');
  });

  test(`the entry point of a ${order}-endian kernel may be a function descriptor`, () => {
    const kernel = makeElf64([segment], BASE + 0x7008n, littleEndian);
    const opd = new Uint8Array(48);
    opd.set(descriptor(BASE + 0x20n), 8);
    const at = (address: bigint, bytes = opd): Uint8Array => addSections(kernel, [{ name: '.opd', address, bytes }]);
    assert.equal(load(at(BASE + 0x7000n)).entry, 0x20);
    // One that does not lie in it, in whole, is code.
    assert.equal(load(at(BASE + 0x7010n)).entry, 0x7008);
    assert.equal(load(at(BASE)).entry, 0x7008);
    assert.equal(load(at(BASE + 0x7000n, opd.subarray(0, 15))).entry, 0x7008);
    // Names of sections in a section that there is not: no sections.
    const nameless = at(BASE + 0x7000n);
    new DataView(nameless.buffer).setUint16(62, 0xfffe, littleEndian);
    assert.equal(load(nameless).entry, 0x7008);
    opd.set(descriptor(0n), 8);
    refuses(at(BASE + 0x7000n), /entry point 0x0 is not an instruction/);
    opd.set(descriptor(BASE + 0x22n), 8);
    refuses(at(BASE + 0x7000n), /entry point/);
  });

  test(`a ${order}-endian kernel comes out of its wrapper, which has either word size`, () => {
    const kernel = makeElf64([segment], BASE + 0x10n, littleEndian);
    const sections = [{ name: WRAPPED, address: 0n, bytes: gzipSync(kernel) }];
    const wrapper64 = makeElf64([{ ...segment, virtual: 0x400000n, physical: 0x400000n }], 0x400000n, littleEndian);
    const wrapper32 = makeElf([{ virtual: 0x400000, physical: 0x400000, bytes: code }], 0x400000);
    for (const wrapper of [wrapper64, wrapper32]) {
      const found = load(addSections(wrapper, sections));
      assert.deepEqual([found.entry, found.segments[0]?.address, found.littleEndian], [0x10, 0, littleEndian]);
      assert.deepEqual(found.segments[0]?.bytes, code);
    }
    refuses(addSections(wrapper64, [{ name: WRAPPED, address: 0n, bytes: kernel }]), /zImage is not gzip data/);
    const spoiled = gzipSync(kernel);
    spoiled[100] = (spoiled[100] as number) ^ 1;
    refuses(addSections(wrapper64, [{ name: WRAPPED, address: 0n, bytes: spoiled }]), /zImage has damaged gzip data/);
    refuses(addSections(wrapper64, [{ name: WRAPPED, address: 0n, bytes: gzipSync(code) }]), /not an ELF file/);
    // A kernel for another word size does not become fit by being wrapped.
    refuses(addSections(wrapper64, sections), /64-bit.*a 32-bit big-endian PowerPC kernel would fit/, 32);
  });

  test(`damaged ${order}-endian files are loaded or refused, within memory`, () => {
    const opd = [{ name: '.opd', address: BASE + 0x7000n, bytes: descriptor(BASE) }];
    const good = addSections(makeElf64([segment, { ...segment, physical: 0x100000n }], BASE, littleEndian), opd);
    const places = fc.oneof(fc.nat(64 + 2 * 56 - 1), fc.integer({ min: good.length - 2 * 64, max: good.length - 1 }));
    fc.assert(
      fc.property(fc.array(fc.tuple(places, fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const bad = good.slice();
        for (const [at, value] of changes) bad[at] = value;
        try {
          const { segments, entry } = load(bad);
          assert.ok(segments.some(({ address, memoryBytes }) => entry >= address && entry < address + memoryBytes));
          for (const { address, bytes, memoryBytes } of segments) {
            assert.ok(address >= 0 && address + memoryBytes <= MEMORY);
            assert.ok(bytes.length <= memoryBytes);
          }
        } catch (error) {
          assert.ok(error instanceof MachineError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
}

test('unusable 64-bit files are refused with what is wrong', () => {
  const elf = (patch: (view: DataView) => void): Uint8Array => makeElf64([segment], BASE, false, patch);
  refuses(makeElf64([segment], BASE), /a 32-bit big-endian PowerPC kernel would fit/, 32);
  refuses(makeElf([{ virtual: 0, physical: 0, bytes: code }], 0), /32-bit.*a 64-bit PowerPC kernel would fit/);
  for (const [patch, message] of [
    [(view: DataView) => view.setUint8(4, 3), /class is number 3/],
    [(view: DataView) => view.setUint8(5, 0), /byte order is number 0/],
    [(view: DataView) => view.setUint16(18, 62), /64-bit big-endian for x86-64; a 64-bit PowerPC kernel would fit/],
    [(view: DataView) => view.setUint16(16, 4), /a core dump, not executable/],
    [(view: DataView) => view.setUint16(56, 0), /no program headers/],
    [(view: DataView) => view.setBigUint64(32, 2n ** 64n - 1n), /program headers lie outside/],
    [(view: DataView) => view.setBigUint64(64 + 8, 2n ** 63n), /cut off: segment 0/],
    [(view: DataView) => view.setBigUint64(64 + 40, 2n ** 64n - 1n), /segment 0 needs memory/],
    [(view: DataView) => view.setBigUint64(64 + 24, 2n ** 48n), /segment 0 needs memory/],
    [(view: DataView) => view.setBigUint64(24, 2n ** 64n - 4n), /entry point 0xfffffffffffffffc/],
    [(view: DataView) => view.setUint32(64, 3), /needs an operating system/],
  ] as const)
    refuses(elf(patch), message);
  refuses(makeElf64([segment], BASE).subarray(0, 60), /cut off/);
});
