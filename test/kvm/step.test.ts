/** Trace interrupts, ICMP and BRT events, and user space's single steps: one instruction at a time, however it is served. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Accel, KVM_EXIT, KVM_GUESTDBG, KVMPPC_DEBUG, KvmError } from '../../src/kvm/index.ts';
import {
  bookeGuest,
  DEVICE,
  DEVICE_VALUE,
  type DebugGuest,
  IVPR,
  load,
  type ServerName,
  serverGuest,
  USER_DEVICE,
} from './debug-guest.ts';

const CODE = 0x2000;
/** What is traced is noted from here on; SPRG2 says how far. */
const NOTES = 0xa000;
const STEP = { control: KVM_GUESTDBG.ENABLE | KVM_GUESTDBG.SINGLESTEP };

/** An instruction, where it leads (as a distance in instructions; 0: it is not traced), and SRR1's bits of what it is. */
type Walk = readonly (readonly [source: string, leadsTo?: number, kind?: 'load' | 'store'])[];

const WALK: Walk = [
  ['nop'],
  ['li r3,2'],
  ['mtctr r3'],
  ['addi r4,r4,1'],
  ['bdnz .-4'],
  ['cmpwi r4,2'],
  ['bne .+12'],
  ['b .+8'],
  ['trap'],
  ['sc', 0],
  ['nop'],
  ['sc', 0],
  ['sc', 0],
  ['bl .+8'],
  ['b .+8'],
  ['blr'],
  ['lwz r5,0(r29)', 1, 'load'],
  ['stw r5,0(r30)', 1, 'store'],
  ['stw r5,4090(r28)', 1, 'store'],
  ['lwz r6,4090(r28)', 1, 'load'],
  ['lmw r26,0(r30)', 1, 'load'],
  ['lswi r8,r30,7', 1, 'load'],
  ['stwx r8,r30,r27', 1, 'store'],
  ['lwarx r7,0,r30', 1, 'load'],
  ['stwcx. r7,0,r30', 1, 'store'],
  ['dcbz 0,r30', 1, 'store'],
  ['mfcr r7'],
  ['stw r7,0(r29)', 1, 'store'],
];
/** Privileged instructions that KVM emulates. */
const KERNEL_WALK: Walk = [['mfmsr r7'], ['mtspr 272,r7'], ['mfspr r8,272'], ['mtspr 26,r8']];

/** The instruction numbers that the walk's trace interrupts follow, and the number that each goes on at. */
function traced(walk: Walk): { at: number; next: number }[] {
  const order: number[] = [];
  const loop = walk.findIndex(([source]) => source === 'bdnz .-4');
  for (let i = 0; i < walk.length; i++) {
    const source = walk[i]?.[0] ?? '';
    order.push(i);
    if (i === loop) order.push(i - 1, i);
    if (source === 'b .+8') i++;
    if (source === 'bl .+8') {
      // bl over b, blr back to it, b over blr.
      order.push(i + 2, i + 1);
      i += 2;
    }
  }
  return order.map((at, i) => ({ at, next: order[i + 1] ?? walk.length })).filter(({ at }) => walk[at]?.[1] !== 0);
}

const sourceOf = (walk: Walk): string => walk.map(([source]) => source).join('; ');

/** Saves r23 and r24 around the notes that are made with them: r23 points there. */
const noting = (source: string): string => `mtspr 273,r24; mtspr 275,r23; mfspr r23,274; ${source}
    mtspr 274,r23; mfspr r23,275; mfspr r24,273`;

/** Notes SRR0, SRR1 and SIAR, a word each; system calls count in r25. */
const SERVER_VECTORS: Readonly<Record<number, string>> = {
  1792: 'addi r25,r25,1000; rfid',
  3072: 'addi r25,r25,1; rfid',
  3328: `${noting('mfspr r24,26; stw r24,0(r23); mfspr r24,27; stw r24,4(r23); mfspr r24,796; stw r24,8(r23); addi r23,r23,12')}; rfid`,
};

/** Registers that the walk begins with, and in storage what its lmw loads: the same. */
function prepare({ vm, vcpu }: DebugGuest, device: number): void {
  const regs = vcpu.getRegs();
  regs.gpr[27] = 8n;
  regs.gpr[28] = 0x5000n;
  regs.gpr[29] = BigInt(device);
  regs.gpr[30] = 0x9000n;
  regs.sprg[2] = BigInt(NOTES);
  vcpu.setRegs(regs);
  for (let n = 26; n < 32; n++) vm.memory.write32(0x9000 + 4 * (n - 26), Number(regs.gpr[n]));
}

/** Goes to the walk by rfid; what comes behind it ends the run. */
function server(cpu: ServerName, accel: Accel, walk: Walk, msr: bigint): DebugGuest {
  const guest = serverGuest(cpu, accel, 0x1000);
  const { vm, vcpu } = guest;
  for (const [vector, source] of Object.entries(SERVER_VECTORS)) load(vm, Number(vector), source);
  load(vm, 0x1000, 'rfid');
  load(vm, CODE, `${sourceOf(walk)}; stw r7,4(r29)`);
  prepare(guest, (msr & PR) !== 0n ? USER_DEVICE : DEVICE);
  vcpu.setRegs({ ...vcpu.getRegs(), srr0: BigInt(CODE), srr1: msr | 0x8000_0000_0000_0000n });
  return guest;
}

/** What was noted, so many words at a time. */
function notes({ vm, vcpu }: DebugGuest, words: number): number[][] {
  const end = Number(vcpu.getRegs().sprg[2]);
  const found: number[][] = [];
  for (let at = NOTES; at < end; at += 4 * words)
    found.push(Array.from({ length: words }, (_, i) => vm.memory.read32(at + 4 * i) as number));
  return found;
}

const SRR1_OWN = 0x783f_0000;
const KINDS = { load: 0x5000_0000, store: 0x4800_0000, other: 0x4000_0000 } as const;

/** The notes that a server's walk makes: SRR0, SRR1's own bits, SIAR. */
const serverNotes = (walk: Walk): number[][] =>
  traced(walk).map(({ at, next }) => [CODE + 4 * next, KINDS[walk[at]?.[2] ?? 'other'], CODE + 4 * at]);

const KERNEL = 0x1000n;
const PROBLEM = 0xf032n;
const PR = 0x4000n;
const SE = 0x400n;
const BE = 0x200n;
const ACCELS: readonly Accel[] = ['trap', 'pv', 'assist'];

for (const cpu of ['power8', 'power7', '970'] as const)
  for (const accel of ACCELS)
    for (const [name, walk, msr] of [
      ['kernel', [...WALK, ...KERNEL_WALK], KERNEL],
      ['problem state', WALK, PROBLEM],
    ] as const)
      test(`MSR[SE] traces each instruction of the ${name}, ${cpu}, ${accel}`, () => {
        const guest = server(cpu, accel, walk, msr | SE);
        assert.equal(guest.run(), undefined);
        const found = notes(guest, 3).map(([srr0, srr1 = 0, siar]) => [srr0, srr1 & SRR1_OWN, siar]);
        assert.deepEqual(found, serverNotes(walk));
        // The store that ends the run is complete, and its trace interrupt taken.
        const { pc, srr0 } = guest.vcpu.getRegs();
        assert.deepEqual([pc, srr0], [0xd00n, BigInt(CODE + 4 * walk.length + 4)]);
        const regs = guest.vcpu.getRegs();
        assert.deepEqual([regs.gpr[25], regs.gpr[5]], [3n, BigInt(DEVICE_VALUE)]);
      });

for (const accel of ACCELS)
  test(`MSR[BE] traces branches only, ${accel}`, () => {
    const guest = server('power8', accel, WALK, PROBLEM | BE);
    assert.equal(guest.run(), undefined);
    const branches = traced(WALK).filter(({ at }) => WALK[at]?.[0].startsWith('b'));
    assert.deepEqual(
      notes(guest, 3).map(([srr0, , siar]) => [srr0, siar]),
      branches.map(({ at, next }) => [CODE + 4 * next, CODE + 4 * at]),
    );
  });

for (const accel of ACCELS)
  test(`tracing begins behind mtmsrd and ends with it, ${accel}`, () => {
    const guest = serverGuest('power8', accel, CODE);
    const { vm } = guest;
    for (const [vector, source] of Object.entries(SERVER_VECTORS)) load(vm, Number(vector), source);
    load(vm, CODE, 'mfmsr r7; ori r8,r7,0x400; mtmsrd r8; nop; mtmsr r7; nop; mtmsr r8; nop; mtmsrd r7; stw r7,4(r29)');
    prepare(guest, DEVICE);
    assert.equal(guest.run(), undefined);
    const follow = [3, 4, 7, 8];
    assert.deepEqual(
      notes(guest, 3).map(([, , siar]) => ((siar as number) - CODE) / 4),
      follow,
    );
  });

/** The places that user space's steps come to, from the start of the guest to its end. */
function stepThrough({ vcpu }: DebugGuest): number[] {
  const places: number[] = [];
  vcpu.setGuestDebug(STEP);
  for (;;) {
    const reason = vcpu.run(1e6);
    const { mmio, debug } = vcpu.kvmRun;
    if (reason === KVM_EXIT.MMIO) {
      if (mmio.isWrite && (mmio.physAddr & 4) !== 0) return places;
      if (!mmio.isWrite) mmio.data = DEVICE_VALUE;
      continue;
    }
    assert.equal(reason, KVM_EXIT.DEBUG);
    assert.deepEqual([debug.arch.status, debug.arch.address], [KVMPPC_DEBUG.NONE, vcpu.getRegs().pc]);
    places.push(Number(debug.arch.address));
  }
}

/** The same from the walk: a system call leads to its handler of two instructions. */
function placesOf(walk: Walk, handler: number): number[] {
  const order = traced(walk.map(([source]) => [source]));
  return [
    CODE,
    ...order.flatMap(({ at, next }) =>
      walk[at]?.[0] === 'sc' ? [handler, handler + 4, CODE + 4 * next] : [CODE + 4 * next],
    ),
  ];
}

for (const accel of ACCELS)
  test(`user space steps a server through everything, ${accel}`, () => {
    for (const [walk, msr] of [
      [[...WALK, ...KERNEL_WALK], KERNEL],
      [WALK, PROBLEM],
    ] as const) {
      const guest = server('power8', accel, walk, msr);
      assert.deepEqual(stepThrough(guest), placesOf(walk, 0xc00));
      assert.equal(guest.vcpu.stats['debug_exits'], placesOf(walk, 0xc00).length);
    }
  });

test("user space's steps and the guest's own do not disturb each other", () => {
  const guest = server('power8', 'assist', WALK, PROBLEM | SE);
  const places = stepThrough(guest);
  assert.ok(places.includes(0xd00));
  assert.deepEqual(
    notes(guest, 3).map(([, , siar]) => siar),
    serverNotes(WALK).map(([, , siar]) => siar),
  );
  const other = server('power8', 'assist', WALK, PROBLEM);
  other.vcpu.setGuestDebug(STEP);
  assert.equal(other.run(), KVM_EXIT.DEBUG);
  other.vcpu.setGuestDebug({ control: 0 });
  assert.equal(other.run(), undefined);
});

const SOFTWARE = { control: KVM_GUESTDBG.ENABLE | KVM_GUESTDBG.USE_SW_BP };

for (const [name, make] of [
  ['power8', (): DebugGuest => server('power8', 'assist', WALK, PROBLEM)],
  ['power8, kernel', (): DebugGuest => server('power8', 'assist', WALK, KERNEL)],
  ['440', (): DebugGuest => booke('assist', WALK, PR)],
] as const)
  test(`software breakpoints, ${name}`, () => {
    const { vm, vcpu, run } = make();
    const id = 0x1020_0000_0000_008bn;
    const at = CODE + 12;
    const original = vm.memory.read32(at) as number;
    vm.memory.write32(at, Number(vcpu.getOneReg(id)));
    vcpu.setGuestDebug(SOFTWARE);
    for (let i = 0; i < 2; i++) {
      assert.equal(run(), KVM_EXIT.DEBUG);
      assert.deepEqual(vcpu.kvmRun.debug.arch, { address: BigInt(at), status: KVMPPC_DEBUG.BREAKPOINT });
      assert.equal(vcpu.getRegs().pc, BigInt(at));
    }
    vm.memory.write32(at, original);
    // Behind a breakpoint user space goes with one step.
    vcpu.setGuestDebug({ control: SOFTWARE.control | KVM_GUESTDBG.SINGLESTEP });
    assert.equal(run(), KVM_EXIT.DEBUG);
    assert.deepEqual(vcpu.kvmRun.debug.arch, { address: BigInt(at + 4), status: KVMPPC_DEBUG.NONE });
    vcpu.setGuestDebug(SOFTWARE);
    assert.equal(run(), undefined);
  });

test('while user space steps it can keep interrupts away', () => {
  const guest = server('power8', 'trap', WALK, PROBLEM);
  const { vcpu } = guest;
  vcpu.setGuestDebug(STEP);
  assert.equal(guest.run(), KVM_EXIT.DEBUG);
  vcpu.interrupt(0xfffffffd);
  vcpu.setGuestDebug({ control: STEP.control | KVM_GUESTDBG.BLOCKIRQ });
  assert.equal(guest.run(), KVM_EXIT.DEBUG);
  assert.equal(vcpu.getRegs().pc, BigInt(CODE + 4));
  vcpu.setGuestDebug(STEP);
  assert.equal(guest.run(), KVM_EXIT.DEBUG);
  // The step is that of the handler's first instruction, which is none.
  assert.equal(vcpu.getRegs().pc, 0x700n);
});

test('what no debugger asks for is refused with one line', () => {
  const { vcpu } = serverGuest('power8', 'trap', CODE);
  const bp = { addr: 0n, type: KVMPPC_DEBUG.BREAKPOINT };
  for (const list of [
    Array.from({ length: 257 }, () => bp),
    [{ ...bp, addr: 0 as unknown as bigint }],
    [{ ...bp, addr: 2n ** 64n }],
    [{ ...bp, type: 1 }],
    [{ ...bp, len: 0 }],
    [{ ...bp, len: Number.NaN }],
  ])
    assert.throws(
      () => vcpu.setGuestDebug({ control: 1, arch: { bp: list } }),
      (error: Error) => error instanceof KvmError && !error.message.includes('\n'),
    );
});

const DE = 0x200n;
/** DBCR0: internal debug mode, and the events. */
const IDM = 0x4000_0000;
const ICMP = 0x0800_0000;
const BRT = 0x0400_0000;
const IRPT = 0x0200_0000;
const TRAP = 0x0100_0000;
const RET = 0x8000;

/** Notes CSRR0 and DBSR, which it clears, then does `more` with r24. */
const debugHandler = (more: string): string =>
  noting(`mfspr r24,58; stw r24,0(r23); mfspr r24,304; stw r24,4(r23); mtspr 304,r24; addi r23,r23,8; ${more}`);

/** Goes to the walk by rfi. */
function booke(accel: Accel, walk: Walk, msr: bigint, dbcr0 = 0, more = 'nop'): DebugGuest {
  const guest = bookeGuest(accel, 0x1000);
  const { vm, vcpu } = guest;
  load(vm, IVPR + 0x800, 'addi r25,r25,1; rfi');
  load(vm, IVPR + 0x600, 'mfspr r24,26; addi r24,r24,4; mtspr 26,r24; addi r26,r26,1; rfi');
  load(vm, IVPR + 0xf00, `${debugHandler(more)}; rfci`);
  load(vm, 0x1000, 'rfi');
  load(vm, CODE, `${sourceOf(walk)}; stw r7,4(r29)`);
  prepare(guest, DEVICE);
  vcpu.setSregs({ dbcr0 });
  vcpu.setRegs({ ...vcpu.getRegs(), srr0: BigInt(CODE), srr1: msr | 0x1000n });
  return guest;
}

for (const accel of ['trap', 'assist'] as const)
  for (const [name, walk, msr] of [
    ['kernel', [...WALK, ...KERNEL_WALK], 0n],
    ['problem state', WALK, PR],
  ] as const) {
    test(`DBCR0[ICMP] stops behind each instruction of the ${name}, 440, ${accel}`, () => {
      const guest = booke(accel, walk, DE | msr, IDM | ICMP);
      assert.equal(guest.run(), undefined);
      assert.deepEqual(
        notes(guest, 2),
        traced(walk).map(({ next }) => [CODE + 4 * next, ICMP]),
      );
      const { vcpu } = guest;
      assert.deepEqual(
        [vcpu.getRegs().pc, vcpu.getSregs()['csrr0']],
        [BigInt(IVPR + 0xf00), CODE + 4 * walk.length + 4],
      );
    });

    test(`user space steps a 440's ${name} through everything, ${accel}`, () => {
      assert.deepEqual(stepThrough(booke(accel, walk, msr)), placesOf(walk, IVPR + 0x800));
    });
  }

for (const accel of ['trap', 'assist'] as const) {
  test(`DBCR0[BRT] stops in front of a branch that will be taken, ${accel}`, () => {
    // The handler has the branch done by a step, as Linux does: BRT and ICMP take turns.
    const toggle = 'mfspr r24,308; xoris r24,r24,0x0c00; mtspr 308,r24';
    const guest = booke(accel, WALK, DE | PR, IDM | BRT, toggle);
    assert.equal(guest.run(), undefined);
    const taken = traced(WALK).filter(({ at, next }) => next !== at + 1);
    assert.deepEqual(
      notes(guest, 2),
      taken.flatMap(({ at, next }) => [
        [CODE + 4 * at, BRT],
        [CODE + 4 * next, ICMP],
      ]),
    );
  });

  test(`traps, returns and interrupts are events, ${accel}`, () => {
    const walk: Walk = [['nop'], ['trap'], ['sc'], ['nop']];
    // The trap: in place of the program interrupt, then DBCR0 is cleared and the program interrupt comes.
    const trap = booke(accel, walk, DE | PR, IDM | TRAP, 'li r24,0; mtspr 308,r24');
    assert.equal(trap.run(), undefined);
    assert.deepEqual(notes(trap, 2), [[CODE + 4, TRAP]]);
    assert.equal(trap.vcpu.getRegs().gpr[26], 1n);
    // A return that is not executed, until its event is off.
    const returns = booke(accel, walk, DE | PR, IDM | RET, 'li r24,0; mtspr 308,r24');
    returns.vcpu.setRegs({ ...returns.vcpu.getRegs(), msr: 0x1200n });
    assert.equal(returns.run(), undefined);
    assert.deepEqual(notes(returns, 2), [[0x1000, RET]]);
    // An interrupt: in front of its handler's first instruction.
    const interrupts = booke(accel, walk, DE | PR, IDM | IRPT);
    assert.equal(interrupts.run(), undefined);
    assert.deepEqual(notes(interrupts, 2), [
      [IVPR + 0x600, IRPT],
      [IVPR + 0x800, IRPT],
    ]);
  });

  test(`events without MSR[DE] interrupt when it is set, imprecisely, ${accel}`, () => {
    const walk: Walk = [['trap'], ['nop'], ['mfmsr r7'], ['ori r7,r7,0x200'], ['mtmsr r7'], ['nop']];
    const guest = booke(accel, walk, 0n, IDM | TRAP);
    assert.equal(guest.run(), undefined);
    assert.deepEqual(notes(guest, 2), [[CODE + 20, 0x8000_0000 + TRAP]]);
    // ICMP and BRT do not happen without it, and without IDM nothing does.
    for (const dbcr0 of [IDM | ICMP | BRT, ICMP | BRT | TRAP | IRPT | RET]) {
      const quiet = booke(accel, WALK, dbcr0 === (IDM | ICMP | BRT) ? PR : PR | DE, dbcr0);
      assert.equal(quiet.run(), undefined);
      assert.deepEqual(notes(quiet, 2), []);
    }
  });

  test(`the instruction that puts MSR[DE] out has its event later, ${accel}`, () => {
    const walk: Walk = [['mfmsr r7'], ['mtmsr r9'], ['nop'], ['mtmsr r7'], ['nop']];
    const guest = booke(accel, walk, DE, IDM | ICMP, 'li r24,0; mtspr 308,r24');
    const { vcpu } = guest;
    // Only the second one is to have ICMP on: the first turns it off.
    assert.equal(guest.run(), undefined);
    assert.deepEqual(notes(guest, 2), [[CODE + 4, ICMP]]);
    const late = booke(
      accel,
      [['mtmsr r9'], ['nop'], ['mtmsr r10'], ['nop']],
      DE,
      IDM | ICMP,
      'li r24,0; mtspr 308,r24',
    );
    const regs = late.vcpu.getRegs();
    regs.gpr[9] = 0x1000n;
    regs.gpr[10] = 0x1200n;
    late.vcpu.setRegs(regs);
    assert.equal(late.run(), undefined);
    assert.deepEqual(notes(late, 2), [[CODE + 12, ICMP]]);
    assert.equal(vcpu.getSregs()['dbsr'], 0);
  });
}
