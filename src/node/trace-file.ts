/** A trace's file. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { MachineError, type MachineTrace, type TraceSink, traceFormatOf } from '../machine/index.ts';
import { problemOf } from './problems.ts';

/** Writes at once: what is traced stands still meanwhile, and what happened last is in the file. */
class TraceFile implements TraceSink {
  readonly #descriptor: number;
  #isClosed = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** A full disk ends the trace, and nothing else. */
  write(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at);
    } catch {
      this.close();
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#descriptor);
  }
}

/**
 * The option `trace` of a machine for a file, whose name says the format: `.json` is Chrome's trace events, `.pftrace` Perfetto's
 * own. `maxBytes`: where it ends. @throws MachineError when it cannot be written.
 */
export function openTrace(file: string, maxBytes?: number): MachineTrace {
  const format = traceFormatOf(file);
  try {
    return { format, sink: new TraceFile(openSync(file, 'w')), ...(maxBytes !== undefined && { maxBytes }) };
  } catch (error) {
    throw new MachineError(`cannot write the trace '${file}': ${problemOf(error)}`);
  }
}
