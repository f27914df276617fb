/** A debugger of hostile guests: it steps, breaks and watches anywhere, and says what it wants at any time. */
import {
  KVM_GUESTDBG,
  KVMPPC_DEBUG,
  KVMPPC_INST_SW_BREAKPOINT,
  type KvmGuestDebug,
  type Vcpu,
  type Vm,
} from '../../src/kvm/index.ts';
import type { Random } from '../truth/random.ts';
import { checkRefusal } from './judge.ts';

const KINDS = Object.values(KVMPPC_DEBUG).reduce<number>((all, bit) => all | bit, 0);
/** Guests in so many have a debugger. */
const SHARE = 0.15;
/** Breakpoints that the struct has room for, and some more. */
const MOST_BREAKPOINTS = 18;

export class HostileDebugger {
  readonly #vm: Vm;
  readonly #vcpu: Vcpu;
  readonly #codeBytes: number;
  readonly #places: readonly bigint[];
  #attached = false;

  /** Code is from 0 on, data at `places`. */
  constructor(vm: Vm, vcpu: Vcpu, codeBytes: number, places: readonly bigint[]) {
    this.#vm = vm;
    this.#vcpu = vcpu;
    this.#codeBytes = codeBytes;
    this.#places = places;
  }

  /** Comes to some guests, and goes from the others. */
  begin(random: Random): void {
    this.#attached = random.chance(SHARE);
    this.#vcpu.setGuestDebug({ control: 0 });
    if (this.#attached) this.change(random);
  }

  /** Wants something else, if it is there. */
  change(random: Random): void {
    if (!this.#attached) return;
    if (random.chance(0.3)) this.#vm.memory.write32(this.#code(random), KVMPPC_INST_SW_BREAKPOINT);
    try {
      this.#vcpu.setGuestDebug(this.#wish(random));
    } catch (error) {
      checkRefusal(error);
    }
  }

  /** KVM has left the guest with KVM_EXIT_DEBUG. @throws Error when that cannot be. */
  stopped(random: Random): void {
    const { address, status } = this.#vcpu.kvmRun.debug.arch;
    if (!this.#attached || (status & ~KINDS) !== 0 || typeof address !== 'bigint')
      throw new Error(`a debug exit of status ${status}, ${this.#attached ? 'debugged' : 'with no debugger'}`);
    if (random.chance(0.3)) this.change(random);
    if (random.chance(0.3)) {
      const regs = this.#vcpu.getRegs();
      this.#vcpu.setRegs({ ...regs, pc: random.chance(0.8) ? regs.pc + 4n : BigInt(this.#code(random)) });
    }
  }

  #code(random: Random): number {
    return 4 * random.below(this.#codeBytes / 4);
  }

  #wish(random: Random): KvmGuestDebug {
    let control = random.chance(0.95) ? KVM_GUESTDBG.ENABLE : 0;
    const { SINGLESTEP, USE_SW_BP, USE_HW_BP, BLOCKIRQ } = KVM_GUESTDBG;
    for (const bit of [SINGLESTEP, USE_SW_BP, USE_HW_BP, BLOCKIRQ]) if (random.chance(0.4)) control |= bit;
    if (random.chance(0.02)) control = random.word() >>> 0;
    const breakpoint = () => ({
      addr: random.chance(0.6) ? BigInt(this.#code(random)) : random.pick(this.#places) + BigInt(random.below(64)),
      type: random.chance(0.95) ? 2 * (1 + random.below(7)) : random.word() >>> 0,
      ...(random.chance(0.5) && { len: random.pick([1, 2, 4, 8, 8, 4096, 0, -1, 0.5, Number.NaN, 2 ** 53]) }),
    });
    const count = random.below(random.chance(0.1) ? MOST_BREAKPOINTS : 4);
    return random.chance(0.1) ? { control } : { control, arch: { bp: Array.from({ length: count }, breakpoint) } };
  }
}
