/** What a 32-bit Book3S guest's kernel does with its privileged instructions and interrupts, trapped and assisted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KVM_EXIT, KVM_INTERRUPT } from '../../../src/kvm/index.ts';
import { ClassicGuest, CODE, DEVICE, HTAB, li32, MSR } from './classic-guest.ts';

const END = `${li32(31, DEVICE)} stw 3,0(31);`;
/** A handler that counts in r30, and goes back. */
const COUNT = 'addi 30,30,1; rfi';
const ACCELS = ['trap', 'pv', 'assist'] as const;
const gprs = (guest: ClassicGuest, list: readonly number[]): number[] => list.map((n) => guest.gpr(n));

for (const accel of ACCELS) {
  test(`sc, rfi and MSR, to problem state and back: ${accel}`, () => {
    const guest = new ClassicGuest('750', accel);
    guest.page(0x11, CODE, CODE);
    guest.page(0x12, DEVICE, DEVICE);
    guest.write('mfmsr 20; mfsrr0 21; mfsrr1 22; addi 3,3,1; rfi', 0xc00);
    guest.write(`mfmsr 23; mfsrr0 24; mfsrr1 25; li 9,0; mtmsr 9; ${END}`, 0x700);
    guest.write(
      `${li32(3, HTAB)} mtsdr1 3; li 4,0x11; mtsr 0,4; li 4,0x12; mtsr 14,4; isync; li 3,7;
       ${li32(8, MSR.PR | MSR.EE | MSR.ME | MSR.IR | MSR.DR)} mtsrr1 8; ${li32(8, CODE + 0x100)} mtsrr0 8; rfi`,
    );
    guest.write('sc; mfmsr 5', CODE + 0x100);
    assert.equal(guest.run(), 8);
    const user = MSR.PR | MSR.EE | MSR.ME | MSR.IR | MSR.DR;
    assert.deepEqual(gprs(guest, [20, 21, 22]), [MSR.ME, CODE + 0x104, user]);
    assert.deepEqual(gprs(guest, [23, 24, 25]), [MSR.ME, CODE + 0x104, user | 0x4_0000]);
  });

  test(`the decrementer's exception comes with the sign, once, and waits for MSR[EE]: ${accel}`, () => {
    const guest = new ClassicGuest('750', accel);
    guest.set({ gpr: { 30: 0 } });
    // The handler does not write DEC.
    guest.write(COUNT, 0x900);
    guest.write(
      `lis 5,-0x8000; mtdec 5; mr 10,30; ${li32(6, MSR.EE)} mtmsr 6; mr 11,30; li 7,200; mtctr 7; 1: bdnz 1b; mr 12,30;
       li 5,100; mtdec 5; li 5,-1; mtdec 5; nop; mr 3,30; ${END}`,
    );
    assert.equal(guest.run(), 2);
    assert.deepEqual(gprs(guest, [10, 11, 12]), [0, 1, 1]);
  });

  test(`an external interrupt is taken when MSR lets it in, at MSR[IP]'s prefix: ${accel}`, () => {
    const guest = new ClassicGuest('7400', accel);
    guest.vm.setUserMemoryRegion({ slot: 1, guestPhysAddr: 0xfff0_0000, memorySize: 0x1_0000 });
    guest.set({ gpr: { 30: 0 } });
    guest.write(`mfmsr 20; mfsrr1 21; li 9,0; mtmsr 9; li 3,55; ${END}`, 0xfff0_0500);
    guest.write(`${li32(6, MSR.IP)} mtmsr 6; li 3,1; ${li32(6, MSR.IP | MSR.EE)} mtmsr 6; li 3,2; ${END}`);
    guest.vcpu.interrupt(KVM_INTERRUPT.SET_LEVEL);
    assert.equal(guest.run(), 55);
    assert.deepEqual(gprs(guest, [20, 21]), [MSR.IP, MSR.IP | MSR.EE]);
  });

  test(`unavailable facilities, and a program's exceptions: ${accel}`, () => {
    const guest = new ClassicGuest('7400', accel);
    for (const [vector, bit] of [
      [0x800, MSR.FP],
      [0xf20, MSR.VEC],
    ] as const)
      guest.write(
        `addi 30,30,${vector & 0xf00 ? vector >> 8 : 0}; mfsrr1 9; ${li32(8, bit)} or 9,9,8; mtsrr1 9; rfi`,
        vector,
      );
    guest.write('mfsrr1 24; mfsrr0 9; addi 9,9,4; mtsrr0 9; rfi', 0x700);
    guest.set({ gpr: { 30: 0 } });
    guest.write(
      `fadd 1,2,3; vaddubm 1,2,3; mr 20,30; trap; mr 21,24; .long 0; mr 22,24; mfspr 9,600; mr 23,24; mr 3,30; ${END}`,
    );
    assert.equal(guest.run(), 8 + 15);
    assert.deepEqual(
      gprs(guest, [21, 22, 23]).map((srr1) => srr1 & 0xf_0000),
      [0x2_0000, 0x8_0000, 0x8_0000],
    );
  });
}

test('a kernel that waits: MSR[POW] where HID0 says how, else not', () => {
  for (const [cpu, hid0, waits] of [
    ['750', 0, false],
    ['750', 0x80_0000, true],
    ['7450', 0x80_0000, false],
    ['7450', 0x40_0000, true],
    ['604', 0, true],
  ] as const) {
    const guest = new ClassicGuest(cpu);
    guest.write(`${li32(5, hid0)} mtspr 1008,5; ${li32(6, 0x4_8000)} mtmsr 6; li 3,9; ${END}`);
    const reason = guest.vcpu.run(1e9);
    assert.equal(reason, waits ? KVM_EXIT.HLT : KVM_EXIT.MMIO, `${cpu} ${hid0}`);
    assert.equal(Number(guest.vcpu.getRegs().msr), MSR.EE);
  }
});

test('registers that firmware and kernels probe: kept, ended at once, told absent, or not there', () => {
  const guest = new ClassicGuest('7455');
  const readBack = (cpu: string, spr: number, value: number): number | undefined => {
    const one = cpu === '7455' ? guest : new ClassicGuest(cpu);
    one.write(`li 3,-2; mtmsr 0; ${END}`, 0x700);
    one.write(`li 0,0; ${li32(5, value)} mtspr ${spr},5; mfspr 3,${spr}; ${END}`);
    one.set({ pc: CODE, msr: 0 });
    const got = one.run() >>> 0;
    return got === 0xffff_fffe ? undefined : got;
  };
  assert.equal(readBack('7455', 1008, 0x8000_cc00), 0x8000_c000, 'HID0: caches on, flash invalidation over');
  assert.equal(readBack('7455', 1017, 0xc020_0000), 0xc000_0000, 'L2CR[L2I]');
  assert.equal(readBack('7455', 1018, 0x8000_0400), 0x8000_0000, 'L3CR[L3I]');
  assert.equal(readBack('7455', 282, 0x8000_0005), 5, 'EAR[E]: no external control');
  assert.equal(readBack('7455', 276, 0x1234_5678), 0x1234_5678, 'SPRG4');
  assert.equal(readBack('7450', 276, 1), undefined);
  assert.equal(readBack('750', 1017, 0x8000_0001), 0x8000_0000, 'L2CR[L2IP]');
  assert.equal(readBack('750', 1014, 1), undefined, 'MSSCR0 is a G4 register');
  assert.equal(readBack('604', 1017, 1), undefined, 'a 604 has no L2CR');
  assert.equal(readBack('604', 1023, 3), 3, 'PIR');
});

test('the thermal sensor compares', () => {
  const guest = new ClassicGuest('750');
  // Thresholds of 20 and 100 degrees, of which one is exceeded.
  guest.write(
    `li 5,1; mtspr 1022,5; ${li32(5, (20 << 23) | 1)} mtspr 1020,5; ${li32(5, (100 << 23) | 1)} mtspr 1021,5;
     mfspr 3,1020; mfspr 20,1021; ${END}`,
  );
  assert.equal(guest.run() >>> 30, 3);
  assert.equal(guest.gpr(20) >>> 30, 1);
});

test('saved and restored, a guest goes on with the same segments, BATs and decrementer', () => {
  const source = `${li32(3, HTAB)} mtsdr1 3; li 4,0x11; mtsr 0,4; li 4,0x12; mtsr 14,4; ${li32(6, 0x5000_0002)} mtdbatu 1,6;
    li 6,2; mtdbatl 1,6; lis 6,0x7fff; mtdec 6; li 6,0x30; mtmsr 6; isync; ${END} ${li32(7, 0x5000_7010)} lwz 3,0(7); mfdec 20; ${END}`;
  const prepare = (guest: ClassicGuest): ClassicGuest => {
    guest.page(0x11, CODE, CODE);
    guest.page(0x12, DEVICE, DEVICE);
    guest.vm.memory.write32(0x7010, 99);
    guest.write(source);
    return guest;
  };
  const first = prepare(new ClassicGuest());
  first.run();
  const state = JSON.parse(JSON.stringify(first.vm.save())) as ReturnType<typeof first.vm.save>;
  const second = prepare(new ClassicGuest());
  second.vm.restore(state);
  assert.equal(second.run(), 99);
  assert.equal(first.run(), 99);
  assert.equal(second.gpr(20), first.gpr(20));
});

test('OSI calls go to user space with all registers, and come back with what it made of them', () => {
  for (const accel of ACCELS) {
    const guest = new ClassicGuest('750', accel);
    const call = `${li32(3, 0x1137_24fa)} ${li32(4, 0x7781_0f9b)} li 5,47; sc;`;
    guest.write(`li 3,-1; ${END}`, 0xc00);
    guest.write(`${call} add 3,3,4; ${END}`);
    assert.equal(guest.run(), 0xffff_ffff, 'without the capability, a system call');
    assert.equal(guest.vcpu.enableCap('osi'), true);
    guest.set({ pc: CODE, msr: 0 });
    assert.equal(guest.vcpu.run(1e9), KVM_EXIT.OSI);
    const { gprs } = guest.vcpu.kvmRun.osi;
    assert.deepEqual([...gprs.slice(3, 6)], [0x1137_24fan, 0x7781_0f9bn, 47n]);
    gprs[3] = 5n;
    gprs[4] = 6n;
    assert.equal(guest.run(), 11);
    guest.vcpu.enableCap('osi', 0);
    guest.set({ pc: CODE, msr: 0 });
    assert.equal(guest.run(), 0xffff_ffff);
  }
});

test('instruction and data breakpoints of user space, and single steps', () => {
  const guest = new ClassicGuest('7400', 'assist');
  guest.write(`li 3,1; addi 3,3,1; stw 3,0x7f00(0); addi 3,3,1; ${END}`);
  const { vcpu } = guest;
  const pcAfter = (): number => {
    assert.equal(vcpu.run(1e9), KVM_EXIT.DEBUG);
    return Number(vcpu.kvmRun.debug.arch.address);
  };
  vcpu.setGuestDebug({ control: 0x1 | 0x2_0000, arch: { bp: [{ addr: BigInt(CODE + 4), type: 0x2 }] } });
  assert.equal(pcAfter(), CODE + 4);
  vcpu.setGuestDebug({ control: 0x1 | 0x2 });
  assert.equal(pcAfter(), CODE + 8);
  vcpu.setGuestDebug({ control: 0x1 | 0x2_0000, arch: { bp: [{ addr: 0x7f00n, type: 0x4, len: 4 }] } });
  assert.equal(pcAfter(), 0x7f00);
  vcpu.setGuestDebug({ control: 0 });
  assert.equal(guest.run(), 3);
});

test('traces: MSR[SE] behind each instruction, MSR[BE] behind branches; DABR stops the access', () => {
  const guest = new ClassicGuest('750');
  guest.set({ gpr: { 30: 0 } });
  guest.write('addi 30,30,1; rfi', 0xd00);
  guest.write(`mfdar 20; mfdsisr 21; ${END}`, 0x300);
  guest.write(`${li32(8, 0x400)} mtsrr1 8; ${li32(8, CODE + 0x100)} mtsrr0 8; rfi`);
  guest.write(
    `nop; nop; li 9,0; mtmsr 9; mr 10,30; li 30,0; li 9,0x200; mtmsr 9; nop; b 1f; nop; 1: li 9,0; mtmsr 9; mr 11,30;
     ${li32(9, 0x7f00 | 2)} mtspr 1013,9; lwz 3,0x7f04(0); li 3,5; stw 3,0x7f04(0)`,
    CODE + 0x100,
  );
  guest.run();
  assert.deepEqual(gprs(guest, [10, 11]), [4, 1]);
  assert.deepEqual(gprs(guest, [20, 21]), [0x7f04, 0x0240_0000]);
});

test('IABR: an exception before the instruction, while it is enabled and translation is as it says', () => {
  const guest = new ClassicGuest('750');
  guest.set({ gpr: { 30: 0 } });
  guest.write('addi 30,30,1; mfsrr0 20; li 9,0; mtspr 1010,9; rfi', 0x1300);
  guest.write('addi 11,11,1; blr', CODE + 0x200);
  guest.write(
    `${li32(12, CODE + 0x200)} mtctr 12; ${li32(9, (CODE + 0x200) | 3)} mtspr 1010,9; bctrl; mr 10,30;
     ${li32(9, (CODE + 0x200) | 2)} mtspr 1010,9; li 11,0; bctrl; mr 3,30; ${END}`,
  );
  assert.equal(guest.run(), 1);
  assert.deepEqual(gprs(guest, [10, 11, 20]), [0, 1, CODE + 0x200]);
});
