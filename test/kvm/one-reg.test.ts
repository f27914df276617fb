/** One-regs: ids as Linux has them, and what each model keeps under them. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createVm, KVM_REG_PPC, type Vcpu } from '../../src/kvm/index.ts';

const HEADERS = ['/usr/powerpc64-linux-gnu/include/asm/kvm.h', '/usr/powerpc-linux-gnu/include/asm/kvm.h'];
const header = HEADERS.find((file) => existsSync(file));

test('ids are those of the uapi', () => {
  assert.equal(KVM_REG_PPC.HIOR, 0x1030_0000_0000_0001n);
  assert.equal(KVM_REG_PPC.FPR(31), 0x1030_0000_0000_003fn);
  assert.equal(KVM_REG_PPC.VR(0), 0x1040_0000_0000_0040n);
  assert.equal(KVM_REG_PPC.VSR(31), 0x1040_0000_0000_007fn);
  assert.equal(KVM_REG_PPC.LPCR, 0x1020_0000_0000_00b5n);
  assert.equal(KVM_REG_PPC.DEC_EXPIRY, 0x1030_0000_0000_00ben);
});

test("all of them, beside Linux's header", {
  skip: header === undefined && 'there is no Linux header for PowerPC',
}, () => {
  const SIZES: Readonly<Record<string, bigint>> = { U32: 2n, U64: 3n, U128: 4n };
  const line = /^#define KVM_REG_PPC_(\w+)\s+\(KVM_REG_PPC \| KVM_REG_SIZE_(U\d+) \| (0x[0-9a-f]+)\)/gm;
  let compared = 0;
  const ours: Readonly<Record<string, unknown>> = KVM_REG_PPC;
  for (const [, name = '', size = '', index = ''] of readFileSync(header ?? '', 'utf8').matchAll(line)) {
    if (ours[name] === undefined) continue;
    assert.equal(ours[name], (1n << 60n) | ((SIZES[size] ?? 0n) << 52n) | BigInt(index), name);
    compared++;
  }
  assert.equal(compared, Object.values(ours).filter((one) => typeof one === 'bigint').length);
});

const MEMORY = 2 ** 20;

function make(cpu: string): Vcpu {
  const vm = createVm({ cpu, accel: 'trap', clock: { now: () => 1e6 }, timebaseFrequency: 1e9, maxMemory: MEMORY });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: MEMORY });
  return vm.createVcpu(0);
}

const ALL: readonly (readonly [string, bigint])[] = Object.entries(KVM_REG_PPC).flatMap(([name, id]) =>
  typeof id === 'bigint'
    ? [[name, id] as const]
    : Array.from({ length: 32 }, (_, n) => [`${name}${n}`, id(n)] as const),
);
/** Commands, constants, and what is another's view: LPCR's low half, time that follows from TB_OFFSET, FPRs inside of VSRs. */
const NOT_KEPT = /^(OR_TSR|CLEAR_TSR|DEBUG_INST|PURR|SPURR|LPCR|FPR\d+)$/;
const bitsOf = (id: bigint): bigint => 8n << ((id >> 52n) & 15n);

/** A value that any register takes: areas in memory are aligned, TCR and TSR start no timers, times are near. */
function sample(cpu: string, name: string, id: bigint, seed: number): bigint {
  if (name === 'VPA_ADDR') return 0x1000n;
  // Lengths stand in the areas themselves, which are empty here: the least that they may be.
  if (name === 'VPA_SLB') return (0x2000n << 64n) | 8n;
  if (name === 'VPA_DTL') return (0x3000n << 64n) | 48n;
  if (/^(TB_OFFSET|DEC_EXPIRY|IC|VTB)$/.test(name)) return BigInt(5e6 + seed);
  if (/^(TCR|TSR|DBSR)$/.test(name)) return 0n;
  if (name === 'FSCR') return 0x104n;
  // Decimal rounding's mode is in the left half, from POWER6 on.
  if (name === 'FPSCR') return cpu.startsWith('power') ? 0x5_8000_1234n : 0x8000_1234n;
  const bits = (cpu === '440ep' || cpu === 'e500v2') && !name.startsWith('FPR') ? 32 : Number(bitsOf(id));
  return BigInt.asUintN(bits, 0x8123_4567_89ab_cdef_0123_4567_89ab_cdefn * BigInt(2 * seed + 1));
}

const COMMON =
  'HIOR DABR DAR DSISR MMCR0 MMCR1 MMCRA SIAR SDAR PMC1 PMC2 PMC3 PMC4 PMC5 PMC6 FPSCR VSCR VPA_ADDR VPA_SLB VPA_DTL ' +
  'TB_OFFSET VRSAVE LPCR_64 DABRX DEC_EXPIRY';
const HAS: Readonly<Record<string, string>> = {
  '440ep': 'IAC1 IAC2 IAC3 IAC4 DAC1 DAC2 DAR FPSCR TCR TSR TB_OFFSET DBSR',
  e500v2: 'IAC1 IAC2 DAC1 DAC2 DAR TCR TSR TB_OFFSET DBSR EPR MAS0 MAS1 MAS4 MAS6 MMUCFG TLB0CFG TLB1CFG',
  970: `${COMMON} PMC7 PMC8`,
  power7: `${COMMON} DSCR AMR UAMOR PPR`,
  power8: `${COMMON} DSCR AMR UAMOR PPR MMCR2 SIER IAMR FSCR PSPB EBBHR EBBRR BESCR TAR DAWR DAWRX CIABR IC VTB`,
};

for (const [cpu, names] of Object.entries(HAS))
  test(`a ${cpu} has its registers, and another one takes them over`, () => {
    const vcpu = make(cpu);
    const kept = ALL.filter(([name, id]) => !NOT_KEPT.test(name) && vcpu.getOneReg(id) !== undefined);
    const single = kept.map(([name]) => name).filter((name) => !/^V?S?R\d+$/.test(name));
    assert.deepEqual(new Set(single), new Set(names.split(' ')));
    const want = new Map<string, bigint>();
    for (const [seed, [name, id]] of kept.entries()) {
      const value = sample(cpu, name, id, seed);
      assert.ok(vcpu.setOneReg(id, value), name);
      want.set(name, value);
    }
    const saved = kept.map(([name, id]) => [name, id, vcpu.getOneReg(id)] as const);
    for (const [name, , value] of saved) assert.equal(value, want.get(name), name);
    const sregs = vcpu.getSregs();
    const other = make(cpu);
    other.setSregs(sregs);
    for (const [name, id, value] of saved) assert.ok(other.setOneReg(id, value ?? 0n), name);
    for (const [name, id, value] of saved) assert.equal(other.getOneReg(id), value, name);
    assert.deepEqual(other.getSregs(), sregs);
    for (const [name, id] of ALL)
      if (vcpu.getOneReg(id) === undefined && !NOT_KEPT.test(name)) assert.equal(vcpu.setOneReg(id, 0n), false, name);
  });

test("an area of the guest's memory that is not there is refused", () => {
  const vcpu = make('power8');
  for (const address of [64n, BigInt(MEMORY), 2n ** 63n, 2n ** 64n - 128n])
    assert.equal(vcpu.setOneReg(KVM_REG_PPC.VPA_ADDR, address), false, String(address));
  assert.equal(vcpu.getOneReg(KVM_REG_PPC.VPA_ADDR), 0n);
});
