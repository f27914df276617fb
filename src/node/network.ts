import { UserNetwork, type UserNetworkOptions } from '../machine/index.ts';
import { NodeSockets } from './sockets.ts';

/**
 * A user network over the host's own sockets, for the machine's option `network`. Rejects with a MachineError of one line: a
 * wrong option, or a forward's port that is not free. `close` ends it.
 */
export function createUserNetwork(options: UserNetworkOptions = {}): Promise<UserNetwork> {
  return UserNetwork.create(new NodeSockets(), options);
}
