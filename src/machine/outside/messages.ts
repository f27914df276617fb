/** A server of requests and answers, such as a 9P file server behind its virtio transport. */
export interface MessageServer {
  /**
   * Answers one request. Requests are given in the guest's order and may be answered in any. The request is the callee's until
   * its promise ends. The answer has at most `room` bytes. Undefined: there is no answer (a request that was flushed). Never
   * rejects for anything that a request holds.
   */
  answer(request: Uint8Array, room: number): Promise<Uint8Array | undefined>;
  /** The device was reset: everything that the guest had open is let go; answers that are under way are not wanted any more. */
  reset(): void;
  close(): void;
}
