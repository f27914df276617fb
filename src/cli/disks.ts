import type { BlockStore } from '../machine/index.ts';
import { DISK_FORMATS, type DiskFormat } from '../machine/index.ts';
import { type DiskFileOptions, openDiskFile } from '../node/index.ts';
import { UsageError } from './errors.ts';
import { parseChoice } from './values.ts';

/** A disk that the guest is given, as the command line says it. */
export interface DiskArgument extends DiskFileOptions {
  readonly file: string;
  readonly serial?: string | undefined;
  readonly media?: 'disk' | 'cdrom' | undefined;
  readonly bus?: string | undefined;
}

const FITS = 'format=, media=cdrom, bus=, ro, snapshot=on, serial=, backing=, backing-format= and lock=off fit';

const isOn = (value: string, name: string): boolean => parseChoice(value, ['on', 'off'], `way of ${name}`) === 'on';
const formatOf = (value: string): DiskFormat => parseChoice(value, DISK_FORMATS, 'format');

/** The words between the commas; two commas are one in a name, as QEMU has it. */
export function splitAtCommas(text: string): string[] {
  return text
    .replaceAll(',,', '\0')
    .split(',')
    .map((word) => word.replaceAll('\0', ','));
}

/** One more `FILE[,option…]`. */
export function parseDisk(text: string, before: readonly DiskArgument[] = []): DiskArgument[] {
  const [first = '', ...words] = splitAtCommas(text);
  const disk: { -readonly [Name in keyof DiskArgument]: DiskArgument[Name] } = { file: first.replace(/^file=/, '') };
  if (disk.file === '') throw new UsageError(`--disk '${text}' names no file; FILE or FILE,option fits`);
  for (const word of words) {
    const [, name = word, value = 'on'] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
    switch (name) {
      case 'format':
        disk.format = formatOf(value);
        break;
      case 'media':
        disk.media = parseChoice(value, ['disk', 'cdrom'] as const, 'kind of media');
        break;
      case 'bus':
        disk.bus = value;
        break;
      case 'ro':
      case 'readonly':
        disk.readOnly = isOn(value, name);
        break;
      case 'snapshot':
        disk.snapshot = isOn(value, name);
        break;
      case 'lock':
        disk.lock = isOn(value, name);
        break;
      case 'backing':
        disk.backing = value;
        break;
      case 'backing-format':
        disk.backingFormat = formatOf(value);
        break;
      case 'serial':
        if (!/^[\x21-\x7e]{1,20}$/.test(value))
          throw new UsageError(`'${value}' is no serial number; 1 to 20 letters, digits and signs fit`);
        disk.serial = value;
        break;
      default:
        throw new UsageError(`a disk has no option '${name}'; ${FITS}`);
    }
  }
  return [...before, disk];
}

/** The disks of a machine, open. */
export interface OpenDisk {
  readonly store: BlockStore;
  readonly serial: string | undefined;
  readonly readOnly: boolean;
  readonly media: 'disk' | 'cdrom' | undefined;
  readonly bus: string | undefined;
}

/** Opens all of them, or none. */
export async function openDisks(disks: readonly DiskArgument[]): Promise<OpenDisk[]> {
  const open: OpenDisk[] = [];
  try {
    for (const { file, serial, media, bus, ...given } of disks) {
      const options = media === 'cdrom' ? { readOnly: true, ...given } : given;
      // What nobody keeps may be written, whatever the file allows.
      const readOnly = options.readOnly ?? false;
      open.push({ store: await openDiskFile(file, options), serial, readOnly, media, bus });
    }
    return open;
  } catch (error) {
    await closeDisks(open);
    throw error;
  }
}

/** Writes what is left to write, and closes them. @throws the first error, when all were tried. */
export async function closeDisks(disks: readonly OpenDisk[]): Promise<void> {
  const closed = await Promise.allSettled(disks.map(({ store }) => store.close()));
  const failed = closed.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}
