/** Random guests: code, TLB contents and registers of all kinds. They may do what they like; KVM never throws and always comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Accel, createVm, KVM_EXIT, KVM_INTERRUPT } from '../../src/kvm/index.ts';
import { mfdcr, mfspr, mtdcr, mtspr, RFCI, RFI, x31 } from './fake-cpu.ts';

const GUESTS = Number(process.env['POWERVISOR_HOSTILE_GUESTS'] ?? 60);
const SLICES = 6;
const RAM = 2 ** 20;
const SPRS = [
  1, 8, 9, 22, 26, 27, 48, 54, 58, 59, 61, 62, 63, 256, 272, 276, 284, 285, 304, 308, 336, 340, 400, 413, 946, 947,
];

/** xorshift32: the same guests in every run. */
function generator(seed: number): (n: number) => number {
  let state = seed | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

function randomInstruction(random: (n: number) => number): number {
  const r = (): number => random(32);
  const spr = (): number => (random(8) === 0 ? random(1024) : (SPRS[random(SPRS.length)] as number));
  switch (random(16)) {
    case 0:
      return random(2 ** 32 - 1) >>> 0;
    case 1:
      return mfspr(r(), spr());
    case 2:
      return mtspr(spr(), r());
    case 3:
      return x31(978, r(), r(), random(4));
    case 4:
      return x31([946, 914, 146, 83, 131, 566, 470, 454, 966][random(9)] as number, r(), r(), r(), random(2));
    case 5:
      return random(2) === 0 ? RFI : RFCI;
    case 6:
      return x31(163) | (random(2) << 15);
    case 7:
      return random(2) === 0 ? mfdcr(r(), random(1024)) : mtdcr(random(1024), r());
    case 8:
      return (18 << 26) | (((random(256) - 128) & 0xff) << 2);
    case 9:
      return (17 << 26) | 2;
    case 10:
    case 11:
      return ((32 + random(16)) << 26) | (r() << 21) | (r() << 16) | random(65536);
    case 12:
      return (15 << 26) | (r() << 21) | random(65536);
    case 13:
      return x31(
        [23, 87, 279, 343, 790, 534, 151, 215, 407, 662, 918, 1014, 982, 20, 150, 86][random(16)] as number,
        r(),
        r(),
        r(),
        random(2),
      );
    default:
      return (14 << 26) | (r() << 21) | (r() << 16) | random(65536);
  }
}

for (const accel of ['trap', 'assist'] satisfies Accel[]) {
  test(`${GUESTS} random guests, ${accel}`, () => {
    const vm = createVm({
      cpu: '440ep',
      accel,
      clock: { now: () => performance.now() * 1e6 },
      timebaseFrequency: 4e8,
      maxMemory: 2 * RAM,
      icount: 100,
    });
    vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM });
    vm.setUserMemoryRegion({ slot: 1, guestPhysAddr: 0xfff00000, memorySize: 0x10000, readonly: true });
    const vcpu = vm.createVcpu(0);
    const seen = new Set<number>();
    for (let guest = 1; guest <= GUESTS; guest++) {
      const random = generator(Math.imul(guest, 0x9e3779b1));
      const word = (): number => random(2 ** 32 - 1) >>> 0;
      vcpu.reset();
      const code = new Uint8Array(0x4000);
      const view = new DataView(code.buffer);
      for (let i = 0; i < code.length; i += 4) view.setUint32(i, randomInstruction(random));
      for (let at = 0; at < 0x20000; at += code.length) vm.memory.writeBytes(at, code);
      for (let i = 0; i < 64; i++) {
        const tame = i < 4 || random(2) === 0;
        vcpu.setTlbEntry(i, {
          word0: tame ? ((word() & 0x0003fc00) | 0x200 | ((i & 1) << 8) | (random(6) << 4)) >>> 0 : word(),
          word1: tame ? word() & 0xffc00 : word(),
          word2: tame ? 0x3f : word(),
          tid: random(4) === 0 ? random(256) : 0,
        });
      }
      const regs = vcpu.getRegs();
      regs.pc = BigInt(random(0x4000) & ~3);
      regs.msr = BigInt(word());
      regs.pid = BigInt(random(3));
      regs.gpr = regs.gpr.map(() => BigInt(random(2) === 0 ? random(0x20000) : word()));
      vcpu.setRegs(regs);
      vcpu.setSregs({ ivpr: random(2) * 0x10000, tcr: word() & 0xcfffffff, dec: random(100000) });
      for (let vector = 0; vector < 16; vector++) vcpu.setSregs({ [`ivor${vector}`]: random(0x4000) & 0xfff0 });
      for (let slice = 0; slice < SLICES; slice++) {
        vcpu.interrupt(random(2) === 0 ? KVM_INTERRUPT.SET_LEVEL : KVM_INTERRUPT.UNSET);
        vcpu.kvmRun.mmio.data = word();
        vcpu.kvmRun.dcr.data = word();
        const reason = vcpu.run(100 * 5000);
        seen.add(reason);
        if (reason === KVM_EXIT.INTERNAL_ERROR) {
          assert.match(vcpu.kvmRun.internal.message, /^[^\n]+$/);
          break;
        }
        if (reason === KVM_EXIT.SYSTEM_EVENT || reason === KVM_EXIT.WATCHDOG) break;
      }
    }
    for (const reason of [KVM_EXIT.MMIO, KVM_EXIT.DCR, KVM_EXIT.INTR]) assert.ok(seen.has(reason), `exit ${reason}`);
  });
}
