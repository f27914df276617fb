/**
 * What KVM lets the processor inline in guest-kernel code (translation mode 1) in place of a trap (DESIGN.md, "KVM's two
 * ways to be fast"). Each meaning does exactly what the emulation does, on the same words of memory; where it cannot, it
 * traps and the emulation runs.
 */
import type { Meaning, Operand, Semantics, SharedName } from '../../isa/semantics.ts';
import type { AssistTable } from '../../processor/index.ts';
import { MSR, MSR_MASK } from './bits.ts';

/** Special registers that live in the shared struct: name there, the bits that a write keeps, and whether it may write. */
interface SharedSpr {
  readonly name: SharedName;
  readonly mask: number;
  readonly write: boolean;
}
const SPRG_NAMES = ['sprg0', 'sprg1', 'sprg2', 'sprg3', 'sprg4', 'sprg5', 'sprg6', 'sprg7'] as const;
const SHARED_SPRS = new Map<number, SharedSpr>([
  [26, { name: 'srr0', mask: ~3, write: true }],
  [27, { name: 'srr1', mask: -1, write: true }],
  [61, { name: 'dar', mask: -1, write: true }],
  [62, { name: 'esr', mask: -1, write: true }],
  [286, { name: 'pir', mask: -1, write: false }],
]);
for (const [n, name] of SPRG_NAMES.entries()) {
  SHARED_SPRS.set(272 + n, { name, mask: -1, write: true });
  if (n >= 4) SHARED_SPRS.set(256 + n, { name, mask: -1, write: false });
}

const trap = (s: Semantics): void => s.interrupt('program', 'privileged');

/** MSR[EE] := the bit of the same place in `value`; traps when that would let a pending interrupt in. */
function setEe(s: Semantics, value: Operand): void {
  const ee = s.let(s.and(value, MSR.EE));
  s.if(
    s.and(s.ne(ee, 0), s.ne(s.shared('intPending'), 0)),
    () => trap(s),
    () => s.setShared('msr', s.or(s.and(s.shared('msr'), ~MSR.EE), ee)),
  );
}

const mfmsr: Meaning = (s, f) => s.setGpr(f.RT, s.wordFromUnsigned32(s.shared('msr')));

const wrtee: Meaning = (s, f) => setEe(s, s.low32(s.gpr(f.RS)));

const wrteei: Meaning = (s, f) => {
  if (f.E === 0) s.setShared('msr', s.and(s.shared('msr'), ~MSR.EE));
  else setEe(s, s.i32(MSR.EE));
};

/** mtmsr that changes nothing but EE. */
const mtmsr: Meaning = (s, f) => {
  const value = s.let(s.and(s.low32(s.gpr(f.RS)), MSR_MASK));
  const others = s.and(s.xor(value, s.shared('msr')), ~MSR.EE);
  const blocked = s.and(s.ne(s.and(value, MSR.EE), 0), s.ne(s.shared('intPending'), 0));
  s.if(
    s.or(s.ne(others, 0), blocked),
    () => trap(s),
    () => s.setShared('msr', value),
  );
};

const mfspr: Meaning = (s, f) => {
  const spr = SHARED_SPRS.get(f.SPR);
  if (spr === undefined) trap(s);
  else s.setGpr(f.RT, s.wordFromUnsigned32(s.shared(spr.name)));
};

const mtspr: Meaning = (s, f) => {
  const spr = SHARED_SPRS.get(f.SPR);
  if (spr === undefined || !spr.write) return trap(s);
  const value = s.low32(s.gpr(f.RS));
  s.setShared(spr.name, spr.mask === -1 ? value : s.and(value, spr.mask));
};

const nothing: Meaning = () => {};

/** Mode 1's meanings, by mnemonic. */
export const BOOKE_ASSIST: AssistTable = new Map<string, Meaning>([
  ['mfmsr', mfmsr],
  ['mtmsr', mtmsr],
  ['wrtee', wrtee],
  ['wrteei', wrteei],
  ['mfspr', mfspr],
  ['mtspr', mtspr],
  ['tlbsync', nothing],
  ['iccci', nothing],
  ['dccci', nothing],
]);
