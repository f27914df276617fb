/** Random kernel code runs with assist as it runs with traps: same registers, same TLB, same place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Accel, createVm, KVM_EXIT, KVM_INTERRUPT, type Vcpu, type Vm } from '../../src/kvm/index.ts';
import { mfspr, mtdcr, mtspr, word0, x31 } from './fake-cpu.ts';

const PROGRAMS = 400;
const LENGTH = 80;
const CODE = 0x1000;
const VECTORS = 0x8000;
const VECTOR_BYTES = 0x40;
const ISYNC = (19 << 26) | (150 << 1);
const RFI = (19 << 26) | (50 << 1);
const SC = 0x44000002;
const BL_NEXT = 0x48000005;
const mflr = (r: number): number => mfspr(r, 8);
const addi = (rt: number, ra: number, si: number): number => ((14 << 26) | (rt << 21) | (ra << 16) | si) >>> 0;
/** One-regs. */
const FPR0 = 0x1030_0000_0000_0020n;
const FPSCR = 0x1030_0000_0000_0080n;
/** Registers of the programs. */
const R = { late: 2, msr: 9, scratch: 29, link: 30, userMsr: 31, zero: 28 } as const;
const READ = [26, 27, 48, 58, 59, 61, 62, 63, 256, 260, 272, 279, 286, 287, 312, 340, 400, 888, 946, 947, 1000];
const WRITE = [26, 27, 48, 58, 59, 61, 62, 256, 272, 275, 279, 286, 287, 312, 317, 570, 888, 946, 947];

function rig(accel: Accel, now = () => 0, icount = 0): { vm: Vm; vcpu: Vcpu } {
  const vm = createVm({
    cpu: '440ep',
    accel,
    clock: { now },
    icount,
    timebaseFrequency: 1e9,
    maxMemory: 2 ** 20,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: 2 ** 20 });
  return { vm, vcpu: vm.createVcpu(0) };
}

/** Goes to the next instruction, with an MSR that a register holds. */
const returnWith = (msr: number): number[] => [
  BL_NEXT,
  mflr(R.link),
  addi(R.link, R.link, 7 * 4 - 4),
  // In problem state the first one is what is skipped.
  mtspr(26, R.link),
  mtspr(26, R.link),
  mtspr(27, msr),
  RFI,
];

/** Goes on behind the instruction that was interrupted, in supervisor state. */
const SKIP = [mfspr(R.scratch, 26), addi(R.scratch, R.scratch, 4), mtspr(26, R.scratch), mtspr(27, R.zero), RFI];

/** The same after a program interrupt: one that comes late (ESR[PIE]) has nothing to skip. */
const SKIP_UNLESS_LATE = [
  mfspr(R.late, 62),
  // rlwinm late,late,18,29,29: 4 where it is late.
  ((21 << 26) | (R.late << 21) | (R.late << 16) | (18 << 11) | (29 << 6) | (29 << 1)) >>> 0,
  mfspr(R.scratch, 26),
  // subf scratch,late,scratch
  x31(40, R.scratch, R.late, R.scratch),
  ...SKIP.slice(1),
];

/** Goes on with the instruction that was interrupted, with MSR[FP]. */
const ENABLE = [
  mfspr(R.scratch, 27),
  (24 << 26) | (R.scratch << 21) | (R.scratch << 16) | 0x2000,
  mtspr(27, R.scratch),
  RFI,
];

/** Instructions of the floating-point unit, with operands to be filled in: fadd., fdiv, fcmpo, mffs, lfd and stfd of where the code is, mtfsf, mtfsb1. */
const FLOATS = [
  0xfc00002b, 0xfc000024, 0xfc000040, 0xfc00048e, 0xc81c1000, 0xd81c2000, 0xfdfe058e, 0xfc00004c,
] as const;

/** What the handlers do: sc returns, what cannot be done is skipped, all else ends the program. */
function handler(vector: number): number[] {
  if (vector === 8) return [RFI];
  if (vector === 7) return ENABLE;
  if (vector === 6) return SKIP_UNLESS_LATE;
  return vector === 2 || vector === 13 ? SKIP : [mtdcr(0x100 + vector, 0)];
}

function program(random: (n: number) => number): number[] {
  const r = (): number => 3 + random(6);
  return Array.from({ length: LENGTH }, () => {
    switch (random(20)) {
      case 12:
        return SC;
      case 13:
        return returnWith(random(3) === 0 ? R.userMsr : R.msr);
      case 14:
        // Where mostly nothing is, or with any MSR: that ends the program.
        if (random(20) === 0) {
          const toNowhere = mtspr(26, 10 + random(10));
          return [toNowhere, toNowhere, mtspr(27, random(2) === 0 ? R.msr : R.userMsr), RFI];
        }
        return returnWith(random(20) === 0 ? r() : R.userMsr);
      case 17:
      case 18:
      case 19: {
        const word = FLOATS[random(FLOATS.length)] as number;
        // fdiv's and fcmpo's reserved fields stay zero.
        if (word === 0xfc000040) return (word | (random(8) << 23) | (random(32) << 16) | (random(32) << 11)) >>> 0;
        if (word === 0xfdfe058e) return (word | (random(32) << 11)) >>> 0;
        if (word === 0xfc00048e || word === 0xfc00004c || word >>> 26 !== 63) return (word | (random(32) << 21)) >>> 0;
        return (word | (random(32) << 21) | (random(32) << 16) | (random(32) << 11)) >>> 0;
      }
      case 15:
      case 16:
        // Only after a synchronisation must a tlbwe have taken effect.
        return [ISYNC, ((random(2) === 0 ? 32 << 26 : 36 << 26) | (r() << 21) | ((10 + random(10)) << 16)) >>> 0];
      case 0:
      case 1:
        return mfspr(r(), READ[random(READ.length)] as number);
      case 2:
      case 3:
        return mtspr(WRITE[random(WRITE.length)] as number, r());
      case 4:
        return x31(83, r());
      case 5:
        return random(2) === 0 ? x31(131, r()) : (x31(163) | (random(2) << 15)) >>> 0;
      case 6:
        // r9 holds an MSR value that keeps the guest where it is.
        return x31(146, 9);
      case 7:
        return x31(946, r(), 20 + random(8), random(3));
      case 8:
        return random(2) === 0 ? ISYNC : x31(914, r(), 0, 10 + random(10), random(2));
      default:
        // Words 1, 0, 2 of an entry that r20–r27 name, mostly in Linux's order; r10–r19 are fit for word 0.
        return x31(978, random(4) === 0 ? r() : 10 + random(10), 20 + random(8), random(3));
    }
  }).flat();
}

test(`${PROGRAMS} random programs`, () => {
  // With icount the guest's time tells that each instruction and each interrupt was counted alike.
  const rigs = (['trap', 'assist'] as const).map((accel) => rig(accel, () => 0, 1));
  let ended = 0;
  let time = 0;
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    const states = rigs.map(({ vm, vcpu }) => {
      let state = Math.imul(seed, 0x9e3779b1) | 1;
      const random = (n: number): number => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) % n;
      };
      vcpu.reset();
      vcpu.interrupt(KVM_INTERRUPT.UNSET);
      vcpu.setTlbEntry(63, { word0: word0(0, 4), word1: 0, word2: 0x3f, tid: 0 });
      // In problem state the first mtdcr is skipped, and the second one ends the program.
      const end = [mtdcr(1, 0), mtdcr(2, 0)];
      for (const [i, word] of [...program(random), ...end].entries()) vm.memory.write32(CODE + 4 * i, word);
      for (let vector = 0; vector < 16; vector++) {
        const address = VECTORS + VECTOR_BYTES * vector;
        for (const [i, word] of handler(vector).entries()) vm.memory.write32(address + 4 * i, word);
        vcpu.setSregs({ [`ivor${vector}`]: address });
      }
      const regs = vcpu.getRegs();
      regs.pc = BigInt(CODE);
      regs.gpr = regs.gpr.map((_, n) => {
        const value = random(2 ** 32 - 1) >>> 0;
        if (n === R.zero) return 0n;
        // FP, FE0 and FE1 as they come.
        const float = random(2) * 0x2000 + random(2) * 0x800 + random(2) * 0x100;
        if (n === R.userMsr) return BigInt(0x4000 | (random(2) * 0x8000) | float);
        if (n === R.msr) return BigInt((random(2) * 0x8000) | (random(4) === 0 ? 0x21200 : 0) | float);
        if (n >= 10 && n < 20)
          return BigInt((0x40000000 | (value & 0x3fc00) | (random(3) === 0 ? 0 : 0x200) | (random(3) << 4)) >>> 0);
        if (n >= 20 && n < 28) return BigInt((value & ~63) >>> 0) + BigInt(random(6));
        return BigInt(value);
      });
      vcpu.setRegs(regs);
      for (let n = 0; n < 32; n++)
        vcpu.setOneReg(FPR0 + BigInt(n), (BigInt(random(2 ** 32 - 1)) << 32n) | BigInt(random(2 ** 31)));
      if (random(2) === 0) vcpu.interrupt(KVM_INTERRUPT.SET_LEVEL);
      const start = vm.clock.now();
      let reason = vcpu.run(1e9);
      while (reason === KVM_EXIT.MMIO) reason = vcpu.run(1e9);
      const time = vm.clock.now() - start;
      const tlb = Array.from({ length: 64 }, (_, page) => vcpu.translate(0x40000000 + page * 4096));
      const floats = Array.from({ length: 32 }, (_, n) => vcpu.getOneReg(FPR0 + BigInt(n)));
      floats.push(vcpu.getOneReg(FPSCR));
      return { reason, time, dcrn: vcpu.kvmRun.dcr.dcrn, regs: vcpu.getRegs(), sregs: vcpu.getSregs(), tlb, floats };
    });
    if (states[0]?.reason === KVM_EXIT.DCR) ended++;
    assert.deepEqual(states[1], states[0], `program ${seed}`);
    time += states[0]?.time as number;
  }
  // The others halted, or ran into nowhere.
  assert.ok(time > (PROGRAMS * LENGTH) / 4, `${time} instructions`);
  assert.ok(ended > PROGRAMS * 0.9, `${ended} programs ended`);
  const [trap, assist] = rigs.map(({ vcpu }) => vcpu.stats);
  assert.ok((assist?.emulated_inst_exits as number) < (trap?.emulated_inst_exits as number) / 2);
  for (const name of [
    'assisted_rfi',
    'assisted_sc',
    'assisted_dtlb_miss',
    'assisted_itlb_miss',
    'assisted_unavailable',
  ]) {
    assert.ok((assist?.[name] as number) > 10, name);
    assert.equal(trap?.[name], 0, name);
  }
});

for (const [name, code, ivpr] of [
  ['returns to its own return', [BL_NEXT, mflr(R.link), addi(R.link, R.link, 8), mtspr(26, R.link), RFI], 0],
  ['has no memory at its vectors', [SC], 0x50000000],
] as const) {
  test(`a guest that ${name} does not keep the host`, () => {
    let looks = 0;
    const { vm, vcpu } = rig('assist', () => looks++);
    for (const [i, word] of code.entries()) vm.memory.write32(CODE + 4 * i, word);
    vcpu.setTlbEntry(63, { word0: word0(0, 4), word1: 0, word2: 0x3f, tid: 0 });
    vcpu.setSregs({ ivpr });
    vcpu.setRegs({ ...vcpu.getRegs(), pc: BigInt(CODE) });
    assert.equal(vcpu.run(50), KVM_EXIT.INTR);
    assert.ok((vm.stats.instructions as number) > 100_000);
  });
}
