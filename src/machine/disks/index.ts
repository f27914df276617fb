/** Disks: images of raw bytes and of qcow2 on what the outside gives. This file is the room's public interface. */
export { builtInCodecs, type DiskCodecs } from './codecs.ts';
export { type CopyOptions, copyToQcow2, copyToRaw } from './convert.ts';
export { MemoryBytes } from './memory-bytes.ts';
export { DISK_FORMATS, type DiskFormat, diskFormat, type OpenDiskOptions, openDisk, openOverlay } from './open.ts';
export { type CheckOptions, type CheckReport, checkQcow2 } from './qcow2/check.ts';
export { createQcow2, type Qcow2Options } from './qcow2/create.ts';
export { type Extent, Qcow2Disk } from './qcow2/disk.ts';
export { type BackingName, type Compression, type Header, isQcow2, readHeader } from './qcow2/header.ts';
export { RawDisk } from './raw.ts';
export { isZero } from './zeroes.ts';
