/** The e500's guest TLBs and their shadows as `Vcpu.tables` shows them. */
import { MAS1, MAS2 } from '../../../processor/index.ts';
import type { KvmTable } from '../../api.ts';
import { E500_GUEST_TLB_ENTRIES, E500_TLB0_MOST } from '../layout.ts';
import { access, sizeOf } from '../tables.ts';
import type { GuestTlbE500 } from './mmu.ts';
import type { ShadowE500 } from './shadow.ts';

/** An entry by its TLB, and its number there. */
const nameOf = (index: number): string =>
  index < E500_TLB0_MOST
    ? `TLB0 ${index}`
    : index < E500_GUEST_TLB_ENTRIES
      ? `TLB1 ${index - E500_TLB0_MOST}`
      : 'magic page';

export function guestTlbTable(tlb: GuestTlbE500, limit: number): KvmTable {
  const valid = Array.from({ length: E500_GUEST_TLB_ENTRIES }, (_, i) => i).filter((i) => tlb.isValid(i));
  const rows = valid.slice(0, limit).map((i) => {
    const page = tlb.mas2(i) & MAS2.EPN;
    const mas1 = tlb.mas1(i);
    return [
      nameOf(i),
      BigInt(page >>> 0),
      sizeOf(tlb.size(i)),
      BigInt(tlb.frame(i, page)) * 1024n,
      (mas1 & MAS1.TID) >>> MAS1.TID_SHIFT,
      (mas1 & MAS1.TS) !== 0 ? 1 : 0,
      access(tlb.permissions(i, true)),
      access(tlb.permissions(i, false)),
      (mas1 & MAS1.IPROT) !== 0 ? 'protected' : '',
    ];
  });
  const columns = ['entry', 'page', 'size', 'real page', 'PID', 'space', 'user', 'kernel', ''];
  return { name: 'guest TLBs', columns, rows, total: valid.length };
}

export function shadowTlbTable(shadow: ShadowE500, limit: number): KvmTable {
  const all = [...shadow.list()];
  const rows = all
    .slice(0, limit)
    .map(({ index, guest, view, page, size }) => [
      index,
      nameOf(guest),
      BigInt(page >>> 0),
      sizeOf(size),
      view === 1 ? 'kernel' : 'user',
    ]);
  return {
    name: 'shadow TLBs',
    columns: ['host entry', 'guest entry', 'page', 'size', 'for'],
    rows,
    total: all.length,
  };
}
