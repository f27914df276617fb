/** Traces are what their formats' descriptions say: "Trace Event Format", and Perfetto's protos. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Machine, type MachineTrace, SymbolTable, traceFormatOf } from '../../../src/machine/index.ts';
import { NodeHost, openTrace } from '../../../src/node/index.ts';
import { bareGuest } from '../bare-guest.ts';
import { counter } from '../counter-guest.ts';
import { fieldsOf, messagesOf, numberOf, textOf } from './protobuf.ts';

const MiB = 2 ** 20;

async function traced(
  trace: Omit<MachineTrace, 'sink'>,
  kernel = bareGuest({ paravirt: false }),
  memoryBytes = 320 * MiB,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const machine = Machine.create({
    board: 'bare',
    cpu: 'power8',
    accel: 'trap',
    memoryBytes,
    kernel,
    host: new NodeHost({ write: () => {} }),
    trace: { ...trace, sink: { write: (bytes) => void pieces.push(bytes) } },
    timeoutNs: 60e9,
  });
  assert.equal((await machine.run()).cause, 'shutdown');
  return Buffer.concat(pieces);
}

interface JsonEvent {
  name: string;
  cat?: string;
  ph: string;
  ts?: number;
  dur?: number;
  pid: number;
  tid: number;
  s?: string;
  args: Record<string, string | number>;
}

const symbols = SymbolTable.parse(
  Buffer.from('c000000000001000 T start\nc000000000003000 T user\nc000000000004000 T helpers\n'),
);

test('a JSON trace has the exits with their instructions, where they were, and what devices did', async () => {
  const { traceEvents, displayTimeUnit } = JSON.parse(String(await traced({ format: 'json', symbols }))) as {
    traceEvents: JsonEvent[];
    displayTimeUnit: string;
  };
  assert.equal(displayTimeUnit, 'ns');
  const ends = new Map<number, number>();
  for (const { name, ph, ts, dur, pid, tid, s, args } of traceEvents) {
    assert.ok(name.length > 0 && Number.isInteger(pid) && Number.isInteger(tid), name);
    assert.equal(typeof args, 'object');
    assert.ok('XiCM'.includes(ph), ph);
    if (ph === 'M') continue;
    assert.ok(typeof ts === 'number' && ts >= 0);
    if (ph === 'i') assert.equal(s, 't');
    if (ph === 'C') assert.ok(Object.values(args).every((value) => typeof value === 'number'));
    if (ph !== 'X') continue;
    // What is on one thread is in order, and nothing overlaps.
    assert.ok(typeof dur === 'number' && dur >= 0 && ts + 0.0011 >= (ends.get(tid) ?? 0), `${name} at ${ts}`);
    ends.set(tid, ts + dur);
  }
  const of = (category: string): JsonEvent[] => traceEvents.filter(({ cat }) => cat === category);
  assert.ok(of('emulation').some(({ name, args }) => name === 'slbmte' && args['instruction'] === 'slbmte r3,r4'));
  assert.ok(of('emulation').some(({ args }) => /^start\+0x/.test(String(args['function']))));
  assert.ok(of('shadow').length > 100);
  assert.ok(of('exit').some(({ name }) => name === 'systemCall'));
  assert.ok(of('interrupt').some(({ args }) => args['handler'] === '0x300'));
  assert.ok(of('mmio').some(({ name, args }) => name === 'write serial0' && args['value'] === '0x4f'));
  assert.ok(of('mmio').some(({ name }) => name === 'write power'));
  assert.ok(of('translation').length > 0);
  const names = traceEvents.filter(({ ph }) => ph === 'M').map(({ args }) => args['name']);
  assert.deepEqual(names, ['powervisor bare, power8', 'KVM, processor 0', 'devices', 'translator']);
});

test('a Perfetto trace is a sequence of packets on tracks that were described, with names that were', async () => {
  const packets = messagesOf(fieldsOf(await traced({ format: 'perfetto', symbols })), 1);
  const tracks = new Map<number, string>();
  const names = new Map<number, string>();
  const open = new Map<number, number>();
  const last = new Map<number, number>();
  const seen = new Set<string>();
  const annotations = new Set<string>();
  for (const [i, packet] of packets.entries()) {
    const time = numberOf(packet, 8) ?? -1;
    assert.ok(time >= 0);
    assert.equal(numberOf(packet, 10), 1);
    assert.equal(numberOf(packet, 13), i === 0 ? 3 : 2);
    for (const interned of messagesOf(packet, 12))
      for (const entry of messagesOf(interned, 2)) names.set(numberOf(entry, 1) ?? 0, textOf(entry, 2) ?? '');
    for (const descriptor of messagesOf(packet, 60)) {
      const parent = numberOf(descriptor, 5);
      assert.ok(parent === undefined || tracks.has(parent));
      const thread = messagesOf(descriptor, 4)[0];
      tracks.set(numberOf(descriptor, 1) ?? 0, (thread && textOf(thread, 5)) ?? textOf(descriptor, 2) ?? 'process');
    }
    for (const event of messagesOf(packet, 11)) {
      const track = numberOf(event, 11) ?? 0;
      const type = numberOf(event, 9);
      assert.ok(tracks.has(track), `track ${track}`);
      if (type === 4) {
        assert.ok(numberOf(event, 30) !== undefined);
        continue;
      }
      assert.ok(time >= (last.get(track) ?? 0) || type === 3, `${time} on ${tracks.get(track)}`);
      if (type !== 3) last.set(track, time);
      const depth = (open.get(track) ?? 0) + (type === 1 ? 1 : type === 2 ? -1 : 0);
      assert.ok(depth === 0 || depth === 1);
      open.set(track, depth);
      if (type === 2) continue;
      const name = names.get(numberOf(event, 10) ?? 0);
      assert.ok(name !== undefined);
      seen.add(`${textOf(event, 22)} ${name}`);
      for (const annotation of messagesOf(event, 4)) annotations.add(textOf(annotation, 10) ?? '');
    }
  }
  assert.ok([...open.values()].every((depth) => depth === 0));
  for (const one of ['emulation slbmte', 'shadow dataStorage', 'mmio write serial0', 'interrupt interrupt'])
    assert.ok(seen.has(one), one);
  for (const one of ['pc', 'function', 'instruction', 'address', 'value']) assert.ok(annotations.has(one), one);
  assert.deepEqual([...tracks.values()].slice(0, 4), ['process', 'KVM, processor 0', 'devices', 'translator']);
});

test('a trace that is full says so, is whole, and the machine goes on', async () => {
  for (const format of ['json', 'perfetto'] as const) {
    const maxBytes = 2 ** 16;
    const bytes = await traced({ format, maxBytes });
    assert.ok(bytes.length <= maxBytes && bytes.length > maxBytes / 2, `${bytes.length}`);
    if (format === 'json') {
      const { traceEvents } = JSON.parse(String(bytes)) as { traceEvents: JsonEvent[] };
      assert.equal(traceEvents.at(-1)?.name, 'the trace is full');
    } else assert.ok(messagesOf(fieldsOf(bytes), 1).length > 100);
  }
});

test('a file has the format of its name', async () => {
  assert.equal(traceFormatOf('a/b.JSON'), 'json');
  assert.equal(traceFormatOf('b.pftrace'), 'perfetto');
  assert.throws(() => traceFormatOf('trace.txt'), /^MachineError: the trace 'trace.txt' has no format; a name with/);
  assert.throws(() => openTrace('/nowhere/at/all.json'), /^MachineError: cannot write the trace/);
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-trace-'));
  try {
    const file = join(folder, 'run.json');
    const machine = Machine.create({
      board: 'bare',
      memoryBytes: 8 * MiB,
      kernel: counter(),
      host: new NodeHost({ write: () => {} }),
      trace: openTrace(file),
    });
    await machine.run();
    assert.ok(JSON.parse(readFileSync(file, 'utf8')).traceEvents.length > 10);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
