/** Every kind of hostile input: its name, and how the cases of a seed are run. */
import type { Accel } from '../../src/kvm/index.ts';
import { TRANSPORTS } from '../machine/virtio/rig.ts';
import { CHIP_PARTS, HostileChips } from './ccsr.ts';
import { FILE_PLACES, FILES, HostileFiles } from './files.ts';
import { HostileClients } from './gdb.ts';
import { HostileGuests, MEMBER_E500 } from './guests.ts';
import { HostileMacDevices } from './mac-devices.ts';
import { HostilePrograms, PLACES, type Place } from './machines.ts';
import { HostileMessages } from './messages.ts';
import { HostilePackets } from './packets.ts';
import { HostileServers, SERVER_KINDS } from './servers.ts';
import { HostileStates } from './states.ts';
import { HostileStreams } from './streams.ts';
import { DEVICE_KINDS, HostileConfiguration, HostileDrivers } from './virtio.ts';

/** Something that runs cases by their seeds, and says how each ended. It throws what must not be thrown. */
export interface Cases {
  run(seed: number): string | Promise<string>;
  /** Checks what is too large to be checked after each case. */
  checkAll?(): void;
}

export interface Kind {
  /** Its group, and within it what sets it apart. */
  readonly name: string;
  /** As much of its group's cases. */
  readonly share: number;
  readonly make: () => Cases;
}

const ACCELS: readonly Accel[] = ['trap', 'pv', 'assist'];
const accelsOf = ({ board }: Place): readonly Accel[] => (board === 'bamboo' ? ['trap', 'assist'] : ACCELS);
const placeName = ({ board, cpu, littleEndian }: Place): string =>
  `${board} ${cpu}${littleEndian ? ' little-endian' : ''}`;

/** A group whose kinds have equal shares. */
const group = (kinds: readonly Omit<Kind, 'share'>[]): Kind[] =>
  kinds.map((kind) => ({ ...kind, share: 1 / kinds.length }));

const programs = PLACES.flatMap((place) => accelsOf(place).map((accel) => ({ place, accel })));
const boards = PLACES.filter(({ cpu, board }) => board !== 'bare' || cpu === 'power8');

export const KINDS: readonly Kind[] = [
  // Small code on the boards, without `Machine`.
  ...group(
    (['trap', 'assist'] as const).map((accel) => ({
      name: `440 ${accel}`,
      make: () => new HostileGuests(accel),
    })),
  ),
  ...group(
    ACCELS.map((accel) => ({
      name: `e500 ${accel}`,
      make: () => new HostileGuests(accel, MEMBER_E500),
    })),
  ),
  ...group(
    SERVER_KINDS.flatMap((kind) =>
      ACCELS.map((accel) => ({
        name: `server ${placeName({ ...kind, board: kind.board.name as Place['board'] })} ${accel}`,
        make: () => new HostileServers(accel, kind),
      })),
    ),
  ),
  // Large hot code on machines: with counted time, with the wall's, with a translation thread.
  ...(['counted', 'here', 'thread'] as const).flatMap((translation) =>
    group(
      programs.map(({ place, accel }) => ({
        name: `program ${translation} ${placeName(place)} ${accel}`,
        make: () => new HostilePrograms(place, accel, translation),
      })),
    ),
  ),
  ...FILES.flatMap((kind) =>
    group(
      FILE_PLACES.map((place) => ({
        name: `${kind} ${placeName(place)}`,
        make: () => new HostileFiles(kind, place),
      })),
    ),
  ),
  ...group(boards.map((place) => ({ name: `states ${placeName(place)}`, make: () => new HostileStates(place) }))),
  ...group([{ name: 'streams bare', make: () => new HostileStreams() }]),
  ...group(boards.map((place) => ({ name: `gdb ${placeName(place)}`, make: () => new HostileClients(place) }))),
  ...group([{ name: 'packets user', make: () => new HostilePackets() }]),
  // Rings, registers and requests of devices.
  ...group(
    TRANSPORTS.flatMap((transport) =>
      DEVICE_KINDS.map((device) => ({
        name: `virtio ${device} ${transport}`,
        make: () => new HostileDrivers(device, transport),
      })),
    ),
  ),
  ...group([{ name: 'pci pseries', make: () => new HostileConfiguration() }]),
  ...group(
    (['g3beige', 'mac99'] as const).map((board) => ({
      name: `devices ${board}`,
      make: () => new HostileMacDevices(board),
    })),
  ),
  ...group(CHIP_PARTS.map((part) => ({ name: `chip ${part}`, make: () => new HostileChips(part) }))),
  // 9P.
  ...group(
    (['memory', 'host', 'threads'] as const).map((kind) => ({
      name: `messages ${kind}`,
      make: () => new HostileMessages(kind),
    })),
  ),
];
