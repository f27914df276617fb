/** The guest debian-disk: an image of one's own above its disk, and the command that boots it. */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
export const powervisor = join(root, 'bin/powervisor');

/** The guest's folder, made if need be. */
export function guestFolder(): string {
  const words = [join(root, 'tools/guests.mjs'), 'debian-disk'];
  const said = execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  return said.trim().split('\n').at(-1) as string;
}

/** Makes an image above the guest's disk, which stays as it is. */
export function makeOverlay(folder: string, image: string): void {
  const base = join(folder, 'disk.qcow2');
  execFileSync(powervisor, ['image', 'create', '-f', 'qcow2', '-b', base, '-F', 'qcow2', image]);
}

/** The command that boots it from `image`; `more` are further words. */
export function bootCommand(folder: string, image: string, more: readonly string[] = []): string[] {
  const disk = `${image},format=qcow2,backing=${join(folder, 'disk.qcow2')}`;
  return [powervisor, 'boot', '--machine', 'pseries', '--memory', '1G', '--kernel', join(folder, 'vmlinux')].concat(
    ['--initrd', join(folder, 'initramfs.cpio.gz'), '--append', 'console=hvc0 root=/dev/vda quiet', '--disk', disk],
    more,
  );
}

/** A port of the loopback that nobody has. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
