import { OptionError } from '../error.ts';
import { isGuestAddress, parseAddress } from './addresses.ts';

/** A port of the host's that leads to one of the guest's. */
export interface Forward {
  readonly protocol: 'tcp' | 'udp';
  /** Where the host listens; 127.0.0.1 when nothing is said. */
  readonly hostAddress?: string | undefined;
  /** 0: a free one, which `UserNetwork.forwards` tells. */
  readonly hostPort: number;
  /** The guest's; when nothing is said, the one that it has from DHCP. */
  readonly guestAddress?: string | undefined;
  readonly guestPort: number;
}

/** How a user network is. */
export interface UserNetworkOptions {
  readonly forward?: readonly Forward[] | undefined;
  /** The guest reaches nothing but the network itself; forwards go on. */
  readonly restrict?: boolean | undefined;
  /** 10.0.2.2 is the host's loopback, and the host's own addresses can be reached. */
  readonly hostLoopback?: boolean | undefined;
  /** The name that DHCP gives the guest. */
  readonly hostname?: string | undefined;
  /** The domain that DHCP gives the guest. */
  readonly domain?: string | undefined;
}

const FORWARD_FORM = 'forward=tcp:[HOSTADDRESS:]HOSTPORT:[GUESTADDRESS:]GUESTPORT';
const NAME = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/i;

const isPort = (value: unknown, least: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value <= 65_535;

/** @throws OptionError with one line: what is wrong, and what would fit. */
export function checkUserNetworkOptions(options: unknown): asserts options is UserNetworkOptions {
  if (Object(options) !== options) throw new OptionError("a user network's options are an object");
  const given = options as Readonly<Record<string, unknown>>;
  const { forward, restrict, hostLoopback, hostname, domain, ...others } = given;
  const [other] = Object.keys(others);
  if (other !== undefined)
    throw new OptionError(
      `a user network has no option ${JSON.stringify(other.slice(0, 64))}; the options are: forward, restrict, hostLoopback, hostname, domain`,
    );
  for (const [name, value] of Object.entries({ restrict, hostLoopback }))
    if (value !== undefined && typeof value !== 'boolean')
      throw new OptionError(`the network's option ${name} is true or false`);
  for (const [name, value] of Object.entries({ hostname, domain }))
    if (value !== undefined && !(typeof value === 'string' && NAME.test(value)))
      throw new OptionError(`the network's option ${name} is a name of letters, digits, '-' and '.'`);
  if (forward === undefined) return;
  if (!Array.isArray(forward)) throw new OptionError("the network's option forward is a list of forwards");
  for (const one of forward) checkForward(Object(one));
}

function checkForward({ protocol, hostAddress, hostPort, guestAddress, guestPort }: Record<string, unknown>): void {
  if (protocol !== 'tcp' && protocol !== 'udp') throw new OptionError("a forward's protocol is 'tcp' or 'udp'");
  if (!isPort(hostPort, 0)) throw new OptionError("a forward's hostPort is a number from 0 to 65535");
  if (!isPort(guestPort, 1)) throw new OptionError("a forward's guestPort is a number from 1 to 65535");
  if (hostAddress !== undefined && (typeof hostAddress !== 'string' || parseAddress(hostAddress) === undefined))
    throw new OptionError("a forward's hostAddress is one of the host's IPv4 addresses, such as 127.0.0.1 or 0.0.0.0");
  if (guestAddress !== undefined && !isGuestAddress(parseAddress(String(guestAddress)) ?? 0))
    throw new OptionError("a forward's guestAddress is one of 10.0.2.0/24, such as 10.0.2.15");
}

/** Reads "tcp:2222:22", "udp:0.0.0.0:5353:53", "tcp:127.0.0.1:2222:10.0.2.15:22", and QEMU's "tcp::2222-:22". */
function parseForward(text: string): Forward {
  const match = /^(tcp|udp):(?:([0-9.]*):)?(\d{1,5})[:-](?:([0-9.]*):)?(\d{1,5})$/.exec(text);
  if (match === null)
    throw new OptionError(`'${text}' is no forward; ${FORWARD_FORM} fits, such as forward=tcp:2222:22`);
  const [, protocol, hostAddress, hostPort, guestAddress, guestPort] = match;
  return {
    protocol: protocol as Forward['protocol'],
    ...(hostAddress && { hostAddress }),
    hostPort: Number(hostPort),
    ...(guestAddress && { guestAddress }),
    guestPort: Number(guestPort),
  };
}

function parseSwitch(name: string, text: string): boolean {
  if (text === 'on' || text === '') return true;
  if (text === 'off') return false;
  throw new OptionError(`'${name}=${text}' does not fit; ${name}=on or ${name}=off does`);
}

/**
 * Reads what stands behind `--net`: "user", with options behind commas, or "none" (undefined).
 * @throws OptionError with one line: what is wrong, and what would fit.
 */
export function parseNetwork(text: string): UserNetworkOptions | undefined {
  const [kind, ...words] = text.split(',');
  if (kind === 'none' && words.length === 0) return undefined;
  if (kind !== 'user') throw new OptionError(`there is no network '${kind}'; user and none fit`);
  const forward: Forward[] = [];
  const options: { -readonly [Name in keyof UserNetworkOptions]: UserNetworkOptions[Name] } = {};
  for (const word of words) {
    const [name = '', ...rest] = word.split('=');
    const value = rest.join('=');
    switch (name) {
      case 'forward':
      case 'hostfwd':
        forward.push(parseForward(value));
        break;
      case 'restrict':
        options.restrict = parseSwitch(name, value);
        break;
      case 'host-loopback':
        options.hostLoopback = parseSwitch(name, value);
        break;
      case 'hostname':
      case 'domain':
        options[name] = value;
        break;
      default:
        throw new OptionError(
          `a user network has no option '${name}'; ${FORWARD_FORM}, restrict=on, host-loopback=on, hostname=NAME and domain=NAME fit`,
        );
    }
  }
  const all = { ...options, ...(forward.length > 0 && { forward }) };
  checkUserNetworkOptions(all);
  return all;
}
