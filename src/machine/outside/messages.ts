import type { DeviceState } from '../device.ts';

/** A server of requests and answers, such as a 9P file server behind its virtio transport. */
export interface MessageServer {
  /**
   * Answers one request: at once where that is short, or by a promise. Requests are given in the guest's order and may be
   * answered in any. The request is the callee's until its answer is there. The answer has at most `room` bytes; one that is
   * given at once lies in the server's own buffer, and is to be copied before the server is called again. Undefined: there is
   * no answer (a request that was flushed). Never throws and never rejects for anything that a request holds.
   */
  answer(request: Uint8Array, room: number): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** The device was reset: everything that the guest had open is let go; answers that are under way are not wanted any more. */
  reset(): void;
  /** What the guest has open, for a saved state of the machine. Absent: nothing. */
  save?(): DeviceState;
  /** Takes what `save` gave, in this process or in another. @throws MachineError, and stays as it is. */
  restore?(state: DeviceState): void;
  close(): void;
}
