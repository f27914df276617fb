/** Our side: a 64-bit processor whose hashed page table maps what the cases use. */

import {
  CR,
  CTR,
  createServerCpu,
  DECIMAL_ROUNDING,
  DSISR,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  FLOAT_AVAILABLE,
  FLOAT_INTERRUPTS,
  FPSCR,
  fprOffset,
  GPR,
  HostMemory,
  HPTE,
  LR,
  PC,
  RAM_BASE,
  SERVER_VECTOR,
  type ServerCpu,
  type ServerModelName,
  SLB_VSID,
  SRR1_PROGRAM,
  USPRG0,
  VCPU_BLOCKS,
  VECTOR_AVAILABLE,
  VECTOR_HOST_TICK,
  VSCR,
  VSX_AVAILABLE,
  vsrHalfOffset,
  WIDE_RESERVE_ADDRESS,
  XER_BYTE_COUNT,
  XER_CA,
  XER_OV,
  XER_SO,
} from '../../../src/processor/index.ts';
import { enterPage } from '../../processor/server-pages.ts';
import { CODE, CODE_BYTES, DATA_PAGES, READ_ONLY_PAGE, WINDOW, WINDOW_BYTES } from '../machine-state.ts';
import { ENDED } from '../outcome.ts';
import type { WideBatch, WideExecution } from './batch.ts';
import type { ByteOrder } from './oracle.ts';
import { OUTCOME, type Outcomes, STATE } from './state.ts';

const REAL_DATA = RAM_BASE + 0x01000000;
const REAL_CODE = RAM_BASE + 0x02000000;
const MEMORY_BYTES = REAL_CODE + CODE_BYTES;
const BUDGET_PER_RUN = 1000;
/** The segment of all that is mapped. */
const VSID = 0x12345;

function endOf(vector: number, syndrome: number): number {
  switch (vector) {
    case SERVER_VECTOR.program:
      if (syndrome === SRR1_PROGRAM.TRAP) return ENDED.trap;
      if (syndrome === SRR1_PROGRAM.ILL) return ENDED.illegal;
      return syndrome === SRR1_PROGRAM.PRIV ? ENDED.privileged : ENDED.other;
    case SERVER_VECTOR.alignment:
      return ENDED.alignment;
    case SERVER_VECTOR.dataSegment:
    case SERVER_VECTOR.instructionSegment:
      return ENDED.noTranslation;
    case SERVER_VECTOR.dataStorage:
    case SERVER_VECTOR.instructionStorage:
      return syndrome === DSISR.NOHPTE ? ENDED.noTranslation : ENDED.protection;
    case VECTOR_HOST_TICK:
      return ENDED.budget;
    default:
      return ENDED.other;
  }
}

export class WideSubject {
  readonly memory: HostMemory;
  readonly cpu: ServerCpu;
  readonly #u64: BigUint64Array;

  constructor(model: ServerModelName, order: ByteOrder) {
    const memory = HostMemory.create(MEMORY_BYTES, order === 'big' ? 7 : 0);
    this.memory = memory;
    this.#u64 = new BigUint64Array(memory.wasm.buffer);
    this.cpu = createServerCpu({ model, memory, base: VCPU_BLOCKS, assist: null, timebase: () => 0 });
    this.cpu.configureContext(0, { assist: false, sixtyFour: true, littleEndian: order === 'little' });
    this.cpu.slbWrite(0, 0, 0, VSID, SLB_VSID.KS);
    for (let offset = 0; offset < CODE_BYTES; offset += 4096) this.#map(CODE + offset, REAL_CODE + offset, false);
    for (const page of [0, 0x1000]) this.#map(DATA_PAGES + page, REAL_DATA + page, true);
    this.#map(READ_ONLY_PAGE, READ_ONLY_PAGE - DATA_PAGES + REAL_DATA, false);
  }

  #map(address: number, real: number, isWritable: boolean): void {
    const isData = address < CODE;
    const flags = (isWritable ? HPTE.PP_READ_WRITE : HPTE.PP_READ_ONLY) | (isData ? HPTE.N : 0);
    enterPage(this.cpu, { vsid: VSID, address: BigInt(address), real, flags });
  }

  run(batch: WideBatch): Outcomes {
    for (const [i, word] of batch.code.entries()) this.memory.write32(REAL_CODE + 4 * i, word);
    this.cpu.codeWritten(REAL_CODE, CODE_BYTES);
    // Each batch is a process of the oracle's: storage is zero at first.
    this.memory.fill(REAL_DATA, 0x2000, 0);
    for (const [i, word] of batch.readOnly.entries())
      this.memory.write32(READ_ONLY_PAGE - DATA_PAGES + REAL_DATA + 4 * i, word);
    const outcomes = new BigUint64Array(batch.executions.length * OUTCOME.words);
    for (const [i, execution] of batch.executions.entries())
      this.#runOne(batch, execution, outcomes, i * OUTCOME.words);
    return outcomes;
  }

  #runOne(batch: WideBatch, { state, window }: WideExecution, outcomes: Outcomes, at: number): void {
    const { memory } = this;
    const { i32 } = memory;
    const u64 = this.#u64;
    const word = (offset: number): number => (VCPU_BLOCKS + offset) >> 2;
    const doubleword = (offset: number): number => (VCPU_BLOCKS + offset) >> 3;
    for (let n = 0; n < 32; n++) u64[doubleword(GPR) + n] = state[n] as bigint;
    u64[doubleword(CTR)] = state[STATE.ctr] as bigint;
    u64[doubleword(LR)] = state[STATE.lr] as bigint;
    u64[doubleword(PC)] = state[STATE.pc] as bigint;
    const xer = Number(state[STATE.xer]);
    const flags: readonly (readonly [offset: number, bit: number])[] = [
      [XER_SO, 31],
      [XER_OV, 30],
      [XER_CA, 29],
    ];
    for (const [offset, bit] of flags) i32[word(offset)] = (xer >>> bit) & 1;
    i32[word(XER_BYTE_COUNT)] = xer & 0x1fffffff;
    const cr = Number(state[STATE.cr]);
    for (let field = 0; field < 8; field++) i32[word(CR) + field] = (cr >>> (28 - 4 * field)) & 15;
    u64[doubleword(WIDE_RESERVE_ADDRESS)] = 1n;
    i32[word(USPRG0)] = 0;
    for (let n = 0; n < 32; n++) u64[doubleword(fprOffset(n))] = state[STATE.fpr + n] as bigint;
    i32[word(FPSCR)] = Number((state[STATE.fpscr] as bigint) & 0xffff_ffffn);
    i32[word(DECIMAL_ROUNDING)] = Number((state[STATE.fpscr] as bigint) >> 32n);
    i32[word(FLOAT_AVAILABLE)] = 1;
    i32[word(FLOAT_INTERRUPTS)] = 1;
    i32[word(VECTOR_AVAILABLE)] = 1;
    i32[word(VSX_AVAILABLE)] = 1;
    i32[word(VSCR)] = Number(state[STATE.vscr]);
    for (let n = 0; n < 64; n++)
      u64[doubleword(vsrHalfOffset(32 + (n >> 1), (n & 1) as 0 | 1))] = state[STATE.vr + n] as bigint;
    for (let n = 0; n < 32; n++) u64[doubleword(vsrHalfOffset(n, 1))] = state[STATE.low + n] as bigint;
    const data = WINDOW - DATA_PAGES + REAL_DATA;
    (batch.windows[window] as BigUint64Array).forEach((value, n) => {
      memory.write64(data + 8 * n, value);
    });
    const vector = this.cpu.run(BUDGET_PER_RUN);

    const ended = endOf(vector, (i32[word(EXIT_SYNDROME)] as number) & ~DSISR.ISSTORE);
    outcomes[at + OUTCOME.ended] = BigInt(ended);
    if (ended === ENDED.noTranslation || ended === ENDED.protection)
      outcomes[at + OUTCOME.address] = u64[doubleword(EXIT_ADDRESS)] as bigint;
    const to = at + OUTCOME.state;
    for (let n = 0; n < 32; n++) outcomes[to + n] = u64[doubleword(GPR) + n] as bigint;
    outcomes[to + STATE.ctr] = u64[doubleword(CTR)] as bigint;
    outcomes[to + STATE.lr] = u64[doubleword(LR)] as bigint;
    outcomes[to + STATE.pc] = u64[doubleword(PC)] as bigint;
    let newXer = (i32[word(XER_BYTE_COUNT)] as number) >>> 0;
    for (const [offset, bit] of flags) newXer += (i32[word(offset)] as number) * 2 ** bit;
    outcomes[to + STATE.xer] = BigInt(newXer);
    let crWord = 0;
    for (let field = 0; field < 8; field++) crWord = crWord * 16 + (i32[word(CR) + field] as number);
    outcomes[to + STATE.cr] = BigInt(crWord);
    for (let n = 0; n < 32; n++) outcomes[to + STATE.fpr + n] = u64[doubleword(fprOffset(n))] as bigint;
    for (let n = 0; n < 64; n++)
      outcomes[to + STATE.vr + n] = u64[doubleword(vsrHalfOffset(32 + (n >> 1), (n & 1) as 0 | 1))] as bigint;
    for (let n = 0; n < 32; n++) outcomes[to + STATE.low + n] = u64[doubleword(vsrHalfOffset(n, 1))] as bigint;
    outcomes[to + STATE.vscr] = BigInt((i32[word(VSCR)] as number) >>> 0);
    const decimal = BigInt(i32[word(DECIMAL_ROUNDING)] as number) << 32n;
    outcomes[to + STATE.fpscr] = decimal | BigInt((i32[word(FPSCR)] as number) >>> 0);
    for (let n = 0; n < WINDOW_BYTES / 8; n++) outcomes[at + OUTCOME.window + n] = memory.read64(data + 8 * n);
  }
}
