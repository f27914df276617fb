/**
 * The other side of the comparison: `qemu-ppc` runs a program of ours that has nothing but a signal handler. Every
 * execution ends with a signal; the handler writes down how it ended, puts the next execution's state into the signal's
 * context, and returns. So the code under test has all registers, and needs no code around it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EMBEDDED_LEVELS } from '../../src/isa/index.ts';
import type { Batch } from './batch.ts';
import { equivalents } from './equivalents.ts';
import {
  CODE,
  CODE_BYTES,
  DATA_PAGES,
  isMapped,
  READ_ONLY_PAGE,
  STATE,
  WINDOW,
  WINDOW_BYTES,
} from './machine-state.ts';
import { ENDED, OUTCOME, type Outcomes } from './outcome.ts';
import { endOf, SIGNAL } from './signals.ts';

const DRIVER = 0x02000000;
/** The driver's words in storage, then the alternate signal stack, the tables, and the output. */
const VARIABLES = 0x02010000;
const SIGNAL_STACK = 0x02020000;
const SIGNAL_STACK_BYTES = 0x10000;
/** Below the signal stack: where a frame goes when r1, which is the test's, happens to point to the stack's low end. */
const SIGNAL_STACK_ROOM = 0x8000;
const TABLES = 0x03000000;

const VARIABLE = { next: 0, end: 4, output: 8, action: 16, stack: 32, dummy: 64, rounding: 72 } as const;

/** Words of f0–f31 and FPSCR, which is a doubleword here. */
const FLOAT_WORDS = 66;
/** A table entry: PC, address of the window's image, r0–r31, CTR, LR, XER, CR, f0–f31, FPSCR. */
const ENTRY_WORDS = 38 + FLOAT_WORDS;
/** What the handler writes: signal, si_code, si_addr, 39 words of the context and those of the unit, the window. */
const CONTEXT_WORDS = 39;
const RECORD_WORDS = 3 + CONTEXT_WORDS + FLOAT_WORDS + WINDOW_BYTES / 4;

/** Places in the signal context of 32-bit PowerPC Linux (struct pt_regs). */
const CONTEXT = { nip: 32, ctr: 35, lr: 36, xer: 37, cr: 38 } as const;
/** Where the unit's registers are in it (elf_fpregset_t behind 48 words). */
const CONTEXT_FLOATS = 48 * 4;
/** Offset of the pointer to the registers in struct ucontext. */
const UC_REGS = 48;
const SIGINFO = { code: 8, address: 12 } as const;
const SA_SIGINFO_ONSTACK = 4 | 0x08000000;
const SYSTEM_CALL = { exit: 1, write: 4, rt_sigaction: 173, sigaltstack: 185 } as const;

/** Words of the driver. Branches are to labels, by name. */
class Assembly {
  readonly words: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #branches: { at: number; label: string }[] = [];

  d(opcode: number, rt: number, ra: number, immediate: number): void {
    this.words.push((opcode << 26) | (rt << 21) | (ra << 16) | (immediate & 0xffff));
  }
  x(extended: number, rt: number, ra: number, rb: number, record = 0): void {
    this.words.push((31 << 26) | (rt << 21) | (ra << 16) | (rb << 11) | (extended << 1) | record);
  }
  lwz(rt: number, offset: number, ra: number): void {
    this.d(32, rt, ra, offset);
  }
  stw(rs: number, offset: number, ra: number): void {
    this.d(36, rs, ra, offset);
  }
  addi(rt: number, ra: number, immediate: number): void {
    this.d(14, rt, ra, immediate);
  }
  /** Loads a constant. */
  li(rt: number, value: number): void {
    this.d(15, rt, 0, value >>> 16);
    this.d(24, rt, rt, value);
  }
  mtctr(rs: number): void {
    this.words.push(0x7c0903a6 | (rs << 21));
  }
  cmplw(ra: number, rb: number): void {
    this.x(32, 0, ra, rb);
  }
  label(name: string): void {
    this.#labels.set(name, this.words.length);
  }
  bc(bo: number, bi: number, label: string): void {
    this.#branches.push({ at: this.words.length, label });
    this.words.push((16 << 26) | (bo << 21) | (bi << 16));
  }
  systemCall(number: number): void {
    this.addi(0, 0, number);
    this.words.push(0x44000002);
  }
  /** Copies words; leaves the pointers behind the last ones. Uses r0 and CTR. */
  copy(to: number, from: number, words: number): void {
    const label = `copy${this.words.length}`;
    this.addi(0, 0, words);
    this.mtctr(0);
    this.addi(to, to, -4);
    this.addi(from, from, -4);
    this.label(label);
    this.d(33, 0, from, 4);
    this.d(37, 0, to, 4);
    this.bc(16, 0, label);
    this.addi(to, to, 4);
    this.addi(from, from, 4);
  }
  finish(): number[] {
    for (const { at, label } of this.#branches) {
      const distance = ((this.#labels.get(label) as number) - at) * 4;
      this.words[at] = (this.words[at] as number) | (distance & 0xfffc);
    }
    return this.words;
  }
  addressOf(label: string): number {
    return DRIVER + (this.#labels.get(label) as number) * 4;
  }
}

const BLR = 0x4e800020;
const MTUSPRG0_R0 = 0x7c0043a6;
const ANDI_0_0_3 = 0x70000003;
const LFD_0_7 = 0xc8070000;
const MTFSF_255_0 = 0xfdfe058e;
const ALWAYS = 20;
const IF_LESS = 12;

/** The driver: sets up the handler, traps into it for the first time, and never comes back. */
function driver(output: number): { words: number[]; handler: number } {
  const a = new Assembly();
  a.li(31, VARIABLES);
  a.addi(3, 31, VARIABLE.stack);
  a.addi(4, 0, 0);
  a.systemCall(SYSTEM_CALL.sigaltstack);
  for (const signal of Object.values(SIGNAL)) {
    a.addi(3, 0, signal);
    a.addi(4, 31, VARIABLE.action);
    a.addi(5, 0, 0);
    a.addi(6, 0, 8);
    a.systemCall(SYSTEM_CALL.rt_sigaction);
  }
  a.x(4, 31, 0, 0);

  // The handler: r3 signal, r4 siginfo, r5 ucontext.
  a.label('handler');
  a.lwz(6, UC_REGS, 5);
  a.li(7, VARIABLES);
  a.lwz(8, VARIABLE.output, 7);
  a.stw(3, 0, 8);
  a.lwz(9, SIGINFO.code, 4);
  a.stw(9, 4, 8);
  a.lwz(9, SIGINFO.address, 4);
  a.stw(9, 8, 8);
  a.addi(8, 8, 12);
  a.addi(9, 6, 0);
  a.copy(8, 9, CONTEXT_WORDS);
  a.addi(9, 6, CONTEXT_FLOATS);
  a.copy(8, 9, FLOAT_WORDS);
  a.li(9, WINDOW);
  a.copy(8, 9, WINDOW_BYTES / 4);
  a.stw(8, VARIABLE.output, 7);

  a.lwz(10, VARIABLE.next, 7);
  a.lwz(11, VARIABLE.end, 7);
  a.cmplw(10, 11);
  a.bc(IF_LESS, 0, 'more');
  // All done: the output goes out, in as many pieces as the pipe wants.
  a.li(29, output);
  a.label('write');
  a.cmplw(29, 8);
  a.bc(4, 0, 'exit');
  a.addi(3, 0, 1);
  a.addi(4, 29, 0);
  a.x(40, 5, 29, 8);
  a.systemCall(SYSTEM_CALL.write);
  a.x(266, 29, 29, 3);
  a.bc(ALWAYS, 0, 'write');
  a.label('exit');
  a.addi(3, 0, 0);
  a.systemCall(SYSTEM_CALL.exit);

  a.label('more');
  a.lwz(0, 0, 10);
  a.stw(0, CONTEXT.nip * 4, 6);
  a.lwz(12, 4, 10);
  a.addi(10, 10, 8);
  a.addi(9, 6, 0);
  a.copy(9, 10, 32);
  for (const [index, place] of [CONTEXT.ctr, CONTEXT.lr, CONTEXT.xer, CONTEXT.cr].entries()) {
    a.lwz(0, index * 4, 10);
    a.stw(0, place * 4, 6);
  }
  a.addi(10, 10, 16);
  a.addi(9, 6, CONTEXT_FLOATS);
  a.copy(9, 10, FLOAT_WORDS);
  // The rounding mode takes effect through mtfsf only, and its exceptions are none of the handler's.
  a.lwz(0, -4, 10);
  a.words.push(ANDI_0_0_3);
  a.stw(0, VARIABLE.rounding + 4, 7);
  a.words.push(LFD_0_7 | VARIABLE.rounding, MTFSF_255_0);
  a.stw(10, VARIABLE.next, 7);
  a.li(9, WINDOW);
  a.copy(9, 12, WINDOW_BYTES / 4);
  // No reservation is left over.
  a.addi(9, 7, VARIABLE.dummy);
  a.x(20, 0, 0, 9);
  a.x(150, 0, 0, 9, 1);
  a.addi(0, 0, 0);
  // Nor is anything in USPRG0.
  a.words.push(MTUSPRG0_R0, BLR);
  return { words: a.finish(), handler: a.addressOf('handler') };
}

interface Segment {
  readonly address: number;
  readonly words: Uint32Array;
  /** More bytes after the words, all zero. */
  readonly extra: number;
  /** 4 read, 2 write, 1 execute. */
  readonly access: number;
}

/** A static big-endian ELF executable. */
function elf(entry: number, segments: readonly Segment[]): Uint8Array {
  const headers = 52 + 32 * segments.length;
  const starts: number[] = [];
  let length = Math.ceil(headers / 4096) * 4096;
  for (const { words } of segments) {
    starts.push(length);
    length += Math.ceil((words.length * 4) / 4096) * 4096;
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 2, 1]);
  view.setUint16(16, 2); // executable
  view.setUint16(18, 20); // PowerPC
  view.setUint32(20, 1);
  view.setUint32(24, entry);
  view.setUint32(28, 52);
  view.setUint16(40, 52);
  view.setUint16(42, 32);
  view.setUint16(44, segments.length);
  view.setUint16(46, 40);
  for (const [index, segment] of segments.entries()) {
    const at = 52 + 32 * index;
    const start = starts[index] as number;
    const size = segment.words.length * 4;
    const header = [1, start, segment.address, segment.address, size, size + segment.extra, segment.access, 4096];
    for (const [i, value] of header.entries()) view.setUint32(at + 4 * i, value);
    for (let i = 0; i < segment.words.length; i++) view.setUint32(start + 4 * i, segment.words[i] as number);
  }
  return bytes;
}

function program(batch: Batch): Uint8Array {
  const { executions } = batch;
  const images = batch.windows.length * (WINDOW_BYTES / 4);
  const tables = new Uint32Array(images + executions.length * ENTRY_WORDS);
  batch.windows.forEach((window, i) => {
    tables.set(window, i * (WINDOW_BYTES / 4));
  });
  let at = images;
  for (const { state, window } of executions) {
    tables[at] = state[STATE.pc] as number;
    tables[at + 1] = TABLES + window * WINDOW_BYTES;
    for (let i = 0; i < 36; i++) tables[at + 2 + i] = state[i] as number;
    for (let i = 0; i < 64; i++) tables[at + 38 + i] = state[STATE.fpr + i] as number;
    tables[at + ENTRY_WORDS - 1] = state[STATE.fpscr] as number;
    at += ENTRY_WORDS;
  }
  // The first record is of the trap that starts it all.
  const outputBytes = (executions.length + 1) * RECORD_WORDS * 4;
  const output = TABLES + Math.ceil((tables.length * 4) / 4096) * 4096;
  const { words, handler } = driver(output);
  const variables = new Uint32Array(32);
  variables[VARIABLE.next / 4] = TABLES + images * 4;
  variables[VARIABLE.end / 4] = TABLES + tables.length * 4;
  variables[VARIABLE.output / 4] = output;
  variables.set([handler, SA_SIGINFO_ONSTACK, 0, 0, 0], VARIABLE.action / 4);
  variables.set([SIGNAL_STACK + SIGNAL_STACK_ROOM, 0, SIGNAL_STACK_BYTES - SIGNAL_STACK_ROOM], VARIABLE.stack / 4);
  const none = new Uint32Array(0);
  return elf(DRIVER, [
    { address: DATA_PAGES, words: none, extra: 0x2000, access: 6 },
    { address: READ_ONLY_PAGE, words: batch.readOnly, extra: 0, access: 4 },
    { address: CODE, words: equivalents(batch.code, EMBEDDED_LEVELS), extra: 0, access: 5 },
    { address: DRIVER, words: Uint32Array.from(words), extra: 0, access: 5 },
    { address: VARIABLES, words: variables, extra: 0x1000 - variables.length * 4, access: 6 },
    { address: SIGNAL_STACK, words: none, extra: SIGNAL_STACK_BYTES, access: 6 },
    { address: TABLES, words: tables, extra: output - TABLES - tables.length * 4 + outputBytes, access: 6 },
  ]);
}

function outcomesOf(bytes: Uint8Array, count: number): Outcomes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const outcomes = new Int32Array(count * OUTCOME.words);
  for (let i = 0; i < count; i++) {
    const from = (i + 1) * RECORD_WORDS;
    const word = (index: number): number => view.getInt32((from + index) * 4);
    const to = i * OUTCOME.words;
    let ended = endOf(word(0), word(1));
    if (ended === ENDED.protection) {
      // The signal has neither a reliable kind nor, for a fetch, an address: both follow from the address space.
      const pc = word(3 + CONTEXT.nip);
      const isFetch = pc < CODE || pc >= CODE + CODE_BYTES;
      const address = isFetch ? pc : word(2);
      if (!isMapped(address)) ended = ENDED.noTranslation;
      outcomes[to + OUTCOME.address] = address;
    } else if (ended === ENDED.alignment) outcomes[to + OUTCOME.address] = word(2);
    outcomes[to + OUTCOME.ended] = ended;
    const state = to + OUTCOME.state;
    for (let n = 0; n < 32; n++) outcomes[state + n] = word(3 + n);
    outcomes[state + STATE.ctr] = word(3 + CONTEXT.ctr);
    outcomes[state + STATE.lr] = word(3 + CONTEXT.lr);
    outcomes[state + STATE.xer] = word(3 + CONTEXT.xer);
    outcomes[state + STATE.cr] = word(3 + CONTEXT.cr);
    outcomes[state + STATE.pc] = word(3 + CONTEXT.nip);
    const floats = 3 + CONTEXT_WORDS;
    for (let n = 0; n < 64; n++) outcomes[state + STATE.fpr + n] = word(floats + n);
    outcomes[state + STATE.fpscr] = word(floats + FLOAT_WORDS - 1);
    for (let n = 0; n < WINDOW_BYTES / 4; n++) outcomes[to + OUTCOME.window + n] = word(floats + FLOAT_WORDS + n);
  }
  return outcomes;
}

/** Whether this machine has the oracle. */
export function oracleVersion(): string | undefined {
  const result = spawnSync('qemu-ppc', ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.split('\n')[0] : undefined;
}

/** Runs a batch on the oracle. @throws Error when the program did not come to its end. */
export function runOracle(batch: Batch, processor: string): Outcomes {
  const folder = mkdtempSync(join(tmpdir(), 'instruction-truth-'));
  try {
    const file = join(folder, 'batch');
    writeFileSync(file, program(batch), { mode: 0o755 });
    const expected = (batch.executions.length + 1) * RECORD_WORDS * 4;
    const result = spawnSync('qemu-ppc', ['-cpu', processor, file], { maxBuffer: expected + 1024, timeout: 120_000 });
    if (result.status !== 0 || result.stdout.length !== expected) {
      const reason = result.error?.message ?? result.signal ?? `exit status ${result.status}, ${result.stderr}`;
      throw new Error(`qemu-ppc ended early: ${reason}`);
    }
    return outcomesOf(result.stdout, batch.executions.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
