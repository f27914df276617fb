/** The shared `kvm_run` area in saved states: what user space was asked for, and has not answered yet. */
import { KVM_EXIT, KvmError, type KvmExitReason, type KvmRun, type KvmState } from './api.ts';
import { readWords, type SavedWords, savedBoolean, savedInteger, savedNumber, savedPart } from './state.ts';

const REASONS: readonly number[] = Object.values(KVM_EXIT);
/** Longer than any machine runs, and exact. */
const NEVER = 2 ** 53;

/** The values of a hypercall as words: its result, then its arguments. */
/** The registers of an OSI call. */
const OSI_WORDS: readonly SavedWords[] = [{ name: 'gprs', word: 0, count: 2 * 32 }];

const HCALL_WORDS: readonly SavedWords[] = [{ name: 'values', word: 0, count: 2 * 10 }];

const wordsOf = (values: readonly bigint[]): number[] =>
  values.flatMap((value) => [Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n))]);

export function saveRun({ exitReason, mmio, dcr, hlt, paprHcall, epr, osi }: KvmRun): KvmState {
  const values = wordsOf([paprHcall.ret, ...paprHcall.args]);
  return {
    exitReason,
    mmio: { ...mmio },
    dcr: { ...dcr },
    wakeAt: Math.min(hlt.wakeAt, NEVER),
    hcall: { nr: paprHcall.nr, values },
    epr: epr.epr,
    osi: { gprs: wordsOf([...osi.gprs]) },
  };
}

/** Looks at a state, and answers what puts it in its place. */
export function readRun(state: KvmState): (run: KvmRun) => void {
  const exitReason = savedInteger(state, 'exitReason') as KvmExitReason;
  if (!REASONS.includes(exitReason)) throw new KvmError(`the saved state has the exit reason ${exitReason}`);
  const mmioState = savedPart(state, 'mmio');
  const mmio = {
    physAddr: savedInteger(mmioState, 'physAddr'),
    data: savedInteger(mmioState, 'data', -(2 ** 31), 2 ** 32),
    len: savedInteger(mmioState, 'len', 0, 8),
    isWrite: savedBoolean(mmioState, 'isWrite'),
  };
  const dcrState = savedPart(state, 'dcr');
  const dcr = {
    dcrn: savedInteger(dcrState, 'dcrn', 0, 0xffff),
    data: savedInteger(dcrState, 'data', -(2 ** 31), 2 ** 32),
    isWrite: savedBoolean(dcrState, 'isWrite'),
  };
  const wakeAt = savedNumber(state, 'wakeAt');
  const epr = savedInteger(state, 'epr', 0, 2 ** 32 - 1);
  const hcall = savedPart(state, 'hcall');
  const nr = savedInteger(hcall, 'nr', 0, 2 ** 64);
  const words = new Int32Array(2 * 10);
  readWords(hcall, HCALL_WORDS)(words);
  const registers = new Int32Array(2 * 32);
  readWords(savedPart(state, 'osi'), OSI_WORDS)(registers);
  const gprs = new BigUint64Array(registers.buffer);
  const [ret = 0n, ...args] = new BigUint64Array(words.buffer);
  return (run) => {
    run.exitReason = exitReason;
    Object.assign(run.mmio, mmio);
    Object.assign(run.dcr, dcr);
    run.hlt.wakeAt = wakeAt === NEVER ? Number.POSITIVE_INFINITY : wakeAt;
    run.epr.epr = epr;
    run.osi.gprs.set(gprs);
    run.paprHcall.nr = nr;
    run.paprHcall.ret = ret;
    run.paprHcall.args.set(args);
  };
}
