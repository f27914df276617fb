/** What an e500 guest's kernel has of KVM beside its TLBs, under each way of serving it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_EXIT, KVM_INTERRUPT } from '../../../src/kvm/index.ts';
import { CODE, DEVICE, E500Guest, li32, TLB1, VECTORS } from './e500-guest.ts';

const ACCELS = ['trap', 'pv', 'assist'] as const;
const MSR_EE = 0x8000;
const MSR_CE = 0x2_0000;
const MSR_PR = 0x4000;
const END = `${li32(31, DEVICE)} stw 3,0(31);`;

for (const accel of ACCELS) {
  test(`system calls and processes in turn flush nothing: ${accel}`, () => {
    const guest = new E500Guest(accel);
    // A system call counts r20 up and gives the processor to the other process.
    guest.write('addi 20,20,1; mfspr 21,48; xori 21,21,3; mtspr 48,21; isync; rfi', VECTORS + 0x800);
    guest.map(0, 0x4000_0000, 0x5000, { tid: 1 });
    guest.map(1, 0x4000_0000, 0x6000, { tid: 2 });
    guest.vm.memory.write32(0x5000, 1);
    guest.vm.memory.write32(0x6000, 100);
    guest.write(`${li32(10, 0x4000_0000)} li 22,0; li 23,100; again: lwz 24,0(10); add 22,22,24; sc;
      addi 23,23,-1; cmpwi 23,0; bne again; mr 3,22; ${END}`);
    guest.vcpu.setRegs({ ...guest.vcpu.getRegs(), pid: 1n, msr: BigInt(MSR_PR) });
    const before = guest.vcpu.stats['shadow_flushes'];
    assert.equal(guest.run(), 50 * 101);
    assert.equal(guest.gpr(20), 100);
    assert.equal(guest.vcpu.stats['shadow_flushes'], before);
    assert.ok((guest.vm.stats['soft_tlb_set_flushes'] as number) < 12);
  });

  test(`more processes than there are ids: ${accel}`, () => {
    const guest = new E500Guest(accel);
    guest.map(0, 0x4000_0000, 0x5000);
    guest.vm.memory.write32(0x5000, 3);
    guest.write(`${li32(10, 0x4000_0000)} li 22,0; li 23,255; again: mtspr 48,23; isync; lwz 24,0(10); add 22,22,24;
      addi 23,23,-1; cmpwi 23,0; bne again; mr 3,22; ${END}`);
    assert.equal(guest.run(), 255 * 3);
  });

  test(`PID1 and PID2 match, too, and the address spaces are two: ${accel}`, () => {
    const guest = new E500Guest(accel);
    guest.map(0, 0x4000_0000, 0x5000, { tid: 7 });
    guest.map(TLB1 + 2, 0x4000_0000, 0x7000, { space: 1 });
    guest.map(TLB1 + 3, 0, 0, { size: 7, space: 1 });
    guest.map(TLB1 + 4, DEVICE, DEVICE, { space: 1 });
    guest.vm.memory.write32(0x5000, 5);
    guest.vm.memory.write32(0x7000, 7);
    guest.write(
      `addi 20,20,1; ${li32(9, 0x5000)} lwz 24,0(9); mfspr 25,26; addi 25,25,4; mtspr 26,25; rfi`,
      VECTORS + 0xd00,
    );
    guest.write(`${li32(10, 0x4000_0000)} lwz 24,0(10); mr 21,24; li 9,7; mtspr 634,9; lwz 22,0(10);
      li 9,0; mtspr 634,9; mfmsr 9; ori 9,9,0x10; mtmsr 9; isync; lwz 23,0(10); ori 9,9,0x20; mtmsr 9; isync;
      lwz 26,0(10); mr 3,20; ${END}`);
    assert.equal(guest.run(), 1, 'one miss, without the PID');
    assert.deepEqual(
      [21, 22, 23, 26].map((n) => guest.gpr(n)),
      [5, 5, 7, 7],
    );
  });

  test(`SPE is given on demand; its data interrupt leaves all as it was, the round interrupt comes behind: ${accel}`, () => {
    const guest = new E500Guest(accel);
    guest.write('addi 20,20,1; mfspr 9,27; oris 9,9,0x200; mtspr 27,9; rfi', VECTORS + 32 * 0x100);
    guest.write('addi 21,21,1; mfspr 25,26; mfspr 26,62; addi 25,25,4; mtspr 26,25; rfi', VECTORS + 33 * 0x100);
    guest.write('addi 22,22,1; mr 27,12; rfi', VECTORS + 34 * 0x100);
    guest.write(`li 9,0x10; mtspr 512,9; ${li32(10, 0x3f80_0000)} evsplati 11,0; efsdiv 11,10,11; mr 23,11;
      li 9,2; mtspr 512,9; ${li32(11, 0x4040_0000)} efsdiv 12,10,11; mr 24,12; mr 3,20; ${END}`);
    guest.set({ pc: CODE, msr: MSR_PR });
    assert.equal(guest.run(), 1);
    assert.equal(guest.gpr(21), 1);
    assert.equal(guest.gpr(23), 0, 'what the division by zero leaves');
    assert.equal(guest.gpr(26), 0x80, 'ESR[SPE]');
    assert.equal(guest.gpr(22), 1);
    assert.deepEqual([guest.gpr(27), guest.gpr(24)], [0x3eaa_aaaa, 0x3eaa_aaaa]);
  });

  test(`external and critical interrupts, and a vector from user space: ${accel}`, () => {
    const guest = new E500Guest(accel);
    assert.equal(guest.vcpu.enableCap('epr', 1), true);
    guest.write(`mfspr 3,702; ${END} rfi`, VECTORS + 0x400);
    guest.write(`li 3,99; ${END} rfci`, VECTORS);
    guest.write('l: b l');
    guest.set({ msr: MSR_EE | MSR_CE });
    guest.vcpu.interrupt(KVM_INTERRUPT.SET);
    assert.equal(guest.vcpu.run(1e9), KVM_EXIT.EPR);
    guest.vcpu.kvmRun.epr.epr = 0x1234;
    assert.equal(guest.run(), 0x1234);
    guest.vcpu.criticalInterrupt(KVM_INTERRUPT.SET);
    assert.equal(guest.run(), 99);
    guest.vcpu.enableCap('epr', 0);
    guest.set({ pc: CODE, msr: MSR_EE });
    guest.vcpu.interrupt(KVM_INTERRUPT.SET);
    assert.equal(guest.run(), 0x1234, 'nobody is asked');
  });
}

const HCALL = 'lis 0,0x4b56; ori 0,0,0x4d21; sc;';

for (const accel of ['pv', 'assist'] as const) {
  test(`the magic page is the kernel's own, and what it writes there are its registers: ${accel}`, () => {
    const guest = new E500Guest(accel);
    // The guest has something else at that address, which its programs see.
    guest.map(254, 0xffff_f000, 0x5000);
    guest.vm.memory.write32(0x5024, 11);
    guest.write(`${li32(11, 0x2a_0003)} ${HCALL} mr 20,3; mr 21,4; li 3,-4096; li 4,-4096; ${li32(11, 0x2a_0004)} ${HCALL}
      mr 22,3; mr 23,4; ${li32(9, 0x8765_4321)} stw 9,-4060(0); mfspr 24,272; mtspr 627,9; lwz 25,-3916(0);
      ${li32(11, 0x2a_0009)} ${HCALL} ${END} lwz 3,-4060(0); stw 3,0(31)`);
    assert.equal(guest.run(), 12);
    assert.deepEqual(
      [20, 21, 22, 23].map((n) => guest.gpr(n)),
      [0, 2, 0, 3],
    );
    assert.equal(guest.gpr(24), 0x8765_4321, 'SPRG0');
    assert.equal(guest.gpr(25), 0x8765_4321, 'MAS3');
    guest.set({ msr: MSR_PR });
    assert.equal(guest.run(), 11);
  });

  test(`no interrupts in the midst of a template, and EV_IDLE waits for one: ${accel}`, () => {
    const guest = new E500Guest(accel);
    guest.write(`li 3,77; ${END} rfi`, VECTORS + 0x400);
    guest.write(`li 3,-4096; li 4,-4096; ${li32(11, 0x2a_0004)} ${HCALL} ${END} stw 1,-4068(0); li 3,5; stw 3,0(31);
      stw 3,0(31); stw 2,-4068(0); stw 3,0(31); stw 3,0(31); stw 3,0(31)`);
    guest.set({ gpr: { 1: 0x1000, 2: 0x2000 } });
    guest.run();
    guest.set({ msr: MSR_EE });
    assert.equal(guest.run(), 5);
    guest.vcpu.interrupt(KVM_INTERRUPT.SET);
    assert.equal(guest.run(), 5, 'critical: r1 is in the marker');
    assert.ok([guest.run(), guest.run()].includes(77));
    guest.write(`${li32(11, 0x1_0010)} ${HCALL} li 3,6; ${END}`, CODE + 0x1000);
    guest.set({ pc: CODE + 0x1000, msr: MSR_EE });
    assert.equal(guest.vcpu.run(1e9), KVM_EXIT.HLT);
    guest.vcpu.interrupt(KVM_INTERRUPT.SET);
    assert.equal(guest.run(), 77);
  });
}

test('locks of caches and of the branch buffer, in both states', () => {
  const guest = new E500Guest();
  guest.write(`addi 20,20,1; mfesr 21; mfspr 9,26; addi 9,9,4; mtspr 26,9; rfi`, VECTORS + 0x200);
  guest.write(`addi 22,22,1; mfesr 23; mfspr 9,26; addi 9,9,4; mtspr 26,9; rfi`, VECTORS + 0x600);
  const source = `li 10,0x5000; dcbtls 0,0,10; icbtls 0,0,10; bblels; mr 3,20; ${END}`;
  guest.write(`mfspr 4,1010; li 9,0; mtspr 1010,9; ${source} mfspr 4,1010; ${END}`);
  guest.set({ msr: 0 });
  assert.equal(guest.run(), 0);
  guest.run();
  assert.equal(guest.gpr(4), 0x400, 'L1CSR0: a lock was not got');
  guest.write(source);
  guest.set({ pc: CODE, msr: MSR_PR });
  assert.equal(guest.run(), 2);
  assert.deepEqual([guest.gpr(21), guest.gpr(22), guest.gpr(23)], [0x0010_0000, 1, 0x0400_0000]);
  guest.set({ pc: CODE, msr: MSR_PR | 0x0400_0400, gpr: { 20: 0, 22: 0 } });
  assert.equal(guest.run(), 0);
  assert.equal(guest.gpr(22), 0);
});

test("SPE's accesses are aligned, and the interrupt says whose they are", () => {
  const guest = new E500Guest();
  guest.write(`mfesr 3; mfdear 4; ${END}`, VECTORS + 0x500);
  guest.write('li 10,0x5004; evstdd 9,0(10)');
  guest.set({ msr: 0x0200_0000 });
  assert.equal(guest.run(), 0x0080_0080);
  assert.equal(guest.gpr(4), 0x5004);
});

test('user space sets the size of the TLBs', () => {
  const guest = new E500Guest();
  assert.equal(guest.vcpu.enableCap('sw-tlb', { tlbSizes: [512, 8], tlbWays: [4, 8] }), true);
  guest.map(512, 0, 0, { size: 7 });
  guest.map(513, DEVICE, DEVICE);
  guest.write(`mfspr 3,688; mfspr 4,689; ${END}`);
  assert.equal(guest.run(), 0x0411_0200);
  assert.equal(guest.gpr(4), 0x081c_c008);
  for (const [tlbSizes, tlbWays] of [
    [
      [512, 8],
      [3, 8],
    ],
    [
      [512, 8],
      [4, 4],
    ],
    [
      [512, 65],
      [4, 65],
    ],
    [
      [2048, 8],
      [4, 8],
    ],
    [
      [512, 8, 1],
      [4, 8],
    ],
  ] as const)
    assert.equal(guest.vcpu.enableCap('sw-tlb', { tlbSizes, tlbWays }), false);
});

test('large pages of the guest are large in the host', () => {
  const guest = new E500Guest();
  guest.write(`${li32(10, 0x80_0000)} li 22,0; li 23,256; again: lwz 24,0(10); addi 10,10,0x4000; addi 23,23,-1;
    cmpwi 23,0; bne again; li 3,1; ${END}`);
  guest.run();
  assert.ok(
    (guest.vcpu.stats['dtlb_virt_miss_exits'] as number) <= 2,
    String(guest.vcpu.stats['dtlb_virt_miss_exits']),
  );
});
