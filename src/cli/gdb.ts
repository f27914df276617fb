import { UsageError } from './errors.ts';

/** Where gdb connects; no host: the loopback's. */
export interface GdbAddress {
  readonly host?: string;
  readonly port: number;
}

/** `PORT`, `HOST:PORT` or `[HOST]:PORT`; a port of 0 is one that is free. */
export function parseGdb(text: string): GdbAddress {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]:|([^:]*):)?(\d{1,5})$/.exec(text) ?? [];
  const port = digits === '' ? -1 : Number(digits);
  if (port < 0 || port > 65535) throw new UsageError(`'${text}' is no place for gdb; PORT fits, or HOST:PORT`);
  const host = bracketed ?? (plain || undefined);
  return { port, ...(host !== undefined && { host }) };
}
