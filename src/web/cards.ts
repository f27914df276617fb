/** What becomes in a machine's worker of disks and network that a page has sent. */

import { builtInCodecs } from '../machine/disks/index.ts';
import {
  type BlockStore,
  type ByteStore,
  type CardOptions,
  DISK_FORMATS,
  MachineError,
  MemoryBytes,
  openDisk,
  openOverlay,
} from '../machine/index.ts';
import { PortLink } from './port-link.ts';
import type { ServedCards, ServedDisk } from './protocol.ts';
import { BlobStore, OpfsStore, RangeStore } from './stores.ts';

const DISK_OPTIONS = ['file', 'format', 'readOnly', 'snapshot', 'serial'] as const;

async function openStore(file: ServedDisk['file']): Promise<ByteStore> {
  if (typeof file === 'string') return RangeStore.open(file);
  if (file instanceof Blob) return new BlobStore(file);
  if (typeof FileSystemFileHandle !== 'undefined' && file instanceof FileSystemFileHandle) return OpfsStore.open(file);
  throw new MachineError('a disk has no file: a File, a file handle of OPFS or an address fits');
}

async function openServedDisk(disk: ServedDisk): Promise<BlockStore> {
  const other = Object.keys(Object(disk)).find((name) => !DISK_OPTIONS.some((one) => one === name));
  if (other !== undefined)
    throw new MachineError(`a page's disk has no option '${other.slice(0, 64)}'; ${DISK_OPTIONS.join(', ')} fit`);
  const { file, format = 'raw', readOnly, snapshot } = Object(disk) as ServedDisk;
  if (!DISK_FORMATS.includes(format)) throw new MachineError(`a disk's format is ${DISK_FORMATS.join(' or ')}`);
  const store = await openStore(file);
  const opened = await openDisk(store, { format, readOnly: readOnly === true || snapshot === true || store.readOnly });
  return snapshot === true ? openOverlay(new MemoryBytes(store.name), opened, builtInCodecs) : opened;
}

/** What a machine is given of a page's devices, and what is to be closed with it. */
export interface OpenedCards {
  readonly cards: Pick<CardOptions, 'disks' | 'network'>;
  close(): Promise<void>;
}

/** @throws MachineError for what cannot be used; nothing is open then. */
export async function openServedCards({ disks, network }: ServedCards): Promise<OpenedCards> {
  if (disks !== undefined && !Array.isArray(disks)) throw new MachineError('the option disks is a list of disks');
  if (network !== undefined && !(network?.port instanceof MessagePort))
    throw new MachineError('the option network has no port; a MessagePort would fit');
  const stores: BlockStore[] = [];
  const link = network && new PortLink(network.port);
  const close = async (): Promise<void> => {
    link?.close();
    await Promise.allSettled(stores.map((store) => store.close()));
  };
  try {
    for (const disk of disks ?? []) stores.push(await openServedDisk(disk));
  } catch (error) {
    await close();
    throw error;
  }
  const cards = {
    ...(disks && { disks: stores.map((store, i) => ({ store, serial: disks[i]?.serial })) }),
    ...(network && link && { network: { link, mac: network.mac, mtu: network.mtu } }),
  };
  return { cards, close };
}
