import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Clock } from '../../src/kvm/api.ts';
import { Ns16550, RECEIVE_QUEUE_BYTES } from '../../src/machine/devices/ns16550.ts';
import { InterruptLine } from '../../src/machine/interrupts.ts';

const [DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
const FCR = IIR;

/** A clock by which everything that is read has had time to come, and one that stands still. */
const passing = () => {
  let now = 0;
  return { now: () => (now += 1e6) };
};
class Standing implements Clock {
  time = 0;
  now(): number {
    return this.time;
  }
}

function make(clock: Clock = passing()) {
  const line = new InterruptLine();
  const uart = new Ns16550(line, 6, clock);
  const output: number[] = [];
  uart.sink = { writeByte: (byte) => output.push(byte) };
  return {
    uart,
    line,
    output,
    read: (offset: number) => uart.read(offset, 1),
    write: (offset: number, value: number) => uart.write(offset, 1, value),
  };
}

test('what is written is sent; the transmitter is always empty', () => {
  const { output, read, write } = make();
  for (const byte of [0x48, 0x69, 0x100 + 0x21]) {
    assert.equal(read(LSR) & 0x60, 0x60);
    write(DATA, byte);
  }
  assert.deepEqual(output, [0x48, 0x69, 0x21]);
});

test("the steps of Linux's 8250 probe find a 16550A", () => {
  const { read, write, output } = make();
  write(IER, 0);
  assert.equal(read(IER), 0);
  write(IER, 0x0f);
  assert.equal(read(IER), 0x0f);
  write(IER, 0xff);
  assert.equal(read(IER), 0x0f, 'no sleep or DMA bits as other chips have');
  write(IER, 0);
  write(MCR, 0x1a); // loop, OUT2, RTS
  assert.equal(read(MSR) & 0xf0, 0x90);
  write(DATA, 0x55);
  assert.deepEqual(output, [], 'loopback sends nothing');
  assert.equal(read(DATA), 0x55, 'and receives it');
  write(MCR, 0);
  write(FCR, 1);
  assert.equal(read(IIR) >> 6, 3, 'working FIFOs');
  write(FCR, 0x21);
  assert.equal(read(IIR) >> 5, 6, 'no 64-byte FIFO');
  write(SCR, 0xa5);
  assert.equal(read(SCR), 0xa5);
  write(LCR, 0x80);
  assert.equal(read(DATA), 6, 'the divisor that firmware left');
  write(DATA, 0x34);
  write(IER, 0x12);
  assert.deepEqual([read(DATA), read(IER)], [0x34, 0x12]);
  write(LCR, 3);
  assert.equal(read(IER), 0, 'the divisor latch does not touch IER');
});

test('the THRE interrupt comes when it is enabled and after each character, and goes when it is read', () => {
  const { line, read, write } = make();
  write(IER, 2);
  assert.equal(line.active, true);
  assert.equal(read(IIR), 2);
  assert.equal(line.active, false);
  assert.equal(read(IIR), 1);
  write(DATA, 65);
  assert.equal(line.active, true);
  assert.equal(read(IIR), 2);
  write(IER, 0);
  write(IER, 2);
  assert.equal(read(IIR), 2, 'enabling it again raises it again (Linux tests for this)');
});

test('received characters interrupt at the trigger level, and by time-out below it', () => {
  const { uart, line, read, write } = make();
  write(FCR, 0x81); // 8 bytes
  uart.receive(Uint8Array.of(1, 2, 3));
  assert.equal(line.active, false, 'not enabled');
  write(IER, 1);
  assert.equal(read(IIR) & 0x0f, 0x0c, 'time-out');
  uart.receive(Uint8Array.of(4, 5, 6, 7, 8));
  assert.equal(read(IIR) & 0x0f, 0x04, 'trigger level');
  assert.deepEqual(
    Array.from({ length: 8 }, () => read(DATA)),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  assert.equal(line.active, false);
  assert.equal(read(LSR) & 1, 0);
});

test('interrupts are identified by urgency: line status, data, THRE, modem status', () => {
  const { uart, read, write, line } = make();
  write(MCR, 0x10);
  write(DATA, 1);
  write(DATA, 2); // overrun: no FIFO
  write(MCR, 0x00); // deltas, as the modem inputs come back
  write(IER, 0x0f);
  assert.equal(read(IIR), 0x06);
  assert.equal(read(LSR) & 0x02, 0x02);
  assert.equal(read(IIR), 0x04);
  assert.equal(read(DATA), 2, 'the newer character replaced the older one');
  assert.equal(read(IIR), 0x02);
  assert.equal(read(IIR), 0x00);
  assert.equal(read(MSR) & 0xf0, 0xb0);
  assert.equal(read(IIR), 0x01);
  assert.equal(line.active, false);
  assert.equal(uart.receive(new Uint8Array(0)), 0);
});

test('the receive queue is bounded and keeps the order', () => {
  const { uart, read, write } = make();
  write(FCR, 1);
  write(IER, 1);
  const bytes = Uint8Array.from({ length: RECEIVE_QUEUE_BYTES + 100 }, (_, i) => i % 251);
  const first = uart.receive(bytes);
  assert.equal(first, RECEIVE_QUEUE_BYTES);
  // Sixteen of them are in the FIFO by now.
  assert.equal(uart.receive(bytes.subarray(first)), 16);
  for (let i = 0; i < first + 16; i++) {
    assert.equal(read(LSR) & 1, 1);
    assert.equal(read(DATA), i % 251);
  }
  assert.equal(read(LSR) & 1, 0);
});

test('a driver that reads until nothing is there comes to an end, and is called again', () => {
  const clock = new Standing();
  const { uart, line, read, write } = make(clock);
  write(FCR, 0x81);
  write(IER, 1);
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  assert.equal(uart.receive(bytes), 100);
  const received: number[] = [];
  for (let calls = 1; received.length < 100; calls++) {
    assert.equal(line.active, true, `call ${calls}`);
    while ((read(IIR) & 1) === 0) while ((read(LSR) & 1) !== 0) received.push(read(DATA));
    assert.equal(received.length, Math.min(16 * calls, 100));
    assert.equal(line.active, false);
    const due = uart.due();
    if (received.length === 100) assert.equal(due, Number.POSITIVE_INFINITY);
    else {
      clock.time = due - 1;
      uart.turn();
      assert.equal(line.active, false, 'not yet');
      clock.time = due;
      uart.turn();
    }
  }
  assert.deepEqual(received, Array.from(bytes));
});

test('without FIFOs, as many come one after the other before the driver comes to an end', () => {
  const clock = new Standing();
  const { uart, line, read, write } = make(clock);
  write(IER, 1);
  const sent = Array.from({ length: 40 }, (_, i) => i);
  uart.receive(Uint8Array.from(sent));
  const received: number[] = [];
  for (const bytes of [16, 16, 8]) {
    assert.equal(line.active, true);
    let count = 0;
    for (; (read(LSR) & 1) !== 0; count++) received.push(read(DATA));
    assert.equal(count, bytes);
    assert.equal(line.active, false);
    clock.time = uart.due();
    uart.turn();
  }
  assert.deepEqual(received, sent);
});

test('one that polls comes to an end as well', () => {
  const clock = new Standing();
  const { uart, read } = make(clock);
  uart.receive(Uint8Array.of(7, 8));
  const poll = (): number[] => {
    const received: number[] = [];
    read(LSR);
    while ((read(LSR) & 1) !== 0) received.push(read(DATA));
    return received;
  };
  assert.deepEqual(poll(), [7]);
  clock.time = uart.due();
  assert.deepEqual(poll(), [8]);
  assert.equal(uart.due(), Number.POSITIVE_INFINITY);
});

test('input that is there early waits until the guest listens, whatever a driver clears out at its start', () => {
  const { uart, read, write, line } = make();
  uart.receive(Uint8Array.from({ length: 40 }, (_, i) => i));
  // As Linux's driver starts: FIFOs cleared, stale characters and interrupts read away.
  for (let i = 0; i < 3; i++) {
    write(FCR, 1);
    write(FCR, 7);
    write(FCR, 0);
    for (const offset of [LSR, DATA, IIR, MSR]) read(offset);
    // It also looks whether the THRE interrupt works.
    read(LSR);
    write(IER, 2);
    write(IER, 0);
    for (const offset of [LSR, DATA, IIR, MSR]) read(offset);
  }
  write(IER, 5);
  write(FCR, 0x87);
  assert.equal(line.active, true);
  for (let i = 0; i < 10; i++) assert.equal(read(DATA), i);
  write(FCR, 0x83);
  for (let i = 10; i < 40; i++) assert.equal(read(DATA), i);
  assert.equal(line.active, false);
});

test('a guest that polls gets its input too', () => {
  const { uart, read } = make();
  uart.receive(Uint8Array.of(7, 8, 9));
  const received: number[] = [];
  for (let i = 0; i < 20; i++) if ((read(LSR) & 1) !== 0) received.push(read(DATA));
  assert.deepEqual(received, [7, 8, 9]);
});

test('a reset keeps input that has not been read', () => {
  const { uart, read, write } = make();
  write(IER, 1);
  uart.receive(Uint8Array.of(7, 8, 9));
  assert.equal(read(DATA), 7);
  uart.reset();
  write(IER, 1);
  assert.deepEqual([read(DATA), read(DATA), read(LSR) & 1], [8, 9, 0]);
});

const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ write: fc.nat(9), value: fc.integer({ min: 0, max: 0xffffffff }) }) },
  { weight: 3, arbitrary: fc.record({ read: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ later: fc.integer({ min: 0, max: 200_000 }) }) },
  { weight: 1, arbitrary: fc.record({ receive: fc.uint8Array({ maxLength: 40 }) }) },
);

test('no accesses make it throw, and a saved state is complete', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), fc.array(operation, { maxLength: 30 }), (before, after) => {
      const clock = new Standing();
      const one = make(clock);
      const apply = (target: ReturnType<typeof make>, step: (typeof before)[number]): number => {
        if ('write' in step) target.write(step.write, step.value);
        else if ('read' in step) return target.read(step.read);
        else if ('receive' in step) return target.uart.receive(step.receive);
        else target.uart.turn();
        return 0;
      };
      const pass = (step: (typeof before)[number]): void => {
        if ('later' in step) clock.time += step.later;
      };
      for (const step of before) {
        pass(step);
        const value = apply(one, step);
        assert.ok(value >= 0 && value <= 0xff);
      }
      const two = make(clock);
      two.uart.restore(JSON.parse(JSON.stringify(one.uart.save())));
      one.output.length = 0;
      assert.equal(two.line.active, one.line.active);
      for (const step of after) {
        pass(step);
        assert.equal(apply(two, step), apply(one, step));
        assert.equal(two.line.active, one.line.active);
      }
      assert.deepEqual(two.output, one.output);
      one.uart.reset();
      assert.deepEqual({ ...one.uart.save(), queue: [] }, make().uart.save());
    }),
    { numRuns: 300 },
  );
});
