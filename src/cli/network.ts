import { parseNetwork, type UserNetworkOptions } from '../machine/index.ts';
import { createUserNetwork } from '../node/index.ts';
import { UsageError } from './errors.ts';

/** A network card and what it is plugged into, as the command line says it. */
export interface NetworkArgument {
  readonly user: UserNetworkOptions;
  readonly mac?: string | undefined;
}

const MAC = /^[\da-f][02468ace](:[\da-f]{2}){5}$/i;

/** `user[,OPTION…]`, or `none`. */
export function parseNetworkArgument(text: string): NetworkArgument | undefined {
  const words = text.split(',');
  const macs = words.filter((word) => word.startsWith('mac=')).map((word) => word.slice('mac='.length));
  const mac = macs[0];
  if (macs.length > 1) throw new UsageError('a network card has one address: one mac=… fits');
  if (mac !== undefined && !MAC.test(mac))
    throw new UsageError(`'mac=${mac}' is no card's address; mac=52:54:00:12:34:56 fits, its first byte even`);
  const user = parseNetwork(words.filter((word) => !word.startsWith('mac=')).join(','));
  return user && { user, mac };
}

/** The machine's option `network` for it, and what ends it. */
export async function plugIn(argument: NetworkArgument | undefined): Promise<{
  readonly card: { readonly link: Awaited<ReturnType<typeof createUserNetwork>>; readonly mac?: string } | undefined;
  close(): void;
}> {
  if (argument === undefined) return { card: undefined, close: () => {} };
  const { user, mac } = argument;
  const link = await createUserNetwork(user);
  return { card: { link, ...(mac !== undefined && { mac }) }, close: () => link.close() };
}
