/** Traces of what a machine does, in formats that Perfetto shows. */
import { MachineError } from '../error.ts';
import type { TraceFormat } from './events.ts';
import { JsonTrace } from './json.ts';
import { PerfettoTrace } from './perfetto.ts';

export type { TraceEvent, TraceFormat, TraceSink } from './events.ts';
export { tracedMemory } from './memory.ts';
export { type TracedMachine, type TraceOptions, Tracer } from './tracer.ts';

export const TRACE_FORMATS = ['json', 'perfetto'] as const;
export type TraceFormatName = (typeof TRACE_FORMATS)[number];

const ENDINGS: readonly (readonly [RegExp, TraceFormatName])[] = [
  [/\.json$/i, 'json'],
  [/\.(pftrace|perfetto-trace|perfetto)$/i, 'perfetto'],
];

/** The format that a file's name asks for. @throws MachineError */
export function traceFormatOf(file: string): TraceFormatName {
  const found = ENDINGS.find(([ending]) => ending.test(file));
  if (found === undefined)
    throw new MachineError(`the trace '${file}' has no format; a name with .json or .pftrace would fit`);
  return found[1];
}

export function createFormat(name: TraceFormatName): TraceFormat {
  return name === 'json' ? new JsonTrace() : new PerfettoTrace();
}
