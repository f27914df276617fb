import { UserNetwork, type UserNetworkOptions } from '../machine/index.ts';

/**
 * A user network over the host's own sockets, for the machine's option `network`. Rejects with a MachineError of one line: a
 * wrong option, or a forward's port that is not free. `close` ends it.
 */
export async function createUserNetwork(options: UserNetworkOptions = {}): Promise<UserNetwork> {
  // Most machines have none, and need not load Node's.
  const { NodeSockets } = await import('./sockets.ts');
  return UserNetwork.create(new NodeSockets(), options);
}
