/** The e500's soft-TLB refill from its TLBs. */

import { EXECUTE, HOLDS_CODE, MAY_BE_WRITTEN, READ, WRITE } from '../backend/runtime.ts';
import { askWatch, begin, countRefill, type FamilyRuntime, setInterrupt } from '../backend/runtime-functions.ts';
import { SOFT_TLB_SHAPES } from '../backend/storage.ts';
import { BOUNCE, CODE_FLAGS_TABLE, CODE_PAGES, CONTEXT_BYTES, CONTEXTS, MODE, TLB_BASE } from '../layout.ts';
import { MODEL_E500V2 } from '../model.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { BOOKE_VECTOR, ESR } from './interface.ts';
import {
  E500_PIDS,
  E500_TLB0,
  E500_TLB0_ENTRY_BYTES,
  E500_TLB0_SETS,
  E500_TLB0_WAYS,
  E500_TLB1,
  E500_TLB1_ENTRIES,
  E500_TLB1_ENTRY_BYTES,
  TLB0_ACCESS,
  TLB0_ADDEND,
  TLB0_VALID,
  TLB1_ACCESS,
  TLB1_ADDEND,
  TLB1_PAGE,
  TLB1_TID,
} from './layout.ts';

/** log2 of the bytes of a set of TLB0. */
const SET_SHIFT = 6;

const WRITE_PAIR = SOFT_TLB_SHAPES.i32.write;

/**
 * refill(address, access, bytes) → address of a tag and addend in the soft TLB that permit the access, or 0 with EXIT_* set.
 * EREF, "Storage Model": match on EPN and TID (0 matches all; all is in address space 1), then access control.
 */
function refill(): WasmFunction {
  const body = begin(MODEL_E500V2, 'refill');
  const { e, s, v } = body;
  const address = local('i32', 0);
  const access = local('i32', 1);
  const index = e.newLocal('i32');
  const entry = e.newLocal('i32');
  // Code that knows a page by its base register comes here for another one, and so does every unaligned access.
  e.if(s.ne(access, EXECUTE));
  e.set(entry, s.add(s.dataTlbEntry(address), s.select(s.eq(access, WRITE), WRITE_PAIR, 0)));
  e.if(s.eq(load('i32', OP.i32Load, local('i32', entry), 0), s.and(address, -4096)));
  e.return(local('i32', entry));
  e.end();
  e.end();
  const pids = s.let(load('i32', OP.i32Load, v, E500_PIDS));
  const pid0 = s.let(s.and(pids, 0xff));
  const pid1 = s.let(s.shrUnsigned(pids, 8));
  const isOurs = (tid: Node): Node => s.or(s.eqz(tid), s.or(s.eq(tid, pid0), s.eq(tid, pid1)));
  const allowed = local('i32', e.newLocal('i32'));
  const addend = local('i32', e.newLocal('i32'));
  const find = (at: Node, whereAddend: number, whereAccess: number): void => {
    e.set(addend.value as number, load('i32', OP.i32Load, at, whereAddend));
    e.set(allowed.value as number, load('i32', OP.i32Load, at, whereAccess));
  };
  const found = e.block();
  // TLB0: what is left of a tag that matches is its TID.
  const set = s.let(s.add(v, s.shl(s.and(s.shrUnsigned(address, 12), E500_TLB0_SETS - 1), SET_SHIFT)));
  const wanted = s.let(s.or(s.and(address, -4096), TLB0_VALID));
  for (let way = 0; way < E500_TLB0_WAYS; way++) {
    const at = E500_TLB0 + way * E500_TLB0_ENTRY_BYTES;
    const tid = s.let(s.xor(load('i32', OP.i32Load, set, at), wanted));
    e.if(isOurs(tid));
    find(set, at + TLB0_ADDEND, at + TLB0_ACCESS);
    e.br(found);
    e.end();
  }
  e.set(index, constant('i32', 0));
  const next = e.loop();
  const entry1 = s.let(s.add(v, local('i32', index)));
  e.if(
    s.eq(
      s.and(address, load('i32', OP.i32Load, entry1, E500_TLB1)),
      load('i32', OP.i32Load, entry1, E500_TLB1 + TLB1_PAGE),
    ),
  );
  e.if(isOurs(s.let(load('i32', OP.i32Load, entry1, E500_TLB1 + TLB1_TID))));
  find(entry1, E500_TLB1 + TLB1_ADDEND, E500_TLB1 + TLB1_ACCESS);
  e.br(found);
  e.end();
  e.end();
  e.set(index, s.add(local('i32', index), E500_TLB1_ENTRY_BYTES));
  e.brIf(s.ltUnsigned(local('i32', index), E500_TLB1_ENTRIES * E500_TLB1_ENTRY_BYTES), next);
  e.end();
  const store = s.eq(access, WRITE);
  const missVector = s.select(s.eq(access, EXECUTE), BOOKE_VECTOR.instructionTlbError, BOOKE_VECTOR.dataTlbError);
  setInterrupt(body, missVector, address, s.select(store, ESR.ST, 0));
  e.return(constant('i32', 0));
  e.end();

  e.if(s.eqz(s.and(allowed, access)), false);
  const denied = s.select(s.eq(access, EXECUTE), BOOKE_VECTOR.instructionStorage, BOOKE_VECTOR.dataStorage);
  setInterrupt(body, denied, address, s.select(store, ESR.ST, 0));
  e.return(constant('i32', 0));
  e.end();

  const forThisAccess = (): void => {
    e.store(OP.i32Store, v, BOUNCE - 4, addend);
    e.return(s.add(v, BOUNCE - 8));
  };
  askWatch(body, MODEL_E500V2, [address, access, local('i32', 2)], forThisAccess);
  const page = s.let(s.and(address, -4096));
  countRefill(body);
  e.if(s.eq(access, EXECUTE));
  e.set(entry, s.codeTlbEntry(address));
  e.store(OP.i32Store, local('i32', entry), 0, page);
  e.store(OP.i32Store, local('i32', entry), 4, addend);
  e.return(local('i32', entry));
  e.end();
  e.set(entry, s.dataTlbEntry(address));
  const flagged = s.let(s.shrUnsigned(s.add(page, addend), 12));
  const flags = s.let(load('i32', OP.i32Load8U, flagged, CODE_FLAGS_TABLE));
  // Generated code takes a page that it may write for one that it may read.
  const writable = s.let(s.and(s.eq(s.and(allowed, READ | WRITE), READ | WRITE), s.eqz(s.and(flags, HOLDS_CODE))));
  e.if(writable);
  e.store(OP.i32Store8, flagged, CODE_FLAGS_TABLE, s.or(flags, MAY_BE_WRITTEN));
  e.end();
  const slot = local('i32', entry);
  e.store(OP.i32Store, slot, 0, s.select(s.and(allowed, READ), page, -1));
  e.store(OP.i32Store, slot, 4, addend);
  e.store(OP.i32Store, slot, WRITE_PAIR, s.select(writable, page, -1));
  e.store(OP.i32Store, slot, WRITE_PAIR + 4, addend);
  e.push(s.select(s.eq(access, WRITE), s.add(slot, WRITE_PAIR), slot));
  return e.finish();
}

export const RUNTIME_E500: FamilyRuntime = {
  model: MODEL_E500V2,
  contexts: { table: CONTEXTS, bytes: CONTEXT_BYTES, words: [TLB_BASE, MODE, CODE_PAGES, E500_PIDS] },
  refill,
};
