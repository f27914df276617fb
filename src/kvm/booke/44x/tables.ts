/** The 440's guest TLB and its shadow as `Vcpu.tables` shows them. */
import { TLB44X } from '../../../processor/index.ts';
import type { KvmTable } from '../../api.ts';
import { GUEST_TLB_ENTRIES } from '../layout.ts';
import { access, sizeOf } from '../tables.ts';
import { type GuestTlb440, permissions } from './mmu.ts';
import type { Shadow440 } from './shadow.ts';

export function guestTlbTable(tlb: GuestTlb440, limit: number): KvmTable {
  const valid = Array.from({ length: GUEST_TLB_ENTRIES }, (_, i) => i).filter(
    (i) => (tlb.word(i, 0) & TLB44X.VALID) !== 0,
  );
  const rows = valid.slice(0, limit).map((i) => {
    const page = tlb.word(i, 0) & TLB44X.EPN_MASK;
    const word2 = tlb.word(i, 2);
    return [
      i,
      BigInt(page >>> 0),
      sizeOf(tlb.size(i)),
      BigInt(tlb.frame(i, page)) * 1024n,
      tlb.word(i, 3),
      (tlb.word(i, 0) & TLB44X.TS) !== 0 ? 1 : 0,
      access(permissions(word2, true)),
      access(permissions(word2, false)),
    ];
  });
  const columns = ['entry', 'page', 'size', 'real page', 'PID', 'space', 'user', 'kernel'];
  return { name: 'guest TLB', columns, rows, total: valid.length };
}

export function shadowTlbTable(shadow: Shadow440, limit: number): KvmTable {
  const all = [...shadow.list()];
  const rows = all
    .slice(0, limit)
    .map(({ index, guest, view, page, size }) => [
      index,
      guest,
      BigInt(page >>> 0),
      sizeOf(size),
      view === 1 ? 'kernel' : 'user',
    ]);
  return { name: 'shadow TLB', columns: ['host entry', 'guest entry', 'page', 'size', 'for'], rows, total: all.length };
}
