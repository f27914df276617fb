/** The performance monitor and event-based branches (Power ISA 2.07 Book III-S, chapter 9; Book II, chapter 7). */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ACCELS, CODE, LittleGuest, MSR, SF } from './little-guest.ts';

const SPR = { MMCR0: 795, MMCR1: 798, MMCR2: 785, PMC1: 787, SIAR: 796, SIER: 784, EBBHR: 804, EBBRR: 805, BESCR: 806 };
const pmc = (n: number): number => SPR.PMC1 + n - 1;
/** What problem state has of them. */
const USER = 16;
const MMCR0 = {
  FC: 0x8000_0000n,
  FCS: 0x4000_0000n,
  FCP: 0x2000_0000n,
  PMAE: 0x0400_0000n,
  FCECE: 0x0200_0000n,
  TBEE: 0x0040_0000n,
  EBE: 0x0010_0000n,
  PMCC_ALL: 0x000c_0000n,
  PMC1CE: 0x8000n,
  PMAO: 0x80n,
} as const;
const EE = 0x8000n;
/** PMC1: instructions, PMC2: cycles; PMC3 nothing, PMC4: run instructions. */
const EVENTS = 0x021e_00fan;
const BESCR = { GE: 1n << 63n, PME: 1n << 32n, PMEO: 1n } as const;
const FSCR_EBB = 1n << 7n;
const LOOPS = 1000n;
/** 2000 instructions and two more. */
const LOOP = 'mtctr r20; addi r21,r21,1; bdnz .-4';
const MODELS = ['power7', 'power8'] as const;

const control = (mmcr0: bigint, more: Readonly<Record<number, bigint>> = {}): Record<number, bigint> => ({
  10: mmcr0,
  11: EVENTS,
  12: MMCR0.FC,
  20: LOOPS,
  ...more,
});
const START = `mtspr ${SPR.MMCR1},r11; mtspr ${SPR.MMCR0},r10`;
const STOP = `mtspr ${SPR.MMCR0},r12`;
const READ = [1, 2, 3, 4, 5, 6].map((n) => `mfspr r${n},${pmc(n)}`).join('; ');

for (const cpu of MODELS)
  for (const accel of ACCELS) {
    test(`what is counted, and what is not, ${cpu}, ${accel}`, () => {
      const guest = new LittleGuest(cpu, accel);
      const count = (mmcr0: bigint): number[] => {
        for (let n = 1; n <= 6; n++) guest.run(`${STOP}; mtspr ${pmc(n)},r10`, { 10: 0n, 12: MMCR0.FC });
        const { gpr } = guest.run(`${START}; ${LOOP}; ${STOP}; ${READ}`, control(mmcr0));
        return gpr.slice(1, 7).map(Number);
      };
      const [instructions = 0, cycles = 0, nothing, run, five, six = 0] = count(0n);
      assert.ok(instructions >= 2001 && instructions < 2020, String(instructions));
      assert.ok(cycles >= 2001 && cycles < 100_000, String(cycles));
      assert.deepEqual([nothing, run, five], [0, instructions, instructions]);
      assert.ok(Math.abs(six - cycles) < 10);
      assert.deepEqual(count(MMCR0.FC), [0, 0, 0, 0, 0, 0]);
      assert.deepEqual(count(MMCR0.FCS), [0, 0, 0, 0, 0, 0]);
      assert.equal(count(MMCR0.FCP)[0], instructions);
      assert.deepEqual(count(0x20n).slice(0, 4), [0, 0, 0, 0]);
      assert.deepEqual(count(0x10n).slice(4), [0, 0]);
    });

    test(`a program alone is counted, across its system calls, ${cpu}, ${accel}`, () => {
      const guest = new LittleGuest(cpu, accel);
      // The kernel spends much more on each than the program does.
      guest.place(0xc00, `mfctr r22; ${LOOP}; mtctr r22; rfid`);
      const program = 'mtctr r23; sc; nop; bdnz .-8; stw r0,0(r30)';
      guest.place(CODE + 0x200, program);
      const enter = `${START}; mtspr 26,r7; mtspr 27,r8; rfid`;
      const state = (SF | MSR.ME | MSR.PR | MSR.IR | MSR.DR | EE) as bigint;
      const registers = control(MMCR0.FCS, { 7: BigInt(CODE + 0x200), 8: state, 23: 50n });
      guest.run(enter, registers);
      const { gpr } = guest.run(`${STOP}; ${READ}`);
      const done = Number(gpr[1]);
      assert.ok(done >= 150 && done < 210, String(done));
    });

    test(`a counter that becomes negative interrupts, once, ${cpu}, ${accel}`, () => {
      const guest = new LittleGuest(cpu, accel);
      const near = `mtspr ${SPR.PMC1},r13`;
      const alert = MMCR0.PMAE | MMCR0.PMC1CE;
      const endless = `mtctr r20; addi r21,r21,1; b .-4`;
      const run = (mmcr0: bigint, msr: bigint, source: string) =>
        guest.run(`${near}; ${START}; ${source}`, control(mmcr0, { 13: 0x7fff_fc00n }), msr);
      const ending = run(alert, EE, endless);
      assert.equal(ending.vector, 0xf00);
      const [mmcr0, siar] = guest.run(`mfspr r5,${SPR.MMCR0}; mfspr r6,${SPR.SIAR}`).gpr.slice(5, 7) as [
        bigint,
        bigint,
      ];
      assert.equal(mmcr0 & (MMCR0.PMAE | MMCR0.PMAO | MMCR0.FC), MMCR0.PMAO);
      assert.ok(siar >= BigInt(CODE + 12) && siar <= BigInt(CODE + 24), siar.toString(16));
      // It is there as long as MMCR0[PMAO] is.
      assert.equal(guest.run('nop; nop', {}, EE).vector, 0xf00);
      assert.equal(guest.run(`${STOP}; nop`, { 12: 0n }).vector, 0);
      assert.equal(guest.run('nop; nop', {}, EE).vector, 0);
      // Not of what is not enabled, and not where interrupts are not let in.
      assert.equal(run(MMCR0.PMC1CE, EE, LOOP).vector, 0);
      assert.equal(run(MMCR0.PMAE, EE, LOOP).vector, 0);
      assert.equal(run(alert, 0n, LOOP).vector, 0);
      guest.run(STOP, { 12: 0n });
      assert.equal(run(alert | MMCR0.FCECE, EE, endless).vector, 0xf00);
      const frozen = guest.run(`mfspr r5,${SPR.MMCR0}; mfspr r6,${SPR.PMC1}; nop; mfspr r7,${SPR.PMC1}`).gpr;
      assert.equal((frozen[5] as bigint) & MMCR0.FC, MMCR0.FC);
      assert.equal(frozen[6], frozen[7]);
      guest.run(STOP, { 12: 0n });
      // The time base's bit 47, at a tick each nanosecond.
      assert.equal(
        guest.run(`${START}; ${endless}`, control(MMCR0.PMAE | MMCR0.TBEE | 0x0180_0000n), EE).vector,
        0xf00,
      );
    });
  }

for (const accel of ACCELS)
  test(`a 970's eight counters, ${accel}`, () => {
    const guest = new LittleGuest('970', accel);
    const every = Array.from({ length: 8 }, (_, i) => i + 1);
    const read = every.map((n) => `mfspr r${n},${pmc(n)}`).join('; ');
    const [INSTRUCTIONS, NOTHING, CYCLES] = [9n, 8n, 15n];
    // PMC1 and PMC2 are selected in MMCR0, the others in MMCR1.
    const select = (events: readonly bigint[]): { mmcr0: bigint; mmcr1: bigint } => ({
      mmcr0: ((events[0] ?? 0n) << 8n) | ((events[1] ?? 0n) << 1n),
      mmcr1: events.slice(2).reduce((word, event, i) => word | (event << BigInt(27 - 5 * i)), 0n),
    });
    const count = (events: readonly bigint[], more = 0n, source = LOOP): number[] => {
      for (const n of every) guest.run(`${STOP}; mtspr ${pmc(n)},r10`, { 10: 0n, 12: MMCR0.FC });
      const { mmcr0, mmcr1 } = select(events);
      const registers = { ...control(mmcr0 | more), 11: mmcr1 };
      return guest.run(`${START}; ${source}; ${STOP}; ${read}`, registers).gpr.slice(1, 9).map(Number);
    };
    const mixed = [INSTRUCTIONS, CYCLES, NOTHING, INSTRUCTIONS, CYCLES, 0n, 1n, INSTRUCTIONS];
    const found = count(mixed);
    const [instructions = 0, cycles = 0] = found;
    assert.ok(instructions >= 2001 && instructions < 2020, String(instructions));
    assert.ok(cycles > 2 * 2001 && cycles < 100_000, String(cycles));
    assert.deepEqual(found, [instructions, cycles, 0, instructions, cycles, 0, 0, instructions]);
    assert.deepEqual(count(mixed, MMCR0.FC), Array(8).fill(0));
    assert.deepEqual(count(mixed, MMCR0.FCS), Array(8).fill(0));
    // The one that becomes negative interrupts; MMCRA tells that it was not a program.
    const { mmcr0, mmcr1 } = select([NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, INSTRUCTIONS]);
    const alert = guest.run(
      `mtspr ${pmc(8)},r13; ${START}; mtctr r20; addi r21,r21,1; b .-4`,
      { ...control(mmcr0 | MMCR0.PMAE | 0x4000n), 11: mmcr1, 13: 0x7fff_fc00n },
      EE,
    );
    assert.equal(alert.vector, 0xf00);
    const after = guest.run(`mfspr r5,${SPR.MMCR0}; mfspr r6,${SPR.SIAR}; mfspr r7,786`).gpr;
    assert.equal((after[5] as bigint) & (MMCR0.PMAE | MMCR0.PMAO), MMCR0.PMAO);
    assert.ok((after[6] as bigint) >= BigInt(CODE) && (after[6] as bigint) <= BigInt(CODE + 32));
    assert.equal((after[7] as bigint) & 0x0800_0000n, 0n);
    guest.run(STOP, { 12: 0n });
    assert.equal(guest.run('nop; nop', {}, EE).vector, 0);
  });

for (const accel of ACCELS) {
  /** Runs a program with facilities, until it stores to nowhere; answers its registers. */
  const program = (guest: LittleGuest, source: string, registers: Readonly<Record<number, bigint>>) =>
    guest.run(source, registers, MSR.PR | MSR.IR | MSR.DR);

  test(`event-based branches of a program, ${accel}`, () => {
    const guest = new LittleGuest('power8', accel);
    guest.fscr = FSCR_EBB;
    const handler = CODE + 0x400;
    // Counts, keeps where it was, and goes on: with a counter that is far from negative, and alerts enabled again.
    const again = `mtspr ${SPR.PMC1 - USER},r14; mtspr ${SPR.MMCR0 - USER},r15; mtspr 802,r16; .long 0x4c000924`;
    guest.place(handler, `addi r22,r22,1; mfspr r23,${SPR.EBBRR}; mfspr r24,${SPR.BESCR}; ${again}`);
    guest.run(`${START}; mtspr ${SPR.PMC1},r13`, {
      ...control(MMCR0.EBE | MMCR0.PMCC_ALL | MMCR0.PMC1CE | MMCR0.PMAE | MMCR0.FCS),
      13: 0x7fff_f000n,
    });
    const loop = `mtspr ${SPR.EBBHR},r5; mtspr ${SPR.BESCR},r6; addi r21,r21,1; cmpwi r22,3; blt .-8`;
    const { vector, gpr } = program(guest, loop, {
      5: BigInt(handler),
      6: BESCR.GE | BESCR.PME,
      14: 0x7fff_8000n,
      15: MMCR0.PMAE,
      16: BESCR.PMEO,
      22: 0n,
    });
    assert.equal(vector, 0);
    assert.equal(gpr[22], 3n);
    const [from = 0n, bescr] = gpr.slice(23, 25);
    assert.ok(from >= BigInt(CODE + 8) && from <= BigInt(CODE + 16), from.toString(16));
    assert.equal(bescr, BESCR.PME | BESCR.PMEO);
    const after = guest.run(`mfspr r5,${SPR.BESCR}`).gpr[5];
    assert.equal(after, BESCR.GE | BESCR.PME);
  });

  test(`the branch history is empty, ${accel}`, () => {
    // clrbhrb, and mfbhrbe r5,3.
    const source = '.long 0x7c00035c; .long 0x7ca01a5c; addi r6,r6,1';
    const guest = new LittleGuest('power8', accel);
    const read = ({ vector, gpr, fscr = 0n }: ReturnType<typeof program>) => [vector, gpr[5], gpr[6], fscr >> 56n];
    assert.deepEqual(read(guest.run(source, { 5: 77n, 6: 0n })), [0, 0n, 1n, 0n]);
    for (const pmcc of [0n, 0x4_0000n]) {
      guest.run(`mtspr ${SPR.MMCR0},r10`, { 10: pmcc });
      assert.deepEqual(read(program(guest, source, { 5: 77n, 6: 0n })), [0xf60, 77n, 0n, 3n]);
    }
    guest.run(`mtspr ${SPR.MMCR0},r10`, { 10: MMCR0.PMCC_ALL });
    assert.deepEqual(read(program(guest, source, { 5: 77n, 6: 0n })).slice(0, 3), [0, 0n, 1n]);
    for (const cpu of ['970', 'power7']) {
      const before = new LittleGuest(cpu, accel);
      for (const run of [before.run(source), program(before, source, {})])
        assert.deepEqual([run.vector, run.flags], [0x700, 0x8_0000n]);
    }
  });

  test(`rfebb, ${accel}`, () => {
    const guest = new LittleGuest('power8', accel);
    const target = CODE + 0x100;
    guest.place(target, `mfspr r7,${SPR.BESCR}; stw r0,0(r30)`);
    const source = (s: 0 | 1) => `mtspr ${SPR.EBBRR},r5; mtspr ${SPR.BESCR},r6; .long 0x4c00${s ? '0924' : '0124'}`;
    guest.fscr = FSCR_EBB;
    for (const s of [0, 1] as const)
      for (const run of [program, (g: LittleGuest, ...words: [string, Record<number, bigint>]) => g.run(...words)]) {
        const { vector, gpr } = run(guest, source(s), { 5: BigInt(target + 3), 6: s ? 0n : BESCR.GE, 7: 77n });
        assert.deepEqual([vector, gpr[7]], [0, s ? BESCR.GE : 0n]);
      }
    guest.fscr = 0n;
    const refused = program(guest, '.long 0x4c000924', {});
    assert.deepEqual([refused.vector, (refused.fscr ?? 0n) >> 56n, refused.srr0], [0xf60, 7n, BigInt(CODE)]);
    for (const cpu of ['970', 'power7']) {
      const { vector, flags } = program(new LittleGuest(cpu, accel), '.long 0x4c000924', {});
      assert.deepEqual([vector, flags], [0x700, 0x8_0000n]);
    }
  });
}
