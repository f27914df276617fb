/** Ethernet frames, without preamble and checksum, as the outside takes and gives them. */

/** Longest frame on a link: MTU 65520 and the header. */
export const MAX_FRAME_BYTES = 65_534;

/** A network card's end of a link. */
export interface PacketReceiver {
  /** Takes a frame, whose bytes are the caller's again afterwards. False: no room now; `roomAgain` of the link will be called. */
  receive(frame: Uint8Array): boolean;
}

/** What a network card is plugged into. Never throws for anything that a frame holds. */
export interface PacketLink {
  /** The card; undefined while none is plugged in. The machine sets it. */
  receiver: PacketReceiver | undefined;
  /** A frame from the guest; its bytes are the caller's again afterwards. */
  send(frame: Uint8Array): void;
  /** The card, which had no room, has some again. */
  roomAgain(): void;
  /** The guest's machine was reset or has ended: connections end. */
  reset(): void;
  close(): void;
}
