import type { ConsolePortOptions } from '../machine/index.ts';
import { type ClosablePortEnd, openFilePort, openSocketPort } from '../node/index.ts';
import { UsageError } from './errors.ts';

/** QEMU's word for a socket by its path. */
const SOCKET = 'unix:';

/** What `--console-port` names. */
export interface ConsolePortArgument {
  readonly name: string;
  readonly path: string;
  readonly isSocket: boolean;
}

/** `NAME=FILE` or `NAME=unix:PATH`, behind those that were given before. */
export function parseConsolePort(text: string, before: readonly ConsolePortArgument[] = []): ConsolePortArgument[] {
  const [, name = '', where = ''] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  const isSocket = where.startsWith(SOCKET);
  const path = isSocket ? where.slice(SOCKET.length) : where;
  if (!/^[\x21-\x7e]{1,64}$/.test(name) || path === '')
    throw new UsageError(`'${text}' is not a console port; NAME=FILE fits, or NAME=unix:PATH for a socket`);
  if (before.some((one) => one.name === name)) throw new UsageError(`there are two console ports '${name}'`);
  return [...before, { name, path, isSocket }];
}

/** Opens files and sockets of console ports. `close` lets them go, with all that was written in its place. */
export async function openConsolePorts(
  ports: readonly ConsolePortArgument[],
): Promise<{ readonly consolePorts: ConsolePortOptions[]; readonly close: () => Promise<void> }> {
  const ends: ClosablePortEnd[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(ends.map((end) => end.close()));
  };
  const consolePorts: ConsolePortOptions[] = [];
  try {
    for (const { name, path, isSocket } of ports) {
      const end = isSocket ? await openSocketPort(path) : openFilePort(path);
      ends.push(end);
      consolePorts.push({ name, end });
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { consolePorts, close };
}
