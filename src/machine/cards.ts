/** Devices that a user plugs into a board, and the options that say so. */

import { ideCd } from './devices/ide/cd.ts';
import { ideDisk } from './devices/ide/disk.ts';
import type { MakeDrive } from './devices/ide/drive.ts';
import { type ShareOptions, virtio9p } from './devices/virtio-9p.ts';
import { virtioBalloon } from './devices/virtio-balloon.ts';
import { type DiskOptions, virtioBlk } from './devices/virtio-blk.ts';
import { type ConsolePortOptions, virtioConsole } from './devices/virtio-console.ts';
import { type NetworkOptions, virtioNet } from './devices/virtio-net.ts';
import { virtioRng } from './devices/virtio-rng.ts';
import { OptionError } from './error.ts';
import type { VirtioSpec } from './virtio/device.ts';

/** A device to plug in. */
export interface Card {
  readonly device: VirtioSpec;
  /** One of the board's buses (`Board.buses`); its customary one when absent. */
  readonly bus?: string | undefined;
  /** The same as a drive, for boards with a bus of drives (`IDE`). */
  readonly drive?: IdeDriveSpec | undefined;
}

/** The bus whose places only drives fit. */
export const IDE = 'ide';

/** A drive on that bus. */
export interface IdeDriveSpec {
  readonly make: MakeDrive;
  readonly isCd: boolean;
}

/** The devices that a machine's options plug in. */
export interface CardOptions {
  readonly disks?: readonly DiskOptions[] | undefined;
  readonly network?: NetworkOptions | undefined;
  readonly shares?: readonly ShareOptions[] | undefined;
  readonly consolePorts?: readonly ConsolePortOptions[] | undefined;
  /** A source of randomness. */
  readonly rng?: boolean | undefined;
  /** A memory balloon, which also hears of pages that the guest has no use for. */
  readonly balloon?: boolean | undefined;
  /** A display: `machine.seat` has its picture. */
  readonly display?: boolean | undefined;
  /** Devices of one's own. */
  readonly devices?: readonly Card[] | undefined;
}

/** What the options plug in, in the order of the slots: the first disk is the guest's first. */
export function cardsOf(options: CardOptions): Card[] {
  const { disks = [], network, shares = [], consolePorts = [], rng = false, balloon = false, devices = [] } = options;
  const specs = [
    ...(network === undefined ? [] : [virtioNet('net0', network)]),
    ...shares.map((share, i) => virtio9p(`share${i}`, share)),
    ...(consolePorts.length === 0 ? [] : [virtioConsole('console0', consolePorts)]),
    ...(rng ? [virtioRng('rng0')] : []),
    ...(balloon ? [virtioBalloon('balloon0')] : []),
  ];
  return [...disks.map(diskCard), ...specs.map((device) => ({ device })), ...devices];
}

function diskCard(disk: DiskOptions, index: number): Card {
  const isCd = disk.media === 'cdrom';
  const make = isCd ? ideCd(disk.store) : ideDisk(disk);
  const device = virtioBlk(`disk${index}`, isCd ? { ...disk, readOnly: true } : disk);
  return { device, bus: disk.bus, drive: { make, isCd } };
}

/** A card with its place. */
export interface PlacedCard {
  readonly device: VirtioSpec;
  readonly bus: string;
  readonly drive?: IdeDriveSpec | undefined;
}

/**
 * Gives each card a bus: the one that it names, or the first that has room. `buses`: how many cards fit on each.
 * @throws OptionError when one does not fit.
 */
export function placeCards(
  board: string,
  buses: Readonly<Record<string, number>>,
  cards: readonly Card[],
): PlacedCard[] {
  const room = new Map(Object.entries(buses));
  return cards.map(({ device, bus, drive }) => {
    const fits = (name: string): boolean => name !== IDE || drive !== undefined;
    if (bus !== undefined && !room.has(bus)) {
      const names = room.size === 0 ? 'it has none' : `${[...room.keys()].join(', ')} would fit`;
      throw new OptionError(`the board ${board} has no bus "${String(bus).slice(0, 64)}" for ${device.name}; ${names}`);
    }
    const place = bus ?? [...room].find(([name, count]) => count > 0 && fits(name))?.[0];
    const left = place === undefined ? 0 : (room.get(place) as number);
    if (place === undefined || left === 0 || !fits(place)) {
      const all = Object.entries(buses).map(([name, count]) => `${count} on ${name}`);
      throw new OptionError(
        `the board ${board} has no room for ${device.name}: it takes ${all.length === 0 ? 'no devices' : all.join(', ')}`,
      );
    }
    room.set(place, left - 1);
    return { device, bus: place, drive };
  });
}

/** The devices on a bus, in order. */
export function onBus(cards: readonly PlacedCard[] | undefined, bus: string): VirtioSpec[] {
  return (cards ?? []).filter((card) => card.bus === bus).map(({ device }) => device);
}

/** Where drives go, in this order: hard disks from the first channel on, CDs from the second one. */
const DISK_PLACES = [0, 1, 3, 2] as const;
const CD_PLACES = [2, 3, 1, 0] as const;

/** The drives on the channels of a board: two places a channel. */
export function ideDrives(cards: readonly PlacedCard[] | undefined): (MakeDrive | undefined)[] {
  const places: (MakeDrive | undefined)[] = [undefined, undefined, undefined, undefined];
  for (const { bus, drive } of cards ?? []) {
    if (bus !== IDE || drive === undefined) continue;
    const free = (drive.isCd ? CD_PLACES : DISK_PLACES).find((place) => places[place] === undefined);
    if (free !== undefined) places[free] = drive.make;
  }
  return places;
}
