import { UsageError } from './errors.ts';

/** A folder that the guest is given, as the command line says it. */
export interface ShareArgument {
  readonly tag: string;
  readonly folder: string;
  readonly writable: boolean;
}

/** Guests mount by it: a word without a comma or a space, as mount's options have them. */
const TAG = /^[!-+\--~]{1,31}$/;

/** One more `TAG=FOLDER[,rw]`; what else a comma stands before belongs to the folder's name, but for `,ro`, which is the default. */
export function parseShare(text: string, before: readonly ShareArgument[] = []): ShareArgument[] {
  const [, tag = '', folder = '', mode] = /^([^=]*)=(.*?)(?:,(r[ow]))?$/s.exec(text) ?? [];
  if (folder === '') throw new UsageError(`'${text}' shares no folder; TAG=FOLDER or TAG=FOLDER,rw fits`);
  if (!TAG.test(tag))
    throw new UsageError(`'${tag}' is no tag to mount a folder by; up to 31 letters, digits and signs but ',' fit`);
  if (before.some((one) => one.tag === tag)) throw new UsageError(`there are two folders with the tag '${tag}'`);
  return [...before, { tag, folder, writable: mode === 'rw' }];
}
