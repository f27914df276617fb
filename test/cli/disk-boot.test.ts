/** A guest on a disk of the host's, through the command. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from './command.ts';

const guest = process.env['POWERVISOR_TEST_GUEST_440'];
const skip = guest === undefined ? 'no 440 guest (POWERVISOR_TEST_GUEST_440); npm test says why' : false;
const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
after(() => rmSync(folder, { recursive: true }));

const MEGABYTE = 2 ** 20;
const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
const contents = Buffer.alloc(2 * MEGABYTE);
for (let i = 0; i < contents.length; i += 4) contents.writeInt32BE(Math.imul(i + 1, 2_654_435_761) | 0, i);
const changed = Buffer.from(contents);
contents.copy(changed, MEGABYTE, 0, 65_536);

/** Reads the disk, writes a part of it, and reads it again. */
const work = 'md5sum /dev/vda; dd if=/dev/vda of=/dev/vda bs=64k count=1 seek=16 2>/dev/null; sync';
const script = `mount -t devtmpfs d /dev; ${work}; echo 3 >/proc/sys/vm/drop_caches; md5sum /dev/vda; reboot -f`;
const boot = (disk: string, ...more: string[]): string[] => [
  ...['boot', '--machine', 'bamboo', '--kernel', `${guest}/uImage`, '--initrd', `${guest}/initramfs.cpio.gz`],
  ...['--append', `console=ttyS0 quiet rdinit=/bin/sh -- -c "mount -t proc p /proc; ${script}"`, '--no-reboot'],
  ...['--timeout', '120', '--disk', disk, ...more],
];

test('a raw disk and a qcow2 one are read and written', { skip }, async () => {
  const raw = join(folder, 'disk.raw');
  const image = join(folder, 'disk.qcow2');
  writeFileSync(raw, contents);
  assert.equal((await run(['image', 'convert', '-O', 'qcow2', raw, image])).status, 0);
  for (const disk of [raw, image]) {
    const { status, stdout, stderr } = await run(boot(disk));
    assert.equal(status, 0, stderr);
    assert.ok(stdout.includes(md5(contents)), stdout);
    assert.ok(stdout.includes(md5(changed)), stdout);
  }
  assert.ok(readFileSync(raw).equals(changed));
  const back = join(folder, 'back.raw');
  assert.equal((await run(['image', 'check', image])).status, 0);
  assert.equal((await run(['image', 'convert', '-O', 'raw', image, back])).status, 0);
  assert.ok(readFileSync(back).equals(changed));
});

test('with --icount and snapshot=on a run repeats exactly, and the disk stays as it was', { skip }, async () => {
  const raw = join(folder, 'counted.raw');
  writeFileSync(raw, contents);
  const runs = [];
  for (const round of [1, 2]) {
    const stats = join(folder, `counted-${round}.json`);
    const { status, stdout, stderr } = await run(boot(`${raw},snapshot=on`, '--icount', '8', '--stats', stats));
    assert.equal(status, 0, stderr);
    assert.ok(stdout.includes(md5(changed)), stdout);
    const { instructions, sum_exits } = JSON.parse(readFileSync(stats, 'utf8'));
    runs.push({ stdout, instructions, sum_exits });
  }
  assert.deepEqual(runs[0], runs[1]);
  assert.ok(readFileSync(raw).equals(contents));
});
