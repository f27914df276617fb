/** The monitor: `Inspector` and `Debugger` as lines of text, for the console, for gdb's `monitor`, and for programs. */
import { KvmError, type KvmTable } from '../../kvm/api.ts';
import { MachineError } from '../error.ts';
import { type InspectedMachine, Inspector, type RegisterView } from './inspector.ts';
import type { SymbolTable } from './symbols.ts';

const MAX_COUNT = 4096;
const DEFAULT_ROWS = 32;
const DEFAULT_INSTRUCTIONS = 10;
const BYTES_PER_LINE = 16;
const COLUMNS = 4;

/** What a command does with its words. */
interface MonitorCommand {
  readonly names: readonly string[];
  readonly words: string;
  readonly does: string;
  run(monitor: Monitor, words: readonly string[]): Promise<string>;
}

/** The user's mistake. */
class MonitorError extends Error {}

const hex = (value: bigint | number, digits = 1): string => value.toString(16).padStart(digits, '0');

function number(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = /^(0x[0-9a-f]{1,8}|\d{1,9})$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 1 && value <= MAX_COUNT)) throw new MonitorError(`'${text}' is no count; 1 to ${MAX_COUNT} fit`);
  return value;
}

/** Columns as wide as they have to be. */
function layOut(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd()).join('\n');
}

function tableText({ name, columns, rows, total }: KvmTable): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'bigint' ? hex(cell) : String(cell))));
  const more = total > rows.length ? `, the first ${rows.length}` : '';
  return `${name} (${total}${more})\n${layOut([columns, ...cells])}`;
}

function registerText(registers: readonly RegisterView[]): string {
  const cells = registers.map(({ name, bits, value }) => {
    const text = value === undefined ? '?' : hex(value, bits / 4);
    return `${name.padEnd(7)} ${text}`;
  });
  const rows: string[][] = [];
  for (let i = 0; i < cells.length; i += COLUMNS) rows.push(cells.slice(i, i + COLUMNS));
  return layOut(rows);
}

const counterText = (counters: ReadonlyMap<string, number>): string =>
  layOut([...counters].filter(([, count]) => count !== 0).map(([name, count]) => [name, String(count)]));

/** Counters of exits are those under the reference's names; of translations and code pages, the processor's. */
const isExit = (name: string): boolean => /_exits$|^emulated_|^assisted_|^queue_intr$|^hypercall_|^debug_/.test(name);
const isShadow = (name: string): boolean => /^(pf|sp)_|shadow|vsid|^(ld|st)$|tlb|slb/.test(name);
const isCode = (name: string): boolean => /region|translat|record|page|code|block|instructions|cache/.test(name);

const INFO: Readonly<Record<string, (monitor: Monitor, words: readonly string[]) => Promise<string>>> = {
  registers: async ({ inspector }, [word]) => registerText(await inspector.registers(word === 'all')),
  mmu: ({ inspector }, [rows]) => tables(inspector, '', rows),
  tlb: ({ inspector }, [rows]) => tables(inspector, 'TLB', rows),
  slb: ({ inspector }, [rows]) => tables(inspector, 'SLB', rows),
  htab: ({ inspector }, [rows]) => tables(inspector, 'hash table', rows),
  shadow: ({ inspector }, [rows]) => tables(inspector, 'shadow', rows),
  exits: (monitor) => monitor.counters(isExit),
  shadows: (monitor) => monitor.counters(isShadow),
  code: (monitor) => monitor.counters(isCode),
  counters: (monitor) => monitor.counters(() => true),
  devices: async ({ inspector }) => {
    const devices = await inspector.devices();
    return layOut(
      devices.map(({ name, mmio, dcr, interrupts }) => [
        name,
        [
          ...mmio.map(({ base, size }) => `${hex(base, 8)}+${hex(size)}`),
          ...dcr.map(({ base, count }) => `DCR ${hex(base)}+${hex(count)}`),
        ].join(' '),
        interrupts.map(({ controller, input }) => `${controller}:${input}`).join(' '),
      ]),
    );
  },
  irq: async ({ inspector }) => {
    const devices = await inspector.devices();
    return layOut(
      devices.flatMap(({ name, interrupts }) =>
        interrupts.map(({ controller, input, active }) => [name, `${controller}:${input}`, active ? 'active' : '-']),
      ),
    );
  },
  breakpoints: async ({ inspector }) => {
    const { breakpoints, watchpoints } = inspector.machine.debugger;
    return layOut([
      ...breakpoints.map((address) => [
        'break',
        hex(address),
        inspector.symbols?.describe(address, inspector.bits) ?? '',
      ]),
      ...watchpoints.map(({ address, bytes, access }) => ['watch', hex(address), `${bytes} bytes, ${access}`]),
    ]);
  },
};

async function tables(inspector: Inspector, part: string, rows: string | undefined): Promise<string> {
  const all = await inspector.tables(number(rows, DEFAULT_ROWS));
  const chosen = all.filter(({ name }) => name.includes(part));
  return chosen.length === 0 ? 'this processor has none, or does not show it' : chosen.map(tableText).join('\n\n');
}

const COMMANDS: readonly MonitorCommand[] = [
  {
    names: ['help', '?'],
    words: '',
    does: 'this list',
    run: async () => layOut(COMMANDS.map(({ names, words, does }) => [`${names.join(', ')} ${words}`.trimEnd(), does])),
  },
  {
    names: ['info'],
    words: Object.keys(INFO).join('|'),
    does: 'what there is of it; `info registers all` has the special ones, a number behind a table is how many rows',
    run: (monitor, [what = '', ...rest]) => {
      const info = Object.hasOwn(INFO, what) ? INFO[what] : undefined;
      if (info === undefined) throw new MonitorError(`there is no info '${what}'; ${Object.keys(INFO).join(', ')} fit`);
      return info(monitor, rest);
    },
  },
  {
    names: ['chain'],
    words: 'ADDRESS',
    does: "an address's way: effective, virtual, real, host",
    run: async ({ inspector }, [text]) => {
      const steps = await inspector.chain(await place(inspector, text));
      return layOut(
        steps.map(({ what, address, by }) => [
          what,
          address === undefined ? '-' : hex(address, inspector.bits / 4),
          by,
        ]),
      );
    },
  },
  {
    names: ['x'],
    words: 'ADDRESS [BYTES]',
    does: 'memory',
    run: async ({ inspector }, [text, count]) => {
      const address = await place(inspector, text);
      const bytes = await inspector.memory(address, number(count, 64));
      if (bytes === undefined) throw new MonitorError('no memory is mapped there');
      const lines: string[] = [];
      for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
        const line = bytes.subarray(at, at + BYTES_PER_LINE);
        const digits = Array.from(line, (byte) => hex(byte, 2)).join(' ');
        const letters = Array.from(line, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join(
          '',
        );
        lines.push(`${hex(address + BigInt(at), inspector.bits / 4)}  ${digits.padEnd(3 * BYTES_PER_LINE)} ${letters}`);
      }
      return lines.join('\n');
    },
  },
  {
    names: ['disassemble', 'dis'],
    words: '[ADDRESS] [COUNT]',
    does: 'instructions, from PC if no address is named',
    run: async ({ inspector }, [text = '$pc', count]) => {
      const lines = await inspector.disassemble(await place(inspector, text), number(count, DEFAULT_INSTRUCTIONS));
      if (lines.length === 0) throw new MonitorError('no memory is mapped there');
      return layOut(
        lines.map(({ address, word, text: instruction, symbol }) => [
          hex(address, inspector.bits / 4),
          symbol === undefined ? '' : `<${symbol}>`,
          hex(word, 8),
          instruction.replace('\t', ' '),
        ]),
      );
    },
  },
  {
    names: ['symbol'],
    words: 'ADDRESS|NAME',
    does: "the kernel's name for an address, or the address of a name",
    run: async ({ inspector }, [text]) => {
      const address = await place(inspector, text);
      return `${hex(address, inspector.bits / 4)} ${inspector.symbols?.describe(address, inspector.bits) ?? 'no symbol'}`;
    },
  },
  {
    names: ['device'],
    words: 'NAME',
    does: "a device's state",
    run: async ({ inspector }, [name = '']) => {
      const state = await inspector.device(name);
      if (state === undefined) throw new MonitorError(`there is no device '${name}'; 'info devices' lists them`);
      const text = JSON.stringify(state, null, 1);
      return text.length > 16_384 ? `${text.slice(0, 16_384)} …` : text;
    },
  },
  {
    names: ['stop'],
    words: '',
    does: 'has the guest stand still',
    run: async ({ inspector }) => {
      const { cause } = await inspector.machine.debugger.stop();
      return cause === 'asked' ? where(inspector) : cause;
    },
  },
  {
    names: ['cont', 'c'],
    words: '',
    does: 'has it go on',
    run: async ({ inspector }) => {
      inspector.machine.debugger.go();
      return '';
    },
  },
  {
    names: ['step', 's'],
    words: '[COUNT]',
    does: 'so many instructions, with the guest standing still before and after',
    run: async ({ inspector }, [count]) => {
      const debug = inspector.machine.debugger;
      await debug.stop();
      for (let i = number(count, 1); i > 0; i--) {
        const stopped = new Promise<string>((resolve) => {
          const end = debug.onStop(({ cause }) => {
            end();
            resolve(cause);
          });
        });
        if (debug.stopped?.cause === 'ended') return 'the machine has ended';
        debug.step();
        if ((await stopped) !== 'step') break;
      }
      return where(inspector);
    },
  },
  {
    names: ['break', 'delete'],
    words: 'ADDRESS',
    does: 'sets a breakpoint, or takes it back',
    run: async ({ inspector }, [text], name = 'break') => {
      const address = await place(inspector, text);
      const debug = inspector.machine.debugger;
      if (name === 'delete') debug.removeBreakpoint(address);
      else if (!debug.addBreakpoint(address)) throw new MonitorError('there is no room for more breakpoints');
      return '';
    },
  } as MonitorCommand,
];

async function place(inspector: Inspector, text: string | undefined): Promise<bigint> {
  if (text === undefined)
    throw new MonitorError('an address is missing: a number, a symbol, or a register such as $pc');
  const address = await inspector.address(text);
  if (address === undefined)
    throw new MonitorError(`'${text}' is no address: a number, a symbol, or a register such as $pc`);
  return address;
}

async function where(inspector: Inspector): Promise<string> {
  const [line] = await inspector.disassemble((await inspector.address('$pc')) ?? 0n, 1);
  if (line === undefined) return `at ${hex((await inspector.address('$pc')) ?? 0n)}`;
  return `${hex(line.address, inspector.bits / 4)} ${line.symbol === undefined ? '' : `<${line.symbol}> `}${line.text.replace('\t', ' ')}`;
}

export class Monitor {
  readonly inspector: Inspector;

  constructor(machine: InspectedMachine, symbols?: SymbolTable) {
    this.inspector = new Inspector(machine, symbols);
  }

  /** Does what a line says, and answers what is to be printed: lines behind each other, and a mistake as one. */
  async execute(line: string): Promise<string> {
    const [name = '', ...words] = line.trim().split(/\s+/);
    if (name === '') return '';
    const command = COMMANDS.find(({ names }) => names.includes(name));
    try {
      if (command === undefined)
        throw new MonitorError(`there is no command '${name.slice(0, 40)}'; 'help' lists them`);
      const run = command.run as (monitor: Monitor, words: readonly string[], name: string) => Promise<string>;
      const text = await run(this, words, name);
      return text === '' ? '' : `${text}\n`;
    } catch (error) {
      if (error instanceof MonitorError || error instanceof MachineError || error instanceof KvmError)
        return `${error.message}\n`;
      throw error;
    }
  }

  /** Those that a name fits, but for zeros. */
  async counters(fits: (name: string) => boolean): Promise<string> {
    const all = await this.inspector.counters();
    return counterText(new Map([...all].filter(([name]) => fits(name))));
  }
}
