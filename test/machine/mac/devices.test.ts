/** The devices in a Mac's I/O chip: interrupt controllers, serial port, system controllers, ADB, NVRAM. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cuda } from '../../../src/machine/devices/mac/cuda.ts';
import type { Pmu } from '../../../src/machine/devices/mac/pmu.ts';
import type { ConsoleDevice } from '../../../src/machine/index.ts';
import { MacRig } from './rig.ts';

const VIA = {
  B: 0x16000,
  T1_LOW: 0x16800,
  T1_HIGH: 0x16a00,
  SHIFT: 0x17400,
  ACR: 0x17600,
  IFR: 0x17a00,
  IER: 0x17c00,
} as const;
const ESCC = { controlB: 0x13000, dataB: 0x13010, control: 0x13020, data: 0x13030 } as const;
const CUDA_INPUT = 0x12;
const [TREQ, TACK, TIP] = [8, 0x10, 0x20] as const;

/** Waits as drivers do: until a byte is through the shift register. */
function shifted(rig: MacRig): void {
  for (let i = 0; i < 10 && (rig.read8(VIA.IFR) & 4) === 0; i++) rig.pass(10_000);
  assert.equal(rig.read8(VIA.IFR) & 4, 4);
}

/** Sends a packet to CUDA as Linux does, and takes the answer. */
function cuda(rig: MacRig, packet: readonly number[]): number[] {
  let b = TACK | TIP;
  const port = (value: number): void => {
    b = value;
    rig.write8(VIA.B, b);
  };
  rig.write8(VIA.ACR, 0x1c);
  packet.forEach((byte, i) => {
    rig.write8(VIA.SHIFT, byte);
    port(i === 0 ? b & ~TIP : b ^ TACK);
    shifted(rig);
    rig.read8(VIA.SHIFT);
    rig.write8(VIA.SHIFT, 0);
  });
  rig.write8(VIA.ACR, 0x0c);
  rig.read8(VIA.SHIFT);
  port(TACK | TIP);
  return answer(rig);
}

/** Takes what CUDA has to say. */
function answer(rig: MacRig): number[] {
  shifted(rig);
  rig.read8(VIA.SHIFT);
  const bytes: number[] = [];
  assert.equal(rig.read8(VIA.B) & TREQ, 0, 'CUDA has something to say');
  let b = TACK;
  rig.write8(VIA.B, b);
  for (;;) {
    shifted(rig);
    bytes.push(rig.read8(VIA.SHIFT));
    if ((rig.read8(VIA.B) & TREQ) !== 0) break;
    b ^= TACK;
    rig.write8(VIA.B, b);
  }
  rig.write8(VIA.B, TACK | TIP);
  shifted(rig);
  rig.read8(VIA.SHIFT);
  return bytes;
}

test('CUDA: time, what it does not know, power and reset', () => {
  const rig = new MacRig('g3beige');
  rig.pass(5e9);
  const [kind, flags, command, ...time] = cuda(rig, [1, 3]);
  assert.deepEqual([kind, flags, command], [1, 0, 3]);
  const seconds = time.reduce((sum, byte) => sum * 256 + byte, 0);
  assert.equal(seconds, 2_082_844_800 + 5, 'since 1904');
  assert.deepEqual(cuda(rig, [1, 9, 1, 2, 3, 4]), [1, 0, 9]);
  assert.deepEqual(cuda(rig, [1, 3]).slice(3), [1, 2, 3, 4]);
  assert.deepEqual(cuda(rig, [1, 0x7f]), [2, 2, 1, 0x7f], 'no such command');
  assert.deepEqual(cuda(rig, [1, 9, 1]), [2, 5, 1, 9], 'too short');
  assert.equal(rig.instance.power.pressed, undefined);
  assert.deepEqual(cuda(rig, [1, 0x0a]), [1, 0, 0x0a]);
  assert.equal(rig.instance.power.release()?.kind, 'shutdown');
  cuda(rig, [1, 0x11]);
  assert.equal(rig.instance.power.release()?.kind, 'reset');
});

test('the VIA interrupts some time after the byte was asked for, through the Heathrow', () => {
  const rig = new MacRig('g3beige');
  rig.write8(VIA.IER, 0x84);
  rig.write32(0x24, 1 << CUDA_INPUT);
  rig.write8(VIA.ACR, 0x1c);
  rig.write8(VIA.SHIFT, 1);
  rig.write8(VIA.B, TACK);
  assert.equal(rig.interrupted, false);
  rig.pass(30_000);
  assert.equal(rig.interrupted, true);
  assert.equal(rig.read32(0x20), 1 << CUDA_INPUT);
  rig.read8(VIA.SHIFT);
  assert.equal(rig.interrupted, true, 'the controller keeps an edge');
  rig.write32(0x28, 1 << CUDA_INPUT);
  assert.equal(rig.interrupted, false);
});

test("the VIA's first timer counts 783 kHz, again and again", () => {
  const rig = new MacRig('g3beige');
  rig.write8(VIA.ACR, 0x40);
  rig.write8(VIA.T1_LOW, 0x10);
  rig.write8(VIA.T1_HIGH, 0x27);
  rig.pass(1e6);
  const count = rig.read8(VIA.T1_LOW) | (rig.read8(VIA.T1_HIGH) << 8);
  assert.equal(10_000 - count, 783);
  assert.equal(rig.read8(VIA.IFR) & 0x40, 0);
  rig.pass(12e6);
  assert.equal(rig.read8(VIA.IFR) & 0x40, 0x40);
  rig.read8(VIA.T1_LOW);
  assert.equal(rig.read8(VIA.IFR) & 0x40, 0);
  rig.pass(13e6);
  assert.equal(rig.read8(VIA.IFR) & 0x40, 0x40, 'a second time');
});

test('ADB by CUDA: addresses move, keys and motion come by themselves', () => {
  const rig = new MacRig('g3beige');
  const { keyboard, mouse } = (rig.device('via') as Cuda).adb;
  assert.deepEqual(cuda(rig, [0, 0x2f]), [0, 0, 0x2f, 0x62, 1], 'register 3 of the keyboard');
  assert.deepEqual(cuda(rig, [0, 0x3f]), [0, 0, 0x3f, 0x63, 2]);
  assert.deepEqual(cuda(rig, [0, 0x4f]), [0, 2, 0x4f], 'nobody is there');
  cuda(rig, [0, 0x2b, 0x0f, 0xfe]);
  assert.deepEqual(cuda(rig, [0, 0xff]), [0, 0, 0xff, 0x6f, 1], 'moved to 15');
  cuda(rig, [0, 0xfb, 0x02, 0xfe]);
  cuda(rig, [1, 1, 1]);
  assert.equal(keyboard.key('KeyA', true), true);
  assert.equal(keyboard.key('NoSuchKey', true), false);
  keyboard.key('KeyA', false);
  rig.pass(25e6);
  assert.deepEqual(answer(rig), [0, 0x40, 0x2c, 0x00, 0x80]);
  mouse.move(5, -3, 1);
  rig.pass(25e6);
  assert.deepEqual(answer(rig), [0, 0x40, 0x3c, 0x7d, 0x85], 'down with the first button, up 3, right 5');
  mouse.move(100, 0, 0);
  rig.pass(25e6);
  assert.deepEqual(answer(rig), [0, 0x40, 0x3c, 0x80, 0x80 | 63]);
  rig.pass(25e6);
  assert.deepEqual(answer(rig), [0, 0x40, 0x3c, 0x80, 0x80 | 37], 'the rest of it');
});

/** Sends a command to the PMU and takes its answer. */
function pmu(rig: MacRig, bytes: readonly number[], reply: number): number[] {
  const byte = (): void => {
    rig.write8(VIA.B, 0x08);
    assert.equal(rig.read8(VIA.B) & 0x08, 0, 'acknowledged');
    shifted(rig);
    rig.write8(VIA.B, 0x18);
  };
  rig.write8(VIA.ACR, 0x1c);
  for (const one of bytes) {
    rig.write8(VIA.SHIFT, one);
    byte();
    rig.read8(VIA.SHIFT);
  }
  rig.write8(VIA.ACR, 0x0c);
  rig.read8(VIA.SHIFT);
  return Array.from({ length: reply }, () => {
    byte();
    return rig.read8(VIA.SHIFT);
  });
}

test('PMU: version, time, interrupts by a GPIO, power', () => {
  const rig = new MacRig('mac99');
  assert.deepEqual(pmu(rig, [0xea], 1), [1]);
  pmu(rig, [0x30, 1, 2, 3, 4], 0);
  assert.deepEqual(pmu(rig, [0x38], 4), [1, 2, 3, 4]);
  pmu(rig, [0x70, 0x80], 0);
  pmu(rig, [0x78], 2);
  assert.equal(rig.read8(0x59) & 2, 2, 'the pin is high');
  rig.pass(1e9);
  assert.equal(rig.read8(0x59) & 2, 0, 'a second has passed');
  assert.deepEqual(pmu(rig, [0x78], 2), [1, 0x80], 'one byte: the tick');
  assert.equal(rig.read8(0x59) & 2, 2);
  pmu(rig, [0x7e, 1, 2, 3, 4], 1);
  assert.equal(rig.instance.power.pressed, undefined, 'not without the word');
  pmu(rig, [0x7e, 0x4d, 0x41, 0x54, 0x54], 1);
  assert.equal(rig.instance.power.release()?.kind, 'shutdown');
  assert.equal((rig.device('via') as Pmu).adb, undefined, 'a G5 has no ADB');
});

test('the serial port sends at once, and receives when the guest listens', () => {
  const rig = new MacRig('mac99');
  const port = rig.device('escc') as ConsoleDevice;
  let sent = '';
  port.sink = { writeByte: (byte) => (sent += String.fromCharCode(byte)) };
  const set = (register: number, value: number): void => {
    rig.write8(ESCC.control, register);
    rig.write8(ESCC.control, value);
  };
  rig.write8(ESCC.data, 0x41);
  assert.equal(sent, '', 'the transmitter is off');
  set(5, 0x6a);
  rig.write8(ESCC.data, 0x41);
  // The older layout of the same registers.
  rig.write8(0x12006, 0x42);
  assert.equal(sent, 'AB');
  assert.equal(rig.read8(ESCC.control) & 5, 4, 'empty, and nothing received');
  assert.equal(port.receive(Buffer.from('0123456789abc')), 13);
  assert.equal(rig.read8(ESCC.control) & 1, 0, 'the receiver is off');
  set(3, 0xc1);
  set(9, 0x08);
  set(1, 0x10);
  // Open PIC: source 0x25, vector 0x55, priority 8; the processor's task priority 0.
  rig.write32(0x50000 + 0x20 * 0x25, 0x00480055);
  rig.write32(0x60080, 0);
  assert.equal(rig.interrupted, true);
  assert.equal(rig.read32(0x600a0), 0x55);
  assert.equal(rig.interrupted, false, 'it is served');
  rig.write8(ESCC.control, 3);
  assert.equal(rig.read8(ESCC.control), 0x20, 'channel A receives');
  let text = '';
  while ((rig.read8(ESCC.control) & 1) !== 0) text += String.fromCharCode(rig.read8(ESCC.data));
  assert.equal(text, '01234567', 'as much as its buffer holds');
  rig.write32(0x600b0, 0);
  assert.equal(rig.interrupted, false);
  rig.pass(200_000);
  assert.equal(rig.interrupted, true, 'the next piece');
  while ((rig.read8(ESCC.control) & 1) !== 0) text += String.fromCharCode(rig.read8(ESCC.data));
  assert.equal(text, '0123456789abc');
  assert.equal(rig.read8(ESCC.controlB) & 1, 0);
});

test('the Open PIC: priorities nest, what is not pending is spurious, a reset masks all', () => {
  const rig = new MacRig('mac99');
  const source = (n: number): number => 0x50000 + 0x20 * n;
  const ipi = (n: number): number => 0x410a0 + 0x10 * n;
  assert.equal(rig.read32(0x41000), 0x003f0002, '64 sources, version 1.2');
  assert.equal(rig.read32(source(3)), 0x80000000);
  assert.equal(rig.read32(0x600a0), 0xff, 'spurious');
  rig.write32(0x60080, 0);
  rig.write32(ipi(0), 0x00050010);
  rig.write32(ipi(1), 0x00090020);
  rig.write32(0x60040, 1);
  assert.equal(rig.interrupted, true);
  assert.equal(rig.read32(0x600a0), 0x10);
  assert.equal(rig.interrupted, false);
  rig.write32(0x60050, 1);
  assert.equal(rig.interrupted, true, 'a more urgent one');
  assert.equal(rig.read32(0x600a0), 0x20);
  rig.write32(0x60040, 1);
  rig.write32(0x600b0, 0);
  assert.equal(rig.interrupted, false, 'as urgent as what is served');
  rig.write32(0x600b0, 0);
  assert.equal(rig.interrupted, true);
  rig.write32(0x41020, 0x80000000);
  assert.equal(rig.interrupted, false);
  assert.equal(rig.read32(ipi(0)) >>> 31, 1);
});

test('NVRAM keeps bytes over a reset, at each machine its own distance apart', () => {
  const rig = new MacRig('g3beige');
  assert.deepEqual([rig.read8(0x60000), rig.read8(0x60040)], [0x70, 's'.charCodeAt(0)], "firmware's partition");
  rig.write8(0x60000 + 16 * 0x345, 0xa5);
  rig.instance.reset();
  rig.placeChip();
  assert.equal(rig.read8(0x60000 + 16 * 0x345), 0xa5);
});
