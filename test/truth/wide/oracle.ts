/**
 * `qemu-ppc64` and `qemu-ppc64le` as the other side: a program of ours that has nothing but a signal handler, as in
 * `../oracle.ts`, with 64-bit registers, floating-point registers and FPSCR.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assembleWords, type Level } from '../../../src/isa/index.ts';
import type { ServerModelName } from '../../../src/processor/index.ts';
import { LEVELS_OF } from '../../../src/processor/levels.ts';
import { equivalents } from '../equivalents.ts';
import { CODE, CODE_BYTES, DATA_PAGES, isMapped, READ_ONLY_PAGE, WINDOW, WINDOW_BYTES } from '../machine-state.ts';
import { ENDED } from '../outcome.ts';
import { endOf, SIGNAL } from '../signals.ts';
import type { WideBatch } from './batch.ts';
import { OUTCOME, type Outcomes, STATE } from './state.ts';

const DRIVER = 0x02000000;
const VARIABLES = 0x02010000;
/** The signal stack's upper half: r1 of a case must not point there, or the kernel takes it for the stack in use. */
const SIGNAL_STACK_HIGH = 0x2a5a;
const SIGNAL_STACK_BYTES = 0x10000;
const TABLES = 0x03000000;

/** Doublewords of a record: signal, si_code, si_addr, 39 registers, 33 floating-point ones, 100 of vectors, VSCR, the window. */
const RECORD = { gregs: 3, fregs: 42, vregs: 75, vscr: 175, window: 176, words: 176 + WINDOW_BYTES / 8 } as const;
/** Of a table entry: address of the window's image, then the state. */
const ENTRY = 1 + STATE.words;

/** mfvscr v0; mtvscr v0; stvx v0,0,r10; lvx v0,0,r9. */
const [MFVSCR_0, MTVSCR_0, STVX_0_10, LVX_0_9] = [0x10000604, 0x10000644, 0x7c0051ce, 0x7c0048ce];

let copies = 0;
/** Copies doublewords from where one register points to another; both end behind the last one. */
const copy = (to: number, from: number, count: number): string => {
  const label = `copy${copies++}`;
  return `
    li r0,${count}; mtctr r0; addi r${to},r${to},-8; addi r${from},r${from},-8
${label}: ldu r0,8(r${from}); stdu r0,8(r${to}); bdnz ${label}
    addi r${to},r${to},8; addi r${from},r${from},8`;
};
const load = (register: number, value: number): string =>
  `lis r${register},${value >>> 16}; ori r${register},r${register},${value & 0xffff}`;

/** Offsets in the signal frame's ucontext (Linux, 64-bit PowerPC): gp_regs and fp_regs of the sigcontext. */
const GREGS = 232;
const FREGS = 616;
const REGISTER = { nip: 32, ctr: 35, lr: 36, xer: 37, cr: 38 } as const;

function driver(output: number, little: boolean): { words: Uint32Array; handler: number } {
  // The last word of a vector.
  const vscr = little ? 0 : 12;
  const place = (n: number): string => `${n * 8}(r6)`;
  const actions = Object.values(SIGNAL).map(
    (signal) => `li r3,${signal}; addi r4,r31,32; li r5,0; li r6,8; li r0,173; sc`,
  );
  const source = `
    ${load(31, VARIABLES)}
    # mmap(stack, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0)
    ld r3,64(r31); ld r4,80(r31); li r5,3; li r6,0x32; li r7,-1; li r8,0; li r0,90; sc
    addi r3,r31,64; li r4,0; li r0,185; sc
    ${actions.join('\n')}
    trap
handler:
    addi r6,r5,${GREGS}; addi r7,r5,${FREGS}
    ${load(8, VARIABLES)}
    ld r9,16(r8)
    std r3,0(r9); lwz r10,8(r4); std r10,8(r9); ld r10,16(r4); std r10,16(r9); addi r9,r9,24
    mr r10,r6
    ${copy(9, 10, 39)}
    mr r10,r7
    ${copy(9, 10, 33)}
    ld r10,0(r10)
    ${copy(9, 10, 100)}
    addi r10,r8,144; .long ${MFVSCR_0}; .long ${STVX_0_10}; lwz r0,${vscr}(r10); std r0,0(r9); addi r9,r9,8
    ${load(10, WINDOW)}
    ${copy(9, 10, WINDOW_BYTES / 8)}
    std r9,16(r8)
    ld r10,0(r8); ld r11,8(r8); cmpl cr0,1,r10,r11; blt more
    ${load(29, output)}
write: cmpl cr0,1,r29,r9; bge exit
    li r3,1; mr r4,r29; subf r5,r29,r9; li r0,4; sc
    add r29,r29,r3; b write
exit: li r3,0; li r0,234; sc
more:
    ld r12,0(r10); addi r10,r10,8
    mr r9,r6
    ${copy(9, 10, 32)}
    ld r0,0(r10); std r0,${place(REGISTER.nip)}
    ld r0,8(r10); std r0,${place(REGISTER.ctr)}
    ld r0,16(r10); std r0,${place(REGISTER.lr)}
    ld r0,24(r10); std r0,${place(REGISTER.xer)}
    ld r0,32(r10); std r0,${place(REGISTER.cr)}
    addi r10,r10,40; mr r9,r7
    ${copy(9, 10, 33)}
    # The rounding mode takes effect through mtfsf only.
    ld r0,-8(r10); andi. r0,r0,7; std r0,120(r8); lfd f0,120(r8); mtfsf 255,f0
    ld r9,264(r7)
    ${copy(9, 10, 64)}
    addi r9,r9,32
    ${copy(9, 10, 32)}
    ld r0,0(r10); addi r9,r8,144; stw r0,${vscr}(r9); .long ${LVX_0_9}; .long ${MTVSCR_0}; addi r10,r10,8
    std r10,0(r8)
    ${load(9, WINDOW)}
    ${copy(9, 12, WINDOW_BYTES / 8)}
    addi r9,r8,128; lwarx r0,0,r9; stwcx. r0,0,r9
    li r0,0; mtspr 256,r0
    blr`;
  // Where the handler begins: the words before it.
  const before = source.slice(0, source.indexOf('handler:'));
  const words = Uint32Array.from(assembleWords(source, DRIVER));
  return { words, handler: DRIVER + assembleWords(before, DRIVER).length * 4 };
}

interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly extra: number;
  readonly access: number;
}

/** A static ELFv2 executable. */
function elf(entry: number, segments: readonly Segment[], little: boolean): Uint8Array {
  const headers = 64 + 56 * segments.length;
  const starts: number[] = [];
  let length = Math.ceil(headers / 4096) * 4096;
  for (const { bytes } of segments) {
    starts.push(length);
    length += Math.ceil(bytes.length / 4096) * 4096;
  }
  const file = new Uint8Array(length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, little ? 1 : 2, 1]);
  view.setUint16(16, 2, little);
  view.setUint16(18, 21, little);
  view.setUint32(20, 1, little);
  view.setBigUint64(24, BigInt(entry), little);
  view.setBigUint64(32, 64n, little);
  view.setUint32(48, 2, little);
  view.setUint16(52, 64, little);
  view.setUint16(54, 56, little);
  view.setUint16(56, segments.length, little);
  for (const [index, { address, bytes, extra, access }] of segments.entries()) {
    const at = 64 + 56 * index;
    const start = starts[index] as number;
    view.setUint32(at, 1, little);
    view.setUint32(at + 4, access, little);
    [start, address, address, bytes.length, bytes.length + extra, 4096].forEach((value, i) => {
      view.setBigUint64(at + 8 + 8 * i, BigInt(value), little);
    });
    file.set(bytes, start);
  }
  return file;
}

function bytesOf32(words: Uint32Array, little: boolean): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(i * 4, word, little);
  return bytes;
}

function bytesOf64(words: BigUint64Array, little: boolean): Uint8Array {
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < words.length; i++) view.setBigUint64(i * 8, words[i] as bigint, little);
  return bytes;
}

function program(batch: WideBatch, levels: ReadonlySet<Level>, little: boolean): Uint8Array {
  const code = equivalents(batch.code, levels);
  const images = batch.windows.length * (WINDOW_BYTES / 8);
  const tables = new BigUint64Array(images + batch.executions.length * ENTRY);
  batch.windows.forEach((window, i) => {
    tables.set(window, i * (WINDOW_BYTES / 8));
  });
  let at = images;
  for (const { state, window } of batch.executions) {
    tables[at] = BigInt(TABLES + window * WINDOW_BYTES);
    tables.set(state, at + 1);
    if (little) for (let n = 0; n < 64; n++) tables[at + 1 + STATE.vr + n] = state[STATE.vr + (n ^ 1)] as bigint;
    at += ENTRY;
  }
  const outputBytes = (batch.executions.length + 1) * RECORD.words * 8;
  const output = TABLES + Math.ceil((tables.length * 8) / 4096) * 4096;
  const { words, handler } = driver(output, little);
  const variables = new BigUint64Array(32);
  variables.set([BigInt(TABLES + images * 8), BigInt(TABLES + tables.length * 8), BigInt(output)]);
  // struct sigaction: handler, SA_SIGINFO | SA_ONSTACK; stack_t.
  variables.set([BigInt(handler), 0x0800_0004n, 0n, 0n], 4);
  variables.set([BigInt(SIGNAL_STACK_HIGH) << 32n, 0n, BigInt(SIGNAL_STACK_BYTES)], 8);
  const none = new Uint8Array(0);
  const segment = (address: number, bytes: Uint8Array, extra: number, access: number): Segment => ({
    address,
    bytes,
    extra,
    access,
  });
  return elf(
    DRIVER,
    [
      segment(DATA_PAGES, none, 0x2000, 6),
      segment(READ_ONLY_PAGE, bytesOf32(batch.readOnly, little), 0, 4),
      segment(CODE, bytesOf32(code, little), 0, 5),
      segment(DRIVER, bytesOf32(words, little), 0, 5),
      segment(VARIABLES, bytesOf64(variables, little), 0x1000 - variables.length * 8, 6),
      segment(TABLES, bytesOf64(tables, little), output - TABLES - tables.length * 8 + outputBytes, 6),
    ],
    little,
  );
}

const CONTEXT_OF: readonly (readonly [state: number, register: number])[] = [
  [STATE.pc, REGISTER.nip],
  [STATE.ctr, REGISTER.ctr],
  [STATE.lr, REGISTER.lr],
  [STATE.xer, REGISTER.xer],
  [STATE.cr, REGISTER.cr],
];

function outcomesOf(bytes: Uint8Array, count: number, little: boolean): Outcomes {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const outcomes = new BigUint64Array(count * OUTCOME.words);
  for (let i = 0; i < count; i++) {
    const from = (i + 1) * RECORD.words;
    const word = (index: number): bigint => view.getBigUint64((from + index) * 8, little);
    const to = i * OUTCOME.words;
    let ended = endOf(Number(word(0)), Number(word(1)));
    if (ended === ENDED.protection) {
      const pc = word(RECORD.gregs + REGISTER.nip);
      const isFetch = pc < BigInt(CODE) || pc >= BigInt(CODE + CODE_BYTES);
      const address = isFetch ? pc : word(2);
      if (address > 0xffff_ffffn || !isMapped(Number(address))) ended = ENDED.noTranslation;
      outcomes[to + OUTCOME.address] = address;
    }
    outcomes[to + OUTCOME.ended] = BigInt(ended);
    const state = to + OUTCOME.state;
    for (let n = 0; n < 32; n++) outcomes[state + n] = word(RECORD.gregs + n);
    for (const [place, register] of CONTEXT_OF) outcomes[state + place] = word(RECORD.gregs + register);
    for (let n = 0; n < 33; n++) outcomes[state + STATE.fpr + n] = word(RECORD.fregs + n);
    for (let n = 0; n < 64; n++) outcomes[state + STATE.vr + n] = word(RECORD.vregs + (little ? n ^ 1 : n));
    for (let n = 0; n < 32; n++) outcomes[state + STATE.low + n] = word(RECORD.vregs + 68 + n);
    outcomes[state + STATE.vscr] = word(RECORD.vscr);
    for (let n = 0; n < WINDOW_BYTES / 8; n++) outcomes[to + OUTCOME.window + n] = word(RECORD.window + n);
  }
  return outcomes;
}

export type ByteOrder = 'big' | 'little';
const COMMANDS: Record<ByteOrder, string> = { big: 'qemu-ppc64', little: 'qemu-ppc64le' };

/** Whether this machine has the oracle. */
export function wideOracleVersion(): string | undefined {
  const result = spawnSync(COMMANDS.big, ['--version'], { encoding: 'utf8' });
  return result.status === 0 ? result.stdout.split('\n')[0] : undefined;
}

/** Runs a batch on the oracle. @throws Error when the program did not come to its end. */
export function runWideOracle(batch: WideBatch, processor: ServerModelName, order: ByteOrder): Outcomes {
  const folder = mkdtempSync(join(tmpdir(), 'instruction-truth-'));
  try {
    const file = join(folder, 'batch');
    writeFileSync(file, program(batch, LEVELS_OF[processor], order === 'little'), { mode: 0o755 });
    const expected = (batch.executions.length + 1) * RECORD.words * 8;
    const result = spawnSync(COMMANDS[order], ['-cpu', processor, file], {
      maxBuffer: expected + 1024,
      timeout: 120_000,
    });
    if (result.status !== 0 || result.stdout.length !== expected) {
      const reason = result.error?.message ?? result.signal ?? `exit status ${result.status}, ${result.stderr}`;
      throw new Error(`${COMMANDS[order]} ended early: ${reason}`);
    }
    return outcomesOf(result.stdout, batch.executions.length, order === 'little');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
