/** Makes the image `debian` where it is wanted and not there: Debian's kernel and busybox for ppc64el, fetched and checked. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MachineError } from '../../machine/index.ts';
import { readFiles } from '../packages/archive.ts';
import { packageCache } from '../packages/cache.ts';
import { PackageClient } from '../packages/client.ts';
import { PackageError } from '../packages/error.ts';
import type { Reporter } from '../packages/progress.ts';
import { packBusyboxRoot } from './busybox.ts';
import { packRunArchive } from './run-archive.ts';

const ARCHITECTURE = 'ppc64el';
/** A package that depends on the kernel's of now. */
const KERNEL = 'linux-image-powerpc64le';
const BUSYBOX = 'busybox-static';

/**
 * Makes it into `folder`: `vmlinux`, `run.cpio` and `initramfs.cpio`. Runs beside each other may all do so.
 * @throws MachineError where there is no mirror of Debian, or it does not answer
 */
export async function makeDebianImage(folder: string, reporter: Reporter): Promise<void> {
  const part = `${folder}.${process.pid}`;
  try {
    const client = await PackageClient.open({
      architecture: ARCHITECTURE,
      mirror: process.env['POWERVISOR_MIRROR'],
      cache: packageCache(),
      reporter,
    });
    try {
      const kernel = readFileSync(await client.fetch(client.dependency(client.find(KERNEL), /^linux-image-/)));
      const [busybox] = await readFiles(readFileSync(await client.fetch(client.find(BUSYBOX))), [
        /^(usr\/)?bin\/busybox$/,
      ]);
      const [vmlinux] = await readFiles(kernel, [/^boot\/vmlinux-/]);
      mkdirSync(part, { recursive: true });
      writeFileSync(join(part, 'vmlinux'), vmlinux as Uint8Array);
      writeFileSync(join(part, 'run.cpio'), await packRunArchive(kernel, busybox as Uint8Array));
      writeFileSync(join(part, 'initramfs.cpio'), packBusyboxRoot(busybox as Uint8Array));
    } finally {
      client.close();
    }
    try {
      renameSync(part, folder);
    } catch (error) {
      // Another run was faster.
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' && (error as NodeJS.ErrnoException).code !== 'EEXIST')
        throw error;
    }
  } catch (error) {
    if (error instanceof PackageError) throw new MachineError(`the image 'debian' cannot be made: ${error.message}`);
    throw error;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}
