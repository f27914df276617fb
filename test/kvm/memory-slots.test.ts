/** Memory slots that come, move and go under a guest that has used them, and the log of what it wrote. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { type Accel, createVm, KVM_EXIT, KvmError, type Vcpu, type Vm } from '../../src/kvm/index.ts';

const RAM_BYTES = 2 ** 20;
/** The slot under test, where it moves to, and what it is mapped by. */
const SLOT = 0x1000_0000;
const ELSEWHERE = 0x1080_0000;
const SLOT_BYTES = 2 ** 18;
const SIZE_256M = 9;
/** A store to this address ends a run. */
const END = 0x3000_0000;

interface Guest {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  /** Runs a program to its end; answers r3, and the address of the first device that was read. */
  run(program: string, gpr?: Record<number, number>): { readonly r3: number; readonly read: number | undefined };
}

interface Kind {
  readonly accels: readonly Accel[];
  readonly make: (accel: Accel) => Guest;
}

function guest(cpu: string, accel: Accel, msr: bigint, prepare: (vcpu: Vcpu) => void): Guest {
  let now = 0;
  const vm = createVm({ cpu, accel, clock: { now: () => now }, timebaseFrequency: 1e9, maxMemory: 2 ** 22 });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM_BYTES });
  const vcpu = vm.createVcpu(0);
  prepare(vcpu);
  const run: Guest['run'] = (program, gpr = {}) => {
    const code = assembleWords(`${program}; lis r31,0x3000; stw r3,0(r31); b .`, 0);
    for (const [i, word] of code.entries()) vm.memory.write32(0x1000 + 4 * i, word);
    const regs = { ...vcpu.getRegs(), pc: 0x1000n, msr };
    regs.gpr[3] = 0n;
    for (const [n, value] of Object.entries(gpr)) regs.gpr[Number(n)] = BigInt(value);
    vcpu.setRegs(regs);
    let read: number | undefined;
    for (let exits = 0; exits < 100; exits++) {
      now += 1e6;
      const reason = vcpu.run(1e6);
      if (reason === KVM_EXIT.INTR) continue;
      assert.equal(reason, KVM_EXIT.MMIO, vcpu.kvmRun.internal.message);
      const { mmio } = vcpu.kvmRun;
      if (mmio.isWrite && mmio.physAddr === END) {
        return { r3: mmio.data, read };
      }
      if (!mmio.isWrite) {
        read ??= mmio.physAddr;
        mmio.data = 0xdead;
      }
    }
    throw new Error('the program does not end');
  };
  return { vm, vcpu, run };
}

const GUESTS: Readonly<Record<'440ep' | 'e500v2' | 'power8', Kind>> = {
  '440ep': {
    accels: ['trap', 'assist'],
    make: (accel) =>
      guest('440ep', accel, 0n, (vcpu) => {
        for (const [i, at] of [0, SLOT, END].entries())
          vcpu.setTlbEntry(i, { word0: at | 0x200 | (SIZE_256M << 4), word1: at, word2: 7, tid: 0 });
      }),
  },
  e500v2: {
    accels: ['trap'],
    make: (accel) =>
      guest('e500v2', accel, 0n, (vcpu) => {
        for (const [i, at] of [0, SLOT, END].entries())
          vcpu.setTlbEntry(256 + i, { mas1: 0x8000_0000 + (SIZE_256M << 8), mas2: at, mas3: at | 0x15, mas7: 0 });
      }),
  },
  power8: { accels: ['trap', 'assist'], make: (accel) => guest('power8', accel, 1n << 63n, () => {}) },
};

const region = { slot: 1, guestPhysAddr: SLOT, memorySize: SLOT_BYTES };
const LOAD = 'lis r4,0x1000; lwz r3,0x10(r4)';
const store = (offset: number): string => `lis r4,0x1000; addis r4,r4,${offset >>> 16}; stw r4,0(r4)`;

const each = (what: string, body: (make: () => Guest, cpu: string) => void): void => {
  for (const [name, { accels, make }] of Object.entries(GUESTS))
    for (const accel of accels) test(`${name} ${accel}: ${what}`, () => body(() => make(accel), name));
};

const code = (kind: KvmError['code'], what: () => void): void =>
  assert.throws(
    what,
    (error: Error) => error instanceof KvmError && error.code === kind && !error.message.includes('\n'),
  );

each('a slot that is removed is gone for the guest and for user space, and its contents with it', (make) => {
  const { vm, run } = make();
  vm.setUserMemoryRegion(region);
  vm.memory.write32(SLOT + 0x10, 77);
  assert.deepEqual(run(LOAD), { r3: 77, read: undefined });
  vm.setUserMemoryRegion({ ...region, memorySize: 0 });
  assert.equal(vm.memory.contains(SLOT, 4), false);
  assert.deepEqual(run(LOAD), { r3: 0xdead, read: SLOT + 0x10 });
  assert.equal(vm.getDirtyLog(1), undefined);
  assert.equal(
    vm.memoryAreas().some(({ name }) => name === 'slot 1'),
    false,
  );
  vm.setUserMemoryRegion(region);
  assert.deepEqual(run(LOAD), { r3: 0, read: undefined });
});

each('code of a slot that was removed is not run where other code stands', (make, cpu) => {
  const { vm, vcpu, run } = make();
  const call = 'li r5,2000; again: lis r4,0x1000; mtctr r4; bctrl; addic. r5,r5,-1; bne again';
  const put = (program: string, at = SLOT): void => {
    for (const [i, word] of assembleWords(program, at).entries()) vm.memory.write32(at + 4 * i, word);
  };
  // Where what is no instruction leads: Book E's IVOR6, and a server's vector.
  if (cpu === 'power8') vcpu.enableCap('papr');
  else vcpu.setSregs({ ivpr: 0, ivor6: 0x700 });
  put('lis r31,0x3000; stw r31,0(r31); b .', 0x700);
  vm.setUserMemoryRegion(region);
  put('b .+4096');
  put('addi r3,r3,1; blr', SLOT + 4096);
  assert.equal(run(call).r3, 2000);
  vm.setUserMemoryRegion({ ...region, memorySize: 0 });
  vm.setUserMemoryRegion(region);
  put('b .+4096');
  assert.equal(run(call).r3, END);
  put('addi r3,r3,3; blr', SLOT + 4096);
  assert.equal(run(call).r3, 6000);
  // The code goes along with the slot.
  vm.setUserMemoryRegion({ ...region, guestPhysAddr: ELSEWHERE });
  assert.equal(run(call.replace('0x1000', '0x1080')).r3, 6000);
});

each('a slot moves with its contents', (make) => {
  const { vm, run } = make();
  vm.setUserMemoryRegion(region);
  vm.memory.write32(SLOT + 0x10, 78);
  assert.equal(run(LOAD).r3, 78);
  // By 4 KB: what was mapped by large pages no longer can be.
  for (const guestPhysAddr of [ELSEWHERE, SLOT + 4096, SLOT]) {
    vm.setUserMemoryRegion({ ...region, guestPhysAddr });
    assert.equal(vm.memory.read32(guestPhysAddr + 0x10), 78);
    const load = `lis r4,${guestPhysAddr >>> 16}; ori r4,r4,${guestPhysAddr & 0xffff}; lwz r3,0x10(r4)`;
    assert.deepEqual(run(load), { r3: 78, read: undefined });
    if (guestPhysAddr !== SLOT)
      assert.deepEqual(run(LOAD).read, guestPhysAddr === ELSEWHERE ? SLOT + 0x10 : SLOT + 0x10);
  }
});

each('a dirty log begins, has what was stored, moves with its slot, and ends', (make) => {
  const { vm, run } = make();
  const dirty = (): number[] => {
    const bits = vm.getDirtyLog(1) as Uint8Array;
    assert.equal(bits.length, SLOT_BYTES / 4096 / 8);
    return [...bits].flatMap((byte, i) =>
      [...Array(8).keys()].filter((bit) => byte & (1 << bit)).map((bit) => 8 * i + bit),
    );
  };
  vm.setUserMemoryRegion(region);
  run(`${store(0)}; ${store(0x10000)}`);
  assert.equal(vm.getDirtyLog(1), undefined);
  const logged = { ...region, logDirtyPages: true };
  vm.setUserMemoryRegion(logged);
  assert.deepEqual(dirty(), []);
  run(`${LOAD}; ${store(0x20000)}; stw r4,8(r4); ${store(0x10000)}`);
  // What user space writes it knows.
  vm.memory.write32(SLOT + 0x30000, 1);
  assert.deepEqual(dirty(), [16, 32]);
  assert.deepEqual(dirty(), []);
  run(`${store(0x20000)}; lwz r3,0(r4)`);
  vm.setUserMemoryRegion(logged);
  vm.setUserMemoryRegion({ ...logged, guestPhysAddr: ELSEWHERE });
  run('lis r4,0x1080; stw r4,0x2000(r4)');
  assert.deepEqual(dirty(), [2, 32]);
  vm.setUserMemoryRegion({ ...region, guestPhysAddr: ELSEWHERE });
  assert.equal(vm.getDirtyLog(1), undefined);
  run('lis r4,0x1080; stw r4,0x2000(r4)');
});

test('what does not fit is refused as the ioctl does, and changes nothing', () => {
  const { vm, run } = GUESTS.power8.make('trap');
  vm.setUserMemoryRegion(region);
  vm.memory.write32(SLOT + 0x10, 79);
  code('EEXIST', () => vm.setUserMemoryRegion({ ...region, slot: 2, guestPhysAddr: SLOT + SLOT_BYTES - 4096 }));
  code('EEXIST', () => vm.setUserMemoryRegion({ ...region, guestPhysAddr: RAM_BYTES - 4096 }));
  code('EINVAL', () => vm.setUserMemoryRegion({ ...region, memorySize: SLOT_BYTES / 2 }));
  code('EINVAL', () => vm.setUserMemoryRegion({ ...region, readonly: true }));
  code('EINVAL', () => vm.setUserMemoryRegion({ ...region, guestPhysAddr: SLOT + 1024 }));
  code('EINVAL', () => vm.setUserMemoryRegion({ ...region, slot: 2, guestPhysAddr: ELSEWHERE, memorySize: 1024 }));
  code('EINVAL', () => vm.setUserMemoryRegion({ ...region, guestPhysAddr: 2 ** 36 - 4096 }));
  code('EINVAL', () => vm.setUserMemoryRegion({ slot: 2, guestPhysAddr: 0, memorySize: 0 }));
  code('EINVAL', () => vm.setUserMemoryRegion({ ...region, guestPhysAddr: 1, memorySize: 0 }));
  code('ENOMEM', () => vm.setUserMemoryRegion({ slot: 2, guestPhysAddr: 0x2000_0000, memorySize: 2 ** 27 }));
  assert.deepEqual(run(LOAD), { r3: 79, read: undefined });
  // May overlap what it was.
  vm.setUserMemoryRegion({ ...region, guestPhysAddr: SLOT + 4096 });
  assert.equal(vm.memory.read32(SLOT + 4096 + 0x10), 79);
});

test('the room of slots that were removed is there for others', () => {
  const { vm } = GUESTS.power8.make('trap');
  const bytes = 2 ** 21;
  for (let i = 0; i < 200; i++) {
    const sizes = [bytes, bytes / 2, 4096 * (1 + (i % 7))];
    for (const [n, memorySize] of sizes.entries())
      vm.setUserMemoryRegion({ slot: n + 1, guestPhysAddr: SLOT + n * 2 ** 24 + (i % 5) * 4096, memorySize });
    assert.equal(vm.memory.read32(SLOT + (i % 5) * 4096 + bytes - 4), 0);
    vm.memory.write32(SLOT + (i % 5) * 4096 + bytes - 4, i);
    for (const slot of i % 2 === 0 ? [1, 2, 3] : [2, 1, 3])
      vm.setUserMemoryRegion({ slot, guestPhysAddr: 0, memorySize: 0 });
  }
});
