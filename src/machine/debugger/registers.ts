/** A processor's registers as debuggers name and number them, over KVM_GET/SET_REGS, SREGS and ONE_REG. */
import { KvmError, type KvmRegs, type KvmSregs, type Vcpu } from '../../kvm/api.ts';
import { KVM_REG_PPC } from '../../kvm/index.ts';
import type { DebugFamily, RegisterGroup } from './families.ts';

/** Which part of the description a register stands in; `special`: the special registers, a group of our own. */
export type RegisterPart = 'core' | RegisterGroup | 'special';

/** Where KVM has a register. */
type Place =
  | { readonly in: 'gpr' | 'high' | 'sprg'; readonly n: number }
  | { readonly in: 'regs'; readonly name: 'pc' | 'cr' | 'ctr' | 'lr' | 'xer' | 'msr' | 'srr0' | 'srr1' | 'pid' }
  | { readonly in: 'sregs'; readonly name: string }
  | { readonly in: 'one'; readonly id: bigint };

export interface DebugRegister {
  readonly name: string;
  readonly bits: 32 | 64 | 128;
  readonly part: RegisterPart;
  /** gdb's number (its features of rs6000), which is also the order in its packets. */
  readonly number: number;
  readonly place: Place;
}

const SPECIAL_FROM = 256;
const VR_FROM = 71;
const VSX_FROM = 105;
/** The bits of an id of KVM_GET_ONE_REG that say how long the register is: 2^n bytes. */
const SIZE_SHIFT = 52n;
/** One-regs that are no registers of the processor, act when they are written, or stand in another part. */
const NO_SPECIALS: ReadonlySet<string> = new Set([
  'FPSCR',
  'VSCR',
  'VRSAVE',
  'VPA_ADDR',
  'VPA_SLB',
  'VPA_DTL',
  'OR_TSR',
  'CLEAR_TSR',
  'DEBUG_INST',
  'TB_OFFSET',
  'DEC_EXPIRY',
  'LPCR_64',
  'ONLINE',
  'ARCH_COMPAT',
  'EPR',
]);

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);

function coreRegisters(bits: 32 | 64): DebugRegister[] {
  const core = { part: 'core' } as const;
  return [
    ...range(32).map((n) => ({ ...core, name: `r${n}`, bits, number: n, place: { in: 'gpr', n } as const })),
    { ...core, name: 'pc', bits, number: 64, place: { in: 'regs', name: 'pc' } },
    { ...core, name: 'msr', bits, number: 65, place: { in: 'regs', name: 'msr' } },
    { ...core, name: 'cr', bits: 32, number: 66, place: { in: 'regs', name: 'cr' } },
    { ...core, name: 'lr', bits, number: 67, place: { in: 'regs', name: 'lr' } },
    { ...core, name: 'ctr', bits, number: 68, place: { in: 'regs', name: 'ctr' } },
    { ...core, name: 'xer', bits: 32, number: 69, place: { in: 'regs', name: 'xer' } },
  ];
}

const one = (id: bigint): Place => ({ in: 'one', id });

const GROUPS: Readonly<Record<RegisterGroup, () => DebugRegister[]>> = {
  fpu: () => [
    ...range(32).map(
      (n): DebugRegister => ({
        part: 'fpu',
        name: `f${n}`,
        bits: 64,
        number: 32 + n,
        place: one(KVM_REG_PPC.FPR(n)),
      }),
    ),
    { part: 'fpu', name: 'fpscr', bits: 32, number: 70, place: one(KVM_REG_PPC.FPSCR) },
  ],
  altivec: () => [
    ...range(32).map(
      (n): DebugRegister => ({
        part: 'altivec',
        name: `vr${n}`,
        bits: 128,
        number: VR_FROM + n,
        place: one(KVM_REG_PPC.VR(n)),
      }),
    ),
    { part: 'altivec', name: 'vscr', bits: 32, number: VR_FROM + 32, place: one(KVM_REG_PPC.VSCR) },
    { part: 'altivec', name: 'vrsave', bits: 32, number: VR_FROM + 33, place: one(KVM_REG_PPC.VRSAVE) },
  ],
  // The right halves: gdb makes the whole of them and of the floating-point registers.
  vsx: () =>
    range(32).map((n) => ({
      part: 'vsx',
      name: `vs${n}h`,
      bits: 64,
      number: VSX_FROM + n,
      place: one(KVM_REG_PPC.VSR(n)),
    })),
  spe: () => [
    ...range(32).map(
      (n): DebugRegister => ({ part: 'spe', name: `ev${n}h`, bits: 32, number: 32 + n, place: { in: 'high', n } }),
    ),
    { part: 'spe', name: 'acc', bits: 64, number: 73, place: { in: 'sregs', name: 'acc' } },
    { part: 'spe', name: 'spefscr', bits: 32, number: 74, place: { in: 'sregs', name: 'spefscr' } },
  ],
};

/** Every special register that KVM gives of a processor, by name. */
function specialRegisters(vcpu: Vcpu, family: DebugFamily, taken: ReadonlySet<string>): DebugRegister[] {
  const found = new Map<string, Pick<DebugRegister, 'bits' | 'place'>>();
  const { bits } = family;
  for (const name of ['srr0', 'srr1'] as const) found.set(name, { bits, place: { in: 'regs', name } });
  if (family.pid) found.set('pid', { bits: 32, place: { in: 'regs', name: 'pid' } });
  for (const n of range(family.sprgs)) found.set(`sprg${n}`, { bits, place: { in: 'sprg', n } });
  for (const [name, value] of Object.entries(vcpu.getSregs()))
    if (!/^slb[ev]\d/.test(name) && !found.has(name))
      found.set(name, { bits: typeof value === 'bigint' ? 64 : 32, place: { in: 'sregs', name } });
  for (const [upper, id] of Object.entries(KVM_REG_PPC)) {
    const name = upper.toLowerCase();
    if (typeof id !== 'bigint' || NO_SPECIALS.has(upper) || found.has(name)) continue;
    if (vcpu.getOneReg(id) === undefined) continue;
    const wide = ((id >> SIZE_SHIFT) & 15n) === 3n;
    found.set(name, { bits: wide ? bits : 32, place: one(id) });
  }
  return [...found]
    .filter(([name]) => !taken.has(name))
    .map(([name, rest], i) => ({ part: 'special', name, number: SPECIAL_FROM + i, ...rest }));
}

/** The registers of one vCPU. What was read is kept until `forget`: a debugger asks for them one by one. */
export class DebugRegisters {
  readonly family: DebugFamily;
  /** In the order of their numbers. */
  readonly all: readonly DebugRegister[];
  readonly #vcpu: Vcpu;
  readonly #byNumber: ReadonlyMap<number, DebugRegister>;
  readonly #byName: ReadonlyMap<string, DebugRegister>;
  #regs: KvmRegs | undefined;
  #sregs: KvmSregs | undefined;

  constructor(vcpu: Vcpu, family: DebugFamily) {
    this.#vcpu = vcpu;
    this.family = family;
    const known = [...coreRegisters(family.bits), ...family.groups.flatMap((group) => GROUPS[group]())];
    const special = specialRegisters(vcpu, family, new Set(known.map(({ name }) => name)));
    this.all = [...known, ...special].sort((a, b) => a.number - b.number);
    this.#byNumber = new Map(this.all.map((register) => [register.number, register]));
    this.#byName = new Map(this.all.map((register) => [register.name, register]));
  }

  byNumber(number: number): DebugRegister | undefined {
    return this.#byNumber.get(number);
  }

  byName(name: string): DebugRegister | undefined {
    return this.#byName.get(name);
  }

  /** The guest has run, or somebody else has written: what is known is old. */
  forget(): void {
    this.#regs = undefined;
    this.#sregs = undefined;
  }

  get pc(): bigint {
    return BigInt.asUintN(this.family.bits, this.#general().pc);
  }

  /** A register's value, unsigned; undefined: KVM has none. */
  read({ place, bits }: DebugRegister): bigint | undefined {
    const value = this.#value(place);
    return value === undefined ? undefined : BigInt.asUintN(bits, value);
  }

  /** False: it cannot be written. */
  write(register: DebugRegister, value: bigint): boolean {
    try {
      return this.#put(register.place, BigInt.asUintN(register.bits, value));
    } catch (error) {
      if (error instanceof KvmError) return false;
      throw error;
    } finally {
      this.forget();
    }
  }

  #value(place: Place): bigint | undefined {
    switch (place.in) {
      case 'gpr':
        return this.#general().gpr[place.n];
      case 'high':
        return (this.#general().gpr[place.n] ?? 0n) >> 32n;
      case 'sprg':
        return this.#general().sprg[place.n];
      case 'regs':
        return this.#general()[place.name];
      case 'sregs': {
        this.#sregs ??= this.#vcpu.getSregs();
        const value = this.#sregs[place.name];
        return value === undefined ? undefined : BigInt(value);
      }
      case 'one':
        return this.#vcpu.getOneReg(place.id);
    }
  }

  #put(place: Place, value: bigint): boolean {
    if (place.in === 'one') return this.#vcpu.setOneReg(place.id, value);
    if (place.in === 'sregs') {
      const before = this.#vcpu.getSregs()[place.name];
      if (before === undefined) return false;
      this.#vcpu.setSregs({ [place.name]: typeof before === 'bigint' ? value : Number(value) });
      return true;
    }
    const regs = this.#vcpu.getRegs();
    if (place.in === 'regs') regs[place.name] = value;
    else if (place.in === 'sprg') regs.sprg[place.n] = value;
    else {
      // The half that is not named stays.
      const before = regs.gpr[place.n] ?? 0n;
      const isHigh = place.in === 'high';
      const isHalf = this.family.bits === 32;
      regs.gpr[place.n] = isHigh
        ? (value << 32n) | BigInt.asUintN(32, before)
        : isHalf
          ? ((before >> 32n) << 32n) | value
          : value;
    }
    this.#vcpu.setRegs(regs);
    return true;
  }

  #general(): KvmRegs {
    this.#regs ??= this.#vcpu.getRegs();
    return this.#regs;
  }
}
