/** The monitor: what it shows is what the machine has, on a 440 and on a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../../src/isa/index.ts';
import { Machine, Monitor, SymbolTable } from '../../../src/machine/index.ts';
import { NodeHost } from '../../../src/node/index.ts';
import { bareGuest } from '../bare-guest.ts';
import { makeElf } from '../images.ts';

const MiB = 2 ** 20;
/** The talk's address, in its guest. */
const TALK = 0xc000_0000_1200_0380n;

function bytesOf(source: string): Uint8Array {
  const words = assembleWords(source, 0);
  const bytes = new Uint8Array(words.length * 4);
  for (const [i, word] of words.entries()) new DataView(bytes.buffer).setUint32(4 * i, word);
  return bytes;
}

const host = (): NodeHost => new NodeHost({ write: () => {} });

/** A server whose guest has just written where the talk's example is, and is about to read it. */
async function atTheTalksAddress(): Promise<Machine> {
  const machine = Machine.create({
    board: 'bare',
    cpu: 'power8',
    memoryBytes: 320 * MiB,
    host: host(),
    kernel: bareGuest({ paravirt: false }),
    timeoutNs: 60e9,
  });
  const { debugger: debug } = machine;
  await debug.stop();
  debug.addWatchpoint({ address: TALK, bytes: 8, access: 'read' });
  const stopped = new Promise((resolve) => void debug.onStop(resolve));
  void machine.run();
  debug.go();
  await stopped;
  return machine;
}

test("an address's way is the talk's: EA, VA, RA, shadow, host", async () => {
  const machine = await atTheTalksAddress();
  const { inspector } = new Monitor(machine);
  const steps = await inspector.chain(TALK);
  assert.deepEqual(
    steps.map(({ what }) => what),
    ['effective address', 'guest virtual address', 'guest real address', 'shadow virtual address', 'host real address'],
  );
  assert.equal(steps[1]?.address, 0x414f_012a_f200_0380n);
  assert.equal(steps[2]?.address, 0x1200_0380n);
  assert.equal((steps[3]?.address ?? 0n) >> 44n, 0x12345n);
  assert.match(steps[4]?.by ?? '', /^slot 0; host hash table entry/);
  const [slb, htab, vsids, shadows] = await inspector.tables(1000);
  assert.ok(slb?.rows.some(([, segment, vsid]) => segment === 0xc000_0000_1000_0000n && vsid === 0x4_14f0_12afn));
  assert.ok(htab?.rows.some(([, , , page]) => page === 0x1200_0000n));
  assert.ok(vsids?.rows.some(([, vsid, kind]) => vsid === 0x4_14f0_12afn && kind === 'segment'));
  assert.equal(shadows?.total, shadows?.rows.length);
  assert.ok(shadows?.rows.some(([vsid, page]) => (vsid as bigint) >> 16n === 0x12345n && page === 0x200_0000n));
  const unmapped = await inspector.chain(0xd000_0000_0000_0000n);
  assert.deepEqual(unmapped.at(-1)?.address, undefined);
  machine.quit();
});

test('commands print it, and mistakes are a line', async () => {
  const machine = await atTheTalksAddress();
  const monitor = new Monitor(machine);
  const has = async (line: string, pattern: RegExp): Promise<void> => {
    const text = await monitor.execute(line);
    assert.match(text, pattern, line);
    assert.ok(text === '' || text.endsWith('\n'));
  };
  await has('help', /^help, \?.*\ninfo registers\|/);
  await has('info registers', /pc +c0000000[0-9a-f]{8}/);
  await has('info registers all', /sprg0 /);
  await has('info slb', /^guest SLB \(2\)\nentry/);
  await has('info htab 1', /the first 1\)/);
  await has('info shadow', /shadow pages/);
  await has('info exits', /sum_exits +\d+/);
  await has('info code', /instructions +\d+/);
  await has('info devices', /serial0 +f0000000\+8 +cpu:0/);
  await has('info irq', /serial0 +cpu:0 +-/);
  await has('info breakpoints', /watch +c000000012000380 +8 bytes, read/);
  await has(`chain ${TALK}`, /guest virtual address +414f012af2000380/);
  await has('chain $r14', /guest real address +0000000012000380/);
  await has('x $r14 8', /^c000000012000380 {2}00 00 00 00 05 ea 4e 11 +\.{5}/);
  await has('dis $pc 1', /ld +r3,0\(r14\)/);
  await has('dis', /\n.*\n/);
  await has('symbol $pc', /no symbol/);
  await has('device serial0', /"ier": 0/);
  await has('step', /^c0000000/);
  await has('nonsense', /^there is no command 'nonsense'; 'help' lists them\n$/);
  await has('info nonsense', /^there is no info 'nonsense'/);
  await has('chain', /^an address is missing/);
  await has('chain nowhere', /^'nowhere' is no address/);
  await has('x 0xd000000000000000', /^no memory is mapped there/);
  await has('x $pc 99999', /is no count/);
  await has('device nothing', /^there is no device/);
  await has('', /^$/);
  machine.quit();
  await has('cont', /^$/);
});

test("a 440's TLB stands beside its shadow, and steps end where it waits", async () => {
  // Waits with the decrementer's interrupt on, whose handler is at 0x500 and waits again.
  const machine = Machine.create({
    board: 'bamboo',
    memoryBytes: 64 * MiB,
    host: host(),
    kernel: bytesOf(`
      lis r3,0; mtspr 63,r3; li r3,0x500; mtspr 410,r3
      lis r3,0x400; mtspr 340,r3; lis r3,2; mtspr 22,r3
      lis r3,6; ori r3,r3,0x8000; mtmsr r3; isync
      forever: b forever
      .org 0x500
      rfi`),
    timeoutNs: 60e9,
  });
  const monitor = new Monitor(machine);
  const { debugger: debug } = machine;
  await debug.stop();
  const run = machine.run();
  for (let i = 0; i < 11; i++) await monitor.execute('step');
  // The wait ends with the interrupt, whose handler is stepped then.
  assert.match(await monitor.execute('step'), /^0000050[04] |^[0-9a-f]{8} isync/);
  const chain = await monitor.inspector.chain(0x500n);
  assert.deepEqual(chain.map(({ address }) => address).slice(0, 2), [0x500n, 0x500n]);
  assert.match(chain[1]?.by ?? '', /^TLB \d+: page of \d+ KB, rwx$/);
  const [tlb, shadow] = await monitor.inspector.tables();
  assert.equal(tlb?.name, 'guest TLB');
  assert.ok((tlb?.total ?? 0) > 0 && (shadow?.total ?? 0) > 0);
  machine.quit();
  await run;
});

test('symbols come of System.map and of ELF files, by real addresses too', () => {
  const map = SymbolTable.parse(
    Buffer.from('c0000000 T _stext\nc0001000 T start_kernel\nc0001000 t alias\nc0002000 D jiffies\n'),
  );
  assert.equal(map.describe(0xc000_1004n, 32), 'alias+0x4');
  assert.equal(map.describe(0x1000n, 32), 'alias');
  assert.equal(map.addressOf('start_kernel'), 0xc000_1000n);
  assert.equal(map.describe(0xbfff_0000n, 32), undefined);
  assert.equal(map.describe(0xc003_0000n, 32), undefined);
  assert.throws(() => SymbolTable.parse(Buffer.from('nothing')), /^MachineError: the file has no symbols/);
  const stripped = makeElf([{ virtual: 0, physical: 0, bytes: new Uint8Array(8) }], 0);
  assert.throws(() => SymbolTable.parse(stripped), /^MachineError: the file has no symbols/);
});
