/** Named console ports and random numbers through the command. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { parseConsolePort } from '../../src/cli/console-ports.ts';
import { UsageError } from '../../src/cli/errors.ts';
import { run } from './command.ts';

const guest = process.env['POWERVISOR_TEST_GUEST_BOOK3S64'];
const skip = guest === undefined && 'no book3s64 guest (POWERVISOR_TEST_GUEST_BOOK3S64)';

test('what names a port, and what does not', () => {
  assert.deepEqual(parseConsolePort('a.b=/x=y', parseConsolePort('c=unix:/s')), [
    { name: 'c', path: '/s', isSocket: true },
    { name: 'a.b', path: '/x=y', isSocket: false },
  ]);
  for (const text of ['a', '=x', 'a=', 'a=unix:', 'ä=x', 'a b=x'])
    assert.throws(() => parseConsolePort(text), UsageError, text);
  assert.throws(() => parseConsolePort('a=x', parseConsolePort('a=y')), UsageError);
});

test('a file that cannot be written, a socket that cannot be made: one line each', async () => {
  for (const port of ['a=/nowhere/at/all', 'a=unix:/nowhere/at/all']) {
    const { status, stderr } = await run([
      ...['boot', '--machine', 'bare', '--kernel', import.meta.filename, '--console-port', port],
    ]);
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^powervisor: cannot (write|make) the console port's .*\n$/);
  }
});

test('a guest writes to a file, and talks over a socket', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-'));
  try {
    const [file, socket] = [join(folder, 'out'), join(folder, 'socket')];
    let heard = '';
    const talk = async (): Promise<void> => {
      for (let tries = 0; tries < 200 && heard === ''; tries++) {
        await wait(100);
        await new Promise<void>((resolve) => {
          const end = connect(socket, () => end.write('from outside\n'));
          end.on('data', (bytes) => {
            heard += bytes;
          });
          end.on('error', () => {});
          end.on('close', resolve);
        });
      }
    };
    const ports = 'cd /sys/class/virtio-ports; for p in *; do read n <$p/name; eval $n=/dev/$p; done; cd /';
    const [result] = await Promise.all([
      run(
        [
          ...['boot', '--machine', 'pseries', '--kernel', `${guest}/vmlinux`, '--timeout', '60', '--rng'],
          ...['--initrd', `${guest}/initramfs.cpio.gz`, '--append', 'console=hvc0', '--no-reboot'],
          ...['--console-port', `one=${file}`, '--console-port', `two=unix:${socket}`],
        ],
        {
          steps: [
            { after: 'GUEST-READY ppc64 ', do: '' },
            { after: '# ', do: `${ports}; echo to a file > $one; echo ready $((1+1))\n` },
            { after: 'ready 2', do: '(read x; echo "heard $x" >/dev/hvc0; echo to a socket) <>$two >&0\n' },
            { after: 'heard from outside', do: 'dd if=/dev/hwrng of=/dev/null bs=16 count=1; poweroff -f\n' },
          ],
        },
      ),
      talk(),
    ]);
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout, /1\+0 records out/);
    assert.equal(readFileSync(file, 'latin1'), 'to a file\n');
    assert.equal(heard, 'to a socket\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
