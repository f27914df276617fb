/** Data and instruction breakpoints: DABR, DAWR and CIABR of servers, IAC and DAC of the 440, and those of user space. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Accel, KVM_EXIT, KVM_GUESTDBG, KVMPPC_DEBUG } from '../../src/kvm/index.ts';
import { WatchedRange } from '../../src/kvm/watched-range.ts';
import {
  bookeGuest,
  DEVICE,
  type DebugGuest,
  IVPR,
  load,
  type ServerName,
  serverGuest,
  USER_DEVICE,
} from './debug-guest.ts';

const CODE = 0x2000;
const NOTES = 0xa000;
const DATA = 0x9000;
const ACCELS: readonly Accel[] = ['trap', 'pv', 'assist'];
const PROBLEM = 0xf032n;
const KERNEL = 0x1000n;
const SF = 0x8000_0000_0000_0000n;

/** Notes registers, then has r24 done with. r23 points to the notes, SPRG2 keeps it. */
const noting = (registers: readonly number[], more = ''): string => `mtspr 273,r24; mtspr 275,r23; mfspr r23,274
    ${registers.map((spr, i) => `mfspr r24,${spr}; stw r24,${4 * i}(r23)`).join('; ')}
    addi r23,r23,${4 * registers.length}; mtspr 274,r23; ${more}; mfspr r23,275; mfspr r24,273`;

function notes({ vm, vcpu }: DebugGuest, words: number): number[][] {
  const end = Number(vcpu.getRegs().sprg[2]);
  const found: number[][] = [];
  for (let at = NOTES; at < end; at += 4 * words)
    found.push(Array.from({ length: words }, (_, i) => vm.memory.read32(at + 4 * i) as number));
  return found;
}

const SPR = { dabr: 1013, dabrx: 1015, dawr: 180, dawrx: 188, ciabr: 187 } as const;
/** Sets a register to a number of 32 bits. */
const set = (spr: number, value: number): string =>
  `lis r3,${value >>> 16}; ori r3,r3,${value & 0xffff}; mtspr ${spr},r3`;

/** Accesses of the tests: r30 is DATA, r28 the address 2 bytes before a page's end, r29 the device. */
const ACCESSES = `
    lwz r5,0(r30)
    stw r5,4(r30)
    ld r5,8(r30)
    std r5,16(r30)
    stw r5,14(r30)
    lmw r31,12(r30)
    stw r5,0(r28)
    dcbz 0,r30
    lwz r5,0(r29)
    stw r7,4(r29)`;

/** A server that sets up by `before` in its kernel, then runs the accesses; each that is watched is noted and skipped. */
function server(cpu: ServerName, accel: Accel, before: string, msr = PROBLEM, source = ACCESSES): DebugGuest {
  const guest = serverGuest(cpu, accel, 0x1000);
  const { vm, vcpu } = guest;
  const skip = 'mfspr r24,26; addi r24,r24,4; mtspr 26,r24';
  load(vm, 0x300, `${noting([26, 19, 18], skip)}; rfid`);
  load(vm, 0xc00, 'rfid');
  load(vm, 0xd00, `${noting([26, 27, 796])}; rfid`);
  load(vm, 0x1000, `${before}; rfid`);
  load(vm, CODE, source);
  const regs = vcpu.getRegs();
  regs.gpr[28] = BigInt(DATA + 0xffe);
  regs.gpr[29] = BigInt(msr === PROBLEM ? USER_DEVICE : DEVICE);
  regs.gpr[30] = BigInt(DATA);
  regs.sprg[2] = BigInt(NOTES);
  vcpu.setRegs({ ...regs, srr0: BigInt(CODE), srr1: msr | SF });
  return guest;
}

/** The accesses that were stopped: the instruction's number, DAR and DSISR. */
const stopped = (guest: DebugGuest): number[][] =>
  notes(guest, 3).map(([srr0 = 0, dar = 0, dsisr = 0]) => [(srr0 - CODE) / 4, dar, dsisr]);

const WATCH = 0x0040_0000;
const STORE = 0x0240_0000;

for (const accel of ACCELS) {
  test(`DABR stops accesses to a doubleword, ${accel}`, () => {
    for (const cpu of ['power7', '970'] as const) {
      const watch = (bits: number, dabrx: number): string =>
        `${set(SPR.dabr, (DATA + 8) | bits)}; ${set(SPR.dabrx, dabrx)}`;
      // Both kinds, with translation, of problem state.
      const both = server(cpu, accel, watch(7, 1));
      assert.equal(both.run(), undefined);
      assert.deepEqual(stopped(both), [
        [2, DATA + 8, WATCH],
        [4, DATA + 14, STORE],
        [5, DATA + 12, WATCH],
        [7, DATA + 8, STORE],
      ]);
      const stores = server(cpu, accel, watch(6, 3));
      assert.equal(stores.run(), undefined);
      assert.deepEqual(
        stopped(stores).map(([at]) => at),
        [4, 7],
      );
      // Other states, another translation, and none of it.
      for (const [bits, dabrx] of [
        [7, 2],
        [3, 3],
        [4, 3],
        [7, 0],
      ] as const) {
        const quiet = server(cpu, accel, watch(bits, dabrx));
        assert.equal(quiet.run(), undefined);
        assert.deepEqual(stopped(quiet), []);
      }
      const kernel = server(cpu, accel, watch(3, 10), KERNEL);
      assert.equal(kernel.run(), undefined);
      assert.deepEqual(stopped(kernel).length, 4);
    }
  });

  test(`DAWR stops accesses to a range, ${accel}`, () => {
    const watch = (address: number, dawrx: number): string => `${set(SPR.dawr, address)}; ${set(SPR.dawrx, dawrx)}`;
    const stores = server('power8', accel, watch(DATA + 16, 0x51));
    assert.equal(stores.run(), undefined);
    assert.deepEqual(stopped(stores), [
      [3, DATA + 16, STORE],
      [4, DATA + 16, STORE],
      [7, DATA + 16, STORE],
    ]);
    // Two doublewords across a page's end: the range stays within its 512 bytes.
    const end = server('power8', accel, watch(DATA + 0xff8, 0x40 | 0x10 | 0x1 | (1 << 10)));
    assert.equal(end.run(), undefined);
    assert.deepEqual(stopped(end), [[6, DATA + 0xffe, STORE]]);
    const next = server('power8', accel, watch(DATA + 0x1000, 0x40 | 0x18 | 0x1));
    assert.equal(next.run(), undefined);
    assert.deepEqual(stopped(next), [[6, DATA + 0x1000, STORE]]);
    // Loads of all, of a device too.
    const device = server('power8', accel, watch(USER_DEVICE, 0x20 | 0x8 | 0x3));
    assert.equal(device.run(), undefined);
    assert.deepEqual(stopped(device), [[8, USER_DEVICE, WATCH]]);
    for (const dawrx of [0x52, 0x41, 0x31, 0x0]) {
      const quiet = server('power8', accel, watch(DATA + 0x100, dawrx));
      assert.equal(quiet.run(), undefined);
      assert.deepEqual(stopped(quiet), []);
    }
  });

  test(`CIABR traces one instruction, ${accel}`, () => {
    const source = 'li r4,3; mtctr r4; addi r5,r5,1; bdnz .-4; stw r5,4(r29)';
    const loop = server('power8', accel, set(SPR.ciabr, (CODE + 8) | 1), PROBLEM, source);
    assert.equal(loop.run(), undefined);
    assert.deepEqual(
      notes(loop, 3),
      [0, 1, 2].map(() => [CODE + 12, 0x4010_0000 + Number(PROBLEM), CODE + 8]),
    );
    const others = server('power8', accel, set(SPR.ciabr, (CODE + 8) | 2), PROBLEM, source);
    assert.equal(others.run(), undefined);
    assert.deepEqual(notes(others, 3), []);
  });

  test(`hypercalls set the breakpoints of a partition, ${accel}`, () => {
    const call = (nr: number, ...args: readonly number[]): string =>
      [
        `lis r3,0; ori r3,r3,${nr}`,
        ...args.map((value, i) => `lis r${4 + i},0; ori r${4 + i},r${4 + i},${value}`),
        'sc 1; stdu r3,8(r27)',
      ].join('; ');
    const STATUS = 0xb000;
    const run = (cpu: ServerName, before: string): { statuses: number[]; found: number[][] } => {
      const guest = server(cpu, accel, `lis r27,0; ori r27,r27,${STATUS - 8}; ${before}`, KERNEL);
      guest.vcpu.enableCap('papr');
      assert.equal(guest.run(), undefined);
      const count = (Number(guest.vcpu.getRegs().gpr[27]) - STATUS) / 8 + 1;
      const statuses = Array.from(
        { length: count },
        (_, i) => (guest.vm.memory.read32(STATUS + 8 * i + 4) as number) | 0,
      );
      return { statuses, found: stopped(guest) };
    };
    const [SET_DABR, SET_XDABR, SET_MODE] = [0x28, 0x134, 0x31c];
    const [P2, P3, P4, PARAMETER] = [-55, -56, -57, -4];
    assert.deepEqual(run('power7', call(SET_DABR, DATA + 16 + 2)), {
      statuses: [0],
      found: [3, 4, 7].map((at) => [at, DATA + 16, STORE]),
    });
    assert.deepEqual(
      run('power7', [call(SET_XDABR, DATA + 16 + 1, 2), call(SET_XDABR, 0, 4), call(SET_XDABR, 0, 0)].join(';')),
      {
        statuses: [0, PARAMETER, PARAMETER],
        found: [[5, DATA + 16, WATCH]].slice(1),
      },
    );
    assert.deepEqual(run('power8', call(SET_MODE, 0, 2, DATA + 16, 0x42)), {
      statuses: [0],
      found: [3, 4, 7].map((at) => [at, DATA + 16, STORE]),
    });
    const { statuses } = run(
      'power8',
      [
        call(SET_MODE, 0, 2, DATA, 0x44),
        call(SET_MODE, 1, 2, DATA, 0x42),
        call(SET_MODE, 0, 1, CODE + 3, 0),
        call(SET_MODE, 0, 1, CODE, 1),
        call(SET_MODE, 0, 1, 0, 0),
      ].join(';'),
    );
    assert.deepEqual(statuses, [P4, -319, P3, P4, 0]);
    assert.deepEqual(run('power7', call(SET_MODE, 0, 2, DATA, 0x42)).statuses, [P2]);
  });
}

const { BREAKPOINT, WATCH_READ, WATCH_WRITE } = KVMPPC_DEBUG;
const hardware = (bp: readonly { addr: bigint; type: number; len?: number }[]) => ({
  control: KVM_GUESTDBG.ENABLE | KVM_GUESTDBG.USE_HW_BP,
  arch: { bp },
});

/** What user space's stops are: status, address and PC. */
function stops({ vcpu, run }: DebugGuest, debug: ReturnType<typeof hardware>): (readonly [number, bigint, bigint])[] {
  const found: (readonly [number, bigint, bigint])[] = [];
  vcpu.setGuestDebug(debug);
  while (run() === KVM_EXIT.DEBUG) {
    const { arch } = vcpu.kvmRun.debug;
    found.push([arch.status, arch.address, vcpu.getRegs().pc]);
    if (found.length > 20) break;
    // It comes again until user space goes past it without.
    assert.equal(run(), KVM_EXIT.DEBUG);
    assert.equal(vcpu.getRegs().pc, found.at(-1)?.[2]);
    vcpu.setGuestDebug({ control: KVM_GUESTDBG.ENABLE | KVM_GUESTDBG.SINGLESTEP });
    assert.equal(run(), KVM_EXIT.DEBUG);
    vcpu.setGuestDebug(debug);
  }
  return found;
}

const LOOP = 'li r4,3; mtctr r4; addi r5,r5,1; stwx r5,r30,r5; bdnz .-8; lwz r6,2(r30); stw r5,4(r29)';
/** In both kinds of guest: a breakpoint in the loop, and watched bytes that its second store and the load touch. */
const EXPECTED = [
  [BREAKPOINT, BigInt(CODE + 8), BigInt(CODE + 8)],
  [BREAKPOINT, BigInt(CODE + 8), BigInt(CODE + 8)],
  [WATCH_WRITE, BigInt(DATA + 5), BigInt(CODE + 12)],
  [BREAKPOINT, BigInt(CODE + 8), BigInt(CODE + 8)],
  [WATCH_WRITE, BigInt(DATA + 5), BigInt(CODE + 12)],
  [WATCH_READ, BigInt(DATA + 5), BigInt(CODE + 20)],
];

for (const [name, make] of [
  ...ACCELS.map((accel) => [`power8, ${accel}`, () => server('power8', accel, 'nop', PROBLEM, LOOP)] as const),
  ...(['trap', 'assist'] as const).map((accel) => [`440, ${accel}`, () => booke(accel, {}, 0n, LOOP)] as const),
])
  test(`user space's breakpoints and watchpoints, ${name}`, () => {
    const guest = make();
    const found = stops(
      guest,
      hardware([
        { addr: BigInt(CODE + 8), type: BREAKPOINT },
        { addr: BigInt(DATA + 5), type: WATCH_READ | WATCH_WRITE },
        { addr: BigInt(DATA + 0x800), type: WATCH_WRITE, len: 16 },
      ]),
    );
    assert.deepEqual(found, EXPECTED);
    assert.equal(guest.vcpu.getRegs().gpr[5], 3n);
  });

test("user space's watchpoints leave the guest's alone", () => {
  const guest = server('power8', 'assist', `${set(SPR.dawr, DATA + 16)}; ${set(SPR.dawrx, 0x51)}`);
  const found = stops(guest, hardware([{ addr: BigInt(DATA + 4), type: WATCH_WRITE }]));
  assert.deepEqual(
    found.map(([, , pc]) => (Number(pc) - CODE) / 4),
    [1, 7],
  );
  // The block that user space was told of was stepped: the guest's own stop is in that step.
  assert.deepEqual(
    stopped(guest).map(([at]) => at),
    [3, 4, 7],
  );
});

const DE = 0x200n;
const PR = 0x4000n;
const IDM = 0x4000_0000;
const IAC1 = 0x80_0000;
const IAC2 = 0x40_0000;
const IAC3 = 0x20_0000;
const DAC1R = 0x8_0000;
const DAC1W = 0x4_0000;
const DAC2W = 0x1_0000;
const IDE = 0x8000_0000;

/** A 440 that runs code from CODE on by rfi; debug interrupts note CSRR0 and DBSR, clear it, and skip the instruction. */
function booke(accel: Accel, sregs: Record<string, number>, msr: bigint, source: string, skips = true): DebugGuest {
  const guest = bookeGuest(accel, 0x1000);
  const { vm, vcpu } = guest;
  const skip = skips ? '; mfspr r24,58; addi r24,r24,4; mtspr 58,r24' : '';
  load(vm, IVPR + 0xf00, `${noting([58, 304], `mfspr r24,304; mtspr 304,r24${skip}`)}; rfci`);
  load(vm, 0x1000, 'rfi');
  load(vm, CODE, source);
  const regs = vcpu.getRegs();
  regs.gpr[28] = BigInt(DATA + 0xffe);
  regs.gpr[29] = BigInt(DEVICE);
  regs.gpr[30] = BigInt(DATA);
  regs.sprg[2] = BigInt(NOTES);
  vcpu.setSregs(sregs);
  vcpu.setRegs({ ...regs, srr0: BigInt(CODE), srr1: msr | 0x1000n });
  return guest;
}

const events = (guest: DebugGuest): number[][] => {
  assert.equal(guest.run(), undefined);
  return notes(guest, 2).map(([csrr0 = 0, dbsr = 0]) => [(csrr0 - CODE) / 4, dbsr]);
};

const ACCESSES_440 = `
    lwz r5,0(r30)
    stw r5,8(r30)
    lwz r5,8(r30)
    stw r5,6(r30)
    lmw r30,4(r30)
    stb r5,9(r27)
    lwz r5,0(r29)
    stw r7,4(r29)`;

for (const accel of ['trap', 'assist'] as const) {
  test(`DAC events of a 440, ${accel}`, () => {
    const run = (sregs: Record<string, number>, msr = DE | PR): number[][] => {
      const guest = booke(accel, sregs, msr, ACCESSES_440);
      // What lmw loads are the registers that it loads.
      guest.vm.memory.write32(DATA + 4, DATA);
      const regs = guest.vcpu.getRegs();
      regs.gpr[27] = BigInt(DATA);
      guest.vcpu.setRegs(regs);
      return events(guest);
    };
    const dac1 = DATA + 8;
    // Where an access begins counts; each word of lmw is an access.
    assert.deepEqual(run({ dac1, dbcr0: IDM | DAC1R | DAC1W }), [
      [1, DAC1W],
      [2, DAC1R],
      [4, DAC1R],
    ]);
    assert.deepEqual(run({ dac1, dbcr0: IDM | DAC1W }), [[1, DAC1W]]);
    assert.deepEqual(run({ dac1: DEVICE, dbcr0: IDM | DAC1R }), [[6, DAC1R]]);
    // Ranges, without and with their end, and a mask.
    const range = { dac1: DATA + 6, dac2: DATA + 9, dbcr0: IDM | DAC1W | DAC2W };
    assert.deepEqual(run({ ...range, dbcr2: 2 << 22 }), [
      [1, DAC1W | DAC2W],
      [3, DAC1W | DAC2W],
    ]);
    assert.deepEqual(run({ dac1: DATA, dac2: DATA + 12, dbcr0: IDM | DAC1R, dbcr2: 3 << 22 }), [[6, DAC1R]]);
    assert.deepEqual(run({ dac1, dac2: 0xffff_fff8, dbcr0: IDM | DAC1W, dbcr2: 1 << 22 }), [
      [1, DAC1W],
      [5, DAC1W],
    ]);
    // Of supervisor state only; without internal debug mode.
    assert.deepEqual(run({ dac1, dbcr0: IDM | DAC1W, dbcr2: 0x8000_0000 }), []);
    assert.deepEqual(run({ dac1, dbcr0: IDM | DAC1W, dbcr2: 0xc000_0000 }), [[1, DAC1W]]);
    assert.deepEqual(run({ dac1, dbcr0: DAC1W }), []);
  });

  test(`IAC events of a 440, ${accel}`, () => {
    const source = 'nop; addi r5,r5,1; nop; nop; addi r5,r5,1; stw r7,4(r29)';
    const run = (sregs: Record<string, number>, msr = DE | PR): number[][] => events(booke(accel, sregs, msr, source));
    const [iac1, iac2, iac3] = [CODE + 4, CODE + 12, CODE + 16];
    const dbcr0 = IDM | IAC1 | IAC2 | IAC3;
    assert.deepEqual(run({ iac1, iac2, iac3, dbcr0 }), [
      [1, IAC1],
      [3, IAC2],
      [4, IAC3],
    ]);
    assert.deepEqual(run({ iac1, iac2, iac3, dbcr0: IDM | IAC1, dbcr1: 2 << 22 }), [
      [1, IAC1],
      [2, IAC1],
    ]);
    assert.deepEqual(run({ iac1, dbcr0: IDM | IAC1, dbcr1: 0x8000_0000 }), []);
    // It is not executed.
    const guest = booke(accel, { iac1, dbcr0: IDM | IAC1 }, DE, source);
    assert.deepEqual(events(guest), [[1, IAC1]]);
    assert.equal(guest.vcpu.getRegs().gpr[5], 1n);
  });

  test(`compares without MSR[DE] are recorded and interrupt later, ${accel}`, () => {
    const source = 'stw r5,8(r30); addi r6,r6,1; mfmsr r7; ori r7,r7,0x200; mtmsr r7; nop; stw r7,4(r29)';
    const sregs = { dac1: DATA + 8, iac1: CODE + 4, dbcr0: IDM | IAC1 | DAC1W };
    const guest = booke(accel, sregs, 0n, source, false);
    assert.deepEqual(events(guest), [[5, IDE + IAC1 + DAC1W]]);
    const { gpr } = guest.vcpu.getRegs();
    assert.deepEqual([gpr[6], guest.vm.memory.read32(DATA + 8)], [1n, 0]);
  });
}

const RET = 0x8000;
const BRT = 0x0400_0000;
const TRAP = 0x0100_0000;
const IAC12_INCLUSIVE = 2 << 22;
const IAC12_EXCLUSIVE = 3 << 22;
const IAC12AT = 0x1_0000;
const IAC12ATS = 2;

for (const accel of ['trap', 'assist'] as const) {
  const run440 = (sregs: Record<string, number>, source: string, msr = DE | PR, gpr: Record<number, number> = {}) => {
    const guest = booke(accel, sregs, msr, `${source}; stw r7,4(r29)`);
    const regs = guest.vcpu.getRegs();
    for (const [n, value] of Object.entries(gpr)) regs.gpr[Number(n)] = BigInt(value);
    guest.vcpu.setRegs(regs);
    for (const [i, word] of [0x1122_3344, 0x5566_7788].entries()) guest.vm.memory.write32(DATA + 4 * i, word);
    return { guest, found: events(guest) };
  };
  /** DBCR2[DVC1M] and [DVC1BE]. */
  const value = (mode: number, bytes: number): number => (mode << 18) | (bytes << 8);
  const [AND, OR, AND_OR] = [1, 2, 3];

  test(`DVC events of a 440, ${accel}`, () => {
    const dbcr0 = IDM | DAC1R | DAC1W;
    const loads = (dvc1: number, dbcr2: number): number[] => {
      const source = 'lwz r5,0(r30); lhz r5,0(r30); lbz r5,0(r30); lwarx r5,0,r30';
      return run440({ dac1: DATA, dvc1, dbcr0, dbcr2 }, source).found.map(([at = 0, dbsr]) => {
        assert.equal(dbsr, DAC1R);
        return at;
      });
    };
    // Without byte enables the value does not matter; all that are enabled have to be moved, and to match.
    assert.deepEqual(loads(0, value(AND, 0)), [0, 1, 2, 3]);
    assert.deepEqual(loads(0x1122_3344, value(AND, 15)), [0, 3]);
    assert.deepEqual(loads(0x1122_3345, value(AND, 15)), []);
    assert.deepEqual(loads(0x1122_3345, value(AND, 14)), [0, 3]);
    assert.deepEqual(loads(0x1122_0000, value(AND, 12)), [0, 1, 3]);
    assert.deepEqual(loads(0x1100_0000, value(AND, 8)), [0, 1, 2, 3]);
    assert.deepEqual(loads(0x0022_0000, value(OR, 15)), [0, 1, 3]);
    assert.deepEqual(loads(0x0000_0044, value(OR, 15)), [0, 3]);
    assert.deepEqual(loads(0x0000_0044, value(OR, 14)), []);
    assert.deepEqual(loads(0x0000_3344, value(AND_OR, 15)), [0, 3]);
    assert.deepEqual(loads(0x1122_0000, value(AND_OR, 15)), [0, 1, 3]);
    assert.deepEqual(loads(0x1100_3300, value(AND_OR, 15)), []);
    assert.deepEqual(loads(0x1122_3344, value(0, 15)), []);
    // The byte's place in memory counts, and what is not wanted is loaded as ever.
    const place = run440({ dac1: DATA + 2, dvc1: 0x3300, dbcr0, dbcr2: value(AND, 2) }, 'lbz r5,2(r30); lhz r6,2(r30)');
    assert.deepEqual(
      place.found,
      [0, 1].map((at) => [at, DAC1R]),
    );
    const passed = run440({ dac1: DATA, dvc1: 1, dbcr0, dbcr2: value(AND, 15) }, 'lwzu r5,0(r30); lwz r6,4(r30)');
    assert.deepEqual(passed.found, []);
    assert.deepEqual(passed.guest.vcpu.getRegs().gpr.slice(5, 7), [0x1122_3344n, 0x5566_7788n]);
  });

  test(`DVC events of stores of a 440, ${accel}`, () => {
    const stores = (source: string, dvc1: number, bytes = 15, at = DATA + 8) => {
      const sregs = { dac1: at, dvc1, dbcr0: IDM | DAC1W, dbcr2: value(AND, bytes) };
      return run440(sregs, source, DE | PR, { 5: 0x0102_0304, 6: 0x1122_3344, 27: DATA + 8 });
    };
    const source = 'stw r5,8(r30); stw r6,8(r30); stwbrx r5,0,r27; lwarx r9,0,r27; stwcx. r6,0,r27; dcbz 0,r27';
    assert.deepEqual(stores(source, 0x0102_0304).found, [[0, DAC1W]]);
    assert.deepEqual(stores(source, 0x0403_0201).found, [[2, DAC1W]]);
    assert.deepEqual(stores(source, 0).found, [[5, DAC1W]]);
    const conditional = stores(source, 0x1122_3344);
    assert.deepEqual(
      conditional.found,
      [1, 4].map((at) => [at, DAC1W]),
    );
    // A store that is an event is not made, one with another value is.
    assert.equal(conditional.guest.vm.memory.read32(DATA + 8), 0);
    const made = stores('stw r5,8(r30)', 7).guest;
    assert.equal(made.vm.memory.read32(DATA + 8), 0x0102_0304);
    assert.deepEqual(stores('stb r5,11(r30); sth r5,10(r30)', 4, 1, DATA + 11).found, [[0, DAC1W]]);
    // Each word of several is compared, and the first does not hide the second.
    const multiple = (dvc1: number): number[][] =>
      run440(
        { dac1: DATA + 16, dac2: DATA + 32, dvc1, dbcr0: IDM | DAC1W, dbcr2: value(AND, 15) | (2 << 22) },
        'stmw r28,16(r30)',
        DE | PR,
        { 28: 1, 31: 0x1122_3344 },
      ).found;
    assert.deepEqual(multiple(0x1122_3344), [[0, DAC1W]]);
    assert.deepEqual(multiple(0x1122_3345), []);
    // Doubles and what crosses a word are accesses of two words.
    const across = stores('stw r5,6(r30)', 0x0304_0000, 12, DATA + 6);
    assert.deepEqual(across.found, [[0, DAC1W]]);
    // The second pair of registers.
    const second = { dac2: DATA + 8, dvc2: 0x0102_0304, dbcr0: IDM | DAC2W, dbcr2: (AND << 16) | 15 };
    assert.deepEqual(run440(second, 'stw r6,8(r30); stw r5,8(r30)', DE | PR, { 5: 0x0102_0304 }).found, [[1, DAC2W]]);
    // While debug interrupts are put out, the event is recorded.
    const late = run440(
      { dac1: DATA + 8, dvc1: 7, dbcr0: IDM | DAC1W, dbcr2: value(AND, 15) },
      'stw r5,8(r30); stw r6,8(r30); mfmsr r9; ori r9,r9,0x200; mtmsr r9; nop',
      0n,
      { 5: 6, 6: 7 },
    );
    assert.deepEqual(late.found, [[5, IDE + DAC1W]]);
    assert.equal(late.guest.vm.memory.read32(DATA + 8), 7);
  });

  test(`DAC events of a 440's cache instructions, ${accel}`, () => {
    const source = 'dcbz 0,r28; dcbst 0,r28; dcbf 0,r28; icbi 0,r28; dcba 0,r28; lbz r5,0(r28); stb r5,0(r28)';
    const run = (dbcr0: number, more: Record<string, number> = {}): number[] =>
      run440({ dac1: DATA + 0x45, dbcr0: IDM | dbcr0, ...more }, source, DE | PR, { 28: DATA + 0x45 }).found.map(
        ([at = 0]) => at,
      );
    assert.deepEqual(run(DAC1W), [0, 1, 2, 6]);
    assert.deepEqual(run(DAC1R), [3, 5]);
    assert.deepEqual(run(DAC1W, { dac1: DATA + 0x40 }), []);
  });

  test(`ranges of a 440's instruction addresses that toggle, ${accel}`, () => {
    const source = 'nop; addi r5,r5,1; addi r5,r5,1; nop; addi r5,r5,1; b .+4';
    const run = (dbcr1: number, iac1 = CODE + 4, iac2 = CODE + 16): number[][] =>
      run440({ iac1, iac2, dbcr0: IDM | IAC1, dbcr1 }, source).found;
    assert.deepEqual(
      run(IAC12_INCLUSIVE),
      [1, 2, 3].map((at) => [at, IAC1]),
    );
    // An event reverses the range. The handler takes what it notes out of DBSR, which puts it right again.
    assert.deepEqual(
      run(IAC12_INCLUSIVE | IAC12AT),
      [1, 2, 3].map((at) => [at, IAC1 | IAC12ATS]),
    );
    assert.deepEqual(
      run(IAC12_EXCLUSIVE | IAC12AT, CODE + 8, CODE + 0x100),
      [0, 1].map((at) => [at, IAC1 | IAC12ATS]),
    );
    // Left alone, as in trace mode, it tells where code comes into the range, and where it leaves it.
    const traced = run440(
      { iac1: CODE + 8, iac2: CODE + 20, dbcr0: IAC1, dbcr1: IAC12_INCLUSIVE | IAC12AT },
      'nop; mfspr r9,304; nop; mfspr r10,304; nop; b .+4; mfspr r11,304',
      DE,
    );
    assert.deepEqual(traced.found, []);
    assert.deepEqual(traced.guest.vcpu.getRegs().gpr.slice(9, 12), [0n, BigInt(IAC1 | IAC12ATS), BigInt(IAC1)]);
  });

  test(`a 440 in trace mode only records events, ${accel}`, () => {
    const source = `
        stw r5,8(r30); lis r9,0x8; mfspr r10,304; mtspr 304,r10; lwz r5,8(r30); mfspr r11,304; mtspr 304,r11
        b .+4; twi 31,r0,0; mfspr r12,304`;
    const guest = booke(
      accel,
      { dac1: DATA + 8, iac1: CODE + 4, dbcr0: IAC1 | DAC1R | DAC1W | BRT | TRAP },
      DE,
      `${source}; stw r7,4(r29)`,
    );
    load(guest.vm, IVPR + 0x600, 'mfspr r24,26; addi r24,r24,4; mtspr 26,r24; rfi');
    assert.equal(guest.run(), undefined);
    assert.deepEqual(notes(guest, 2), []);
    const { gpr } = guest.vcpu.getRegs();
    assert.deepEqual(gpr.slice(10, 13), [BigInt(IAC1 + DAC1W), BigInt(DAC1R), BigInt(BRT + TRAP)]);
  });

  test(`a return from a critical interrupt is no event of a 440 while debug interrupts are put out, ${accel}`, () => {
    const guest = bookeGuest(accel, 0x1000);
    const { vm, vcpu } = guest;
    load(vm, 0x1000, 'rfci');
    load(vm, CODE, 'mfspr r5,304; stw r7,4(r29)');
    const regs = vcpu.getRegs();
    regs.gpr[29] = BigInt(DEVICE);
    vcpu.setSregs({ csrr0: CODE, csrr1: 0x1000, dbcr0: IDM | RET });
    vcpu.setRegs(regs);
    assert.equal(guest.run(), undefined);
    assert.equal(vcpu.getRegs().gpr[5], 0n);
  });
}

test('ranges of 64-bit addresses', () => {
  const both = { loads: true, stores: true };
  const range = new WatchedRange(0xffff_fffe | 0, 0xc000_0000 | 0, 4, both);
  assert.equal(range.meets(0xffff_fffd | 0, 0xc000_0000 | 0, 1, true), false);
  assert.equal(range.meets(0xffff_fffd | 0, 0xc000_0000 | 0, 2, true), true);
  assert.equal(range.meets(1, 0xc000_0001 | 0, 1, false), true);
  assert.equal(range.meets(2, 0xc000_0001 | 0, 8, false), false);
  assert.equal(range.meets(0xffff_fffe | 0, 0, 4, false), false);
  assert.equal(range.coversPage(0xffff_f000 | 0, 0xc000_0000 | 0), true);
  assert.equal(range.coversPage(0xfff, 0xc000_0001 | 0), true);
  assert.equal(range.coversPage(0x1000, 0xc000_0001 | 0), false);
  const last = new WatchedRange(-1, -1, 16, { loads: false, stores: true });
  assert.equal(last.meets(-1, -1, 1, true), true);
  assert.equal(last.meets(-1, -1, 1, false), false);
  assert.equal(last.meets(0, 0, 8, true), false);
});
