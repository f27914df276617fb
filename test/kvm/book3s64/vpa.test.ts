/** H_REGISTER_VPA: what it takes and refuses, and the count of dispatches (LoPAPR 1.1, 14.11.3.2). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACCELS, DATA, LittleGuest } from './little-guest.ts';

const KIND = { VPA: 1n, DISPATCH_TRACE: 2n, SLB_SHADOW: 3n, OFF_VPA: 5n, OFF_TRACE: 6n, OFF_SHADOW: 7n } as const;
const H = { SUCCESS: 0n, PARAMETER: -4n, RESOURCE: -16n } as const;
const DISPATCH_COUNT = 0x100;
/** Behind the areas, in the next page. */
const OTHER = DATA + 0x400;

function big(guest: LittleGuest, address: number): number {
  const bytes = guest.vm.memory.readBytes(address, 4) as Uint8Array;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

function put(guest: LittleGuest, address: number, bytes: number, value: number): void {
  const data = Uint8Array.from({ length: bytes }, (_, i) => (value >>> (8 * (bytes - 1 - i))) & 0xff);
  guest.vm.memory.writeBytes(address, data);
}

function register(guest: LittleGuest, kind: bigint, address: number, cpu = 0n): bigint {
  const { vector, gpr } = guest.run('sc 1', { 3: 0xdcn, 4: kind << 45n, 5: cpu, 6: BigInt(address) });
  assert.equal(vector, 0);
  return BigInt.asIntN(64, gpr[3] as bigint);
}

for (const littleEndian of [false, true])
  for (const accel of ACCELS)
    test(`areas of a virtual processor, ${accel}, memory ${littleEndian ? 'little' : 'big'}-endian`, () => {
      const guest = new LittleGuest('power8', accel, { papr: true, littleEndian });
      const vpa = (address: number, size: number, cpu = 0n) => {
        put(guest, address + 4, 2, size);
        return register(guest, KIND.VPA, address, cpu);
      };
      const other = (kind: bigint, address: number, length: number) => {
        put(guest, address + 4, 4, length);
        return register(guest, kind, address);
      };
      assert.equal(other(KIND.SLB_SHADOW, OTHER, 64), H.RESOURCE);
      assert.equal(vpa(DATA, 639), H.PARAMETER);
      assert.equal(vpa(DATA, 640, 1n), H.PARAMETER);
      assert.equal(vpa(DATA + 64, 640), H.PARAMETER);
      assert.equal(vpa(DATA + 0xe00, 640), H.PARAMETER);
      assert.equal(vpa(DATA + 0xd80, 641), H.PARAMETER);
      assert.equal(register(guest, KIND.VPA, 0), H.PARAMETER);
      assert.equal(register(guest, KIND.VPA, 0xf000_0000), H.PARAMETER);
      assert.equal(register(guest, KIND.VPA, 2 ** 21 - 128), H.PARAMETER);
      assert.equal(register(guest, 0n, DATA), H.PARAMETER);
      assert.equal(register(guest, 4n, DATA), H.PARAMETER);
      assert.equal(vpa(DATA + 0xd80, 640), H.SUCCESS);
      assert.equal(vpa(DATA, 1024), H.SUCCESS);
      assert.equal(other(KIND.SLB_SHADOW, OTHER, 7), H.PARAMETER);
      assert.equal(other(KIND.SLB_SHADOW, DATA + 0xf80, 129), H.PARAMETER);
      assert.equal(other(KIND.SLB_SHADOW, DATA + 0xf80, 128), H.SUCCESS);
      assert.equal(other(KIND.DISPATCH_TRACE, OTHER, 47), H.PARAMETER);
      assert.equal(other(KIND.DISPATCH_TRACE, OTHER, 8192), H.SUCCESS);
      assert.equal(register(guest, KIND.OFF_VPA, 0), H.RESOURCE);
      assert.equal(register(guest, KIND.OFF_TRACE, 0), H.SUCCESS);
      assert.equal(register(guest, KIND.OFF_VPA, 0), H.RESOURCE);
      assert.equal(register(guest, KIND.OFF_SHADOW, 0), H.SUCCESS);
      assert.equal(register(guest, KIND.OFF_VPA, 0), H.SUCCESS);
    });

for (const littleEndian of [false, true])
  test(`dispatches are counted, memory ${littleEndian ? 'little' : 'big'}-endian`, () => {
    // With counted time runs are not dispatches: that would depend on how the host cuts them.
    let now = 0;
    const clock = { now: () => (now += 1000) };
    const guest = new LittleGuest('power8', 'assist', { papr: true, littleEndian, clock });
    put(guest, DATA + 4, 2, 640);
    assert.equal(register(guest, KIND.VPA, DATA), H.SUCCESS);
    const before = big(guest, DATA + DISPATCH_COUNT);
    assert.equal(before % 2, 1, 'the processor does not run');
    // What the guest itself sees: even, while it runs.
    const load = (): number =>
      Number(guest.run('lwbrx r5,r4,r6; lwzx r5,r4,r6', { 4: BigInt(DATA), 6: 0x100n }).gpr[5]);
    assert.equal(load(), before + 1);
    assert.equal(big(guest, DATA + DISPATCH_COUNT), before + 2);
    put(guest, DATA + DISPATCH_COUNT, 4, 0xffff_fffe);
    assert.equal(load(), 0);
    assert.equal(big(guest, DATA + DISPATCH_COUNT), 1);
    assert.equal(register(guest, KIND.OFF_VPA, 0), H.SUCCESS);
    const after = big(guest, DATA + DISPATCH_COUNT);
    load();
    assert.equal(big(guest, DATA + DISPATCH_COUNT), after);
  });
