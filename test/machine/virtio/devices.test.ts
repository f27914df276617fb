/** Network cards, shares, console ports and balloons. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceState } from '../../../src/machine/device.ts';
import { virtio9p } from '../../../src/machine/devices/virtio-9p.ts';
import { virtioBalloon } from '../../../src/machine/devices/virtio-balloon.ts';
import { virtioConsole } from '../../../src/machine/devices/virtio-console.ts';
import { virtioNet } from '../../../src/machine/devices/virtio-net.ts';
import type { MessageServer } from '../../../src/machine/outside/messages.ts';
import type { PacketLink, PacketReceiver } from '../../../src/machine/outside/packets.ts';
import type { GuestPort, PortEnd } from '../../../src/machine/outside/ports.ts';
import { EVENT_IDX, Rig, TRANSPORTS } from './rig.ts';

const RX = 0;
const TX = 1;
const MRG_RXBUF = 15;

class Wire implements PacketLink {
  receiver: PacketReceiver | undefined;
  readonly takesSegments: boolean;
  readonly sent: [bytes: number[], isPartial: boolean][] = [];
  readonly #kept: [frame: Uint8Array, segmentBytes?: number][] = [];
  rooms = 0;
  resets = 0;
  state: DeviceState = {};

  constructor(takesSegments = false) {
    this.takesSegments = takesSegments;
  }

  send(frame: Uint8Array, isPartial = false): void {
    this.sent.push([Array.from(frame), isPartial]);
  }
  /** Gives the card a frame, as soon as it has room. */
  give(frame: Uint8Array, segmentBytes?: number): void {
    this.#kept.push([frame, segmentBytes]);
    this.#offer();
  }
  #offer(): void {
    for (let one = this.#kept[0]; one && this.receiver?.receive(...one); one = this.#kept[0]) this.#kept.shift();
  }
  roomAgain(): void {
    this.rooms++;
    this.#offer();
  }
  reset(): void {
    this.resets++;
  }
  save(): DeviceState {
    return this.state;
  }
  restore(state: DeviceState): void {
    this.state = state;
  }
  close(): void {}
}

const frameOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 3);

for (const transport of TRANSPORTS)
  test(`${transport}: frames go out and come in, over one buffer or several`, () => {
    const wire = new Wire();
    const rig = new Rig(virtioNet('net0', { link: wire, mac: '02:00:00:00:00:07' }), transport);
    assert.deepEqual([rig.registers.config(0, 4), rig.registers.config(4, 2)], [0x00000002, 0x0700]);
    assert.equal(rig.registers.config(6, 2), 1, 'the link is up');
    rig.start([MRG_RXBUF]);
    const frame = frameOf(60);
    rig.ask(TX, [new Uint8Array(12), frame]);
    assert.deepEqual(wire.sent, [], 'not in the midst of a slice');
    rig.outside.drain();
    assert.deepEqual(wire.sent, [[Array.from(frame), false]]);
    assert.equal(rig.used(TX).length, 1);

    wire.give(frame);
    rig.outside.drain();
    assert.deepEqual(rig.used(RX), [], 'there is no buffer');
    const small = [rig.ask(RX, [32]), rig.ask(RX, [32]), rig.ask(RX, [32])];
    rig.outside.drain();
    assert.deepEqual(
      rig.used(RX),
      small.map(({ head }, i) => ({ head, length: [32, 32, 8][i] })),
    );
    const parts = small.flatMap((one) => Array.from(rig.bytes(one, 0)));
    assert.deepEqual(parts.slice(0, 12), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0]);
    assert.deepEqual(parts.slice(12, 72), Array.from(frame));
  });

test('a card that has no room says so, and when it has some again', () => {
  const wire = new Wire();
  const rig = new Rig(virtioNet('net0', { link: wire }));
  assert.equal(wire.receiver?.receive(frameOf(60)), true, 'without a driver it is lost');
  rig.start();
  wire.give(frameOf(60));
  rig.outside.drain();
  const { rooms } = wire;
  const request = rig.ask(RX, [2000]);
  rig.outside.drain();
  assert.ok(wire.rooms > rooms);
  assert.deepEqual(rig.used(RX), [{ head: request.head, length: 72 }]);
});

test('a frame that fits no buffer is dropped; rubbish in the other direction, too', () => {
  const wire = new Wire();
  const rig = new Rig(virtioNet('net0', { link: wire }));
  rig.start();
  rig.put(RX, [40]);
  wire.give(frameOf(100));
  rig.outside.drain();
  assert.deepEqual(rig.used(RX), [{ head: 0, length: 0 }]);
  rig.ask(TX, [new Uint8Array(5)]);
  rig.ask(TX, [new Uint8Array(12), new Uint8Array(70_000)]);
  rig.outside.drain();
  assert.equal(rig.used(TX).length, 2);
  assert.deepEqual(wire.sent, []);
});

test('segments: offered to a link that takes them, described in the header', () => {
  assert.equal(new Rig(virtioNet('net0', { link: new Wire() })).registers.offered(0) & 0x883, 0);
  const wire = new Wire(true);
  const rig = new Rig(virtioNet('net0', { link: wire }));
  assert.equal(rig.registers.offered(0) & 0x883, 0x883);
  rig.start();
  assert.equal(wire.receiver?.takesSegments, false);
  rig.start([0, 1, 7, 11]);
  assert.equal(wire.receiver?.takesSegments, true);
  rig.ask(TX, [Uint8Array.of(1, 1, 0, 0, 0, 0, 34, 0, 16, 0, 0, 0), frameOf(3000)]);
  rig.outside.drain();
  assert.equal(wire.sent[0]?.[1], true);
  const frame = frameOf(3054);
  frame[14] = 0x45;
  frame[14 + 20 + 12] = 0x50;
  const request = rig.put(RX, [4000]);
  wire.give(frame, 1460);
  rig.outside.drain();
  const header = new DataView(rig.bytes(request, 0).buffer);
  assert.deepEqual(
    [header.getUint8(0), header.getUint8(1), ...[2, 4, 6, 8, 10].map((at) => header.getUint16(at, true))],
    [1, 1, 54, 1460, 34, 16, 1],
  );
});

test('what a guest sends in one go costs one notification and one interrupt', () => {
  const wire = new Wire();
  const rig = new Rig(virtioNet('net0', { link: wire }));
  rig.start([EVENT_IDX]);
  rig.outside.drain();
  rig.ask(TX, [new Uint8Array(12), frameOf(60)]);
  const event = rig.availEvent(TX);
  for (let i = 0; i < 3; i++) rig.put(TX, [new Uint8Array(12), frameOf(60)]);
  assert.equal(rig.availEvent(TX), event, 'no further notification is asked for');
  assert.equal(rig.registers.interrupted(), false);
  rig.outside.drain();
  assert.equal(wire.sent.length, 4);
  assert.equal(rig.registers.interrupted(), true);
  assert.equal(rig.availEvent(TX), 4);
});

test("a card's state has its link's, and what was to be sent is sent after a move", () => {
  const from = new Wire();
  const rig = new Rig(virtioNet('net0', { link: from }));
  rig.start();
  rig.ask(TX, [new Uint8Array(12), frameOf(60)]);
  from.state = { leases: [1, 2, 3] };
  const wire = new Wire();
  const moved = rig.moveTo(new Rig(virtioNet('net0', { link: wire })));
  assert.deepEqual(wire.state, { leases: [1, 2, 3] });
  moved.outside.drain();
  assert.deepEqual(wire.sent, [[Array.from(frameOf(60)), false]]);
});

/** Answers each request with its bytes turned round, when it is told to. */
class Mirror implements MessageServer {
  isQuick = false;
  resets = 0;
  readonly waiting: (() => void)[] = [];
  answer(request: Uint8Array, room: number): Uint8Array | Promise<Uint8Array> {
    const answer = request.slice(0, room).reverse();
    return this.isQuick ? answer : new Promise((resolve) => this.waiting.push(() => resolve(answer)));
  }
  reset(): void {
    this.resets++;
  }
  close(): void {}
}

for (const transport of TRANSPORTS)
  test(`${transport}: messages are answered in any order, at once or later, here or after a move`, async () => {
    const server = new Mirror();
    const rig = new Rig(virtio9p('share0', { tag: 'host', server }), transport);
    assert.equal(rig.registers.config(0, 2), 4);
    assert.equal(rig.registers.config(2, 4), 0x74736f68);
    rig.start([0]);
    const first = rig.ask(0, [Uint8Array.of(1, 2), Uint8Array.of(3), 8]);
    const second = rig.ask(0, [Uint8Array.of(4, 5), 8]);
    server.waiting[1]?.();
    await rig.settle();
    assert.deepEqual(rig.used(0), [{ head: second.head, length: 2 }]);
    assert.deepEqual(Array.from(rig.bytes(second, 1).slice(0, 2)), [5, 4]);

    const other = new Mirror();
    other.isQuick = true;
    const moved = rig.moveTo(new Rig(virtio9p('share0', { tag: 'host', server: other }), transport));
    assert.deepEqual(moved.used(0), [{ head: first.head, length: 3 }]);
    assert.deepEqual(Array.from(moved.bytes(first, 2).slice(0, 3)), [3, 2, 1]);
    const { resets } = other;
    moved.registers.status(0);
    assert.equal(other.resets, resets + 1);
  });

class End implements PortEnd {
  port: GuestPort | undefined;
  full = false;
  text = '';
  readonly states: boolean[] = [];
  rooms = 0;
  write(bytes: Uint8Array): void {
    this.text += String.fromCharCode(...bytes);
  }
  opened(isOpen: boolean): void {
    this.states.push(isOpen);
  }
  roomAgain(): void {
    this.rooms++;
  }
}

const CONTROL_RX = 2;
const CONTROL_TX = 3;
const control = (port: number, event: number, value: number): Uint8Array =>
  Uint8Array.of(port, 0, 0, 0, event, 0, value, 0);

for (const transport of TRANSPORTS)
  test(`${transport}: a named port is announced, opened, written and read`, () => {
    const end = new End();
    const make = (one: End): Rig => new Rig(virtioConsole('console0', [{ name: 'org.test', end: one }]), transport);
    const rig = make(end);
    assert.equal(rig.registers.config(4, 4), 2);
    assert.equal(end.port?.receive(new TextEncoder().encode('ea')), 2, 'before there is a driver');
    rig.start([1]);
    const buffers = [1, 2, 3, 4].map(() => rig.put(CONTROL_RX, [64]));
    rig.ask(CONTROL_TX, [control(0xff, 0, 1)]);
    assert.deepEqual(rig.used(CONTROL_RX).length, 1);
    assert.deepEqual(Array.from(rig.bytes(buffers[0] as never, 0).slice(0, 8)), [1, 0, 0, 0, 1, 0, 1, 0]);
    rig.ask(CONTROL_TX, [control(1, 3, 1)]);
    assert.deepEqual(
      rig.used(CONTROL_RX).map(({ length }) => length),
      [16, 8],
    );
    assert.equal(Buffer.from(rig.bytes(buffers[1] as never, 0).slice(8, 16)).toString(), 'org.test');
    assert.equal(end.port?.receive(new TextEncoder().encode('rly')), 3);
    rig.outside.drain();
    const input = rig.put(4, [3]);
    rig.ask(CONTROL_TX, [control(1, 6, 1)]);
    assert.deepEqual(end.states, [true]);
    assert.deepEqual(rig.used(4), [{ head: input.head, length: 3 }]);

    const later = new End();
    const moved = rig.moveTo(make(later));
    const rest = moved.ask(4, [10]);
    assert.deepEqual(moved.used(4), [{ head: rest.head, length: 2 }]);
    assert.equal(Buffer.from(moved.bytes(rest, 0).slice(0, 2)).toString(), 'ly');

    rig.ask(5, [new TextEncoder().encode('hello')]);
    assert.equal(end.text, 'hello');
    end.full = true;
    rig.ask(5, [new TextEncoder().encode(' again')]);
    assert.equal(end.text, 'hello');
    assert.equal(rig.used(5).length, 1);
    end.full = false;
    end.port?.roomAgain();
    rig.outside.drain();
    assert.equal(end.text, 'hello again');
    assert.equal(rig.used(5).length, 1);
    rig.registers.status(0);
    assert.deepEqual(end.states, [true, false]);
  });

test('who hangs up is heard to the end first', () => {
  const end = new End();
  const rig = new Rig(virtioConsole('console0', [{ name: 'a', end }]));
  rig.start([1]);
  const buffers = [1, 2, 3, 4].map(() => rig.put(CONTROL_RX, [64]));
  for (const message of [control(1, 3, 1), control(1, 6, 1)]) rig.ask(CONTROL_TX, [message]);
  assert.equal(rig.used(CONTROL_RX).length, 2);
  end.port?.receive(new TextEncoder().encode('farewell'));
  end.port?.connected(false);
  rig.outside.drain();
  const first = rig.ask(4, [4]);
  assert.equal(Buffer.from(rig.bytes(first, 0)).toString('latin1').slice(0, 4), 'fare');
  rig.outside.drain();
  assert.deepEqual(rig.used(CONTROL_RX), [], 'a half waits');
  const second = rig.ask(4, [4]);
  rig.outside.drain();
  assert.equal(Buffer.from(rig.bytes(second, 0)).toString('latin1').slice(0, 4), 'well');
  assert.equal(rig.used(CONTROL_RX).length, 1);
  assert.deepEqual(Array.from(rig.bytes(buffers[2] as never, 0).slice(0, 8)), [1, 0, 0, 0, 6, 0, 0, 0]);
});

test('a driver that asks for control messages and takes none breaks its own device only', () => {
  const rig = new Rig(virtioConsole('console0', [{ name: 'a', end: new End() }]));
  rig.start([1]);
  for (let i = 0; i < 200; i++) rig.ask(CONTROL_TX, [control(1, 3, 1)]);
  assert.equal(rig.isBroken, true);
});

test('pages that the guest reports as free are zeroed, and nothing else is', () => {
  const rig = new Rig(virtioBalloon('balloon0'));
  rig.start([5]);
  rig.vm.bytes.fill(0xee, 0xa0000, 0xa8000);
  // One and a half pages, of which one is whole; the descriptor's own place is somewhere else.
  rig.descriptor(2, 0, 0xa1000, 0x1800, 2, 0);
  rig.offer(2, 0);
  rig.registers.notify(2);
  assert.deepEqual(rig.used(2), [{ head: 0, length: 0 }]);
  assert.ok(rig.vm.bytes.slice(0xa1000, 0xa2000).every((byte) => byte === 0));
  assert.ok(rig.vm.bytes.slice(0xa2000, 0xa8000).every((byte) => byte === 0xee));
  assert.ok(rig.vm.bytes.slice(0xa0000, 0xa1000).every((byte) => byte === 0xee));
  const pages = new Uint8Array(new Uint32Array([0xa5, 0xfffff]).buffer);
  rig.ask(0, [pages]);
  assert.ok(rig.vm.bytes.slice(0xa5000, 0xa6000).every((byte) => byte === 0));
  rig.registers.writeConfig(0, 4, 77);
  rig.registers.writeConfig(4, 4, 78);
  assert.deepEqual([rig.registers.config(0, 4), rig.registers.config(4, 4)], [0, 78]);
});
