/** The display: modes, pixels of each depth and byte order, pictures as PNG; keys and motion of a machine's seat. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';
import { Vga } from '../../src/machine/devices/vga.ts';
import { encodePng } from '../../src/machine/picture.ts';
import { makeFakeVm } from './fake-vm.ts';

const [WIDTH, HEIGHT, DEPTH, ENABLE] = [1, 2, 3, 4] as const;
const BASE = 0x1000;

function make() {
  const vm = makeFakeVm(2 ** 20, function* () {});
  const vga = new Vga(vm.memory, BASE);
  const set = (index: number, value: number): void => {
    vga.dispiPorts.write(0, 2, index);
    vga.dispiPorts.write(2, 2, value);
  };
  const mode = (width: number, height: number, depth: number): void => {
    set(ENABLE, 0);
    set(WIDTH, width);
    set(HEIGHT, height);
    set(DEPTH, depth);
    set(ENABLE, 0x41);
  };
  return { vm, vga, set, mode };
}

/** The first pixels of a picture, as #rrggbb. */
const colours = (vga: Vga, count: number): string[] => {
  const { pixels } = vga.picture() as { pixels: Uint8ClampedArray };
  return Array.from({ length: count }, (_, i) => Buffer.from(pixels.subarray(4 * i, 4 * i + 3)).toString('hex'));
};

test('nothing is shown before a mode is set; setting one clears the memory', () => {
  const { vm, vga, set, mode } = make();
  assert.equal(vga.picture(), undefined);
  vm.bytes[BASE] = 0xff;
  mode(16, 4, 32);
  assert.equal(vm.bytes[BASE], 0);
  const picture = vga.picture();
  assert.deepEqual([picture?.width, picture?.height, picture?.pixels.length], [16, 4, 256]);
  set(DEPTH, 7);
  assert.equal(vga.picture(), undefined, 'no such depth');
  mode(16384, 16384, 32);
  assert.equal(vga.picture()?.height ?? 0, 0, 'more than there is memory');
});

test('pixels of each depth', () => {
  const { vm, vga, mode } = make();
  const put = (...bytes: number[]): void => void vm.memory.writeBytes(BASE, Uint8Array.from(bytes));
  mode(8, 1, 32);
  put(0, 0x12, 0x34, 0x56, 0, 0xff, 0, 0);
  assert.deepEqual(colours(vga, 2), ['123456', 'ff0000']);
  mode(8, 1, 24);
  put(0x12, 0x34, 0x56, 0xff);
  assert.deepEqual(colours(vga, 2), ['123456', 'ff0000']);
  mode(8, 1, 16);
  put(0xf8, 0x00, 0x07, 0xe0, 0x00, 0x1f);
  assert.deepEqual(colours(vga, 3), ['ff0000', '00ff00', '0000ff']);
  mode(8, 1, 15);
  put(0x7c, 0x00, 0x03, 0xe0);
  assert.deepEqual(colours(vga, 2), ['ff0000', '00ff00']);
  mode(8, 1, 8);
  put(1, 2);
  vga.ports.write(0x18, 1, 1);
  for (const value of [0x3f, 0, 0x20, 0, 0x3f, 1]) vga.ports.write(0x19, 1, value);
  assert.deepEqual(colours(vga, 2), ['ff0080', '00ff07']);
  const registers = vga.space.bars[1]?.region;
  mode(8, 1, 32);
  registers?.write(0x604, 4, 0x1e1e1e1e);
  put(0x56, 0x34, 0x12, 0);
  assert.deepEqual(colours(vga, 1), ['123456'], 'little-endian');
});

test('a saved state shows the same', () => {
  const { vm, vga, mode } = make();
  mode(8, 2, 16);
  vm.memory.writeBytes(BASE, Uint8Array.of(0xf8, 0));
  const other = new Vga(vm.memory, BASE);
  other.restore(JSON.parse(JSON.stringify(vga.save())));
  assert.deepEqual(other.picture(), vga.picture());
});

test('a picture as PNG', () => {
  const pixels = Uint8ClampedArray.of(1, 2, 3, 255, 4, 5, 6, 255, 7, 8, 9, 255, 10, 11, 12, 255);
  const file = Buffer.from(encodePng({ width: 2, height: 2, pixels }));
  assert.equal(file.subarray(1, 4).toString('latin1'), 'PNG');
  assert.deepEqual([file.readUInt32BE(16), file.readUInt32BE(20), file[24], file[25]], [2, 2, 8, 2]);
  const length = file.readUInt32BE(33);
  assert.equal(file.subarray(37, 41).toString('latin1'), 'IDAT');
  assert.deepEqual([...inflateSync(file.subarray(41, 41 + length))], [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
  assert.equal(file.subarray(-8, -4).toString('latin1'), 'IEND');
});
