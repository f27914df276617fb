/** Whose a command is: by number, or by name as the image has it (passwd(5), group(5)). */
import { MachineError } from '../../machine/index.ts';
import type { Image } from './image.ts';

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly home: string;
}

/** Of images whose files are in an initial RAM disk: what each of them has. */
const KNOWN = 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n';
const KNOWN_GROUPS = 'root:x:0:\nnogroup:x:65534:\n';
const MOST_ID = 2 ** 32 - 2;

const lines = (text: string): string[][] => text.split('\n').map((line) => line.split(':'));

/** @throws MachineError where the image has no such user or group */
export async function findUser(image: Image, text: string): Promise<User> {
  const [wanted = '', group] = text.split(':', 2);
  const read = async (path: string, known: string): Promise<string[][]> =>
    lines((image.root ? await image.root.read(path) : known) ?? '');
  const users = await read('etc/passwd', KNOWN);
  const isNumber = /^\d+$/.test(wanted);
  const entry = users.find(([name, , uid]) => (isNumber ? uid === wanted : name === wanted));
  if (entry === undefined && !isNumber) throw new MachineError(`the image has no user '${wanted}'`);
  const number = async (name: string): Promise<number> => {
    if (/^\d+$/.test(name)) return Number(name);
    const found = (await read('etc/group', KNOWN_GROUPS)).find(([one]) => one === name);
    if (found === undefined) throw new MachineError(`the image has no group '${name}'`);
    return Number(found[2]);
  };
  const uid = Number(entry?.[2] ?? wanted);
  const gid = group ? await number(group) : Number(entry?.[3] ?? (isNumber ? wanted : 0));
  if (!(uid <= MOST_ID) || !(gid <= MOST_ID)) throw new MachineError(`'${text}' is no user; NAME, UID or UID:GID fits`);
  return { uid, gid, name: entry?.[0] ?? wanted, home: entry?.[5] || '/' };
}
