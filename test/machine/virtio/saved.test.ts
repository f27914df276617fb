/** A machine that is saved while its disk owes it answers: what was under way is asked for again by the one that goes on. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Machine, type MachineHost } from '../../../src/machine/index.ts';
import { NodeHost } from '../../../src/node/index.ts';
import { MemoryDisk } from './memory-disk.ts';

const SAVES = 5;
/** Requests between two of them. */
const REQUESTS = 7;
const SCRIPT =
  'i=0; while [ $i -lt 8 ]; do dd if=/dev/urandom of=/tmp/x bs=64k count=8 2>/dev/null;' +
  ' dd if=/tmp/x of=/dev/vda bs=64k seek=$i 2>/dev/null; sync; echo 3 >/proc/sys/vm/drop_caches;' +
  ' dd if=/dev/vda bs=64k skip=$i count=8 2>/dev/null | cmp - /tmp/x && echo same $((i + 100)); i=$((i + 1)); done;' +
  ' md5sum /dev/vda >/dev/null; echo done $((6 * 7))\n';

/** Does what it is asked at once, and says so later. */
class SlowDisk extends MemoryDisk {
  underWay = 0;
  requests = 0;
  onRequest: () => void = () => {};

  async #later(): Promise<void> {
    this.underWay++;
    this.requests++;
    this.onRequest();
    await wait(3);
    this.underWay--;
  }

  override async read(offset: number, into: Uint8Array): Promise<void> {
    await super.read(offset, into);
    await this.#later();
  }

  override async write(offset: number, bytes: Uint8Array): Promise<void> {
    await super.write(offset, bytes);
    await this.#later();
  }
}

for (const [name, board, kernel, tty] of [['BOOK3S64', 'pseries', 'vmlinux', 'hvc0']] as const) {
  const folder = process.env[`POWERVISOR_TEST_GUEST_${name}`];
  const skip = folder === undefined ? `no ${name} guest (POWERVISOR_TEST_GUEST_${name})` : false;
  test(`a disk with requests under way: ${name}`, { skip, timeout: 240_000 }, async () => {
    let output = '';
    const host = (): MachineHost =>
      new NodeHost({ write: (bytes) => void (output += Buffer.from(bytes).toString('latin1')) });
    const disk = new SlowDisk(2 ** 20);
    const cards = { disks: [{ store: disk }], rng: true, noReboot: true, timeoutNs: 200e9 };
    let machine = Machine.create({
      board,
      host: host(),
      kernel: readFileSync(join(folder ?? '', kernel)),
      initrd: readFileSync(join(folder ?? '', 'initramfs.cpio.gz')),
      append: `console=${tty} quiet virtio`,
      ...cards,
    });
    let run = machine.run();
    const until = async (isThere: () => boolean): Promise<void> => {
      while (!isThere() && machine.state !== 'ended') await wait(2);
      assert.ok(isThere(), output);
    };
    await until(() => output.includes('# '));
    machine.input(Buffer.from(SCRIPT));
    let inFlight = 0;
    for (let save = 1; save <= SAVES; save++) {
      const wanted = disk.requests + REQUESTS;
      let paused: Promise<void> | undefined;
      disk.onRequest = () => {
        if (disk.requests >= wanted) paused ??= machine.pause();
      };
      await until(() => paused !== undefined);
      await paused;
      if (disk.underWay > 0) inFlight++;
      const snapshot = await machine.save({ compression: 'none' });
      machine.quit();
      await run;
      machine = Machine.restore(snapshot, { host: host(), ...cards });
      run = machine.run();
    }
    disk.onRequest = () => {};
    await until(() => output.includes('done 42'));
    machine.quit();
    await run;
    for (let i = 0; i < 8; i++) assert.ok(output.includes(`same ${100 + i}`), output);
    assert.ok(inFlight > 0, 'nothing was under way');
    assert.ok(!/Buffer I\/O|blk_update|Oops|BUG:/.test(output), output);
  });
}
