/** What each model has of special registers, and what problem state may have of them, by each way of access. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registersOf } from '../../../src/isa/index.ts';
import { LEVELS_OF } from '../../../src/processor/index.ts';
import { ACCELS, CODE, CPUS, type Ending, LittleGuest, MSR } from './little-guest.ts';

const ILLEGAL = { vector: 0x700, flags: 0x8_0000n };
const PRIVILEGED = { vector: 0x700, flags: 0x4_0000n };
const DONE = { vector: 0 };
const FSCR = { DSCR: 1n << 2n, EBB: 1n << 7n, TAR: 1n << 8n, IC: 56n } as const;
const unavailable = (cause: bigint) => ({ vector: 0xf60, cause });

function assertEnds({ vector, flags, fscr, srr0 }: Ending, want: { vector: number; flags?: bigint; cause?: bigint }) {
  assert.equal(vector, want.vector);
  if (want.flags !== undefined) assert.equal(flags, want.flags);
  if (want.cause !== undefined) assert.equal((fscr ?? 0n) >> FSCR.IC, want.cause);
  if (vector !== 0) assert.equal(srr0, BigInt(CODE));
}

/** What a program meets: the move, and how it ends on 970, POWER7 and POWER8 with and without the facility. */
type Wanted = Parameters<typeof assertEnds>[1];
const MOVES: readonly (readonly [source: string, p970: Wanted, power7: Wanted, on: Wanted, off: Wanted])[] = [
  ['mfspr r3,815', ILLEGAL, ILLEGAL, DONE, unavailable(8n)],
  ['mtspr 815,r3', ILLEGAL, ILLEGAL, DONE, unavailable(8n)],
  ['.long 0x4c800460', ILLEGAL, ILLEGAL, DONE, unavailable(8n)], // bctar 4,0
  ['mfspr r3,3', ILLEGAL, ILLEGAL, DONE, unavailable(2n)],
  ['mtspr 3,r3', ILLEGAL, ILLEGAL, DONE, unavailable(2n)],
  ['mfspr r3,17', PRIVILEGED, PRIVILEGED, PRIVILEGED, PRIVILEGED],
  ['mfspr r3,800', ILLEGAL, ILLEGAL, DONE, unavailable(7n)],
  ['mtspr 804,r3', ILLEGAL, ILLEGAL, DONE, unavailable(7n)],
  ['mfspr r3,806', ILLEGAL, ILLEGAL, DONE, unavailable(7n)],
  ['mfspr r3,896', ILLEGAL, DONE, DONE, DONE],
  ['mtspr 898,r3', ILLEGAL, DONE, DONE, DONE],
  ['mfspr r3,13', ILLEGAL, DONE, DONE, DONE],
  ['mfspr r3,256', DONE, DONE, DONE, DONE],
  ['mfspr r3,259', DONE, DONE, DONE, DONE],
  ['mtspr 259,r3', ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL],
  ['mfspr r3,136', DONE, DONE, DONE, DONE],
  ['mfspr r3,771', DONE, DONE, DONE, DONE],
  ['mtspr 771,r3', ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL],
  ['mfspr r3,769', ILLEGAL, ILLEGAL, DONE, DONE],
  ['mfspr r3,128', ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL],
  ['mfspr r3,808', ILLEGAL, ILLEGAL, DONE, DONE],
  ['mfspr r3,287', PRIVILEGED, PRIVILEGED, PRIVILEGED, PRIVILEGED],
  ['mfspr r3,1023', PRIVILEGED, PRIVILEGED, PRIVILEGED, PRIVILEGED],
];

for (const cpu of CPUS)
  for (const accel of ACCELS)
    test(`a program's moves on a ${cpu}, ${accel}`, () => {
      for (const [source, ...wanted] of MOVES) {
        for (const on of cpu === 'power8' ? [true, false] : [true]) {
          const guest = new LittleGuest(cpu, accel);
          guest.fscr = on ? FSCR.DSCR | FSCR.EBB | FSCR.TAR : 0n;
          if (source.startsWith('.long')) guest.vcpu.setOneReg(0x1030_0000_0000_00a8n, BigInt(CODE + 4));
          const want = wanted[cpu === '970' ? 0 : cpu === 'power7' ? 1 : on ? 2 : 3] as Wanted;
          const ending = guest.run(source, {}, MSR.PR);
          assert.doesNotThrow(() => assertEnds(ending, want), `${source}, facilities ${on ? 'on' : 'off'}`);
        }
      }
    });

for (const accel of ACCELS) {
  test(`the operating system has facilities that it keeps from problem state, ${accel}`, () => {
    const guest = new LittleGuest('power8', accel);
    guest.fscr = 0n;
    const sources = 'mtspr 815,r4; mfspr r5,815; mtspr 3,r4; mfspr r6,17; mtspr 806,r4; mfspr r7,806';
    const { vector, gpr } = guest.run(sources, { 4: 0x1234_5678_9abc_def0n });
    assert.equal(vector, 0);
    assert.deepEqual(gpr.slice(5, 8), [0x1234_5678_9abc_def0n, 0x1234_5678_9abc_def0n, 0x1234_5678_9abc_def0n]);
  });

  test(`FSCR that the kernel writes holds from its return to the program on, ${accel}`, () => {
    const guest = new LittleGuest('power8', accel);
    const program = 'mtspr 815,r4; mfspr r5,815';
    guest.place(CODE + 0x100, `${program}; stw r0,0(r30)`);
    const enter = 'mtspr 153,r6; mtspr 26,r7; mtspr 27,r8; rfid';
    const registers = { 4: 5n, 7: BigInt(CODE + 0x100), 8: (1n << 63n) | MSR.ME | MSR.PR | MSR.IR | MSR.DR };
    const off = guest.run(enter, { ...registers, 6: 0n });
    assert.deepEqual([off.vector, (off.fscr ?? 0n) >> FSCR.IC], [0xf60, 8n]);
    const on = guest.run(enter, { ...registers, 6: FSCR.TAR });
    assert.deepEqual([on.vector, on.gpr[5]], [0, 5n]);
  });

  test(`BESCR by its six numbers, ${accel}`, () => {
    const guest = new LittleGuest('power8', accel);
    const value = 0xcafe_face_c0de_babfn;
    const source = `mtspr 806,r4; mfspr r5,801; mfspr r6,803; mfspr r7,800; mfspr r8,802
      li r3,1; mtspr 803,r3; mfspr r9,806; mtspr 801,r3; mfspr r10,806; mtspr 802,r3; mfspr r11,806; mtspr 800,r3; mfspr r12,806`;
    // Bit 31 of the upper word's half is BESCR's bit 31: 1 << 32.
    const { gpr } = guest.run(source, { 4: value });
    const upper = value >> 32n;
    assert.deepEqual(gpr.slice(5, 9), [upper, upper, value, value]);
    const bit = 1n << 32n;
    assert.deepEqual(gpr.slice(9, 13), [value & ~bit, value | bit, (value | bit) & ~1n, value | bit | 1n]);
  });

  test(`the performance monitor as MMCR0[PMCC] lets problem state have it, ${accel}`, () => {
    const outcome = (pmcc: bigint, source: string) => {
      const guest = new LittleGuest('power8', accel);
      guest.run('mtspr 795,r4; li r4,0', { 4: pmcc << 18n });
      const { vector, fscr } = guest.run(source, {}, MSR.PR);
      return [vector, (fscr ?? 0n) >> FSCR.IC];
    };
    assert.deepEqual(outcome(0n, 'mfspr r3,771'), [0, 0n]);
    assert.deepEqual(outcome(0n, 'mtspr 771,r3'), [0x700, 0n]);
    assert.deepEqual(outcome(1n, 'mfspr r3,771'), [0xf60, 3n]);
    assert.deepEqual(outcome(2n, 'mtspr 771,r3'), [0, 0n]);
    assert.deepEqual(outcome(3n, 'mtspr 779,r3'), [0, 0n]);
    assert.deepEqual(outcome(3n, 'mtspr 782,r3'), [0x700, 0n]);
  });

  test(`bits that nothing follows from read as zero, ${accel}`, () => {
    const all = 2n ** 64n - 1n;
    const kept = (cpu: string, spr: number) =>
      new LittleGuest(cpu, accel).run(`mtspr ${spr},r4; mfspr r5,${spr}`, { 4: all }).gpr[5] as bigint;
    assert.equal(kept('power8', 153), (0xffn << 56n) | FSCR.DSCR | FSCR.EBB | FSCR.TAR);
    assert.equal(kept('970', 1014), all & ~0xc0n);
    assert.equal(kept('970', 1010), 0n);
    assert.equal(kept('power8', 17), all);
    assert.equal(kept('power8', 159), 0xffff_ffffn);
  });

  test(`IC counts instructions, ${accel}`, () => {
    const guest = new LittleGuest('power8', accel);
    const { gpr } = guest.run('mfspr r5,848; nop; nop; nop; mfspr r6,848', {});
    const between = (gpr[6] as bigint) - (gpr[5] as bigint);
    assert.ok(between >= 3n && between <= 4n, `${between}`);
  });
}

test('each number of each model is there for the kernel, and only there', () => {
  // SDR1 and HIOR are where the guest's table and vectors are, time goes on.
  const LEFT_OUT = [22, 25, 268, 269, 308, 309, 311, 848, 849];
  for (const cpu of CPUS) {
    const file = registersOf(LEVELS_OF[cpu]);
    for (const accel of ACCELS) {
      const guest = new LittleGuest(cpu, accel);
      for (let spr = 1; spr < 1024; spr++) {
        if (LEFT_OUT.includes(spr) || (spr >= 4 && spr <= 6)) continue;
        const row = file.get(spr);
        const { vector, gpr } = guest.run(`mfspr r5,${spr}`, { 5: 0x5555_5555_5555_5555n });
        assert.equal(vector, 0, `${cpu} ${spr}`);
        const isRead = row !== undefined && row.mfspr !== null && !row.name.startsWith('reserved');
        assert.equal(gpr[5] !== 0x5555_5555_5555_5555n, isRead, `${cpu}, ${accel}: mfspr ${spr}`);
        if (isRead && row.bits === 32) assert.ok((gpr[5] as bigint) < 1n << 32n, `${cpu} ${row.name}`);
      }
    }
  }
});

for (const cpu of CPUS)
  for (const accel of ACCELS)
    test(`CFAR on a ${cpu}, ${accel}`, () => {
      const guest = new LittleGuest(cpu, accel);
      const has = cpu !== '970';
      guest.place(CODE + 0x100, 'mfspr r5,28; mtspr 28,r4; mfspr r6,28; stw r0,0(r30)');
      const registers = { 4: 0x1234_5678_9abc_def0n, 5: 7n, 6: 7n, 7: BigInt(CODE + 0x100), 8: (1n << 63n) | MSR.ME };
      const returned = guest.run('nop; mtspr 26,r7; mtspr 27,r8; rfid', registers).gpr;
      assert.deepEqual([returned[5], returned[6]], has ? [BigInt(CODE + 12), registers[4]] : [7n, 7n]);
      const branched = guest.run('mtctr r7; nop; bctr', registers).gpr;
      assert.equal(branched[5], has ? BigInt(CODE + 8) : 7n);
      // A program interrupt goes on from where the branch was.
      const interrupted = guest.run(`b .+8; nop; mfspr r5,28; .long 0`, registers);
      assert.deepEqual([interrupted.vector, interrupted.gpr[5]], [0x700, has ? BigInt(CODE) : 7n]);
      assert.deepEqual(guest.vcpu.getSregs()['cfar'], has ? BigInt(CODE) : undefined);
    });
