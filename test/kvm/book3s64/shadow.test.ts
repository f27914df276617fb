/** Shadow translations: what KVM tells the host of the guest's, and what ends them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COUNTER } from '../../../src/kvm/stats.ts';
import { SERVER_SLB_ENTRIES, SERVER_VECTOR, SHARED, VCPU_BLOCKS } from '../../../src/processor/index.ts';
import { REAL, Rig, USER, VIRTUAL } from './fake-server.ts';

const KERNEL = 0xc000_0000_0000_0000n;
/** Numbers of the host's process context that the first vCPU has. */
const HOST_CONTEXT = 0x12345 * 0x10000;

test("the address chain of the talk 'KVM on PowerPC'", () => {
  const rig = new Rig({ model: '970', accel: 'trap' });
  rig.place(0x1200_0000, 0x1000, 0xa4_180e_9000);
  const address = 0xc000_0000_1200_0380n;
  const guestVirtual = 0x414f_012a_f200_0380n;
  rig.segment(5, address, guestVirtual >> 28n);
  rig.enter(guestVirtual >> 28n, address, 0x1200_0000n);
  rig.set({ msr: VIRTUAL });
  const shadow = rig.access(address);
  const shadowVirtual = (BigInt(rig.cpu.vsidOf(address) as number) << 28n) | (address & 0xfff_ffffn);
  assert.equal(shadowVirtual.toString(16), '1234500012000380');
  assert.equal(((shadow?.real as number) + 0x380).toString(16), 'a4180e9380');
});

test("a full group of the host's table costs one page its place, not all", () => {
  const rig = new Rig({ log2Groups: 11 });
  rig.place(0x1000_0000, 0x1000_0000, 0x1_0000_0000);
  rig.segment(0, KERNEL, 0x777n);
  // Pages 8 MB apart share a group of a table of 2^11.
  const pages = Array.from({ length: 20 }, (_, i) => KERNEL + BigInt(i * 0x80_0000));
  rig.set({ msr: VIRTUAL });
  for (const [i, address] of pages.entries()) {
    // The guest's own table has the same groups: one entry after the other stands there.
    const entry = rig.enter(0x777n, address, BigInt(0x1000_0000 + i * 0x1000));
    assert.equal(rig.access(address)?.real, 0x1_0000_0000 + i * 0x1000);
    rig.remove(entry);
  }
  const found = pages.map((address) => rig.cpu.shadow(address));
  assert.equal(found.filter((shadow) => shadow !== undefined).length, 16);
  assert.equal(found.filter((shadow) => shadow?.secondary === true).length, 8);
  assert.equal(rig.counters.counts[COUNTER.shadow_evictions], 4);
  assert.equal(rig.cpu.invalidated.length, 4);
  assert.ok(found[19] !== undefined, 'the last one stays');
});

test('when all VSIDs are given away, the oldest goes with what belongs to it, and no other', () => {
  const rig = new Rig({ limits: { vsids: 4, shadows: 64 } });
  rig.place(0x1000_0000, 0x10_0000, 0x1_0000_0000);
  const segments = Array.from({ length: 6 }, (_, i) => KERNEL + BigInt(i) * 0x1000_0000n);
  for (const [i, address] of segments.entries()) {
    rig.segment(i, address, BigInt(0x100 + i));
    rig.enter(BigInt(0x100 + i), address, BigInt(0x1000_0000 + i * 0x1000));
  }
  rig.set({ msr: VIRTUAL });
  for (const address of segments.slice(0, 4)) assert.ok(rig.access(address));
  assert.equal(rig.family.stats['vsid_recycles'], 0);
  assert.ok(rig.access(segments[4] as bigint));
  assert.equal(rig.family.stats['vsid_recycles'], 1);
  assert.deepEqual(
    segments.map((address) => rig.cpu.vsidOf(address)),
    [undefined, HOST_CONTEXT + 2, HOST_CONTEXT + 3, HOST_CONTEXT + 4, HOST_CONTEXT + 1, undefined],
  );
  for (const [i, address] of segments.entries())
    assert.equal(rig.cpu.shadow(address)?.real, i > 0 && i < 5 ? 0x1_0000_0000 + i * 0x1000 : undefined);
  // The number means another segment now: the first one's page is not found behind it.
  assert.equal(rig.cpu.search(HOST_CONTEXT + 1, 0)?.real, 0x1_0000_4000);
  assert.equal(rig.access(segments[0] as bigint)?.real, 0x1_0000_0000);
  assert.equal(rig.cpu.vsidOf(segments[1] as bigint), undefined);
});

test('more segments than the host has SLB entries take turns', () => {
  const rig = new Rig();
  const count = SERVER_SLB_ENTRIES + 6;
  rig.place(0x1000_0000, count * 0x1000_0000, 0x1_0000_0000);
  rig.set({ msr: REAL });
  const segments = Array.from({ length: count }, (_, i) => BigInt(i + 1) * 0x1000_0000n);
  for (const [i, address] of segments.entries())
    assert.equal(rig.access(address)?.real, 0x1_0000_0000 + i * 0x1000_0000);
  const present = segments.filter((address) => rig.cpu.vsidOf(address) !== undefined);
  assert.equal(present.length, SERVER_SLB_ENTRIES);
  assert.deepEqual(present, segments.slice(6), 'the oldest have made way');
  // Its page is there still: the segment is all that comes back.
  const faults = rig.counters.counts[COUNTER.pf_storage];
  assert.equal(rig.access(segments[0] as bigint)?.real, 0x1_0000_0000);
  assert.equal(rig.counters.counts[COUNTER.pf_storage], faults);
});

for (const [name, shift, flags, rb] of [
  ['4K', 12, 0n, 0n],
  ['64K', 16, 0x110n, 0x1001n],
  ['16M', 24, 0x100n, 0x1n],
] as const) {
  test(`tlbie of a page of ${name} ends the shadows of it and of nothing else`, () => {
    const rig = new Rig();
    rig.place(0x1000_0000, 0x800_0000, 0x1_0000_0000);
    const vsid = 0x5_6789n;
    rig.segment(0, KERNEL, vsid, flags);
    const bytes = 1n << BigInt(shift);
    for (let i = 0n; i < 3n; i++) rig.enter(vsid, KERNEL + i * bytes, 0x1000_0000n + i * bytes, { shift });
    rig.set({ msr: VIRTUAL });
    const offsets = shift === 12 ? [0n] : [0n, 0xa000n, bytes - 0x1000n];
    const addresses = (page: bigint) => offsets.map((offset) => KERNEL + page * bytes + offset);
    const real = (page: bigint) => addresses(page).map((address) => rig.access(address)?.real);
    const expected = (page: bigint) => offsets.map((offset) => 0x1_0000_0000 + Number(page * bytes + offset));
    for (let page = 0n; page < 3n; page++) assert.deepEqual(real(page), expected(page));
    rig.set({ gpr: { 4: (vsid << 28n) | (1n * bytes) | rb } });
    rig.emulate('tlbie r4,r0');
    assert.deepEqual(
      addresses(1n).map((address) => rig.cpu.shadow(address)),
      offsets.map(() => undefined),
    );
    for (const page of [0n, 2n])
      assert.deepEqual(
        addresses(page).map((address) => rig.cpu.shadow(address)?.real),
        expected(page),
      );
    assert.deepEqual(real(1n), expected(1n));
  });
}

test('the dirty log has each page that was written since it was taken', () => {
  const rig = new Rig();
  const slot = rig.place(0x1000_0000, 0x8000, 0x1_0000_0000, true);
  rig.segment(0, KERNEL, 0x99n);
  for (let i = 0n; i < 4n; i++) rig.enter(0x99n, KERNEL + i * 0x1000n, 0x1000_0000n + i * 0x1000n);
  rig.set({ msr: VIRTUAL });
  const take = (): number => {
    const dirty = slot.takeDirty() as Uint8Array;
    rig.family.protectPages(slot, dirty);
    return dirty[0] as number;
  };
  const address = (i: number) => KERNEL + BigInt(i * 0x1000);
  assert.equal(rig.access(address(0))?.writable, false, 'what is only read may not be written yet');
  assert.equal(take(), 0);
  assert.equal(rig.access(address(0), true)?.writable, true);
  assert.equal(rig.access(address(2), true)?.writable, true);
  assert.equal(take(), 0b101);
  assert.equal(rig.cpu.shadow(address(0)), undefined);
  assert.equal(rig.access(address(2), true)?.writable, true);
  rig.set({ msr: REAL });
  assert.equal(rig.access(0x1000_3000n, true)?.writable, true);
  assert.equal(take(), 0b1100);
  assert.equal(take(), 0);
});

test('the magic page is at its effective address and at its real one, for the kernel only', () => {
  const rig = new Rig();
  const magic = 0xffff_ffff_ffff_f000n;
  const shared = VCPU_BLOCKS + SHARED;
  rig.place(0x1000_0000, 0x4000, 0x1_0000_0000);
  rig.segment(0, KERNEL, 0x99n);
  rig.enter(0x99n, KERNEL, 0x1000_2000n);
  rig.set({ msr: VIRTUAL });
  assert.equal(rig.access(magic), undefined, 'it is not mapped yet');
  rig.set({ pc: 0x100n, msr: VIRTUAL, gpr: { 0: 0x4b56_4d21n, 11: 0x2a_0004n, 3: 0x1000_2000n, 4: magic } });
  rig.fault(SERVER_VECTOR.systemCall, 0n);
  assert.equal(rig.family.getRegs().gpr[3], 0n);
  assert.equal(rig.access(magic, true)?.real, shared);
  assert.equal(rig.access(magic)?.executable, false);
  // The real address with translation on, as the guest's own table has it, and off.
  assert.equal(rig.access(KERNEL, true)?.real, shared);
  rig.set({ msr: REAL });
  assert.equal(rig.access(0x1000_2000n, true)?.real, shared);
  assert.equal(rig.access(0x1000_3000n)?.real, 0x1_0000_3000);
  rig.set({ msr: USER });
  assert.equal(rig.access(magic), undefined);
  rig.set({ msr: USER, pc: 0x100n });
  assert.equal(rig.access(KERNEL)?.real, 0x1_0000_2000, 'a program sees the memory that lies there');
});

test("the 970's tlbie names 48 bits of a virtual address: the rest of RB is zero", () => {
  for (const model of ['970', 'power8'] as const) {
    const rig = new Rig({ model });
    rig.place(0x1000_0000, 0x10_0000, 0x1_0000_0000);
    const vsid = 0x5_6789_abcdn;
    rig.segment(0, KERNEL, vsid);
    rig.enter(vsid, KERNEL, 0x1000_0000n);
    rig.enter(vsid, KERNEL + 0x1000n, 0x1000_1000n);
    rig.set({ msr: VIRTUAL });
    for (const page of [0n, 0x1000n]) assert.ok(rig.access(KERNEL + page));
    rig.set({ gpr: { 4: BigInt.asUintN(48, vsid << 28n) } });
    rig.emulate('tlbie r4,r0');
    const isGone = rig.cpu.shadow(KERNEL) === undefined;
    assert.equal(isGone, model === '970', 'processors since name the whole address');
    assert.ok(rig.cpu.shadow(KERNEL + 0x1000n));
  }
});
