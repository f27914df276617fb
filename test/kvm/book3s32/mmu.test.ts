/** A 32-bit Book3S processor's translation as its kernel has it, against the manual (The Programming Environments, chapter 7). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClassicGuest, CODE, DEVICE, HTAB, li32, MSR } from './classic-guest.ts';

const END = `${li32(31, DEVICE)} stw 3,0(31);`;
const SEGMENT = 0x123;
const DEVICES = 0x456;
const BOTH = MSR.IR | MSR.DR;
const TRANSLATED = `${li32(3, HTAB)} mtsdr1 3; ${li32(4, SEGMENT)} mtsr 0,4; ${li32(4, DEVICES)} mtsr 14,4; li 5,${BOTH}; mtmsr 5; isync;`;
/** What a handler of a storage interrupt reports. */
const REPORT = (vector: number): string =>
  `li 3,${vector}; mfsrr0 20; mfsrr1 21; mfdar 22; mfdsisr 23; li 9,0; mtmsr 9; ${END}`;

/** A guest whose code is mapped to itself in segment 0, and whose interrupts report. */
function guestWith(source: string, cpu = '750'): ClassicGuest {
  const guest = new ClassicGuest(cpu);
  guest.page(SEGMENT, CODE, CODE);
  guest.page(SEGMENT, 0x5000, 0x7000);
  guest.page(DEVICES, DEVICE, DEVICE);
  guest.vm.memory.write32(0x7010, 77);
  for (const vector of [0x300, 0x400, 0x600, 0x700]) guest.write(REPORT(vector), vector);
  guest.write(TRANSLATED + source);
  return guest;
}
const INTERRUPTED = [20, 21, 22, 23];
const registers = (guest: ClassicGuest, list: readonly number[]): number[] => list.map((n) => guest.gpr(n));

for (const cpu of ['604', '750', '7400', '7450', '7455'])
  test(`a reset, and a page by segment and hash table: ${cpu}`, () => {
    const guest = guestWith(`lwz 3,0x5010(0); stw 3,0x5014(0); ${END}`, cpu);
    const regs = new ClassicGuest(cpu).vcpu;
    regs.reset();
    assert.equal(Number(regs.getRegs().pc), 0xfff0_0100);
    assert.equal(Number(regs.getRegs().msr), MSR.IP);
    assert.equal(guest.run(), 77);
    assert.equal(guest.vm.memory.read32(0x7014), 77);
  });

test('R and C of the guest: set by what is read and written, and by nothing else', () => {
  const guest = guestWith(`lwz 3,0x5010(0); ${END}`);
  const read = guest.page(SEGMENT, 0x5000, 0x7000);
  const written = guest.page(SEGMENT, 0x6000, 0x8000);
  assert.equal(guest.run(), 77);
  assert.equal(guest.vm.memory.read32(read + 4), 0x7102);
  assert.equal(guest.vm.memory.read32(written + 4), 0x8002);
  guest.set({ pc: CODE, msr: 0 });
  guest.write(`${TRANSLATED} stw 3,0x6010(0); ${END}`);
  guest.run();
  assert.equal(guest.vm.memory.read32(written + 4), 0x8182);
});

test('the secondary hash, and an entry behind seven that collide', () => {
  const guest = guestWith('');
  guest.vm.memory.write32(0x3_0000, 5);
  guest.vm.memory.write32(0x3_1000, 7);
  for (let slot = 0; slot < 8; slot++) guest.page(SEGMENT ^ 0x400, 0x9000, 0x7000, { slot });
  guest.page(SEGMENT, 0x9000, 0x3_0000, { secondary: true, slot: 3 });
  for (let slot = 0; slot < 7; slot++) guest.page(SEGMENT + 0x800, 0xa000, 0x7000, { slot });
  guest.page(SEGMENT, 0xa000, 0x3_1000, { slot: 7 });
  guest.write(
    `${TRANSLATED} li 9,0; ${li32(8, 0x9000)} lwzx 10,8,9; ${li32(8, 0xa000)} lwzx 11,8,9; add 3,10,11; ${END}`,
  );
  assert.equal(guest.run(), 12);
});

test('no entry, a protected page, a segment that is none, and one without execution', () => {
  const absent = guestWith('lwz 3,0x6004(0)');
  assert.equal(absent.run(), 0x300);
  const at = CODE + 4 * 12;
  assert.deepEqual(registers(absent, INTERRUPTED), [at, BOTH, 0x6004, 0x4000_0000]);

  const readOnly = guestWith('stw 3,0x6004(0)');
  readOnly.page(SEGMENT, 0x6000, 0x8000, { pp: 3 });
  assert.equal(readOnly.run(), 0x300);
  assert.deepEqual(registers(readOnly, INTERRUPTED), [at, BOTH, 0x6004, 0x0a00_0000]);

  const direct = guestWith(`lis 6,0x8000; mtsr 5,6; lis 7,0x5000; lwz 3,8(7)`);
  assert.equal(direct.run(), 0x300);
  assert.deepEqual(registers(direct, [22, 23]), [0x5000_0008, 0x0400_0000]);

  const noExecute = guestWith(`${li32(6, 0x1000_0000 | SEGMENT)} mtsr 6,6; ${li32(7, 0x6000_5010)} mtctr 7; bctr`);
  assert.equal(noExecute.run(), 0x400);
  assert.deepEqual(registers(noExecute, [20, 21]), [0x6000_5010, 0x1000_0000 | BOTH]);
});

test('Ks and Kp with each PP, for kernel and problem state', () => {
  // By PP and key: may it be read, may it be written.
  const allowed = (pp: number, key: boolean): number[] =>
    (key
      ? [
          [0, 0],
          [1, 0],
          [1, 1],
          [1, 0],
        ]
      : [
          [1, 1],
          [1, 1],
          [1, 1],
          [1, 0],
        ])[pp] as number[];
  const guest = guestWith('');
  for (const user of [false, true])
    for (const ks of [false, true])
      for (const kp of [false, true])
        for (let pp = 0; pp < 4; pp++)
          for (const store of [false, true]) {
            const segment = (ks ? 0x4000_0000 : 0) | (kp ? 0x2000_0000 : 0) | 0x77;
            const msr = BOTH | (user ? MSR.PR : 0);
            guest.page(0x77, 0x5000_0000, 0x9000, { pp });
            guest.write(
              `${TRANSLATED} ${li32(6, segment)} mtsr 5,6; lis 7,0x5000; tlbie 7;
               ${li32(8, msr)} mtsrr1 8; ${li32(8, CODE + 0x200)} mtsrr0 8; rfi`,
            );
            guest.write(`${store ? 'stw' : 'lwz'} 3,0(7); li 3,1; ${END}`, CODE + 0x200);
            guest.set({ pc: CODE, msr: 0 });
            const isAllowed = allowed(pp, user ? kp : ks)[store ? 1 : 0] === 1;
            assert.equal(guest.run(), isAllowed ? 1 : 0x300, `PP ${pp} ks ${ks} kp ${kp} user ${user} store ${store}`);
          }
});

test('tlbie takes a page by its number in whatever segment, and no other', () => {
  const guest = guestWith(
    `${li32(6, 0x77)} mtsr 5,6; mtsr 6,4; lis 7,0x5000; lwz 10,0(7); lwz 11,0x1000(7);
     ${li32(8, HTAB)} lwz 9,0(30); li 9,0; stw 9,0(30); stw 9,0(29);
     lwz 12,0(7); lis 9,0x7000; tlbie 9; lwz 13,0x1000(7); lwz 3,0(7)`,
  );
  const first = guest.page(0x77, 0x5000_0000, 0x9000);
  const second = guest.page(0x77, 0x5000_1000, 0xa000);
  const table = guest.page(SEGMENT, HTAB + (first - HTAB), first & ~0xfff);
  assert.notEqual(table, 0);
  for (let at = 0; at < 0x1_0000; at += 0x1000) guest.page(SEGMENT, HTAB + at, HTAB + at, { slot: 2 });
  guest.vm.memory.write32(0x9000, 1);
  guest.vm.memory.write32(0xa000, 2);
  guest.set({ gpr: { 29: second, 30: first } });
  // Without a tlbie the processor may go on with what it knows; the page that was named faults.
  assert.equal(guest.run(), 0x300);
  assert.equal(guest.gpr(13), 2);
  assert.equal(guest.gpr(22), 0x5000_0000);
});

test('BATs: blocks come before segments, each state has its own, and eight of them on a 7455', () => {
  const guest = guestWith(
    `${li32(6, 0x5000_0002)} mtdbatu 2,6; ${li32(6, 0x0000_0002)} mtdbatl 2,6; isync;
     ${li32(7, 0x5000_7010)} lwz 3,0(7); ${END}`,
  );
  assert.equal(guest.run(), 77, 'a block of 128 KB');
  const forUser = guestWith(
    `${li32(6, 0x5000_0001)} mtdbatu 2,6; ${li32(6, 0x0000_0002)} mtdbatl 2,6; isync;
     ${li32(7, 0x5000_7010)} lwz 3,0(7); ${END}`,
  );
  assert.equal(forUser.run(), 0x300, 'one that the kernel has not');
  const readOnly = guestWith(
    `${li32(6, 0x5000_1ffe)} mtdbatu 2,6; ${li32(6, 0x0000_0001)} mtdbatl 2,6; isync; ${li32(7, 0x50ff_7010)} stw 3,0(7)`,
  );
  assert.equal(readOnly.run(), 0x300, 'a block of 256 MB that may not be written');
  assert.equal(readOnly.gpr(23), 0x0a00_0000);
  const high = `${li32(6, 0x6000_0002)} mtspr 570,6; ${li32(6, 0x0000_0002)} mtspr 571,6;`;
  const on = `mfspr 6,1008; oris 6,6,0x80; mtspr 1008,6;`;
  const use = `isync; ${li32(7, 0x6000_7010)} lwz 3,0(7); ${END}`;
  assert.equal(guestWith(on + high + use, '7455').run(), 77);
  assert.equal(guestWith(high + use, '7455').run(), 0x300, 'HID0[HIGH_BAT_EN] is not set');
  assert.equal(guestWith(on + high + use, '7450').run(), 0x700, 'a 7450 has no such registers');
});

test('another process and back: segments change, and what is seen is that of the segments', () => {
  const guest = guestWith(
    `lis 7,0x5000; li 9,200; mtctr 9; li 3,0;
     1: ${li32(6, 0x77)} mtsr 5,6; lwz 10,0(7); ${li32(6, 0x78)} mtsr 5,6; lwz 11,0(7); add 3,3,10; add 3,3,11; bdnz 1b; ${END}`,
  );
  guest.page(0x77, 0x5000_0000, 0x9000);
  guest.page(0x78, 0x5000_0000, 0xa000);
  guest.vm.memory.write32(0x9000, 1);
  guest.vm.memory.write32(0xa000, 100);
  assert.equal(guest.run(), 200 * 101);
});
