/**
 * Hostile 64-bit guests: random hash tables, segments, modes, hypercalls and RTAS calls, magic pages over everything odd, code
 * in both byte orders. What does not belong to the guest is filled with a pattern, which must be there afterwards.
 */
import { type Accel, KVM_INTERRUPT, type Vcpu, type Vm, type VmOptions } from '../../src/kvm/index.ts';
import { VirtualMachine } from '../../src/kvm/vm.ts';
import { bare } from '../../src/machine/boards/bare.ts';
import { pseries } from '../../src/machine/boards/pseries.ts';
import type { ConsoleDevice } from '../../src/machine/device.ts';
import { RTAS_TOKENS } from '../../src/machine/devices/spapr-rtas.ts';
import { repeatableWorld } from '../../src/machine/host.ts';
import { BoardInstance } from '../../src/machine/instance.ts';
import {
  createClassicCpu,
  createE500Cpu,
  createHostCpu,
  createServerCpu,
  type HostMemory,
} from '../../src/processor/index.ts';
import { interestingWord } from '../truth/machine-state.ts';
import { Random } from '../truth/random.ts';
import { HostileDebugger } from './debugger.ts';
import { Guards } from './guards.ts';
import { type GuestEnd, NS_PER_INSTRUCTION, SLICES, serveSlice } from './serve.ts';
import { fillCode, fillVectors } from './server-code.ts';
import {
  CODE,
  CODE_BYTES,
  CODE_END,
  FAR_RAM,
  FAR_RAM_BYTES,
  HTAB,
  HTAB_BYTES,
  PLACES,
  RAM_BYTES,
  ROM,
  ROM_BYTES,
  RTAS_BLOCK_COUNT,
  RTAS_BLOCKS,
} from './server-places.ts';

/** A kind of machine that hostile guests run on. */
export interface ServerKind {
  readonly board: typeof bare | typeof pseries;
  readonly cpu: string;
  readonly littleEndian: boolean;
}

export const SERVER_KINDS: readonly ServerKind[] = [
  { board: bare, cpu: 'power8', littleEndian: false },
  { board: pseries, cpu: 'power7', littleEndian: false },
  { board: pseries, cpu: 'power8', littleEndian: true },
  { board: bare, cpu: '970', littleEndian: false },
  { board: bare, cpu: 'power8', littleEndian: true },
];

/** Instructions that a guest may retire. */
const INSTRUCTIONS = 10_000;
const LOG2_PAPR_HTAB = 18;
/** KVM sets this much aside for its own table. */
const LARGEST_HTAB_BYTES = 2 ** 26;
const MSR_SF = 1n << 63n;
/** One-regs LPCR_64 and HIOR: where interrupts' vectors are without PAPR. */
const LPCR = 0x1030_0000_0000_00b5n;
const HIOR = 0x1030_0000_0000_0001n;
const wide = (high: number, low: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);

/** Segments that guests mostly have: ESID of 256 MB, VSID. */
const SEGMENTS: readonly (readonly [bigint, bigint])[] = [
  [0n, 0x1001n],
  [0xc00000000n, 0x414f012afn],
  [0xf00000000n, 0x1003n],
  [0x1n, 0x1004n],
  [0xfffffffffn, 0x1005n],
  [0x200000n, 0x3fffffffffn],
];

export class HostileServers {
  readonly #vm: Vm;
  readonly #vcpu: Vcpu;
  readonly #board: BoardInstance;
  readonly #console: ConsoleDevice;
  readonly #papr: boolean;
  readonly #littleEndian: boolean;
  readonly #memory: HostMemory;
  readonly #guards: Guards;
  readonly #debugger: HostileDebugger;
  /** KVM's own hash table, host real. */
  readonly #htab: number;
  printed = 0;

  constructor(accel: Accel, kind: ServerKind) {
    const spec = kind.board.cpus.find(({ model }) => model === kind.cpu);
    if (spec === undefined) throw new Error(`${kind.board.name} has no ${kind.cpu}`);
    const options: VmOptions = {
      cpu: kind.cpu,
      accel,
      clock: { now: () => 0 },
      timebaseFrequency: spec.timebaseFrequency,
      maxMemory: RAM_BYTES + ROM_BYTES + FAR_RAM_BYTES,
      littleEndian: kind.littleEndian,
      icount: NS_PER_INSTRUCTION,
    };
    let memory: HostMemory | undefined;
    const vm = new VirtualMachine(options, {
      createHostCpu,
      createClassicCpu,
      createE500Cpu,
      createServerCpu: (cpu) => {
        memory = cpu.memory;
        return createServerCpu(cpu);
      },
    });
    this.#papr = kind.board === pseries;
    this.#littleEndian = kind.littleEndian;
    vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM_BYTES, logDirtyPages: true });
    // No board has both read-only memory and devices that write to memory.
    if (!this.#papr) vm.setUserMemoryRegion({ slot: 1, guestPhysAddr: ROM, memorySize: ROM_BYTES, readonly: true });
    vm.setUserMemoryRegion({ slot: 2, guestPhysAddr: FAR_RAM, memorySize: FAR_RAM_BYTES });
    this.#vm = vm;
    this.#vcpu = vm.createVcpu(0);
    const places = PLACES.map(([high, low]) => wide(high, low));
    this.#debugger = new HostileDebugger(vm, this.#vcpu, CODE_END, places);
    this.#board = new BoardInstance(
      kind.board,
      { memoryBytes: RAM_BYTES, cpu: spec },
      vm,
      this.#vcpu,
      repeatableWorld(),
    );
    this.#console = this.#board.device(kind.board.serial[0] ?? '') as ConsoleDevice;
    this.#console.sink = { writeByte: () => this.printed++ };
    if (memory === undefined) throw new Error('no processor was made');
    this.#memory = memory;
    this.#htab = memory.byteLength - LARGEST_HTAB_BYTES;
    this.#guards = new Guards(memory, vm.memory, {
      slots: [
        { address: 0, bytes: RAM_BYTES },
        { address: FAR_RAM, bytes: FAR_RAM_BYTES },
      ],
      table: { start: this.#htab, bytes: this.#papr ? HTAB_BYTES : 0 },
      ...(!this.#papr && { readOnly: { address: ROM, contents: hashTable(new Random(0), 0) } }),
    });
  }

  get stats(): Record<string, number> {
    return { ...this.#vm.stats, ...this.#vcpu.stats };
  }

  /** Runs the guest of a seed to its end. @throws whatever must not be thrown, and when a guard was written to. */
  run(seed: number): GuestEnd {
    const random = new Random(seed);
    const vcpu = this.#vcpu;
    this.#board.reset();
    vcpu.reset();
    if (this.#papr) {
      vcpu.enableCap('papr');
      this.#vm.allocateHtab(LOG2_PAPR_HTAB);
    }
    const otherOrder = random.chance(0.15);
    this.#fillMemory(random, this.#littleEndian !== otherOrder);
    this.#fillTables(random);
    this.#fillRegisters(random, this.#littleEndian !== otherOrder);
    this.#debugger.begin(random);
    let end: GuestEnd | undefined;
    for (let slice = 0; slice < SLICES && end === undefined; slice++) {
      this.#disturb(random);
      end = serveSlice(vcpu, this.#board, random, INSTRUCTIONS, this.#debugger);
    }
    this.#guards.checkNear();
    return end ?? 'limit';
  }

  /** Checks all that no guest may write to; `run` checks what is near to what it may. @throws Error for what was written. */
  checkAll(): void {
    this.#guards.checkAll();
  }

  /** What the world outside does in the meantime. */
  #disturb(random: Random): void {
    const vcpu = this.#vcpu;
    if (random.chance(0.5))
      this.#console.receive(Uint8Array.from({ length: random.below(40) }, () => random.below(256)));
    if (random.chance(0.2))
      vcpu.interrupt(random.pick([KVM_INTERRUPT.SET_LEVEL, KVM_INTERRUPT.SET, KVM_INTERRUPT.UNSET]));
    if (random.chance(0.2)) this.#vm.memory.write32(4 * random.below(CODE_END / 4), random.word() >>> 0);
    if (random.chance(0.2)) this.#debugger.change(random);
    if (random.chance(0.2)) this.#vm.getDirtyLog(0);
    if (random.chance(0.2)) vcpu.translate(random.pick(PLACES)[1] + 2 ** 40 * random.below(4096));
    if (random.chance(0.1)) vcpu.setRegs(vcpu.getRegs());
    if (random.chance(0.1)) vcpu.setSregs(vcpu.getSregs());
    if (random.chance(0.01)) this.#board.restore(this.#board.save());
  }

  #fillMemory(random: Random, littleEndian: boolean): void {
    const { memory } = this.#vm;
    memory.fill(0, RAM_BYTES, 0);
    memory.fill(FAR_RAM, FAR_RAM_BYTES, 0);
    const inOrder = (words: Int32Array): Uint8Array => {
      const bytes = new Uint8Array(words.length * 4);
      const view = new DataView(bytes.buffer);
      words.forEach((word, i) => {
        view.setInt32(4 * i, word, littleEndian);
      });
      return bytes;
    };
    const words = new Int32Array(CODE_BYTES / 4);
    fillVectors(random, words);
    memory.writeBytes(0, inOrder(words));
    fillCode(random, words, random.below(8));
    const code = inOrder(words);
    for (let at = CODE; at < CODE_END; at += CODE_BYTES) memory.writeBytes(at, code);
    memory.writeBytes(FAR_RAM, code);
    const block = new Uint8Array(64);
    const blockView = new DataView(block.buffer);
    const tokens = Object.values(RTAS_TOKENS);
    for (let i = 0; i < RTAS_BLOCK_COUNT; i++) {
      for (let at = 0; at < 64; at += 4)
        blockView.setInt32(at, random.chance(0.5) ? interestingWord(random) : random.pick(PLACES)[1]);
      blockView.setUint32(0, random.chance(0.95) ? random.pick(tokens) : random.word() >>> 0);
      if (random.chance(0.9)) blockView.setUint32(4, random.below(8));
      if (random.chance(0.9)) blockView.setUint32(8, random.below(9));
      memory.writeBytes(RTAS_BLOCKS + 64 * i, block);
    }
  }

  /** The hash table, the guest's or KVM's, and the segments. */
  #fillTables(random: Random): void {
    const wild = random.below(3);
    const table = hashTable(random, wild);
    if (this.#papr) this.#memory.writeBytes(this.#htab, table);
    else this.#vm.memory.writeBytes(HTAB, table);

    const sregs: Record<string, bigint | number> = {
      sdr1: random.chance(0.7)
        ? BigInt(random.chance(0.9) ? HTAB : ROM)
        : wide(...random.pick(PLACES)) | BigInt(random.below(64)),
      dec: random.below(100_000),
    };
    for (let i = 0; i < 64; i++) {
      const tame = SEGMENTS[i];
      const isWild = random.below(6) < wild;
      if (tame === undefined && !isWild) continue;
      const [esid, vsid] = tame ?? [0n, 0n];
      sregs[`slbe${i}`] = isWild ? wide(random.word(), random.word()) : (esid << 28n) | 0x08000000n | BigInt(i);
      sregs[`slbv${i}`] = isWild ? wide(random.word(), random.word()) : (vsid << 12n) | BigInt(random.below(16) << 9);
    }
    this.#vcpu.setSregs(sregs);
  }

  #fillRegisters(random: Random, littleEndian: boolean): void {
    const vcpu = this.#vcpu;
    const long = (): bigint => wide(interestingWord(random), interestingWord(random));
    const address = (): bigint =>
      random.chance(0.5) ? BigInt(random.below(CODE_END)) : wide(...random.pick(PLACES)) + BigInt(8 * random.below(8));
    const base = random.chance(0.7) ? 0n : random.pick(SEGMENTS)[0] << 28n;
    const regs = vcpu.getRegs();
    regs.pc = random.chance(0.95) ? base + BigInt(CODE + 4 * random.below(CODE_BYTES / 4)) : long();
    let msr = random.chance(0.3) ? 0n : BigInt(random.word() >>> 0);
    if (random.chance(0.5)) msr &= ~0x4000n;
    if (random.chance(0.7)) msr |= 0x02802000n;
    if (random.chance(0.7)) msr |= 0x1000n;
    if (random.chance(0.8)) msr = (msr & ~1n) | (littleEndian ? 1n : 0n);
    regs.msr = msr | (random.chance(0.8) ? MSR_SF : 0n);
    for (const name of ['lr', 'ctr', 'srr0'] as const) regs[name] = random.chance(0.7) ? address() : long();
    regs.cr = long() & 0xffffffffn;
    regs.xer = long() & 0xffffffffn;
    regs.srr1 = regs.msr ^ BigInt(random.chance(0.5) ? 0 : random.word() >>> 0);
    regs.gpr = regs.gpr.map(() => (random.chance(0.5) ? address() : long()));
    vcpu.setRegs(regs);
    vcpu.setOneReg(HIOR, random.chance(0.9) ? 0n : address());
    // ILE: interrupts come in the order of the code.
    if (littleEndian && random.chance(0.8)) vcpu.setOneReg(LPCR, 0x02000000n);
  }
}

/** A hash table for the segments; `wild`: 0 all of it makes sense, 1 less, 2 hardly any. */
function hashTable(random: Random, wild: number): Uint8Array {
  const table = new Uint8Array(HTAB_BYTES);
  const view = new DataView(table.buffer);
  if (wild === 2) for (let at = 0; at < HTAB_BYTES; at += 4) view.setInt32(at, random.word());
  for (let i = 0; i < 300; i++) {
    const segment = random.below(SEGMENTS.length);
    const entry = hashEntry(random, segment, random.chance(0.5) ? i % 64 : random.below(0x10000));
    const at = (entry.group * 8 + random.below(8)) * 16;
    view.setBigUint64(at, entry.first);
    view.setBigUint64(at + 8, random.below(4) < wild ? wide(random.word(), random.word()) : entry.second);
  }
  return table;
}

/** An entry of the hash table that translates a page of one of the segments to a place of some kind. */
function hashEntry(random: Random, segment: number, page: number): { group: number; first: bigint; second: bigint } {
  const [, vsid] = SEGMENTS[segment] as readonly [bigint, bigint];
  const secondary = random.chance(0.2);
  const vpn = (vsid << 16n) | BigInt(page);
  const hash = Number((vsid ^ BigInt(page)) & 0x7ffn);
  const [high, low] = random.pick(PLACES);
  const real = random.chance(0.6) ? BigInt(page % (CODE_END / 4096)) << 12n : wide(high & 0x0fffffff, low & ~0xfff);
  const flags = random.chance(0.7) ? 2 : random.below(0x1000);
  return {
    group: secondary ? ~hash & 0x7ff : hash,
    first: ((vpn >> 11n) << 7n) | (secondary ? 3n : 1n),
    second: real | BigInt(flags),
  };
}
