import { formatBytes, MachineError } from '../../error.ts';
import type { ByteStore } from '../../outside/blocks.ts';
import { MAX_DISK_BYTES, SECTOR_BYTES } from '../sectors.ts';
import { writeCount } from './counts.ts';
import { type BackingName, type Compression, type Header, headerCluster } from './header.ts';
import { viewOf, writeNumber64 } from './words.ts';

export interface Qcow2Options {
  /** Bytes; a power of two from 512 to 2 MiB. Default: 64 KiB. */
  readonly clusterBytes?: number | undefined;
  /** Bits of a reference count: 1 to 64. Default: 16. */
  readonly refcountBits?: number | undefined;
  /** How clusters are compressed, if any are. Default: zlib. */
  readonly compression?: Compression | undefined;
  readonly backing?: BackingName | undefined;
}

const DEFAULT_CLUSTER_BYTES = 65_536;
const MAX_L1_BYTES = 32 * 2 ** 20;

const log2 = (value: number): number => (Number.isInteger(Math.log2(value)) ? Math.log2(value) : -1);

/**
 * Makes an empty image of version 3 in an empty file: header, refcount table, blocks of counts, L1 table.
 * @throws MachineError for sizes that do not fit.
 */
export async function createQcow2(store: ByteStore, size: number, options: Qcow2Options = {}): Promise<void> {
  const { clusterBytes = DEFAULT_CLUSTER_BYTES, refcountBits = 16, compression = 'zlib', backing } = options;
  const clusterBits = log2(clusterBytes);
  if (clusterBits < 9 || clusterBits > 21)
    throw new MachineError(`clusters of ${clusterBytes} bytes are not possible; a power of two from 512 to 2M fits`);
  if (log2(refcountBits) < 0 || refcountBits > 64)
    throw new MachineError(`reference counts of ${refcountBits} bits are not possible; 1, 2, 4, 8, 16, 32 and 64 fit`);
  if (!Number.isInteger(size) || size < 0 || size > MAX_DISK_BYTES)
    throw new MachineError(`a disk of ${size} bytes is not possible`);
  const rounded = Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES;
  const l1Size = Math.ceil(rounded / (clusterBytes * (clusterBytes / 8)));
  if (l1Size * 8 > MAX_L1_BYTES)
    throw new MachineError(
      `a disk of ${formatBytes(size)} takes clusters of more than ${formatBytes(clusterBytes)}: cluster_size sets them`,
    );
  const l1Clusters = Math.ceil((l1Size * 8) / clusterBytes);
  const perBlock = (clusterBytes * 8) / refcountBits;
  let blocks = 1;
  let tableClusters = 1;
  for (;;) {
    const needed = Math.ceil((1 + tableClusters + blocks + l1Clusters) / perBlock);
    const neededTable = Math.ceil((Math.max(needed, blocks) * 8) / clusterBytes);
    if (needed <= blocks && neededTable <= tableClusters) break;
    blocks = Math.max(blocks, needed);
    tableClusters = neededTable;
  }
  const used = 1 + tableClusters + blocks + l1Clusters;
  const header: Omit<Header, 'isDirty' | 'isCorrupt' | 'hasAutoclear'> = {
    version: 3,
    clusterBits,
    size: rounded,
    l1Size,
    l1Offset: (1 + tableClusters + blocks) * clusterBytes,
    refcountTableOffset: clusterBytes,
    refcountTableClusters: tableClusters,
    snapshots: 0,
    snapshotsOffset: 0,
    lazyRefcounts: false,
    refcountBits,
    compression,
    backing,
  };
  const first = headerCluster(header);
  const table = new Uint8Array(tableClusters * clusterBytes);
  for (let i = 0; i < blocks; i++) {
    const offset = (1 + tableClusters + i) * clusterBytes;
    writeNumber64(viewOf(table), i * 8, offset);
    const block = new Uint8Array(clusterBytes);
    const counted = Math.min(perBlock, used - i * perBlock);
    for (let index = 0; index < counted; index++) writeCount(block, index, refcountBits, 1);
    await store.write(offset, block);
  }
  await store.write(header.refcountTableOffset, table);
  if (l1Clusters > 0) await store.write(header.l1Offset, new Uint8Array(l1Clusters * clusterBytes));
  // Last, so that a file that was cut short is no image.
  await store.write(0, first);
  await store.flush();
}
