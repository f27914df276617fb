/** Where the fields of frames are: Ethernet II, ARP (RFC 826), IPv4 (RFC 791), ICMP (792), UDP (768), TCP (9293). */

export const ETHERNET_BYTES = 14;
export const ETHERTYPE = { IPV4: 0x0800, ARP: 0x0806 } as const;

/** Offsets in a frame. Our own IPv4 headers have no options, so that what they carry begins at `IP_PAYLOAD`. */
export const IP = ETHERNET_BYTES;
export const IP_BYTES = 20;
export const IP_PAYLOAD = IP + IP_BYTES;
export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17 } as const;
export const MORE_FRAGMENTS = 0x2000;
export const DONT_FRAGMENT = 0x4000;
export const FRAGMENT_OFFSET = 0x1fff;

export const UDP_BYTES = 8;
export const TCP_BYTES = 20;
export const TCP_FLAG = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;

/** An IPv4 packet that came whole and with a right header; offsets count from the frame's start. */
export interface Packet {
  readonly frame: Uint8Array;
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  readonly timeToLive: number;
  /** Where the IPv4 header begins, what it carries, and where that ends. */
  readonly header: number;
  readonly start: number;
  readonly end: number;
  /** The checksum of what it carries is not filled in. */
  readonly isPartial: boolean;
}
