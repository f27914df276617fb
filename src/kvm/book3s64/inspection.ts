/** What the Book3S 64 family shows of itself: `Vcpu.tables` and `Vcpu.chain`. Not for hot paths. */
import type { KvmChainStep, KvmTable } from '../api.ts';
import { MSR } from '../book3s/bits.ts';
import type { Book3sContext } from '../book3s/context.ts';
import { GUEST_SLB_ENTRIES, W_MSR } from '../book3s/layout.ts';
import { ACCESS, PAGE_4K, PAGE_64K, TRANSLATION } from '../book3s/mmu.ts';
import type { ShadowPages } from '../book3s/shadow.ts';
import { SEGMENT, type VsidMap } from '../book3s/vsid-map.ts';
import { type MemorySlots, PAGE_FRAMES } from '../slots.ts';
import { GUEST_HPTE, SLB } from './bits.ts';
import type { ShadowFaults } from './faults.ts';
import { type GuestHtab, HPTE_BYTES, PTEG_ENTRIES } from './guest-htab.ts';
import type { GuestMmu64 } from './mmu.ts';
import { esidOf, type GuestSlb } from './slb.ts';

const PAGE_BYTES = 4096n;
const SEGMENT_SHIFT = 28n;
const TERA_SHIFT = 40n;

const sizeName = (shift: number): string => (shift === PAGE_4K ? '4K' : shift === PAGE_64K ? '64K' : '16M');
const hex = (value: number | bigint): string => value.toString(16);
const flagsOf = (flags: number): string =>
  [
    [SLB.KS, 'Ks'],
    [SLB.KP, 'Kp'],
    [SLB.N, 'N'],
  ]
    .flatMap(([bit, name]) => ((flags & (bit as number)) === 0 ? [] : [name]))
    .join(' ');
const KINDS: Readonly<Record<number, string>> = {
  [SEGMENT.VIRTUAL]: 'segment',
  [SEGMENT.PIECE]: 'piece of 1T',
  [SEGMENT.REAL]: 'real mode',
  [SEGMENT.FETCH_VIRTUAL]: 'IR without DR',
  [SEGMENT.DATA_VIRTUAL]: 'DR without IR',
};

export class Inspection64 {
  readonly #context: Book3sContext;
  readonly #slb: GuestSlb;
  readonly #htab: GuestHtab;
  readonly #mmu: GuestMmu64;
  readonly #vsids: VsidMap;
  readonly #shadow: ShadowPages;
  readonly #faults: ShadowFaults;
  readonly #slots: MemorySlots;

  constructor(
    context: Book3sContext,
    slb: GuestSlb,
    htab: GuestHtab,
    mmu: GuestMmu64,
    vsids: VsidMap,
    shadow: ShadowPages,
    faults: ShadowFaults,
    slots: MemorySlots,
  ) {
    this.#context = context;
    this.#slb = slb;
    this.#htab = htab;
    this.#mmu = mmu;
    this.#vsids = vsids;
    this.#shadow = shadow;
    this.#faults = faults;
    this.#slots = slots;
  }

  tables(limit: number): readonly KvmTable[] {
    return [this.#segments(limit), this.#guestTable(limit), this.#hostSegments(limit), this.#shadows(limit)];
  }

  #segments(limit: number): KvmTable {
    const slb = this.#slb;
    const valid = Array.from({ length: GUEST_SLB_ENTRIES }, (_, i) => i).filter((i) => slb.isValid(i));
    const rows = valid
      .slice(0, limit)
      .map((i) => [
        i,
        BigInt(slb.firstSegment(i)) << SEGMENT_SHIFT,
        BigInt(slb.vsid(i)),
        slb.isLarge(i) ? '1T' : '256M',
        sizeName(this.#mmu.basePageShift(i)),
        flagsOf(slb.flags(i)),
      ]);
    const columns = ['entry', 'segment', 'VSID', 'size', 'pages', 'flags'];
    return { name: 'guest SLB', columns, rows, total: valid.length };
  }

  /** The entries in use, in the order of the table. */
  #guestTable(limit: number): KvmTable {
    const htab = this.#htab;
    const rows: (string | number | bigint)[][] = [];
    let total = 0;
    const { groups } = htab;
    for (let group = 0; group < groups; group++) {
      const address = htab.group(group | 0, Math.floor(group / 2 ** 32));
      if (address < 0) break;
      for (let i = 0; i < PTEG_ENTRIES; i++) {
        const entry = address + i * HPTE_BYTES;
        const low0 = htab.read(entry + 4);
        if ((low0 & GUEST_HPTE.V) === 0) continue;
        if (++total > limit) continue;
        rows.push([group, i, ...this.#entry(entry)]);
      }
    }
    return { name: 'guest hash table', columns: ['group', 'entry', 'AVPN', 'real page', 'flags'], rows, total };
  }

  /** AVPN, real page and flags of an entry. */
  #entry(entry: number): [bigint, bigint, string] {
    const [high0, low0, high1, low1] = [0, 4, 8, 12].map((offset) => this.#htab.read(entry + offset)) as [
      number,
      number,
      number,
      number,
    ];
    const avpn = ((BigInt(high0 >>> 0) & 0x3fff_ffffn) << 25n) | BigInt(low0 >>> 7);
    const real = (BigInt(high1 & this.#context.realHigh) << 32n) | BigInt((low1 & ~0xfff) >>> 0);
    const flags = [
      (high0 & SLB.B) === SLB.B_1T ? '1T' : '256M',
      (low0 & GUEST_HPTE.L) !== 0 ? 'large' : '',
      (low0 & GUEST_HPTE.H) !== 0 ? 'secondary' : '',
      (low0 & GUEST_HPTE.BOLTED) !== 0 ? 'bolted' : '',
      (low1 & GUEST_HPTE.R) !== 0 ? 'R' : '',
      (low1 & GUEST_HPTE.C) !== 0 ? 'C' : '',
      (low1 & GUEST_HPTE.N) !== 0 ? 'N' : '',
      `PP${low1 & GUEST_HPTE.PP}`,
    ];
    return [avpn, real, flags.filter((flag) => flag !== '').join(' ')];
  }

  #hostSegments(limit: number): KvmTable {
    const all = [...this.#vsids.list()];
    const rows = all.slice(0, limit).map(({ n, value, kind }) => {
      const sort = kind & SEGMENT.KIND;
      const guest = BigInt(value);
      const key = sort === SEGMENT.PIECE ? guest >> 12n : sort === SEGMENT.VIRTUAL ? guest : guest << SEGMENT_SHIFT;
      const state =
        (kind & SEGMENT.USER) !== 0 ? 'user' : (kind & SEGMENT.MAGIC) !== 0 ? 'kernel, magic page' : 'kernel';
      return [BigInt(this.#vsids.hostVsid(n)), key, KINDS[sort] ?? '', state];
    });
    return {
      name: 'host VSIDs',
      columns: ['host VSID', 'guest VSID or segment', 'kind', 'state'],
      rows,
      total: all.length,
    };
  }

  #shadows(limit: number): KvmTable {
    const rows = [...this.#shadow.list(limit)].map(({ hostVsid, page, hostPage, entry }) => [
      BigInt(hostVsid),
      BigInt(page) * PAGE_BYTES,
      BigInt(hostPage) * PAGE_BYTES,
      BigInt(entry),
    ]);
    const columns = ['host VSID', 'page', 'host real page', 'entry at'];
    return { name: 'shadow pages', columns, rows, total: this.#shadow.count };
  }

  /** EA, by the guest's SLB to its virtual address, by its hash table to its real one, by the slot to the host's, and the shadow of it all. */
  chain(low: number, high: number): readonly KvmChainStep[] {
    const address = (BigInt(high) << 32n) | BigInt(low);
    const steps: KvmChainStep[] = [{ what: 'effective address', address, by: this.#context.user ? 'user' : 'kernel' }];
    const real = this.#guestChain(low | 0, high | 0, address, steps);
    if (real !== undefined) this.#hostChain(low | 0, high | 0, real, steps);
    return steps;
  }

  #guestChain(low: number, high: number, address: bigint, steps: KvmChainStep[]): bigint | undefined {
    const context = this.#context;
    const isVirtual = ((context.words[W_MSR] as number) & MSR.DR) !== 0;
    if (!isVirtual) {
      const real = (BigInt(high & context.realHigh) << 32n) | (address & 0xffff_ffffn);
      steps.push({ what: 'guest real address', address: real, by: 'MSR[DR] = 0' });
      return real;
    }
    if (context.isMagic(low, high)) {
      steps.push({ what: 'magic page', address: address & 0xfffn, by: 'the paravirtual interface' });
      return undefined;
    }
    const slb = this.#slb;
    const index = slb.search(esidOf(low, high));
    if (index < 0) {
      steps.push({ what: 'guest virtual address', address: undefined, by: 'no entry of the SLB' });
      return undefined;
    }
    const shift = slb.isLarge(index) ? TERA_SHIFT : SEGMENT_SHIFT;
    const virtual = (BigInt(slb.vsid(index)) << shift) | (address & (2n ** shift - 1n));
    const pages = sizeName(this.#mmu.basePageShift(index));
    steps.push({
      what: 'guest virtual address',
      address: virtual,
      by: `SLB ${index}: VSID ${hex(slb.vsid(index))}, ${slb.isLarge(index) ? '1T' : '256M'}, ${pages} pages`,
    });
    const mmu = this.#mmu;
    const result = mmu.translate(low, high, context.user, ACCESS.READ, false);
    if (result !== TRANSLATION.OK) {
      const by = result === TRANSLATION.NO_ENTRY ? 'no entry of the hash table' : 'the entry forbids it';
      steps.push({ what: 'guest real address', address: undefined, by });
      return undefined;
    }
    const real = BigInt(mmu.page) * PAGE_BYTES + (address & 0xfffn);
    const [avpn, , flags] = this.#entry(mmu.entry);
    steps.push({ what: 'guest real address', address: real, by: `hash table: AVPN ${hex(avpn)}, ${flags}` });
    return real;
  }

  #hostChain(low: number, high: number, real: bigint, steps: KvmChainStep[]): void {
    const page = Number(real / PAGE_BYTES);
    const slot = this.#slots.find(page * PAGE_FRAMES);
    if (slot === null) {
      steps.push({ what: 'host real address', address: undefined, by: 'no memory slot: a device, or nothing' });
      return;
    }
    const shadow = this.#faults.shadowOf(low, high);
    const has = shadow !== undefined && shadow.vsid >= 0;
    steps.push({
      what: 'shadow virtual address',
      address: has ? (BigInt(shadow.vsid) << SEGMENT_SHIFT) | BigInt.asUintN(28, BigInt(low)) : undefined,
      by: has ? `host VSID ${hex(shadow.vsid)}` : 'the host has no segment yet',
    });
    steps.push({
      what: 'host real address',
      address: (BigInt(page) + BigInt(slot.delta / PAGE_FRAMES)) * PAGE_BYTES + (real & 0xfffn),
      by: `slot ${slot.slot}; ${has && shadow.entry >= 0 ? `host hash table entry at ${hex(shadow.entry)}` : 'no shadow page yet'}`,
    });
  }
}
