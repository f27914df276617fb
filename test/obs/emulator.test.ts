/**
 * obs-build's contract for an emulator (obs/): a guest that begins with /.build/build of the root image, tells its status at the beginning
 * of the swap image and its results behind that, and powers off. With the guest `debian-disk`'s kernel, which has its disks' modules.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { guestFolders } from '../../src/node/guest-files.ts';
import { powervisor } from '../cli/command.ts';

const obs = fileURLToPath(new URL('../../obs/', import.meta.url));
const guest = guestFolders()
  .map((folder) => join(folder, 'debian-disk'))
  .find((folder) => existsSync(join(folder, 'vmlinux')));
const hasTools = spawnSync('mke2fs', ['-V']).status === 0;
const skip = guest === undefined ? 'no guest debian-disk' : !hasTools && 'no mke2fs';
const folder = mkdtempSync(join(tmpdir(), 'powervisor-obs-'));
after(() => rmSync(folder, { recursive: true }));

/** The file of a name in an archive (cpio, newc). */
function fileOf(archive: Buffer, name: string): Buffer {
  for (let at = 0; at < archive.length; ) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    const [size, nameBytes] = [field(6), field(11)];
    const begin = (at + 110 + nameBytes + 3) & ~3;
    if (archive.toString('latin1', at + 110, at + 109 + nameBytes) === name)
      return archive.subarray(begin, begin + size);
    at = (begin + size + 3) & ~3;
  }
  throw new Error(`no ${name}`);
}

function makeRoot(script: string): { root: string; swap: string } {
  const tree = mkdtempSync(join(folder, 'tree-'));
  for (const name of ['bin', 'dev', 'proc', 'sys', '.build']) mkdirSync(join(tree, name));
  const archive = gunzipSync(readFileSync(join(guest as string, 'initramfs.cpio.gz')));
  writeFileSync(join(tree, 'bin/busybox'), fileOf(archive, 'bin/busybox'), { mode: 0o755 });
  writeFileSync(join(tree, '.build/build'), `#!/bin/busybox sh\n${script}`, { mode: 0o755 });
  const [root, swap] = [`${tree}.img`, `${tree}.swap`];
  writeFileSync(root, '');
  truncateSync(root, 64 * 2 ** 20);
  writeFileSync(swap, Buffer.alloc(2 ** 20));
  assert.equal(spawnSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, root]).status, 0);
  return { root, swap };
}

const script = join(obs, 'emulator.sh');
const environment = {
  ...process.env,
  POWERVISOR: powervisor,
  POWERVISOR_OBS_KERNEL: `${guest}/vmlinux`,
  POWERVISOR_OBS_INITRD: `${guest}/initramfs.cpio.gz`,
};
const START = 'alias busybox=/bin/busybox\nbusybox mount -t proc proc /proc\necho started on $(busybox uname -m)\n';

describe('obs-build', { skip }, () => {
  it('a build: its log, its status and results by the swap image', () => {
    const { root, swap } = makeRoot(
      `${START}printf results | busybox dd of=/dev/vdb bs=512 seek=1 2>/dev/null\n` +
        'printf BUILDSTATUS1 | busybox dd of=/dev/vdb conv=notrunc 2>/dev/null\n' +
        'echo kept > /kept\nbusybox sync\nbusybox mount -o remount,ro /\nbusybox poweroff -f\n',
    );
    const { status, stdout, stderr } = spawnSync('bash', [script, root, swap], { encoding: 'utf8', env: environment });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /started on ppc64le/);
    const told = readFileSync(swap).toString('latin1', 0, 519);
    assert.deepEqual([told.slice(0, 12), told.slice(512)], ['BUILDSTATUS1', 'results']);
    const kept = spawnSync('debugfs', ['-R', 'cat /kept', root], { encoding: 'utf8' });
    if (kept.error === undefined) assert.equal(kept.stdout, 'kept\n');
  });

  it('who kills what has the root image open ends it at once, without a status', async () => {
    const { root, swap } = makeRoot(`${START}busybox sleep 1000\n`);
    const child = spawn('bash', [script, root, swap], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] });
    let [log, open] = ['', ''];
    child.stdout.on('data', (piece) => {
      log += piece;
      if (!log.includes('started on') || open !== '') return;
      if (process.platform === 'linux')
        open = spawnSync('ls', ['-l', `/proc/${child.pid}/fd`], { encoding: 'utf8' }).stdout;
      child.kill('SIGTERM');
    });
    const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.on('close', (...end) => resolve(end)),
    );
    assert.ok(signal === 'SIGTERM' || status === 143, `${status} ${signal} ${log}`);
    if (process.platform === 'linux') assert.ok(open.includes(root), open);
    assert.ok(
      readFileSync(swap)
        .subarray(0, 12)
        .every((byte) => byte === 0),
    );
  });

  it('without a swap image, and with words of its own', () => {
    const { root } = makeRoot(`${START}busybox grep MemTotal /proc/meminfo\nbusybox poweroff -f\n`);
    const env = { ...environment, POWERVISOR_OBS_MEMORY: '512' };
    const { status, stdout } = spawnSync('bash', [script, '--accel', 'assist', root, ''], { encoding: 'utf8', env });
    assert.equal(status, 0);
    const kilobytes = Number(/MemTotal:\s+(\d+)/.exec(stdout)?.[1]);
    assert.ok(kilobytes > 400_000 && kilobytes < 524_289, stdout);
  });
});

it('verify-options.sh names devices and a swap image', { skip: process.platform === 'win32' }, () => {
  const shown = 'echo $VM_SWAP $VM_ROOTDEV $VM_SWAPDEV; env | grep POWERVISOR_OBS | sort';
  const { stdout } = spawnSync('bash', ['-c', `. ${join(obs, 'verify-options.sh')}; ${shown}`], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], BUILD_ROOT: '/x', VM_MEMSIZE: '700', vm_kernel: '/k' },
  });
  assert.equal(stdout, '/x.swap /dev/vda /dev/vdb\nPOWERVISOR_OBS_KERNEL=/k\nPOWERVISOR_OBS_MEMORY=700\n');
});

it('called otherwise it says what it is for', { skip: process.platform === 'win32' }, () => {
  const { status, stderr } = spawnSync('bash', [script, 'one'], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /obs-build calls this with a root image and a swap image/);
});
