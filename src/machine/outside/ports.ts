/** The outside's end of a named console port: a stream of bytes in both directions, of which each can make the other wait. */
export interface PortEnd {
  /** Takes what the guest wrote; the bytes are the callee's to keep. */
  write(bytes: Uint8Array): void;
  /** It takes no more for now: the guest's writer waits until `roomAgain` of the port. Absent: it takes everything. */
  readonly full?: boolean;
  /** The guest's end, while the machine exists; the machine sets it. */
  port: GuestPort | undefined;
  /** A program in the guest has opened or closed its end. */
  opened?(isOpen: boolean): void;
  /** The guest takes more bytes again. */
  roomAgain?(): void;
}

/** The guest's end of a named console port. May be called from anywhere. */
export interface GuestPort {
  /** Offers bytes to the guest. Returns how many were taken: after `roomAgain` the rest can be offered again. */
  receive(bytes: Uint8Array): number;
  /** The end, which was full, takes bytes again. */
  roomAgain(): void;
  /** Somebody outside listens, or does not any more: programs in the guest are told. Ends begin connected. */
  connected(isConnected: boolean): void;
}
