import { MachineError } from '../../error.ts';
import type { ByteStore } from '../../outside/blocks.ts';
import { writeCount } from './counts.ts';
import { FIELD, type Header, INCOMPATIBLE } from './header.ts';
import type { References } from './references.ts';
import { viewOf, writeNumber64 } from './words.ts';

const MAX_TABLE_BYTES = 8 * 2 ** 20;

/** What is known of an image whose counts are made anew: how often each cluster is in use, without the counts' own. */
export interface Uses {
  readonly store: ByteStore;
  readonly header: Header;
  readonly references: References;
  /** L2 tables of the disk itself. */
  readonly tables: readonly number[];
}

/**
 * Writes all reference counts anew, behind the end of the file, and has the header lead to them; until then the image is as
 * it was. Then every entry says truly whether it is a cluster's only user.
 */
export async function repair({ store, header, references, tables }: Uses): Promise<void> {
  const size = 2 ** header.clusterBits;
  const bits = header.refcountBits;
  const perBlock = (size * 8) / bits;
  const start = Math.ceil((await store.size()) / size);
  /** Ranges of clusters that have a block, from the first on. */
  const inUse: number[] = [];
  for (let range = 0; range * perBlock < start; range++)
    if (references.hasAny(range * perBlock, perBlock)) inUse.push(range);
  let blocks = inUse.length;
  let tableClusters = 1;
  let ranges: number[] = [];
  for (;;) {
    const end = start + tableClusters + blocks;
    ranges = [...inUse];
    for (let range = Math.floor(start / perBlock); range * perBlock < end; range++)
      if (!ranges.includes(range)) ranges.push(range);
    const neededTable = Math.ceil((Math.ceil(end / perBlock) * 8) / size);
    if (ranges.length <= blocks && neededTable <= tableClusters) break;
    blocks = Math.max(blocks, ranges.length);
    tableClusters = Math.max(tableClusters, neededTable);
  }
  if (tableClusters * size > MAX_TABLE_BYTES) throw new MachineError(`'${store.name}' is too large to be repaired`);
  const end = start + tableClusters + ranges.length;
  const max = bits >= 53 ? Number.MAX_SAFE_INTEGER : 2 ** bits - 1;
  const table = new Uint8Array(tableClusters * size);
  for (const [i, range] of ranges.entries()) {
    const offset = (start + tableClusters + i) * size;
    writeNumber64(viewOf(table), range * 8, offset);
    const block = new Uint8Array(size);
    for (let index = 0; index < perBlock; index++) {
      const cluster = range * perBlock + index;
      const count = cluster >= start && cluster < end ? 1 : references.count(cluster);
      if (count > max)
        throw new MachineError(`cluster ${cluster} of '${store.name}' has more users than can be counted`);
      if (count > 0) writeCount(block, index, bits, count);
    }
    await store.write(offset, block);
  }
  await store.write(start * size, table);
  await store.flush();
  const fields = new Uint8Array(12);
  writeNumber64(viewOf(fields), 0, start * size);
  viewOf(fields).setUint32(8, tableClusters);
  await store.write(FIELD.refcountTableOffset, fields);
  await store.flush();

  const mark = async (offset: number, bytes: Uint8Array): Promise<void> => {
    const view = viewOf(bytes);
    let hasChanged = false;
    for (let at = 0; at < bytes.length; at += 8) {
      const high = view.getUint32(at);
      const to = (high & 0x00ff_ffff) * 2 ** 32 + ((view.getUint32(at + 4) & ~511) >>> 0);
      if ((high & 0x4000_0000) !== 0 || to === 0 || to % size !== 0) continue;
      const marked = ((high & 0x7fff_ffff) | (references.count(to / size) === 1 ? 0x8000_0000 : 0)) >>> 0;
      if (marked === high) continue;
      view.setUint32(at, marked);
      hasChanged = true;
    }
    if (hasChanged) await store.write(offset, bytes);
  };
  const l1 = new Uint8Array(header.l1Size * 8);
  await store.read(header.l1Offset, l1);
  await mark(header.l1Offset, l1);
  for (const offset of tables) {
    const l2 = new Uint8Array(size);
    await store.read(offset, l2);
    await mark(offset, l2);
  }
  await store.flush();
  // Only now it may be written without a check before.
  if (header.version === 3) {
    const features = new Uint8Array(8);
    await store.read(FIELD.incompatible, features);
    features[7] = (features[7] ?? 0) & ~(INCOMPATIBLE.dirty | INCOMPATIBLE.corrupt);
    await store.write(FIELD.incompatible, features);
    await store.flush();
  }
}
