import { BROADCAST, FIRST_LEASE, GATEWAY, isGuestAddress, LIMITED_BROADCAST, NETMASK, RESOLVER } from './addresses.ts';
import { read32, write16, write32 } from './bytes.ts';
import type { Transmitter } from './transmitter.ts';

export const DHCP_SERVER_PORT = 67;
const DHCP_CLIENT_PORT = 68;
/** BOOTP (RFC 951): the fixed part, the magic word, and the least that clients expect of a message. */
const FIXED_BYTES = 236;
const MAGIC = 0x6382_5363;
const LEAST_BYTES = 300;
const LEASE_SECONDS = 86_400;
const MAC_BYTES = 6;
/** Leases at a time; the one that was asked for longest ago makes room. */
const MOST_LEASES = 64;

const MESSAGE = { DISCOVER: 1, OFFER: 2, REQUEST: 3, DECLINE: 4, ACK: 5, NAK: 6, RELEASE: 7, INFORM: 8 } as const;
const OPTION = {
  PAD: 0,
  NETMASK: 1,
  ROUTER: 3,
  RESOLVER: 6,
  HOST_NAME: 12,
  DOMAIN_NAME: 15,
  BROADCAST: 28,
  REQUESTED_ADDRESS: 50,
  LEASE_SECONDS: 51,
  MESSAGE: 53,
  SERVER: 54,
  END: 255,
} as const;

export interface DhcpOptions {
  /** Tell of no way out: neither router nor resolver. */
  readonly restrict: boolean;
  readonly hostname: string | undefined;
  readonly domain: string | undefined;
}

/** Gives addresses (RFC 2131), to any client the same again as long as it is remembered. */
export class Dhcp {
  readonly #transmitter: Transmitter;
  readonly #options: DhcpOptions;
  /** By hardware address, as a number: the address. The one that was asked for last stands last. */
  readonly #leases = new Map<number, number>();
  readonly #answer = new Uint8Array(1024);

  constructor(transmitter: Transmitter, options: DhcpOptions) {
    this.#transmitter = transmitter;
    this.#options = options;
  }

  /** The address that was given away last; what a forward leads to when nothing is said. */
  get guest(): number {
    let last = FIRST_LEASE;
    for (const address of this.#leases.values()) last = address;
    return last;
  }

  /** Every lease: two words of hardware address, and the address. */
  save(): number[] {
    return [...this.#leases].flatMap(([mac, address]) => [Math.floor(mac / 2 ** 32), mac % 2 ** 32, address]);
  }

  restore(leases: readonly number[]): void {
    this.#leases.clear();
    for (let i = 0; i + 2 < leases.length && this.#leases.size < MOST_LEASES; i += 3) {
      const address = leases[i + 2] as number;
      if (!isGuestAddress(address)) continue;
      this.#leases.set(((leases[i] as number) & 0xffff) * 2 ** 32 + (leases[i + 1] as number), address);
    }
  }

  /** A message to the server's port; `bytes` is what the datagram holds. */
  receive(bytes: Uint8Array): void {
    if (bytes.length < FIXED_BYTES || bytes[0] !== 1 || bytes[1] !== 1 || bytes[2] !== MAC_BYTES) return;
    const mac = read32(bytes, 30) + ((bytes[28] as number) * 256 + (bytes[29] as number)) * 2 ** 32;
    const kind = option(bytes, OPTION.MESSAGE)?.[0];
    const server = addressOption(bytes, OPTION.SERVER);
    const requested = addressOption(bytes, OPTION.REQUESTED_ADDRESS);
    const client = read32(bytes, 12);
    switch (kind) {
      case undefined:
        // BOOTP.
        this.#reply(bytes, undefined, this.#lease(mac, undefined));
        return;
      case MESSAGE.DISCOVER:
        this.#reply(bytes, MESSAGE.OFFER, this.#lease(mac, requested));
        return;
      case MESSAGE.REQUEST: {
        if (server !== undefined && server !== GATEWAY) return;
        const wanted = requested ?? client;
        const address = this.#lease(mac, wanted);
        if (address === wanted) this.#reply(bytes, MESSAGE.ACK, address);
        else this.#reply(bytes, MESSAGE.NAK, 0);
        return;
      }
      case MESSAGE.INFORM:
        this.#reply(bytes, MESSAGE.ACK, 0);
        return;
      case MESSAGE.RELEASE:
      case MESSAGE.DECLINE:
        this.#leases.delete(mac);
        return;
    }
  }

  /** The address of a client: its own of before, the one that it wishes for if that is free, or the first that is. */
  #lease(mac: number, wish: number | undefined): number {
    const taken = new Set(this.#leases.values());
    let address = this.#leases.get(mac);
    this.#leases.delete(mac);
    if (address === undefined && wish !== undefined && isGuestAddress(wish) && !taken.has(wish)) address = wish;
    if (address === undefined) {
      if (this.#leases.size >= MOST_LEASES) {
        const [oldest, freed] = this.#leases.entries().next().value as [number, number];
        this.#leases.delete(oldest);
        taken.delete(freed);
      }
      address = FIRST_LEASE;
      while (taken.has(address)) address++;
    }
    this.#leases.set(mac, address);
    return address;
  }

  #reply(request: Uint8Array, kind: number | undefined, address: number): void {
    const answer = this.#answer.fill(0);
    answer[0] = 2;
    answer[1] = 1;
    answer[2] = MAC_BYTES;
    // Transaction, flags, the client's own address, its relay's, and its hardware address.
    answer.set(request.subarray(4, 8), 4);
    answer.set(request.subarray(10, 12), 10);
    if (kind !== MESSAGE.NAK) answer.set(request.subarray(12, 16), 12);
    write32(answer, 16, address);
    write32(answer, 20, kind === MESSAGE.NAK ? 0 : GATEWAY);
    answer.set(request.subarray(28, 44), 28);
    write32(answer, FIXED_BYTES, MAGIC);
    const options = new OptionWriter(answer, FIXED_BYTES + 4);
    if (kind !== undefined) {
      options.bytes(OPTION.MESSAGE, [kind]);
      options.address(OPTION.SERVER, GATEWAY);
    }
    if (kind !== MESSAGE.NAK) this.#parameters(options, address !== 0);
    answer[options.at++] = OPTION.END;
    const bytes = answer.subarray(0, Math.max(options.at, LEAST_BYTES));

    // Whoever has no address yet hears only what goes to all; one that renews has one.
    const client = read32(request, 12);
    const isUnicast = kind !== MESSAGE.NAK && isGuestAddress(client) && (address === 0 || client === address);
    if (isUnicast) this.#transmitter.learn(client, request, 28);
    const destination = isUnicast ? client : LIMITED_BROADCAST;
    this.#transmitter.udp(GATEWAY, DHCP_SERVER_PORT, destination, DHCP_CLIENT_PORT, bytes);
  }

  #parameters(options: OptionWriter, hasLease: boolean): void {
    const { restrict, hostname, domain } = this.#options;
    options.address(OPTION.NETMASK, NETMASK);
    options.address(OPTION.BROADCAST, BROADCAST);
    if (hasLease) options.address(OPTION.LEASE_SECONDS, LEASE_SECONDS);
    if (!restrict) {
      options.address(OPTION.ROUTER, GATEWAY);
      options.address(OPTION.RESOLVER, RESOLVER);
    }
    if (hostname !== undefined) options.text(OPTION.HOST_NAME, hostname);
    if (domain !== undefined) options.text(OPTION.DOMAIN_NAME, domain);
  }
}

class OptionWriter {
  at: number;
  readonly #target: Uint8Array;

  constructor(target: Uint8Array, at: number) {
    this.#target = target;
    this.at = at;
  }

  bytes(code: number, bytes: ArrayLike<number>): void {
    write16(this.#target, this.at, (code << 8) | bytes.length);
    this.#target.set(bytes, this.at + 2);
    this.at += 2 + bytes.length;
  }

  address(code: number, address: number): void {
    write16(this.#target, this.at, (code << 8) | 4);
    write32(this.#target, this.at + 2, address);
    this.at += 6;
  }

  text(code: number, text: string): void {
    this.bytes(
      code,
      Array.from(text, (character) => character.charCodeAt(0)),
    );
  }
}

/** An option's bytes; undefined when it is not there, or not whole. */
function option(message: Uint8Array, code: number): Uint8Array | undefined {
  if (message.length < FIXED_BYTES + 4 || read32(message, FIXED_BYTES) !== MAGIC) return undefined;
  let at = FIXED_BYTES + 4;
  while (at + 1 < message.length && message[at] !== OPTION.END) {
    if (message[at] === OPTION.PAD) {
      at++;
      continue;
    }
    const length = message[at + 1] as number;
    const bytes = message.subarray(at + 2, at + 2 + length);
    if (message[at] === code) return bytes.length === length && length > 0 ? bytes : undefined;
    at += 2 + length;
  }
  return undefined;
}

function addressOption(message: Uint8Array, code: number): number | undefined {
  const bytes = option(message, code);
  return bytes?.length === 4 ? read32(bytes, 0) : undefined;
}
