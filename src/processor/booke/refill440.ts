/** The 440's soft-TLB refill from its TLB. */

import { EXECUTE, HOLDS_CODE, MAY_BE_WRITTEN, READ, UNCACHED, WRITE } from '../backend/runtime.ts';
import { askWatch, begin, countRefill, type FamilyRuntime, setInterrupt } from '../backend/runtime-functions.ts';
import { SOFT_TLB_SHAPES } from '../backend/storage.ts';
import {
  ADDRESS_SPACE,
  BOUNCE,
  CODE_FLAGS_TABLE,
  CODE_PAGES,
  CONTEXT_BYTES,
  CONTEXTS,
  MODE,
  PID,
  TLB_BASE,
  TLB_HINT_SHIFT,
  TLB_HINTS,
  TLB_SEARCH_ACCESS,
  TLB_SEARCH_ADDEND,
  TLB_SEARCH_ENTRIES,
  TLB_SEARCH_KEY,
  TLB_SEARCH_MASK,
  TLB_SEARCH_PAGE,
} from '../layout.ts';
import { MODEL_440 } from '../model.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { BOOKE_VECTOR, ESR } from './interface.ts';

const WRITE_PAIR = SOFT_TLB_SHAPES.i32.write;

/**
 * refill(address, access, bytes) → address of a tag and addend in the soft TLB that permit the access, or 0 with EXIT_* set.
 * PowerPC 440 user's manual, "Memory Management": match on EPN, TS and TID (0 matches all), then access control.
 */
function refill(): WasmFunction {
  const body = begin(MODEL_440, 'refill');
  const { e, s, v } = body;
  const address = local('i32', 0);
  const access = local('i32', 1);
  const index = e.newLocal('i32');
  const entry = e.newLocal('i32');
  const at = (i: Node): Node => s.add(v, i);
  const search = (i: Node, offset: number): Node => load('i32', OP.i32Load, at(i), offset);
  // Code that knows a page by its base register comes here for another one, and so does every unaligned access.
  e.if(s.ne(access, EXECUTE));
  e.set(entry, s.add(s.dataTlbEntry(address), s.select(s.eq(access, WRITE), WRITE_PAIR, 0)));
  e.if(s.eq(load('i32', OP.i32Load, local('i32', entry), 0), s.and(address, -4096)));
  e.return(local('i32', entry));
  e.end();
  e.end();
  const spaceKey = s.let(s.shl(load('i32', OP.i32Load, v, ADDRESS_SPACE), 8));
  const pidKey = s.let(s.or(spaceKey, load('i32', OP.i32Load, v, PID)));
  const i = local('i32', index);
  const pageMatches = (): Node => s.eq(s.and(address, search(i, TLB_SEARCH_MASK)), search(i, TLB_SEARCH_PAGE));
  const keyMatches = (): Node => {
    const key = s.let(search(i, TLB_SEARCH_KEY));
    return s.or(s.eq(key, pidKey), s.eq(key, spaceKey));
  };
  const found = e.block();
  // The entry that matched last is most often a large one that covers the whole kernel.
  const hint = s.let(s.add(v, s.shl(s.shrUnsigned(address, TLB_HINT_SHIFT), 2)));
  e.set(index, load('i32', OP.i32Load, hint, TLB_HINTS));
  e.if(pageMatches());
  e.brIf(keyMatches(), found);
  e.end();
  e.set(index, constant('i32', 0));
  const next = e.loop();
  e.if(pageMatches());
  e.brIf(keyMatches(), found);
  e.end();
  e.set(index, s.add(i, 4));
  e.brIf(s.ltUnsigned(i, TLB_SEARCH_ENTRIES * 4), next);
  e.end();
  const store = s.eq(access, WRITE);
  const missVector = s.select(s.eq(access, EXECUTE), BOOKE_VECTOR.instructionTlbError, BOOKE_VECTOR.dataTlbError);
  setInterrupt(body, missVector, address, s.select(store, ESR.ST, 0));
  e.return(constant('i32', 0));
  e.end();

  e.store(OP.i32Store, hint, TLB_HINTS, i);
  const allowed = s.let(search(i, TLB_SEARCH_ACCESS));
  e.if(s.eqz(s.and(allowed, access)), false);
  const denied = s.select(s.eq(access, EXECUTE), BOOKE_VECTOR.instructionStorage, BOOKE_VECTOR.dataStorage);
  setInterrupt(body, denied, address, s.select(store, ESR.ST, 0));
  e.return(constant('i32', 0));
  e.end();

  const addend = s.let(search(i, TLB_SEARCH_ADDEND));
  const forThisAccess = (): void => {
    e.store(OP.i32Store, v, BOUNCE - 4, addend);
    e.return(s.add(v, BOUNCE - 8));
  };
  askWatch(body, MODEL_440, [address, access, local('i32', 2)], forThisAccess);
  e.if(s.and(allowed, UNCACHED), false);
  // Parts of a page of the soft TLB: the entry is made in the bounce area, for this access only. Code there is not run.
  e.if(s.eq(access, EXECUTE));
  setInterrupt(body, constant('i32', BOOKE_VECTOR.machineCheck), address, constant('i32', 0));
  e.return(constant('i32', 0));
  e.end();
  forThisAccess();
  e.end();

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

export const RUNTIME_440: FamilyRuntime = {
  model: MODEL_440,
  contexts: { table: CONTEXTS, bytes: CONTEXT_BYTES, words: [TLB_BASE, MODE, CODE_PAGES, ADDRESS_SPACE] },
  refill,
};
