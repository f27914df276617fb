/**
 * Damaged and made-up files: kernels of every format, device trees, initial RAM disks, command lines. A machine takes or refuses
 * them; what is taken runs for some slices.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { env } from 'node:process';
import { gzipSync } from 'node:zlib';
import { buildFdt, type Fdt, FdtNode, parseFdt } from '../../src/machine/fdt.ts';
import { Machine } from '../../src/machine/index.ts';
import { addSections, makeElf, makeElf64, makeUImage } from '../machine/images.ts';
import { interestingWord } from '../truth/machine-state.ts';
import { Random } from '../truth/random.ts';
import { GuardedVms } from './guarded-vm.ts';
import { CountedHost } from './hosts.ts';
import { type CaseEnd, checkEnd, checkRefusal } from './judge.ts';
import { damage, mendUImage, plainKernel } from './kernels.ts';
import { DEVICES, MEMORY, PLACES, type Place, PROGRAM_BYTES } from './machines.ts';
import { makeProgram, type Target } from './programs.ts';

/** What is damaged. */
export const FILES = ['kernel', 'tree', 'initrd'] as const;
export type FileKind = (typeof FILES)[number];

const NS_PER_INSTRUCTION = 1000;
const MOST_TURNS = 2;
/** As much of a file as its headers are. */
const HEAD_BYTES = 512;
const MOST_FILE_BYTES = 2 ** 20;

/** Ready guests: their files stand beside made-up ones. */
const GUESTS = env['POWERVISOR_GUESTS'];

/** A file of the ready guests, if there are any; no more of it than a small machine has room for. */
function ready(name: string): Uint8Array[] {
  const path = GUESTS === undefined ? undefined : join(GUESTS, name);
  return path !== undefined && existsSync(path) ? [new Uint8Array(readFileSync(path))] : [];
}

export class HostileFiles {
  readonly #kind: FileKind;
  readonly #place: Place;
  readonly #target: Target;
  readonly #vms: GuardedVms;
  readonly #kernels: readonly Uint8Array[];
  readonly #trees: readonly Uint8Array[];

  constructor(kind: FileKind, place: Place) {
    const { bytes, htab } = MEMORY[place.board];
    this.#kind = kind;
    this.#place = place;
    this.#vms = new GuardedVms('counted', bytes, htab);
    const family = place.board === 'bamboo' ? '440' : 'server';
    this.#target = { family, littleEndian: place.littleEndian, ramBytes: PROGRAM_BYTES, devices: DEVICES[place.board] };
    const server = place.littleEndian ? 'ppc64el/vmlinux' : 'book3s64/vmlinux';
    this.#kernels = family === '440' ? ready('440/uImage') : place.board === 'pseries' ? ready(server) : [];
    this.#trees = ready('440/bamboo.dtb');
  }

  /** Offers the files of a seed to a machine. @throws whatever must not be thrown. */
  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    const { board, cpu } = this.#place;
    let turns = 1 + random.below(MOST_TURNS);
    const host = new CountedHost(() => --turns > 0);
    const kind = this.#kind;
    let machine: Machine;
    try {
      machine = Machine.create({
        board,
        cpu,
        host,
        memoryBytes: MEMORY[board].bytes,
        kernel: kind === 'kernel' ? this.#kernel(random) : this.#program(random),
        dtb: kind === 'tree' ? this.#tree(random) : undefined,
        initrd: kind === 'initrd' ? ramDisk(random) : undefined,
        append: random.chance(0.3) ? commandLine(random) : undefined,
        createVm: this.#vms.createVm,
        noReboot: random.chance(0.5),
        icount: NS_PER_INSTRUCTION,
      });
    } catch (error) {
      return checkRefusal(error);
    }
    host.end = () => machine.quit();
    const end = checkEnd(await machine.run());
    this.#vms.check();
    return end;
  }

  checkAll(): void {
    this.#vms.checkAll();
  }

  #program(random: Random): Uint8Array {
    return plainKernel(random, makeProgram(random, this.#target), this.#target);
  }

  #kernel(random: Random): Uint8Array {
    const real = random.chance(0.02) ? this.#kernels[0] : undefined;
    const sound = real ?? (random.chance(0.5) ? this.#program(random) : strangeKernel(random, this.#target));
    const damaged = damage(random, sound, HEAD_BYTES);
    if (damaged[0] === 0x27 && random.chance(0.7)) mendUImage(damaged);
    return random.chance(0.1) ? damage(random, gzipSync(damaged, { level: 1 }), HEAD_BYTES) : damaged;
  }

  #tree(random: Random): Uint8Array {
    const real = random.chance(0.3) ? this.#trees[0] : undefined;
    const tree = real ?? buildFdt(strangeTree(random));
    if (random.chance(0.3)) return real === undefined ? tree : damagedNodes(random, real);
    return damage(random, tree, random.chance(0.5) ? 64 : tree.length);
  }
}

/** A kernel that is well made and asks for what it should not. */
function strangeKernel(random: Random, target: Target): Uint8Array {
  const place = (): number =>
    random.pick([0, 4, 0x1000, 0x100000, target.ramBytes - 4, target.ramBytes, 0x7ffffffc, 0xc0000000, 0xfffffffc]);
  const size = (): number => random.pick([0, 4, 64, 4096, target.ramBytes, 0x7fffffff, 0xffffffff]);
  const bytes = Uint8Array.from({ length: 4 * random.below(64) }, () => random.below(256));
  const segments = Array.from({ length: random.below(random.chance(0.1) ? 200 : 4) }, () => ({
    type: random.chance(0.9) ? 1 : random.below(8),
    virtual: place(),
    physical: place(),
    bytes,
    ...(random.chance(0.5) && { memory: random.chance(0.5) ? bytes.length + random.below(4096) : size() }),
  }));
  const choice = random.below(4);
  if (choice === 0)
    return makeUImage(random.chance(0.5) ? gzipSync(bytes, { level: 1 }) : bytes, {
      load: place(),
      entry: place(),
      compression: random.below(3),
    });
  if (choice === 1) return makeElf(segments, place());
  const wide = (value: number): bigint =>
    BigInt(value) | (random.chance(0.3) ? random.pick([0xc000000000000000n, 1n << 63n, 1n << 32n]) : 0n);
  const elf = makeElf64(
    segments.map((one) => ({ ...one, virtual: wide(one.virtual), physical: wide(one.physical) })),
    wide(place()),
    random.chance(0.5),
  );
  if (choice === 2) return elf;
  const sections = ['.opd', '.kernel:vmlinux.strip'].map((name) => ({
    name,
    address: wide(place()),
    bytes: random.chance(0.5) ? gzipSync(elf, { level: 1 }) : bytes,
  }));
  return addSections(random.chance(0.5) ? elf : makeElf(segments, place()), sections);
}

const NODES = [
  '',
  'memory',
  'memory@0',
  'cpus',
  'cpu@0',
  'chosen',
  'aliases',
  'plb',
  'a',
  'x'.repeat(255),
  '\u001b[2J\n',
];
const PROPERTIES = [
  'reg',
  'device_type',
  '#address-cells',
  '#size-cells',
  'bootargs',
  'phandle',
  'linux,initrd-start',
  '\n',
];

function strangeNode(random: Random, depth: number): FdtNode {
  const node = new FdtNode(random.pick(NODES));
  for (let count = random.below(6); count > 0; count--) {
    const value = random.pick<Parameters<FdtNode['set']>[1]>([
      true,
      'memory',
      'cpu',
      interestingWord(random) >>> 0,
      Array.from({ length: random.below(64) }, () => random.word() >>> 0),
      Uint8Array.from({ length: random.below(9) }, () => random.below(256)),
    ]);
    node.set(random.pick(PROPERTIES), value);
  }
  for (let count = random.below(4); depth > 0 && count > 0; count--) node.children.push(strangeNode(random, depth - 1));
  return node;
}

/** A well-formed tree of anything, deep or wide. */
function strangeTree(random: Random): Fdt {
  const root = strangeNode(random, random.below(5));
  let node = root;
  for (let depth = random.chance(0.1) ? 50 + random.below(20) : 0; depth > 0; depth--) {
    const child = strangeNode(random, 0);
    node.children.push(child);
    node = child;
  }
  if (random.chance(0.05))
    for (let i = random.below(2000); i > 0; i--) root.children.push(new FdtNode(`n${i}`).set('reg', i));
  const reservations = Array.from({ length: random.below(5) }, () => ({
    address: BigInt(random.word() >>> 0) << BigInt(random.below(32)),
    size: BigInt(1 + random.below(0x10000)),
  }));
  return { root, reservations, bootCpu: random.word() >>> 0 };
}

/** A sound tree with some of its properties gone or set to anything. */
function damagedNodes(random: Random, bytes: Uint8Array): Uint8Array {
  const tree = parseFdt(bytes);
  const walk = (node: FdtNode): void => {
    for (const name of [...node.properties.keys()]) {
      const choice = random.below(60);
      if (choice === 0) node.properties.delete(name);
      if (choice === 1) node.set(name, interestingWord(random) >>> 0);
      if (choice === 2) node.set(name, new Uint8Array(random.below(64)));
    }
    for (const child of node.children) walk(child);
    if (random.chance(0.05)) node.children.pop();
  };
  walk(tree.root);
  return buildFdt(tree);
}

/** What large files are cut out of. */
const large = new Uint8Array(80 * MOST_FILE_BYTES);

function ramDisk(random: Random): Uint8Array {
  const length = random.below(random.chance(0.1) ? large.length : random.chance(0.5) ? MOST_FILE_BYTES : 64);
  for (let at = 0; at < Math.min(length, 4096); at++) large[at] = random.below(256);
  return large.subarray(0, length);
}

function commandLine(random: Random): string {
  const most = random.pick([16, 2047, 2048, 5000]);
  const limit = random.pick([0x7f, 0x7f, 0x100, 0x10000]);
  return Array.from({ length: random.below(most) }, () =>
    String.fromCharCode((random.chance(0.98) ? 0x20 : 0) + random.below(limit - 0x20)),
  ).join('');
}

/** The places whose machines look at files in different ways. */
export const FILE_PLACES: readonly Place[] = PLACES.filter(({ board, cpu }) => board !== 'bare' || cpu === 'power8');
