/**
 * Hostile guests: random code, TLB contents and registers on the whole board. Each has so many instructions to live; one
 * machine serves them all, since a new one for each would take longer than the guests themselves.
 */
import { INSTRUCTIONS, type Level } from '../../src/isa/index.ts';
import { type Accel, createVm, KVM_INTERRUPT, type TlbEntry, type Vcpu, type Vm } from '../../src/kvm/index.ts';
import type { Board } from '../../src/machine/board.ts';
import { bamboo } from '../../src/machine/boards/bamboo.ts';
import { ppce500 } from '../../src/machine/boards/ppce500.ts';
import type { Ns16550 } from '../../src/machine/devices/ns16550.ts';
import { repeatableWorld } from '../../src/machine/host.ts';
import { BoardInstance } from '../../src/machine/instance.ts';
import { interestingWord } from '../truth/machine-state.ts';
import { Random } from '../truth/random.ts';
import { type Form, randomWord } from '../truth/single.ts';
import { HostileDebugger } from './debugger.ts';
import { type GuestEnd, NS_PER_INSTRUCTION, SLICES, serveSlice } from './serve.ts';

const MEMORY_BYTES = 8 * 2 ** 20;
/** Instructions that a guest may retire. */
const GUEST_INSTRUCTIONS = 20_000;

/** A member of Book E on its board. */
export interface Member {
  readonly cpu: string;
  readonly board: Board;
  /** Instructions that it has not are none of its guests'. */
  readonly levels: (level: Level) => boolean;
  /** Effective addresses at which its guests have something. */
  readonly places: readonly number[];
  /** Entries of its TLBs, and one that maps a page: as itself, or somewhere else. */
  readonly entries: number;
  entry(random: Random, page: number, size: number): TlbEntry;
  wildEntry(random: Random): TlbEntry;
  /** Special registers that are worth a number. */
  readonly registers: readonly string[];
}

export const MEMBER_440: Member = {
  cpu: '440ep',
  board: bamboo,
  levels: (level) => level !== 'float',
  places: [0xef600300, 0xef600400, 0xeec00000, 0xeed00000, 0xef400000, 0xe8000000, 0xa0000000, 0xfffffffc, 0x7fffff],
  entries: 64,
  entry: (random, page, size) => ({
    word0: ((page & 0xfffffc00) | 0x200 | (random.below(2) << 8) | (size << 4)) >>> 0,
    word1: (page & 0xfffffc00) >>> 0,
    word2: random.chance(0.7) ? 0x3f : random.below(0x10000),
    tid: random.chance(0.7) ? 0 : random.below(3),
  }),
  wildEntry: (random) => {
    const word = (): number => random.word() >>> 0;
    return { word0: word(), word1: word(), word2: word(), tid: random.below(256) };
  },
  registers: [],
};

/** The chip's registers lie above 4 GB: entries from here on lead there. */
const CHIP = 0xe000_0000;
const CHIP_HIGH = 0xf;

export const MEMBER_E500: Member = {
  cpu: 'e500v2',
  board: ppce500,
  levels: (level) => ['base', 'classic', 'isel', 'booke', 'e500', 'spe'].includes(level),
  places: [0xe0004500, 0xe0008000, 0xe0040000, 0xe00600a0, 0xe00e00b0, 0xe00ff000, 0xa0000000, 0xfffffffc, 0x7fffff],
  entries: 256 + 16,
  entry: (random, page, size) => ({
    mas1:
      ((random.chance(0.2) ? 0xc000_0000 : 0x8000_0000) |
        (random.below(2) << 12) |
        (Math.max(1, size) << 8) |
        (random.chance(0.7) ? 0 : random.below(3) << 16)) >>>
      0,
    mas2: ((page & 0xffff_f000) | (random.chance(0.9) ? 0 : random.below(0x80))) >>> 0,
    mas3: ((page & 0xffff_f000) | (random.chance(0.7) ? 0x3f : random.below(0x400))) >>> 0,
    mas7: page >>> 0 >= CHIP ? CHIP_HIGH : 0,
  }),
  wildEntry: (random) => {
    const word = (): number => random.word() >>> 0;
    return { mas1: word(), mas2: word(), mas3: word(), mas7: word() };
  },
  registers: ['mas0', 'mas1', 'mas2', 'mas3', 'mas4', 'mas6', 'mas7', 'spefscr', 'hid0', 'pid1'],
};

const CODE_BYTES = 0x2000;

export class HostileGuests {
  readonly #vm: Vm;
  readonly #vcpu: Vcpu;
  readonly #board: BoardInstance;
  readonly #serial: Ns16550;
  readonly #debugger: HostileDebugger;
  readonly #member: Member;
  readonly #forms: readonly Form[];
  /** What guests' kernels do and programs do not. */
  readonly #privileged: readonly Form[];
  /** Bytes that guests wrote to the console. */
  printed = 0;

  constructor(accel: Accel, member = MEMBER_440) {
    this.#member = member;
    const { board, places } = member;
    this.#forms = INSTRUCTIONS.filter(({ level }) => member.levels(level)).map((instruction) => {
      const { mnemonic, mask, value } = instruction;
      return { name: mnemonic, instruction, mask, value };
    });
    this.#privileged = this.#forms.filter(
      ({ instruction }) => instruction.privileged || /^m[ft]spr$|^sc$/.test(instruction.mnemonic),
    );
    this.#vm = createVm({
      cpu: member.cpu,
      accel,
      clock: { now: () => 0 },
      timebaseFrequency: board.cpus[0].timebaseFrequency,
      maxMemory: MEMORY_BYTES,
      icount: NS_PER_INSTRUCTION,
    });
    this.#vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: MEMORY_BYTES });
    this.#vcpu = this.#vm.createVcpu(0);
    this.#debugger = new HostileDebugger(this.#vm, this.#vcpu, CODE_BYTES, places.map(BigInt));
    const configuration = { memoryBytes: MEMORY_BYTES, cpu: board.cpus[0] };
    this.#board = new BoardInstance(board, configuration, this.#vm, this.#vcpu, repeatableWorld());
    this.#serial = this.#board.device('serial0') as Ns16550;
    this.#serial.sink = { writeByte: () => this.printed++ };
  }

  get stats(): Record<string, number> {
    return this.#vm.stats;
  }

  /** Runs the guest of a seed to its end. @throws whatever must not be thrown. */
  run(seed: number): GuestEnd {
    const random = new Random(seed);
    this.#vcpu.reset();
    this.#board.reset();
    this.#fillMemory(random);
    this.#fillTlb(random);
    this.#fillRegisters(random);
    this.#debugger.begin(random);
    for (let slice = 0; slice < SLICES; slice++) {
      this.#disturb(random);
      const end = serveSlice(this.#vcpu, this.#board, random, GUEST_INSTRUCTIONS, this.#debugger);
      if (end) return end;
    }
    return 'limit';
  }

  /** What the world outside does in the meantime. */
  #disturb(random: Random): void {
    if (random.chance(0.5))
      this.#serial.receive(Uint8Array.from({ length: random.below(40) }, () => random.below(256)));
    if (random.chance(0.2)) this.#vcpu.interrupt(random.pick([KVM_INTERRUPT.SET_LEVEL, KVM_INTERRUPT.UNSET]));
    if (random.chance(0.1)) this.#vcpu.criticalInterrupt(random.pick([KVM_INTERRUPT.SET_LEVEL, KVM_INTERRUPT.UNSET]));
    if (random.chance(0.2)) this.#debugger.change(random);
    // A device writes over code.
    if (random.chance(0.2)) this.#vm.memory.write32(4 * random.below(CODE_BYTES / 4), random.word() >>> 0);
  }

  #word(random: Random, kind: number): number {
    if (kind === 0) return random.word();
    const choice = random.below(100);
    if (choice < 8) return random.word();
    if (choice < 25) return randomWord(random, random.pick(this.#privileged));
    if (choice < 30) return (18 << 26) | ((4 * (random.below(128) - 64)) & 0x03fffffc) | random.below(2);
    if (choice < 38) return (16 << 26) | (random.below(1024) << 16) | ((4 * (random.below(64) - 32)) & 0xfffc);
    if (choice < 44) return (15 << 26) | (random.below(32) << 21) | (random.pick(this.#member.places) >>> 16);
    if (choice < 48) return ((32 + random.below(16)) << 26) | (random.below(1024) << 16) | random.below(0x1000);
    return randomWord(random, random.pick(this.#forms));
  }

  #fillMemory(random: Random): void {
    const { memory } = this.#vm;
    memory.fill(0, MEMORY_BYTES, 0);
    // Kind 0 is noise and nothing else, as an image that was taken for a kernel would be.
    const kind = random.below(5);
    const code = new Uint8Array(CODE_BYTES);
    const view = new DataView(code.buffer);
    for (let at = 0; at < CODE_BYTES; at += 4) view.setInt32(at, this.#word(random, kind));
    for (let at = 0; at < 0x40000; at += CODE_BYTES) memory.writeBytes(at, code);
  }

  #fillTlb(random: Random): void {
    const wild = random.below(3);
    const { entries, places } = this.#member;
    for (let i = 0; i < entries; i++) {
      const isWild = random.below(4) < wild;
      const size = random.pick([0, 1, 1, 2, 3, 5, 7, 9]);
      const page = random.pick([0, 0, 0x10000, 0x20000, ...places]) & ~(1024 * 4 ** size - 1);
      this.#vcpu.setTlbEntry(i, isWild ? this.#member.wildEntry(random) : this.#member.entry(random, page, size));
    }
  }

  #fillRegisters(random: Random): void {
    const vcpu = this.#vcpu;
    const long = (): bigint => BigInt(interestingWord(random) >>> 0);
    const address = (): bigint =>
      BigInt(random.chance(0.5) ? random.below(0x40000) : random.pick(this.#member.places) + random.below(64));
    const regs = vcpu.getRegs();
    regs.pc = random.chance(0.9) ? BigInt(4 * random.below(CODE_BYTES / 4)) : long();
    regs.msr = random.chance(0.3) ? 0n : BigInt(random.word() >>> 0);
    regs.pid = BigInt(random.below(3));
    regs.lr = address();
    regs.ctr = random.chance(0.5) ? address() : long();
    regs.cr = long();
    regs.xer = long();
    regs.srr0 = address();
    regs.srr1 = long();
    regs.gpr = regs.gpr.map(() => (random.chance(0.5) ? address() : long()));
    if (random.chance(0.1)) {
      // A hypercall, perhaps.
      regs.gpr[0] = 0x4b56_4d21n;
      regs.gpr[11] = random.pick([0x2a_0003n, 0x2a_0004n, 0x1_0010n]);
    }
    vcpu.setRegs(regs);
    const tcr = random.chance(0.3) ? random.word() >>> 0 : 0;
    vcpu.setSregs({ ivpr: random.below(3) * 0x10000, tcr, dec: random.below(100_000) });
    for (const name of this.#member.registers) vcpu.setSregs({ [name]: random.chance(0.5) ? 0 : random.word() >>> 0 });
    for (let vector = 0; vector < 16; vector++) vcpu.setSregs({ [`ivor${vector}`]: random.below(CODE_BYTES) & 0xfff0 });
  }
}
