/** Which files a command finds where: the image's root, the folder, libraries of a cross compiler. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { MachineError, type NinePServer } from '../../machine/index.ts';
import { shareFolder } from '../folder.ts';
import { FOLDER_TAG } from './agent.ts';
import { HOME, type Request } from './agent-program.ts';
import type { Image } from './image.ts';

export interface GuestFilesOptions {
  readonly folder: string | false;
  readonly writable: boolean;
  readonly sysroot: string | undefined;
}

export interface GuestFiles {
  readonly shares: readonly { readonly tag: string; readonly server: NinePServer }[];
  readonly request: Pick<Request, 'mounts' | 'binds' | 'covers' | 'root'>;
  close(): void;
}

const ROOT = `${HOME}/root`;
const ROOT_TAG = 'root';
const SYSROOT_TAG = 'sysroot';
/** What of a sysroot programs load from, where the root has the same. */
const LIBRARIES = ['lib', 'lib64', 'usr/lib', 'usr/lib64'];
/** What of the guest's kernel a root is to have. */
const SYSTEM = ['proc', 'sys', 'dev'];

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** A path that overlay's options can have. */
function checkSysroot(path: string): string {
  const whole = resolve(path);
  if (!isFolder(whole)) throw new MachineError(`there is no folder ${path} to take libraries from`);
  if (/[:,\\]/.test(whole))
    throw new MachineError(`libraries cannot be taken from ${path}: it has one of ":,\\" in it`);
  return whole;
}

/** @throws MachineError where something is not there */
export async function openGuestFiles(image: Image, options: GuestFilesOptions): Promise<GuestFiles> {
  const { folder, writable } = options;
  if (folder === '/')
    throw new MachineError("the folder '/' would be in the place of the guest's own; folder: false fits");
  const sysroot = options.sysroot === undefined ? undefined : checkSysroot(options.sysroot);
  const shares: { tag: string; server: NinePServer }[] = [];
  const mounts: Request['mounts'][number][] = [];
  const binds: Request['binds'][number][] = [];
  const root = image.root && ROOT;
  const inRoot = (path: string): string => (root ?? '') + path;
  try {
    if (image.root) {
      shares.push({ tag: ROOT_TAG, server: await image.root.open() });
      mounts.push({ tag: ROOT_TAG, target: ROOT, mode: 'overlay' });
      for (const name of SYSTEM) binds.push({ source: `/${name}`, target: inRoot(`/${name}`) });
    }
    if (sysroot !== undefined) {
      shares.push({ tag: SYSROOT_TAG, server: shareFolder(sysroot) });
      mounts.push({ tag: SYSROOT_TAG, target: inRoot(sysroot), mode: 'ro' });
    }
    if (folder !== false) {
      shares.push({ tag: FOLDER_TAG, server: shareFolder(folder, { writable }) });
      mounts.push({ tag: FOLDER_TAG, target: inRoot(resolve(folder)), mode: writable ? 'rw' : 'overlay' });
    }
  } catch (error) {
    for (const { server } of shares) server.close();
    throw error;
  }
  const covers = LIBRARIES.filter((name) => sysroot !== undefined && isFolder(`${sysroot}/${name}`)).map((name) => ({
    above: inRoot(`${sysroot}/${name}`),
    target: inRoot(`/${name}`),
  }));
  return {
    shares,
    request: { mounts, binds, covers, root },
    close: () => {
      for (const { server } of shares) server.close();
    },
  };
}
