/**
 * Soft-TLB refill of a Book III-S processor: SLB, then hashed page table (Power ISA 2.07 Book III-S, 5.7.6–5.7.9), for
 * segments of 256 MB with base pages of 4 KB and MSR[PR]=1.
 */

import { EXECUTE, HOLDS_CODE, MAY_BE_WRITTEN, READ, WRITE } from '../backend/runtime.ts';
import {
  askWatch,
  type Body,
  begin,
  countRefill,
  type FamilyRuntime,
  setInterrupt,
} from '../backend/runtime-functions.ts';
import { SOFT_TLB_SHAPES } from '../backend/storage.ts';
import { BOUNCE, CODE_FLAGS_TABLE, CODE_PAGES, MODE, TLB_BASE } from '../layout.ts';
import type { ProcessorModel } from '../model.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import {
  DSISR,
  HPTE,
  HPTE_BYTES,
  HPTEG_BYTES,
  SERVER_SLB_ENTRIES,
  SERVER_VECTOR,
  SLB_VSID,
  SRR1_NOEXEC,
} from './interface.ts';
import {
  HOST_HTAB,
  LOGGED_BELOW,
  REFILL_LOG_ENTRIES,
  REFILL_LOGS,
  SERVER_CONTEXT_BYTES,
  SERVER_CONTEXT_WORDS,
  SERVER_SLB_ENTRY_BYTES,
  SERVER_SLBS,
  SLB_BASE,
  WIDE_CODE_ADDEND,
  WIDE_READ_ADDEND,
  WIDE_READ_TAG,
  WIDE_WRITE_ADDEND,
  WIDE_WRITE_TAG,
} from './layout.ts';

const SEGMENT_SHIFT = 28;
const PAGE_SHIFT = 12;
/** Where slbmte's flags stand in an SLB entry's second doubleword. */
export const SLB_FLAGS_SHIFT = 48;

/** Ends with a storage interrupt when a fetch, else with one of data. */
function interrupt(
  body: Body,
  access: Node,
  address: Node,
  vectors: { code: number; data: number },
  why: number,
): void {
  const { e, s } = body;
  const isFetch = s.eq(access, EXECUTE);
  const store = s.select(s.eq(access, WRITE), DSISR.ISSTORE, 0);
  setInterrupt(body, s.select(isFetch, vectors.code, vectors.data), address, s.or(store, why));
  e.return(constant('i32', 0));
}
const STORAGE = { code: SERVER_VECTOR.instructionStorage, data: SERVER_VECTOR.dataStorage };
const SEGMENT = { code: SERVER_VECTOR.instructionSegment, data: SERVER_VECTOR.dataSegment };

/** Compares with each entry of a group; leaves for `found` with the entry's address in `entry`. */
function searchGroup({ e, s }: Body, group: Node, wanted: Node, entry: number, found: number): void {
  const index = e.temporary('i32');
  e.set(index, group);
  const end = s.let(s.add(local('i32', index), HPTEG_BYTES));
  // The low seven bits but V, L and H are software's.
  const mask = ~0x7f | HPTE.V | HPTE.L | HPTE.H;
  const next = e.loop();
  e.set(entry, local('i32', index));
  e.brIf(s.eq(s.and(load('i64', OP.i64Load, local('i32', index), 0), mask), wanted), found);
  e.set(index, s.add(local('i32', index), HPTE_BYTES));
  e.brIf(s.ltUnsigned(local('i32', index), end), next);
  e.end();
}

/** Notes in the context's log that an entry was filled. What the log has no room for is counted. */
function logRefill({ e, s, v }: Body, address: Node, entry: Node): void {
  e.if(s.eqz(s.shrUnsigned(address, LOGGED_BELOW)));
  const log = s.let(s.add(load('i32', OP.i32Load, v, SLB_BASE), REFILL_LOGS - SERVER_SLBS));
  const count = s.let(s.add(load('i32', OP.i32Load, log, 0), 1));
  e.if(s.leUnsigned(count, REFILL_LOG_ENTRIES));
  e.store(OP.i32Store, log, 0, count);
  e.store(OP.i32Store, s.add(log, s.shl(count, 2)), 0, entry);
  e.else();
  e.store(OP.i32Store, log, 0, constant('i32', REFILL_LOG_ENTRIES + 1));
  e.end();
  e.end();
}

function refill(model: ProcessorModel, log2Groups: number): WasmFunction {
  const body = begin(model, 'refill');
  const { e, s, v } = body;
  const address = local('i64', 0);
  const access = local('i32', 1);
  const page = s.let(s.and(address, -4096));
  const entry = e.newLocal('i32');
  const slot = local('i32', entry);
  // Code that knows a page by its base register comes here for another one, and so does every unaligned access.
  e.if(s.ne(access, EXECUTE));
  const pairOf = s.select(s.eq(access, WRITE), SOFT_TLB_SHAPES.i64.write, 0);
  e.set(entry, s.add(s.dataTlbEntry(address), pairOf));
  e.if(s.eq(load('i64', OP.i64Load, slot, 0), page));
  e.return(slot);
  e.end();
  e.end();
  countRefill(body);

  // The segment.
  const esid = s.let(s.add(s.shrUnsigned(address, SEGMENT_SHIFT), 1));
  const segment = e.newLocal('i32');
  e.set(segment, load('i32', OP.i32Load, v, SLB_BASE));
  const slbEnd = s.let(s.add(local('i32', segment), SERVER_SLB_ENTRIES * SERVER_SLB_ENTRY_BYTES));
  const hasSegment = e.block();
  const nextSegment = e.loop();
  e.brIf(s.eq(load('i64', OP.i64Load, local('i32', segment), 0), esid), hasSegment);
  e.set(segment, s.add(local('i32', segment), SERVER_SLB_ENTRY_BYTES));
  e.brIf(s.ltUnsigned(local('i32', segment), slbEnd), nextSegment);
  e.end();
  interrupt(body, access, address, SEGMENT, 0);
  e.end();
  const slbWord = s.let(load('i64', OP.i64Load, local('i32', segment), 8));
  const vsid = s.let(s.and(slbWord, s.i64(2n ** BigInt(SLB_FLAGS_SHIFT) - 1n)));
  const flags = s.let(s.wrap(s.shrUnsigned(slbWord, SLB_FLAGS_SHIFT)));

  // The page: primary group, then secondary.
  const index = s.let(s.and(s.shrUnsigned(address, PAGE_SHIFT), 0xffff));
  const hash = s.let(s.wrap(s.xor(vsid, index)));
  const avpn = s.or(s.shl(vsid, 12), s.shl(s.shrUnsigned(index, 11), HPTE.AVPN_SHIFT));
  const wanted = s.let(s.or(avpn, HPTE.V));
  const groupOf = (value: Node): Node => s.add(s.shl(s.and(value, 2 ** log2Groups - 1), 7), HOST_HTAB);
  const found = e.block();
  searchGroup(body, groupOf(hash), wanted, entry, found);
  searchGroup(body, groupOf(s.not(hash)), s.let(s.or(wanted, HPTE.H)), entry, found);
  interrupt(body, access, address, STORAGE, DSISR.NOHPTE);
  e.end();

  // Permission, in problem state: the key is Kp.
  const word1 = s.let(load('i64', OP.i64Load, slot, 8));
  const low = s.let(s.wrap(word1));
  const pp = s.let(s.and(low, HPTE.PP));
  const key = s.let(s.and(flags, SLB_VSID.KP));
  const readable = s.or(s.eqz(key), s.ne(pp, 0));
  const writable = s.let(s.select(key, s.eq(pp, 2), s.ne(pp, 3)));
  const noExecute = s.let(s.or(s.and(low, HPTE.N), s.and(flags, SLB_VSID.N)));
  e.if(s.eqz(readable), false);
  interrupt(body, access, address, STORAGE, DSISR.PROTFAULT);
  e.end();
  e.if(s.and(s.eq(access, WRITE), s.eqz(writable)), false);
  interrupt(body, access, address, STORAGE, DSISR.PROTFAULT);
  e.end();
  e.if(s.and(s.eq(access, EXECUTE), s.ne(noExecute, 0)), false);
  interrupt(body, access, address, STORAGE, SRR1_NOEXEC);
  e.end();
  const recorded = s.let(s.or(low, s.select(s.eq(access, WRITE), HPTE.R | HPTE.C, HPTE.R)));
  e.if(s.ne(recorded, low));
  e.store(OP.i32Store, slot, 8, recorded);
  e.end();

  const addend = s.let(s.sub(s.and(low, -4096), s.wrap(page)));
  askWatch(body, model, [address, access, local('i32', 2)], () => {
    e.store(OP.i32Store, v, BOUNCE - WIDE_READ_ADDEND, addend);
    e.return(s.add(v, BOUNCE - 2 * WIDE_READ_ADDEND));
  });
  e.if(s.eq(access, EXECUTE));
  e.set(entry, s.codeTlbEntry(address));
  logRefill(body, address, slot);
  e.store(OP.i64Store, slot, 0, page);
  e.store(OP.i32Store, slot, WIDE_CODE_ADDEND, addend);
  e.return(slot);
  e.end();
  e.set(entry, s.dataTlbEntry(address));
  logRefill(body, address, slot);
  const hostPage = s.let(s.shrUnsigned(s.and(low, -4096), PAGE_SHIFT));
  const pageFlags = s.let(load('i32', OP.i32Load8U, hostPage, CODE_FLAGS_TABLE));
  // Until the page was changed its writes come here, so that C is set when it has to be.
  const changed = s.ne(s.and(recorded, HPTE.C), 0);
  const mayWrite = s.let(s.and(s.and(writable, changed), s.eqz(s.and(pageFlags, HOLDS_CODE))));
  e.if(mayWrite);
  e.store(OP.i32Store8, hostPage, CODE_FLAGS_TABLE, s.or(pageFlags, MAY_BE_WRITTEN));
  e.end();
  e.store(OP.i64Store, slot, WIDE_READ_TAG, page);
  e.store(OP.i32Store, slot, WIDE_READ_ADDEND, addend);
  e.store(OP.i64Store, slot, WIDE_WRITE_TAG, s.select(mayWrite, page, s.i64(-1)));
  e.store(OP.i32Store, slot, WIDE_WRITE_ADDEND, addend);
  e.push(s.add(slot, pairOf));
  return e.finish();
}

/** The runtime of a Book III-S processor with a hashed page table of 2^log2Groups groups at HOST_HTAB. */
export const serverRuntime = (model: ProcessorModel, log2Groups: number): FamilyRuntime => ({
  model,
  contexts: {
    table: SERVER_CONTEXT_WORDS,
    bytes: SERVER_CONTEXT_BYTES,
    words: [TLB_BASE, MODE, CODE_PAGES, SLB_BASE],
  },
  refill: () => refill(model, log2Groups),
});

/** Access bits are the runtime's: a fetch is neither a load nor a store. */
export const ACCESSES = { READ, WRITE, EXECUTE } as const;
