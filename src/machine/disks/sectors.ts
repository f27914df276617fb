/** What disks count in. */
export const SECTOR_BYTES = 512;
/** Sizes and offsets up to here are exact in a number. */
export const MAX_DISK_BYTES = 2 ** 53 - SECTOR_BYTES;
