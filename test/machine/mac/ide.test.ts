/** Disks and CDs on a Mac's IDE channels, by programmed I/O and by DMA. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryDisk } from '../virtio/memory-disk.ts';
import { MacRig } from './rig.ts';

const IDE0 = 0x20000;
const IDE1 = 0x21000;
const [DATA, ERROR, COUNT, LOW, MIDDLE, HIGH, DEVICE, COMMAND, CONTROL] = [
  0, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x160,
] as const;
const [ERR, DRQ, DRDY, BSY] = [1, 8, 0x40, 0x80] as const;
const DMA0 = 0x8000 + 0x16 * 0x80;

function command(rig: MacRig, channel: number, code: number, lba: number, count: number): void {
  const registers = [
    [COUNT, count],
    [LOW, lba],
    [MIDDLE, lba >> 8],
    [HIGH, lba >> 16],
    [DEVICE, 0xe0],
    [COMMAND, code],
  ] as const;
  for (const [register, value] of registers) rig.write8(channel + register, value & 0xff);
}

function block(rig: MacRig, channel: number, bytes = 512): Uint8Array {
  const result = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i += 2) {
    const half = rig.read16(channel + DATA);
    result[i] = half;
    result[i + 1] = half >>> 8;
  }
  return result;
}

test('a disk tells what it is', () => {
  const rig = new MacRig('g3beige', { disks: [{ store: new MemoryDisk(4096 * 512), serial: 'ABC-1' }] });
  command(rig, IDE0, 0xec, 0, 0);
  assert.equal(rig.read8(IDE0 + COMMAND) & (DRQ | BSY | ERR), DRQ);
  const words = new DataView(block(rig, IDE0).buffer);
  const text = (at: number, length: number): string =>
    Array.from({ length }, (_, i) => String.fromCharCode(words.getUint8(2 * at + (i ^ 1))))
      .join('')
      .trim();
  assert.equal(text(27, 40), 'POWERVISOR HARDDISK');
  assert.equal(text(10, 20), 'ABC-1');
  assert.equal(words.getUint32(120, true), 4096, 'sectors');
  assert.equal(rig.read8(IDE0 + COMMAND), 0x50, 'ready, nothing more to read');
  rig.write8(IDE0 + DEVICE, 0xf0);
  assert.equal(rig.read8(IDE0 + COMMAND), 0, 'there is no second drive');
  assert.equal(rig.read8(IDE1 + COMMAND), 0, 'nor one on the other channel');
});

test('sectors are read and written one by one, with an interrupt for each', async () => {
  const disk = new MemoryDisk(64 * 512);
  const rig = new MacRig('g3beige', { disks: [{ store: disk }] });
  // The Heathrow's input 0x0d.
  rig.write32(0x24, 1 << 0x0d);
  command(rig, IDE0, 0x20, 5, 2);
  assert.equal(rig.read8(IDE0 + COMMAND), BSY);
  await rig.settle();
  for (const sector of [5, 6]) {
    assert.equal(rig.interrupted, true);
    assert.equal(rig.read8(IDE0 + COMMAND) & (DRQ | BSY | ERR), DRQ);
    rig.write32(0x28, 1 << 0x0d);
    assert.equal(rig.interrupted, false, 'reading the status is what the drive waits for');
    assert.deepEqual(block(rig, IDE0), disk.bytes.slice(sector * 512, sector * 512 + 512));
  }
  assert.equal(rig.read8(IDE0 + COMMAND) & (DRQ | BSY | ERR), 0);

  command(rig, IDE0, 0x30, 9, 1);
  assert.equal(rig.read8(IDE0 + COMMAND) & DRQ, DRQ);
  for (let i = 0; i < 256; i++) rig.write16(IDE0 + DATA, 0x1234 + i);
  await rig.settle();
  assert.equal(disk.bytes[9 * 512], 0x34);
  assert.equal(disk.bytes[9 * 512 + 1], 0x12);
  assert.equal(rig.read8(IDE0 + COMMAND) & (DRQ | BSY | ERR), 0);
  assert.equal(rig.interrupted, true);

  command(rig, IDE0, 0x20, 63, 2);
  assert.equal(rig.read8(IDE0 + COMMAND) & ERR, ERR);
  assert.equal(rig.read8(IDE0 + ERROR), 0x10, 'there is no such sector');
  disk.isFailing = true;
  command(rig, IDE0, 0x20, 0, 1);
  await rig.settle();
  assert.equal(rig.read8(IDE0 + ERROR), 0x40, 'the outside failed');
});

/** A DMA program: operation and count, address, what depends on it, the result. */
function program(rig: MacRig, at: number, commands: readonly (readonly [number, number, number?])[]): void {
  commands.forEach(([operation, address, depends = 0], i) => {
    [operation, address, depends, 0].forEach((word, j) => {
      const view = new DataView(new ArrayBuffer(4));
      view.setUint32(0, word >>> 0, true);
      rig.vm.memory.writeBytes(at + 16 * i + 4 * j, new Uint8Array(view.buffer));
    });
  });
}

test('a DMA program reads a disk into scattered memory, and writes it', async () => {
  const disk = new MemoryDisk(1024 * 512);
  const rig = new MacRig('mac99', { disks: [{ store: disk }] });
  program(rig, 0x1000, [
    [0x20000100, 0x8000],
    [0x20000300, 0x9010],
    [0x30000400, 0xa000],
    [0x70000000, 0],
  ]);
  rig.write32(DMA0 + 0xc, 0x1000);
  rig.write32(DMA0, 0x80008000);
  assert.equal(rig.read32(DMA0 + 4) & 0x8400, 0x8400, 'runs, and waits for the drive');
  command(rig, IDE0, 0xc8, 10, 4);
  await rig.settle();
  const memory = (at: number, bytes: number): Uint8Array => rig.vm.bytes.slice(at, at + bytes);
  const start = 10 * 512;
  assert.deepEqual(memory(0x8000, 0x100), disk.bytes.slice(start, start + 0x100));
  assert.deepEqual(memory(0x9010, 0x300), disk.bytes.slice(start + 0x100, start + 0x400));
  assert.deepEqual(memory(0xa000, 0x400), disk.bytes.slice(start + 0x400, start + 0x800));
  assert.equal(rig.read32(DMA0 + 4) & 0x8400, 0x8000, 'it has stopped by itself');
  assert.equal(rig.vm.bytes[0x100c], 0, 'nothing of the count is left');
  assert.equal(rig.vm.bytes[0x100f], 0x84, 'the status beside it');
  assert.equal(rig.read8(IDE0 + COMMAND), 0x50);

  program(rig, 0x1000, [
    [0x10000200, 0x9010],
    [0x70000000, 0],
  ]);
  rig.write32(DMA0, 0x80000000);
  rig.write32(DMA0 + 0xc, 0x1000);
  rig.write32(DMA0, 0x80008000);
  command(rig, IDE0, 0xca, 100, 1);
  await rig.settle();
  assert.deepEqual(disk.bytes.slice(51200, 51712), memory(0x9010, 0x200));
});

test('a DMA program that goes round for ever leaves the machine its time', () => {
  const rig = new MacRig('mac99');
  // NOP that branches always, to itself.
  program(rig, 0x1000, [[0x600c0000, 0, 0x1000]]);
  rig.write32(DMA0 + 0xc, 0x1000);
  rig.write32(DMA0, 0x80008000);
  const before = rig.instance.counters()['dma_commands'] as number;
  rig.pass(1e6);
  const commands = (rig.instance.counters()['dma_commands'] as number) - before;
  assert.ok(commands > 1000 && commands < 20_000, `${commands}`);
  rig.write32(DMA0, 0x80000000);
  const stopped = rig.instance.counters()['dma_commands'];
  rig.pass(1e6);
  assert.equal(rig.instance.counters()['dma_commands'], stopped);
});

/** Sends a packet and takes its answer in blocks of at most `limit` bytes. */
async function packet(rig: MacRig, bytes: readonly number[], limit = 0x800): Promise<Uint8Array> {
  rig.write8(IDE1 + DEVICE, 0xa0);
  rig.write8(IDE1 + ERROR, 0);
  rig.write8(IDE1 + MIDDLE, limit & 0xff);
  rig.write8(IDE1 + HIGH, limit >> 8);
  rig.write8(IDE1 + COMMAND, 0xa0);
  assert.equal(rig.read8(IDE1 + COUNT), 1, 'the packet is awaited');
  const padded = [...bytes, ...new Array(12).fill(0)].slice(0, 12);
  for (let i = 0; i < 12; i += 2) rig.write16(IDE1 + DATA, (padded[i] as number) | ((padded[i + 1] as number) << 8));
  const parts: number[] = [];
  for (;;) {
    await rig.settle();
    if ((rig.read8(IDE1 + CONTROL) & DRQ) === 0) break;
    assert.equal(rig.read8(IDE1 + COUNT), 2);
    const count = rig.read8(IDE1 + MIDDLE) | (rig.read8(IDE1 + HIGH) << 8);
    assert.ok(count > 0 && count <= limit);
    parts.push(...block(rig, IDE1, count));
  }
  assert.equal(rig.read8(IDE1 + COUNT), 3);
  return Uint8Array.from(parts);
}

test('a CD is recognised, tells its size, is read and says what is wrong', async () => {
  const disc = new MemoryDisk(40 * 2048);
  const rig = new MacRig('g3beige', { disks: [{ store: disc, media: 'cdrom' }] });
  rig.write8(IDE1 + CONTROL, 4);
  rig.write8(IDE1 + CONTROL, 0);
  assert.deepEqual([rig.read8(IDE1 + MIDDLE), rig.read8(IDE1 + HIGH)], [0x14, 0xeb]);
  rig.write8(IDE1 + COMMAND, 0xec);
  assert.equal(rig.read8(IDE1 + COMMAND) & ERR, ERR, 'it is no disk');
  assert.deepEqual([...(await packet(rig, [0x25]))], [0, 0, 0, 39, 0, 0, 8, 0]);
  assert.deepEqual(await packet(rig, [0x28, 0, 0, 0, 0, 3, 0, 0, 2]), disc.bytes.slice(3 * 2048, 5 * 2048));
  assert.deepEqual(await packet(rig, [0xa8, 0, 0, 0, 0, 1, 0, 0, 0, 1], 0x200), disc.bytes.slice(2048, 4096));
  const inquiry = await packet(rig, [0x12, 0, 0, 0, 36]);
  assert.equal(inquiry[0], 5);
  assert.deepEqual(await packet(rig, [0x28, 0, 0, 0, 0, 39, 0, 0, 2]), new Uint8Array());
  assert.equal(rig.read8(IDE1 + COMMAND) & (ERR | DRDY), ERR | DRDY);
  const sense = await packet(rig, [0x03, 0, 0, 0, 18]);
  assert.deepEqual([sense[2], sense[12]], [5, 0x21], 'out of its range');
});

test('a state that was saved in the midst of a request goes on', async () => {
  const disk = new MemoryDisk(64 * 512);
  const rig = new MacRig('mac99', { disks: [{ store: disk }] });
  disk.isHeld = true;
  command(rig, IDE0, 0x20, 7, 2);
  const before = JSON.parse(JSON.stringify(rig.instance.save()));
  const other = new MacRig('mac99', { disks: [{ store: new MemoryDisk(64 * 512) }] });
  other.instance.restore(before);
  await other.settle();
  assert.deepEqual(block(other, IDE0), disk.bytes.slice(7 * 512, 8 * 512));
  const middle = JSON.parse(JSON.stringify(other.instance.save()));
  const third = new MacRig('mac99', { disks: [{ store: new MemoryDisk(64 * 512) }] });
  third.instance.restore(middle);
  assert.deepEqual(block(third, IDE0), disk.bytes.slice(8 * 512, 9 * 512));
  assert.equal(third.read8(IDE0 + COMMAND) & (DRQ | BSY), 0);
});
