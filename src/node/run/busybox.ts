/** A small root file system: busybox and a link for each of its names. */
import { directory, type Entry, file, link, packCpio } from './cpio.ts';

/**
 * The names that a busybox answers to, out of its own list: names in order, each ended by 0, the first one '['. To ask
 * the program would take the processor that it was built for.
 */
export function appletsOf(busybox: Uint8Array): string[] {
  const bytes = Buffer.from(busybox.buffer, busybox.byteOffset, busybox.byteLength);
  for (let at = bytes.indexOf('\0[\0', 0, 'latin1'); at >= 0; at = bytes.indexOf('\0[\0', at + 1, 'latin1')) {
    const names = bytes.toString('latin1', at + 1, bytes.indexOf('\0\0', at + 1, 'latin1')).split('\0');
    if (names.includes('sh') && names.every((name) => /^[\w.[-]+$/.test(name))) return names;
  }
  throw new Error('busybox has no list of its names');
}

const folders = ['bin', 'dev', 'etc', 'proc', 'root', 'sbin', 'sys', 'tmp', 'usr', 'usr/bin'];

/** An archive of it. */
export function packBusyboxRoot(busybox: Uint8Array): Buffer {
  const entries: Entry[] = [
    ...folders.map((path) => directory(path)),
    file('etc/passwd', Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n')),
    file('etc/group', Buffer.from('root:x:0:\nnogroup:x:65534:\n')),
    file('bin/busybox', busybox, 0o755),
    ...appletsOf(busybox)
      .filter((name) => name !== 'busybox')
      .map((name) => link(`bin/${name}`, 'busybox')),
  ];
  return packCpio(entries);
}
