/** Ethernet frames, without preamble and checksum, as the outside takes and gives them. */
import type { DeviceState } from '../device.ts';

/** Longest frame on a link: MTU 65520 and the header. */
export const MAX_FRAME_BYTES = 65_534;

/** A network card's end of a link. */
export interface PacketReceiver {
  /**
   * Its guest has agreed to take TCP segments over IPv4 that are longer than its MTU, and whose checksum is not filled in
   * (virtio-net: GUEST_CSUM and GUEST_TSO4). May change whenever the guest's driver starts anew. Absent: it has not.
   */
  readonly takesSegments?: boolean;
  /**
   * Takes a frame, whose bytes are the caller's again afterwards. False: no room now; `roomAgain` of the link will be called.
   * With `segmentBytes`, which only one that `takesSegments` is given, the frame is IPv4 with TCP, the field of its TCP
   * checksum holds the sum of the pseudo header alone, and what it carries stands for segments of so many bytes each (the
   * last may be shorter; there may be but one): NEEDS_CSUM, and GSO_TCPV4 where there is more than one, in virtio-net's words.
   */
  receive(frame: Uint8Array, segmentBytes?: number): boolean;
}

/** What a network card is plugged into. Never throws for anything that a frame holds. */
export interface PacketLink {
  /**
   * It takes TCP segments over IPv4 of any length up to MAX_FRAME_BYTES, and frames whose TCP or UDP checksum is not filled
   * in, so that a card may offer both to its guest (virtio-net: CSUM and HOST_TSO4), and gives long segments to a receiver
   * that `takesSegments`. Absent: frames are as on a wire.
   */
  readonly takesSegments?: boolean;
  /** The card; undefined while none is plugged in. The machine sets it. */
  receiver: PacketReceiver | undefined;
  /** A frame from the guest; its bytes are the caller's again afterwards. `isPartial`: its checksum is not filled in. */
  send(frame: Uint8Array, isPartial?: boolean): void;
  /** The card, which had no room, has some again. */
  roomAgain(): void;
  /** The guest's machine was reset or has ended: connections end. */
  reset(): void;
  /** What a link keeps of its guest (addresses that it has given, connections); the card's own state has it as a part. */
  save?(): DeviceState;
  /** Takes what `save` gave: connections that were open then are ended towards the guest. @throws MachineError for anything else. */
  restore?(state: DeviceState): void;
  close(): void;
}
