/** IPv4 addresses as unsigned words, and the plan of the user network, which is QEMU's. */

export const NETWORK = 0x0a00_0200;
export const NETMASK = 0xffff_ff00;
export const BROADCAST = 0x0a00_02ff;
/** The gateway, which stands for the host. */
export const GATEWAY = 0x0a00_0202;
export const RESOLVER = 0x0a00_0203;
/** The first address that DHCP gives away. */
export const FIRST_LEASE = 0x0a00_020f;
export const LIMITED_BROADCAST = 0xffff_ffff;
export const LOOPBACK = 0x7f00_0001;
export const MTU = 1500;

/** What the last byte of the gateway's or the resolver's address is added to: 52:55:0a:00:02:xx. */
export const MAC_PREFIX = [0x52, 0x55, 0x0a, 0x00, 0x02] as const;

/** "10.0.2.15". */
export function formatAddress(address: number): string {
  return [address >>> 24, (address >>> 16) & 0xff, (address >>> 8) & 0xff, address & 0xff].join('.');
}

/** Reads "10.0.2.15"; undefined for anything else. */
export function parseAddress(text: string): number | undefined {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((address, part) => address * 256 + part, 0);
}

export function isInNetwork(address: number): boolean {
  return (address & NETMASK) >>> 0 === NETWORK;
}

/** Whether a guest may have this address: one of the network's, and none of ours. */
export function isGuestAddress(address: number): boolean {
  return isInNetwork(address) && address !== NETWORK && address !== BROADCAST && !isOurs(address);
}

export function isOurs(address: number): boolean {
  return address === GATEWAY || address === RESOLVER;
}

/** Whether one computer of the outside can have this address: not "this network", loopback, multicast or reserved. */
export function isOutside(address: number): boolean {
  const first = address >>> 24;
  return first !== 0 && first !== 127 && first < 224 && !isInNetwork(address);
}
