/** The devices of the board ppce500, as its guest sees them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { virtioRng } from '../../src/machine/devices/virtio-rng.ts';
import { MachineError } from '../../src/machine/error.ts';
import { CCSR, MEMORY_BYTES, type Ppce500Rig, ppce500Rig } from './ppce500-rig.ts';

const MPIC = CCSR + 0x40000;
const FEATURES = MPIC + 0x1000;
const CONFIGURATION = MPIC + 0x1020;
const TIMER = (n: number): number => MPIC + 0x1100 + 0x40 * n;
const MSIR = (n: number): number => MPIC + 0x1600 + 0x10 * n;
const MSISR = MPIC + 0x1720;
const MSIIR = MPIC + 0x1740;
const SOURCE = (n: number): number => MPIC + 0x10000 + 0x20 * n;
const IPI_DISPATCH = MPIC + 0x20040;
const TASK_PRIORITY = MPIC + 0x20080;
const ACKNOWLEDGE = MPIC + 0x200a0;
const END = MPIC + 0x200b0;
const UART = 42;
const MASKED = 0x80000000;
const SPURIOUS = 0xffff;

const I2C = CCSR + 0x3000;
const [FDR, CR, SR, DR] = [I2C + 4, I2C + 8, I2C + 12, I2C + 16];
const GPIO = CCSR + 0xff000;
const RSTCR = CCSR + 0xe00b0;
const PCI = CCSR + 0x8000;
const PCI_MEMORY = 0xc_0000_0000;
const PCI_BUS = 0xe0000000;
const VIRTIO_ID = 0x10441af4;

/** Vector = source number, priority 8, on. */
function enable(rig: Ppce500Rig, source: number, priority = 8): void {
  rig.write(SOURCE(source), (priority << 16) | source);
  rig.write(TASK_PRIORITY, 0);
}

test('the interrupt controller says what it is', () => {
  const { read } = ppce500Rig();
  assert.equal(read(MPIC), 0x00400402);
  assert.equal(read(FEATURES), (195 << 16) | 2);
  assert.equal(read(SOURCE(UART)), 0x80c00000, 'masked, level, high');
  assert.equal(read(SOURCE(UART) + 0x10), 1, 'to the processor');
});

test('beyond the last source nothing is', () => {
  const { read, write } = ppce500Rig();
  for (const at of [SOURCE(256), SOURCE(256) + 0x10, SOURCE(256) + 0x18, SOURCE(2047) + 0x18]) {
    write(at, 1);
    assert.equal(read(at), 0);
  }
});

test('the serial ports share a source: an interrupt is acknowledged, ended, and comes again while one of them asks', () => {
  const rig = ppce500Rig();
  enable(rig, UART);
  rig.write(CCSR + 0x4501, 2, 1); // IER: transmitter empty
  rig.write(CCSR + 0x4601, 2, 1);
  assert.equal(rig.interrupted(), true);
  assert.equal(rig.read(ACKNOWLEDGE), UART);
  assert.equal(rig.interrupted(), false);
  assert.equal(rig.read(ACKNOWLEDGE), SPURIOUS, 'nothing of a higher priority');
  rig.write(CCSR + 0x4501, 0, 1);
  rig.write(END, 0);
  assert.equal(rig.interrupted(), true, 'the other port still asks');
  rig.write(CCSR + 0x4601, 0, 1);
  assert.equal(rig.interrupted(), false);
});

test('task priority holds interrupts back; masked ones do not come', () => {
  const rig = ppce500Rig();
  enable(rig, UART, 5);
  rig.write(TASK_PRIORITY, 5);
  rig.write(CCSR + 0x4501, 2, 1);
  assert.equal(rig.interrupted(), false);
  rig.write(TASK_PRIORITY, 4);
  assert.equal(rig.interrupted(), true);
  rig.write(SOURCE(UART), MASKED | (5 << 16) | UART);
  assert.equal(rig.interrupted(), false);
});

test('a source that goes to the critical output is neither acknowledged nor held back', () => {
  const rig = ppce500Rig();
  enable(rig, UART, 1);
  rig.write(TASK_PRIORITY, 15);
  rig.write(SOURCE(UART) + 0x18, 1);
  assert.equal(rig.read(SOURCE(UART) + 0x18), 1);
  rig.write(CCSR + 0x4501, 2, 1);
  assert.equal(rig.critical(), true);
  assert.equal(rig.interrupted(), false);
  assert.equal(rig.read(ACKNOWLEDGE), SPURIOUS);
  const state = rig.board.save();
  const other = ppce500Rig();
  other.board.restore(state);
  assert.equal(other.critical(), true);
  rig.write(SOURCE(UART) + 0x18, 0);
  assert.equal(rig.critical(), false);
  rig.write(TASK_PRIORITY, 0);
  assert.equal(rig.interrupted(), true);
});

test('interprocessor interrupts reach the one processor', () => {
  const rig = ppce500Rig();
  rig.write(MPIC + 0x10b0, (9 << 16) | 0x77);
  rig.write(TASK_PRIORITY, 0);
  rig.write(IPI_DISPATCH + 0x10, 2);
  assert.equal(rig.interrupted(), false, 'no such processor');
  rig.write(IPI_DISPATCH + 0x10, 1);
  assert.equal(rig.read(ACKNOWLEDGE), 0x77);
  rig.write(END, 0);
  assert.equal(rig.interrupted(), false);
});

test('messages set a bit of a shared register, which reading clears', () => {
  const rig = ppce500Rig();
  enable(rig, 225);
  rig.write(MSIIR, 0x23000000);
  rig.write(MSIIR, 0x3f000000);
  assert.equal(rig.read(MSISR), 2);
  assert.equal(rig.read(ACKNOWLEDGE), 225);
  assert.equal(rig.read(MSIR(0)), 0);
  assert.equal(rig.read(MSIR(1)), 0x80000008);
  assert.equal(rig.read(MSIR(1)), 0);
  rig.write(END, 0);
  assert.equal(rig.interrupted(), false);
  assert.equal(rig.read(MSISR), 0);
});

test('timers count at 25 MHz, interrupt at zero, and begin again', () => {
  const rig = ppce500Rig();
  rig.write(TIMER(1) + 0x20, (7 << 16) | 0x55);
  rig.write(TIMER(1) + 0x30, 1);
  rig.write(TASK_PRIORITY, 0);
  rig.now = 1000;
  rig.write(TIMER(1) + 0x10, 25_000); // a millisecond
  assert.equal(rig.board.due(), 1000 + 1e6);
  assert.equal(rig.read(TIMER(1)), 25_000);
  rig.now = 1000 + 4e5;
  assert.equal(rig.read(TIMER(1)), 15_000);
  assert.equal(rig.interrupted(), false);
  rig.now = 1000 + 1e6;
  rig.board.turn();
  assert.equal(rig.read(ACKNOWLEDGE), 0x55);
  assert.equal(rig.read(TIMER(1)), 0x80000000 + 25_000, 'the toggle bit');
  rig.write(END, 0);
  rig.now = 1000 + 2.5e6;
  const state = rig.board.save();
  rig.board.turn();
  assert.equal(rig.read(TIMER(1)), 12_500);
  assert.equal(rig.read(ACKNOWLEDGE), 0x55);
  rig.write(TIMER(1) + 0x10, 0x80000000);
  assert.equal(rig.board.due(), Number.POSITIVE_INFINITY);
  assert.equal(rig.read(TIMER(1)), 12_500, 'it stands still');

  const other = ppce500Rig();
  other.board.restore(state);
  assert.equal(other.interrupted(), false);
  other.board.turn();
  assert.equal(other.interrupted(), true, 'what was due is due there');
});

test('a hasty timer does not keep the machine from its work', () => {
  const rig = ppce500Rig();
  rig.write(TIMER(0) + 0x10, 1);
  let turns = 0;
  while (rig.now < 1e6) {
    rig.now = Math.max(rig.now + 1, rig.board.due());
    rig.board.turn();
    turns++;
  }
  assert.ok(turns <= 101, `${turns}`);
  rig.write(TIMER(0) + 0x10, 0x80000000);
  rig.write(TIMER(0) + 0x10, 0);
  assert.equal(rig.board.due(), Number.POSITIVE_INFINITY, 'a base of zero counts nothing');
});

test('a reset of the controller leaves what devices ask for', () => {
  const rig = ppce500Rig();
  enable(rig, UART);
  rig.write(CCSR + 0x4501, 2, 1);
  rig.write(CONFIGURATION, 0x80000000);
  assert.equal(rig.interrupted(), false);
  enable(rig, UART);
  assert.equal(rig.interrupted(), true);
});

/** Waits for a byte's end and clears the flag, as drivers do. Answers whether it was acknowledged. */
function transferred(rig: Ppce500Rig): boolean {
  const status = rig.read(SR, 1);
  assert.equal(status & 0x82, 0x82);
  rig.write(SR, 0, 1);
  return (status & 1) === 0;
}

function send(rig: Ppce500Rig, byte: number): boolean {
  rig.write(DR, byte, 1);
  return transferred(rig);
}

/** Reads registers of the clock by a repeated start. */
function readClock(rig: Ppce500Rig, from: number, count: number): number[] {
  rig.write(CR, 0xb0, 1);
  assert.ok(send(rig, 0xd0) && send(rig, from));
  rig.write(CR, 0xb4, 1);
  assert.ok(send(rig, 0xd1));
  rig.write(CR, 0xa0, 1);
  rig.read(DR, 1);
  const bytes: number[] = [];
  for (let i = 0; i < count; i++) {
    transferred(rig);
    bytes.push(rig.read(DR, 1));
  }
  rig.write(CR, 0x80, 1);
  return bytes;
}

const writeClock = (rig: Ppce500Rig, ...bytes: number[]): void => {
  rig.write(CR, 0xb0, 1);
  for (const byte of [0xd0, ...bytes]) assert.ok(send(rig, byte));
  rig.write(CR, 0x80, 1);
};

test('the calendar clock on the I2C bus tells the time, and is set', () => {
  const rig = ppce500Rig({ world: { unixTime: () => Date.UTC(2024, 1, 29, 23, 58, 57) / 1000, random: undefined } });
  rig.write(FDR, 0x31, 1);
  assert.deepEqual(readClock(rig, 0, 7), [0x57, 0x58, 0x23, 5, 0x29, 0x02, 0x24]);
  rig.now = 63e9;
  assert.deepEqual(readClock(rig, 0, 7), [0x00, 0x00, 0x00, 6, 0x01, 0x03, 0x24]);
  writeClock(rig, 0, 0x59, 0x59, 0x23, 2, 0x31, 0x12, 0x35);
  rig.now += 1e9;
  assert.deepEqual(
    readClock(rig, 0, 7),
    [0x00, 0x00, 0x00, 3, 0x01, 0x01, 0x36],
    'the week day goes on from what was set',
  );
  writeClock(rig, 2, 0x40 | 0x20 | 0x12); // 12 p.m.
  assert.deepEqual(readClock(rig, 2, 1), [0x72]);
  writeClock(rig, 0x3f, 0xaa);
  assert.deepEqual(readClock(rig, 0x3f, 2), [0xaa, 0x00], 'RAM, and round to the seconds');
  const other = ppce500Rig();
  other.board.restore(rig.board.save());
  assert.deepEqual(readClock(other, 2, 1), [0x72]);
});

test('an address where nobody is is not acknowledged; the interrupt comes when it is asked for', () => {
  const rig = ppce500Rig();
  enable(rig, 43);
  rig.write(CR, 0xf0, 1);
  rig.write(DR, 0x42, 1);
  assert.equal(rig.interrupted(), true);
  assert.equal(transferred(rig), false);
  assert.equal(rig.interrupted(), false);
  assert.equal(rig.read(SR, 1) & 0x20, 0x20, 'the bus is busy');
  rig.write(CR, 0x80, 1);
  assert.equal(rig.read(SR, 1) & 0x20, 0);
});

test('a pin switches off, a register resets', () => {
  const rig = ppce500Rig();
  rig.write(GPIO + 8, 0x80000000);
  assert.equal(rig.board.power.pressed, undefined, 'an input yet');
  rig.write(GPIO, 0x40000000);
  assert.equal(rig.board.power.pressed, undefined, 'another pin');
  rig.write(GPIO, 0xc0000000);
  assert.equal(rig.board.power.release()?.kind, 'shutdown');
  rig.write(RSTCR, 0x01);
  assert.equal(rig.board.power.pressed, undefined);
  rig.write(RSTCR, 0x02);
  assert.equal(rig.board.power.release()?.kind, 'reset');
  assert.equal(rig.read(CCSR + 0xe00a0), 0x80210030, "the processor's version");
});

test("the spin table has nobody's release", () => {
  const { read, write } = ppce500Rig();
  const entry = 0xf_ef00_0020;
  write(entry + 4, 0x1000);
  assert.deepEqual(
    [0, 4, 8, 12, 16, 20].map((at) => read(entry + at)),
    [0, 1, 0, 1, 0, 1],
  );
  assert.equal(read(entry + 7, 1), 1);
});

const config = (slot: number, register: number): number => (0x80000000 | (slot << 11) | register) >>> 0;

/** Little-endian words of configuration space as the processor reads them. */
const turned = (value: number): number => Buffer.from([value, value >>> 8, value >>> 16, value >>> 24]).readUInt32BE();
const readConfig = (rig: Ppce500Rig, slot: number, register: number): number => {
  rig.write(PCI, config(slot, register));
  return turned(rig.read(PCI + 4));
};
const writeConfig = (rig: Ppce500Rig, slot: number, register: number, value: number): void => {
  rig.write(PCI, config(slot, register));
  rig.write(PCI + 4, turned(value));
};
const CARD = [{ device: virtioRng('rng0'), bus: 'pci' }];

/** Outbound window 1: 512 MiB of PCI memory space at its customary place. */
function openWindow(rig: Ppce500Rig, base = PCI_MEMORY, target = PCI_BUS, attributes = 0x8004401c): void {
  rig.write(PCI + 0xc20, target / 4096);
  rig.write(PCI + 0xc24, 0);
  rig.write(PCI + 0xc28, base / 4096);
  rig.write(PCI + 0xc30, attributes);
}

test('configuration space has the bridge, and cards from slot 1', () => {
  const rig = ppce500Rig({ cards: CARD });
  assert.equal(readConfig(rig, 0, 0), 0x00301957);
  assert.equal(readConfig(rig, 0, 8), 0x0b200000);
  assert.equal(readConfig(rig, 1, 0), VIRTIO_ID);
  assert.equal(readConfig(rig, 2, 0), 0xffffffff);
  rig.write(PCI, config(1, 0));
  assert.equal(rig.read(PCI + 6, 2), 0x4410, 'its bytes in the order of the bus');
});

test('an outbound window shows PCI space where it is put, as long as it is on', () => {
  const rig = ppce500Rig({ cards: CARD });
  writeConfig(rig, 1, 0x20, 0xe0010000); // BAR 4
  writeConfig(rig, 1, 0x04, 2);
  const NUM_QUEUES = 0x10000 + 18;
  assert.equal(rig.read(PCI_MEMORY + NUM_QUEUES, 2), 0, 'no window');
  openWindow(rig);
  assert.equal(turned(rig.read(PCI_MEMORY + NUM_QUEUES, 2)) >>> 16, 1);
  openWindow(rig, 0x8_0000_0000);
  assert.equal(rig.read(PCI_MEMORY + NUM_QUEUES, 2), 0);
  assert.equal(turned(rig.read(0x8_0000_0000 + NUM_QUEUES, 2)) >>> 16, 1);
  openWindow(rig, PCI_MEMORY, PCI_BUS, 0x8008801c);
  assert.equal(rig.read(PCI_MEMORY + NUM_QUEUES, 2), 0xffff, 'as I/O space nobody answers');
  openWindow(rig, PCI_MEMORY, PCI_BUS, 0x0004401c);
  assert.equal(rig.read(PCI_MEMORY + NUM_QUEUES, 2), 0);
});

test("the bridge's own range has the chip's registers, also for messages; going round in circles ends", () => {
  const rig = ppce500Rig();
  writeConfig(rig, 0, 0x10, 0xe0000000);
  writeConfig(rig, 0, 0x04, 2);
  openWindow(rig);
  assert.equal(rig.read(PCI_MEMORY + 0x40000), 0x00400402);
  rig.write(PCI_MEMORY + 0x41740, 0x21000000);
  assert.equal(rig.read(MSIR(1)), 2);
  // A window in a gap of the chip's registers that shows the same gap.
  openWindow(rig, CCSR + 0xb0000, PCI_BUS + 0xb0000, 0x8004400b);
  assert.equal(rig.read(CCSR + 0xb0000), 0);
  rig.write(CCSR + 0xb0000, 1);
});

/** Has the card in slot 1 send a message by its first vector. */
function sendMessage(rig: Ppce500Rig, address: number, data: number): void {
  openWindow(rig);
  writeConfig(rig, 1, 0x14, 0xe0100000);
  writeConfig(rig, 1, 0x04, 6);
  const capability = readConfig(rig, 1, 0x34) & 0xff;
  assert.equal(readConfig(rig, 1, capability) & 0xff, 0x11);
  writeConfig(rig, 1, capability, 0x80000000);
  const table = PCI_MEMORY + 0x100000;
  for (const [i, word] of [address, 0, data, 0].entries()) rig.write(table + 4 * i, turned(word));
  const common = 0xe0010000;
  writeConfig(rig, 1, 0x20, common);
  const at = PCI_MEMORY + 0x10000;
  rig.write(at + 16, turned(0) >>> 16, 2); // msix_config: vector 0
  rig.board.device('rng0');
  (rig.board.device('rng0') as unknown as { msix: { raise(vector: number): void } }).msix.raise(0);
}

test("a card's message goes to the shared message registers, or through an inbound window to memory", () => {
  const rig = ppce500Rig({ cards: CARD });
  writeConfig(rig, 0, 0x10, 0xdff00000);
  writeConfig(rig, 0, 0x04, 6);
  sendMessage(rig, 0xdff41740, 0x47);
  assert.equal(rig.read(MSIR(2)), 0x80, 'the byte that comes first is the highest');
  sendMessage(rig, 0x2000, 0x11223344);
  assert.equal(rig.vm.memory.read32(0x2000), 0, 'no window');
  rig.write(PCI + 0xde0, 0); // PITAR1
  rig.write(PCI + 0xde8, 0);
  rig.write(PCI + 0xdf0, 0xa0f5501b); // 256 MiB of local memory
  sendMessage(rig, 0x2000, 0x11223344);
  assert.equal(rig.vm.memory.read32(0x2000), 0x44332211);
});

test("a card's interrupt comes by its slot's pin", () => {
  const rig = ppce500Rig({ cards: CARD });
  enable(rig, 2); // slot 1, INTA
  rig.write(SOURCE(2), 0x00480002); // level
  (rig.board.device('pci0') as unknown as { setInput(slot: number, active: boolean): void }).setInput(1, true);
  assert.equal(rig.read(ACKNOWLEDGE), 2);
});

/** Everything of the chip, its windows, and what is beyond. */
const address = fc.oneof(
  fc.integer({ min: 0, max: 0xfffff }).map((offset) => CCSR + offset),
  fc.integer({ min: 0, max: 0x3ff }).map((offset) => PCI + 0xc00 + offset),
  fc.integer({ min: 0, max: 0x40000 }).map((offset) => MPIC + (offset & ~3)),
  fc.integer({ min: 0, max: 0x1fffffff }).map((offset) => PCI_MEMORY + offset),
  fc.integer({ min: 0, max: 7 }).map((offset) => PCI + offset),
  fc.maxSafeNat().map((value) => value % 2 ** 36),
);
const access = fc.record({
  address,
  length: fc.constantFrom(1, 2, 4),
  value: fc.oneof(
    fc.nat(0xffffffff),
    fc.constantFrom(0, 0xffffffff, 0x8004403f, 0xa0f5503f, 0xfe000, 0xfe0000, 0x80000004, 0x80000010),
  ),
  isWrite: fc.boolean(),
  passes: fc.nat(1e6),
});

test('whatever is read and written, values are words, states go round, and nothing else happens', () => {
  fc.assert(
    fc.property(fc.array(access, { minLength: 1, maxLength: 200 }), (accesses) => {
      const rig = ppce500Rig({ cards: [...CARD, { device: virtioRng('rng1'), bus: 'mmio' }] });
      for (const { address, length, value, isWrite, passes } of accesses) {
        rig.now += passes;
        if (rig.board.due() <= rig.now) rig.board.turn();
        if (isWrite) rig.write(address, length === 4 ? value : value & ((1 << (8 * length)) - 1), length);
        else {
          const read = rig.read(address, length);
          assert.ok(Number.isInteger(read) && read >= 0 && read < 2 ** (8 * length), `${address} ${length}: ${read}`);
        }
      }
      const state = JSON.parse(JSON.stringify(rig.board.save()));
      const other = ppce500Rig({ cards: [...CARD, { device: virtioRng('rng1'), bus: 'mmio' }] });
      other.now = rig.now;
      other.board.restore(state);
      assert.deepEqual(JSON.parse(JSON.stringify(other.board.save())), state);
      assert.equal(other.interrupted(), rig.interrupted());
      assert.equal(other.critical(), rig.critical());
    }),
    { numRuns: 200 },
  );
});

test('a state that is none is refused, and nothing has changed', () => {
  const rig = ppce500Rig();
  const state = rig.board.save();
  for (const name of ['mpic0', 'pci0', 'i2c0', 'rtc0', 'gpio0'])
    for (const wrong of [
      {},
      { ...state[name], ...Object.fromEntries(Object.keys(state[name] ?? {}).map((key) => [key, 'x'])) },
    ])
      assert.throws(() => rig.board.restore({ ...state, [name]: wrong }), MachineError, name);
  assert.deepEqual(rig.board.save(), state);
  assert.equal(MEMORY_BYTES, rig.vm.bytes.length);
});
