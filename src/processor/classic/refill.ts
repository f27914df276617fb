/**
 * Soft-TLB refill of a 32-bit Book3S processor: segment register, then hashed page table (The Programming Environments for
 * 32-Bit Microprocessors, 7.5 and 7.6), for MSR[PR]=1.
 */

import { EXECUTE, HOLDS_CODE, MAY_BE_WRITTEN, WRITE } from '../backend/runtime.ts';
import {
  askWatch,
  type Body,
  begin,
  countRefill,
  type FamilyRuntime,
  setInterrupt,
} from '../backend/runtime-functions.ts';
import { SOFT_TLB_SHAPES } from '../backend/storage.ts';
import { DSISR, SERVER_VECTOR, SRR1_NOEXEC } from '../book3s/interface.ts';
import { HOST_HTAB } from '../book3s/layout.ts';
import { BOUNCE, CODE_FLAGS_TABLE, CODE_PAGES, MODE, TLB_BASE } from '../layout.ts';
import type { ProcessorModel } from '../model.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { constant, load, local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { DSISR_DIRECT_STORE, PTE, PTE_BYTES, PTEG_BYTES, SR } from './interface.ts';
import { CLASSIC_CONTEXT_BYTES, CLASSIC_CONTEXT_WORDS, SEGMENT_BASE } from './layout.ts';

const SEGMENT_SHIFT = 28;
const PAGE_SHIFT = 12;
/** log2 of PTEG_BYTES. */
const GROUP_SHIFT = 6;
const API_SHIFT = 10;
const WRITE_PAIR = SOFT_TLB_SHAPES.i32.write;

/** Ends with a storage interrupt: of a fetch with one bit, else with another. */
function interrupt(body: Body, access: Node, address: Node, fetch: number, data: number): void {
  const { e, s } = body;
  const { instructionStorage, dataStorage } = SERVER_VECTOR;
  const isFetch = s.eq(access, EXECUTE);
  const store = s.or(s.select(s.eq(access, WRITE), DSISR.ISSTORE, 0), data);
  const vector = s.select(isFetch, instructionStorage, dataStorage);
  setInterrupt(body, vector, address, s.select(isFetch, s.i32(fetch), store));
  e.return(constant('i32', 0));
}

/** Compares with each entry of a group; leaves for `found` with the entry's address in `entry`. */
function searchGroup({ e, s }: Body, group: Node, wanted: Node, entry: number, found: number): void {
  e.set(entry, group);
  const slot = local('i32', entry);
  const end = s.let(s.add(slot, PTEG_BYTES));
  const next = e.loop();
  e.brIf(s.eq(load('i32', OP.i32Load, slot, 0), wanted), found);
  e.set(entry, s.add(slot, PTE_BYTES));
  e.brIf(s.ltUnsigned(slot, end), next);
  e.end();
}

/** refill(address, access, bytes) → address of a tag and addend in the soft TLB that permit the access, or 0 with EXIT_* set. */
function refill(model: ProcessorModel, log2Groups: number): WasmFunction {
  const body = begin(model, 'refill');
  const { e, s, v } = body;
  const address = local('i32', 0);
  const access = local('i32', 1);
  const page = s.let(s.and(address, -4096));
  const entry = e.newLocal('i32');
  const slot = local('i32', entry);
  const pairOf = (): Node => s.select(s.eq(access, WRITE), WRITE_PAIR, 0);
  // Code that knows a page by its base register comes here for another one, and so does every unaligned access.
  e.if(s.ne(access, EXECUTE));
  e.set(entry, s.add(s.dataTlbEntry(address), pairOf()));
  e.if(s.eq(load('i32', OP.i32Load, slot, 0), page));
  e.return(slot);
  e.end();
  e.end();
  countRefill(body);

  const register = s.add(
    load('i32', OP.i32Load, v, SEGMENT_BASE),
    s.shl(s.shrUnsigned(address, SEGMENT_SHIFT), constant('i32', 2)),
  );
  const segment = s.let(load('i32', OP.i32Load, register, 0));
  e.if(s.and(segment, SR.T), false);
  interrupt(body, access, address, SRR1_NOEXEC, DSISR_DIRECT_STORE);
  e.end();
  e.if(s.and(s.eq(access, EXECUTE), s.ne(s.and(segment, SR.N), 0)), false);
  interrupt(body, access, address, SRR1_NOEXEC, 0);
  e.end();

  // The page: primary group, then secondary.
  const vsid = s.let(s.and(segment, SR.VSID));
  const index = s.let(s.and(s.shrUnsigned(address, PAGE_SHIFT), 0xffff));
  const hash = s.let(s.xor(vsid, index));
  const wanted = s.let(s.or(s.or(s.shl(vsid, PTE.VSID_SHIFT), s.shrUnsigned(index, API_SHIFT)), PTE.V));
  const groupOf = (value: Node): Node => s.add(s.shl(s.and(value, 2 ** log2Groups - 1), GROUP_SHIFT), HOST_HTAB);
  const found = e.block();
  searchGroup(body, groupOf(hash), wanted, entry, found);
  searchGroup(body, groupOf(s.not(hash)), s.let(s.or(wanted, PTE.H)), entry, found);
  interrupt(body, access, address, DSISR.NOHPTE, DSISR.NOHPTE);
  e.end();

  // Permission, in problem state: the key is Kp.
  const low = s.let(load('i32', OP.i32Load, slot, 4));
  const pp = s.let(s.and(low, PTE.PP));
  const key = s.let(s.and(segment, SR.KP));
  const readable = s.or(s.eqz(key), s.ne(pp, 0));
  const writable = s.let(s.select(key, s.eq(pp, 2), s.ne(pp, 3)));
  e.if(s.and(s.eq(access, EXECUTE), s.ne(s.and(low, PTE.G), 0)), false);
  interrupt(body, access, address, SRR1_NOEXEC, 0);
  e.end();
  e.if(s.eqz(readable), false);
  interrupt(body, access, address, DSISR.PROTFAULT, DSISR.PROTFAULT);
  e.end();
  e.if(s.and(s.eq(access, WRITE), s.eqz(writable)), false);
  interrupt(body, access, address, DSISR.PROTFAULT, DSISR.PROTFAULT);
  e.end();
  const recorded = s.let(s.or(low, s.select(s.eq(access, WRITE), PTE.R | PTE.C, PTE.R)));
  e.if(s.ne(recorded, low));
  e.store(OP.i32Store, slot, 4, recorded);
  e.end();

  const addend = s.let(s.sub(s.and(low, PTE.RPN), page));
  askWatch(body, model, [address, access, local('i32', 2)], () => {
    e.store(OP.i32Store, v, BOUNCE - 4, addend);
    e.return(s.add(v, BOUNCE - 8));
  });
  e.if(s.eq(access, EXECUTE));
  e.set(entry, s.codeTlbEntry(address));
  e.store(OP.i32Store, slot, 0, page);
  e.store(OP.i32Store, slot, 4, addend);
  e.return(slot);
  e.end();
  e.set(entry, s.dataTlbEntry(address));
  const hostPage = s.let(s.shrUnsigned(low, PAGE_SHIFT));
  const pageFlags = s.let(load('i32', OP.i32Load8U, hostPage, CODE_FLAGS_TABLE));
  // Until the page was changed its writes come here, so that C is set when it has to be.
  const changed = s.ne(s.and(recorded, PTE.C), 0);
  const mayWrite = s.let(s.and(s.and(writable, changed), s.eqz(s.and(pageFlags, HOLDS_CODE))));
  e.if(mayWrite);
  e.store(OP.i32Store8, hostPage, CODE_FLAGS_TABLE, s.or(pageFlags, MAY_BE_WRITTEN));
  e.end();
  e.store(OP.i32Store, slot, 0, page);
  e.store(OP.i32Store, slot, 4, addend);
  e.store(OP.i32Store, slot, WRITE_PAIR, s.select(mayWrite, page, -1));
  e.store(OP.i32Store, slot, WRITE_PAIR + 4, addend);
  e.push(s.add(slot, pairOf()));
  return e.finish();
}

/** The runtime of a 32-bit Book3S processor with a hashed page table of 2^log2Groups groups at HOST_HTAB. */
export const classicRuntime = (model: ProcessorModel, log2Groups: number): FamilyRuntime => ({
  model,
  contexts: {
    table: CLASSIC_CONTEXT_WORDS,
    bytes: CLASSIC_CONTEXT_BYTES,
    words: [TLB_BASE, MODE, CODE_PAGES, SEGMENT_BASE],
  },
  refill: () => refill(model, log2Groups),
});
