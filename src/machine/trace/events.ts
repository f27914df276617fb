/** What a trace has, before it has a format. */

/** Threads of a trace: one for each kind of thing that happens beside the others. */
export const TRACK = { CPU: 1, DEVICES: 2, TRANSLATOR: 3 } as const;
export type Track = (typeof TRACK)[keyof typeof TRACK];
export const TRACK_NAMES: Readonly<Record<Track, string>> = {
  [TRACK.CPU]: 'KVM, processor 0',
  [TRACK.DEVICES]: 'devices',
  [TRACK.TRANSLATOR]: 'translator',
};

export type TraceValue = string | number | bigint;

/** `duration`: undefined for what happens at once. Times in nanoseconds from the trace's start; BigInts are addresses. */
export interface TraceEvent {
  readonly kind: 'slice' | 'instant' | 'counter';
  readonly track: Track;
  readonly name: string;
  readonly category: string;
  readonly time: number;
  readonly duration: number;
  readonly args: readonly (readonly [name: string, value: TraceValue])[];
}

/** A file format: each piece is written behind the others. */
export interface TraceFormat {
  begin(process: string): Uint8Array;
  event(event: TraceEvent): Uint8Array;
  end(): Uint8Array;
}

/** Where a trace goes. */
export interface TraceSink {
  /** The bytes are the callee's to keep. */
  write(bytes: Uint8Array): void;
  /** Nothing more comes. */
  close?(): void;
}
