/** Chrome's trace events as JSON, as Perfetto and chrome://tracing read them ("Trace Event Format"). Times in microseconds. */
import { TRACK_NAMES, type TraceEvent, type TraceFormat, type TraceValue } from './events.ts';

const PROCESS = 1;
const encoder = new TextEncoder();

const textOf = (value: TraceValue): string =>
  typeof value === 'bigint' ? `"0x${value.toString(16)}"` : JSON.stringify(value);

const argsOf = (args: TraceEvent['args']): string =>
  args.map(([name, value]) => `${JSON.stringify(name)}:${textOf(value)}`).join(',');

export class JsonTrace implements TraceFormat {
  begin(process: string): Uint8Array {
    const meta = (name: string, thread: number, text: string): string =>
      `{"name":"${name}","ph":"M","pid":${PROCESS},"tid":${thread},"args":{"name":${JSON.stringify(text)}}}`;
    const lines = [
      meta('process_name', 0, process),
      ...Object.entries(TRACK_NAMES).map(([track, name]) => meta('thread_name', Number(track), name)),
    ];
    return encoder.encode(`{"displayTimeUnit":"ns","traceEvents":[\n${lines.join(',\n')}`);
  }

  event({ kind, track, name, category, time, duration, args }: TraceEvent): Uint8Array {
    const phase = kind === 'slice' ? 'X' : kind === 'instant' ? 'i' : 'C';
    const more = kind === 'slice' ? `,"dur":${(duration / 1000).toFixed(3)}` : kind === 'instant' ? ',"s":"t"' : '';
    return encoder.encode(
      `,\n{"name":${JSON.stringify(name)},"cat":"${category}","ph":"${phase}","ts":${(time / 1000).toFixed(3)}${more},` +
        `"pid":${PROCESS},"tid":${track},"args":{${argsOf(args)}}}`,
    );
  }

  end(): Uint8Array {
    return encoder.encode('\n]}\n');
  }
}
