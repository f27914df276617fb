import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findBoard, hasFirmware } from '../machine/index.ts';
import { guestFolders } from './guest-files.ts';

/**
 * The file of a board's customary firmware: made with the guests, or where Debian's package has it. Undefined where there is
 * none, or the board starts from none.
 */
export function findFirmware(board: string): string | undefined {
  const { boot } = findBoard(board);
  if (!hasFirmware(boot)) return undefined;
  const name = basename(boot.file);
  return [...guestFolders().map((folder) => join(folder, 'openbios', name)), boot.file].find((path) =>
    statSync(path, { throwIfNoEntry: false })?.isFile(),
  );
}

/** The same, its contents. */
export function readFirmware(board: string): Uint8Array | undefined {
  const path = findFirmware(board);
  return path === undefined ? undefined : readFileSync(path);
}
