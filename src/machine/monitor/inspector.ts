/** A look into a machine, as typed calls: each has the guest stand still for the moment. `Monitor` has them as commands. */
import type { KvmChainStep, KvmTable, Vcpu, Vm } from '../../kvm/api.ts';
import type { Debugger } from '../debugger/index.ts';
import type { DeviceState } from '../device.ts';
import type { DeviceView } from '../instance.ts';
import type { MachineEnd } from '../loop.ts';
import type { SymbolTable } from './symbols.ts';

/** What is looked into: `Machine`. */
export interface InspectedMachine {
  readonly debugger: Debugger<MachineEnd>;
  readonly vm: Pick<Vm, 'disassemble'>;
  readonly vcpu: Pick<Vcpu, 'tables' | 'chain'>;
  stats(): Record<string, number>;
  devices(): readonly DeviceView[];
  saveDevices(): Record<string, DeviceState>;
  whileStill<Result>(work: () => Result): Promise<Result>;
}

export interface RegisterView {
  readonly name: string;
  readonly bits: 32 | 64 | 128;
  readonly value: bigint | undefined;
}

export interface CodeLine {
  readonly address: bigint;
  readonly word: number;
  readonly text: string;
  /** `name+0x1c`, where the kernel's symbols are known. */
  readonly symbol: string | undefined;
}

export class Inspector {
  readonly machine: InspectedMachine;
  readonly symbols: SymbolTable | undefined;

  constructor(machine: InspectedMachine, symbols?: SymbolTable) {
    this.machine = machine;
    this.symbols = symbols;
  }

  get bits(): 32 | 64 {
    return this.machine.debugger.registers.family.bits;
  }

  /** Registers of the core, or all of them. */
  registers(all = false): Promise<readonly RegisterView[]> {
    return this.machine.whileStill(() => {
      const { registers } = this.machine.debugger;
      registers.forget();
      return registers.all
        .filter(({ part }) => all || part === 'core')
        .map((register) => ({ name: register.name, bits: register.bits, value: registers.read(register) }));
    });
  }

  /** The guest's translations beside KVM's shadows of them. */
  tables(limit = 64): Promise<readonly KvmTable[]> {
    return this.machine.whileStill(() => this.machine.vcpu.tables(limit));
  }

  /** Effective, virtual, real address, and where it is in the host's memory. */
  chain(address: bigint): Promise<readonly KvmChainStep[]> {
    return this.machine.whileStill(() => this.machine.vcpu.chain(BigInt.asUintN(this.bits, address)));
  }

  /** Counters whose names begin with one of these; without any, all. */
  counters(...prefixes: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.machine.whileStill(
      () =>
        new Map(
          Object.entries(this.machine.stats()).filter(
            ([name]) => prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix)),
          ),
        ),
    );
  }

  devices(): Promise<readonly DeviceView[]> {
    return this.machine.whileStill(() => this.machine.devices());
  }

  /** A device's state by its name. */
  device(name: string): Promise<DeviceState | undefined> {
    return this.machine.whileStill(() => {
      const states = this.machine.saveDevices();
      return Object.hasOwn(states, name) ? states[name] : undefined;
    });
  }

  /** Bytes at an effective address, as many as there are. */
  memory(address: bigint, length: number): Promise<Uint8Array | undefined> {
    return this.machine.whileStill(() => this.machine.debugger.memory.read(address, length));
  }

  /** Instructions at an effective address. */
  disassemble(address: bigint, count: number): Promise<readonly CodeLine[]> {
    return this.machine.whileStill(() => {
      const { memory } = this.machine.debugger;
      const { bits } = this;
      const lines: CodeLine[] = [];
      for (let i = 0; i < count; i++) {
        const at = BigInt.asUintN(bits, address + BigInt(4 * i));
        const word = memory.number(at, 4);
        if (word === undefined) break;
        const text = this.machine.vm.disassemble(Number(word), at);
        lines.push({ address: at, word: Number(word), text, symbol: this.symbols?.describe(at, bits) });
      }
      return lines;
    });
  }

  /** A number, `0x` or not, a symbol, a register, or one of them with something added: `$pc+8`, `start_kernel+0x10`. */
  async address(text: string): Promise<bigint | undefined> {
    const [, first = '', sign = '+', more = '0'] = /^(.+?)(?:([+-])(0x[0-9a-f]{1,16}|\d{1,18}))?$/i.exec(text) ?? [];
    const base = await this.#operand(first);
    if (base === undefined) return undefined;
    const offset = BigInt(more);
    return BigInt.asUintN(this.bits, sign === '-' ? base - offset : base + offset);
  }

  async #operand(text: string): Promise<bigint | undefined> {
    if (/^0x[0-9a-f]{1,16}$/i.test(text) || /^\d{1,20}$/.test(text)) return BigInt(text);
    if (text.startsWith('$'))
      return this.machine.whileStill(() => {
        const { registers } = this.machine.debugger;
        const register = registers.byName(text.slice(1));
        return register && registers.read(register);
      });
    const symbol = this.symbols?.addressOf(text) ?? this.symbols?.addressOf(`.${text}`);
    return symbol ?? (/^[0-9a-f]{8,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined);
  }
}
