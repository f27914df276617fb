/** Our side: the generated interpreter of a 64-bit processor, with storage that is mapped by hand. */

import type { Level } from '../../../src/isa/index.ts';
import { CodeCache } from '../../../src/processor/code-cache.ts';
import { HandlerTable } from '../../../src/processor/handlers.ts';
import { DSISR, HostMemory, SERVER_VECTOR, SRR1_PROGRAM, VECTOR_HOST_TICK } from '../../../src/processor/index.ts';
import { FIRST_ROUTINE, generateInterpreter } from '../../../src/processor/interpreter.ts';
import {
  BOUNCE,
  BUDGET,
  CODE_PAGES,
  CODE_PAGES_TABLE,
  CR,
  CTR,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  EXIT_VECTOR,
  GPR,
  LR,
  PC,
  RAM_BASE,
  USPRG0,
  VCPU_BLOCKS,
  XER_BYTE_COUNT,
  XER_CA,
  XER_OV,
  XER_SO,
} from '../../../src/processor/layout.ts';
import {
  FLOAT_AVAILABLE,
  FLOAT_INTERRUPTS,
  FPSCR,
  fprOffset,
  VECTOR_AVAILABLE,
  VSCR,
  VSX_AVAILABLE,
  vsrHalfOffset,
  WIDE_RESERVE_ADDRESS,
} from '../../../src/processor/layout64.ts';
import { MODEL_SERVER, MODEL_SERVER_LITTLE_ENDIAN } from '../../../src/processor/model.ts';
import { routineFunctions } from '../../../src/processor/routines.ts';
import { CORE, SIGNATURES } from '../../../src/processor/runtime.ts';
import { encodeModule, type Import, type Signature } from '../../../src/processor/wasm/module.ts';
import { CODE, CODE_BYTES, DATA_PAGES, READ_ONLY_PAGE, WINDOW, WINDOW_BYTES } from '../machine-state.ts';
import { ENDED } from '../outcome.ts';
import type { WideBatch, WideExecution } from './batch.ts';
import type { ByteOrder } from './oracle.ts';
import { OUTCOME, type Outcomes, STATE } from './state.ts';

const REAL_DATA = RAM_BASE + 0x01000000;
const REAL_CODE = RAM_BASE + 0x02000000;
const MEMORY_BYTES = REAL_CODE + CODE_BYTES;
const BUDGET_PER_RUN = 1000;
/** EXIT_* of a page that is not there, and of one that may not be written. */
const NO_PAGE = SERVER_VECTOR.dataSegment;
const DENIED = SERVER_VECTOR.dataStorage;

/** What the runtime's functions take on a 64-bit processor. */
const WIDE_SIGNATURES: Partial<Record<keyof typeof CORE, Signature>> = {
  refill: { params: ['i64', 'i32'], results: ['i32'] },
  slowLoad: { params: ['i64', 'i32'], results: ['i32'] },
  slowStore: { params: ['i64', 'i32', 'i64'], results: ['i32'] },
  slowZeroBlock: { params: ['i64'], results: ['i32'] },
};

function endOf(vector: number, syndrome: number): number {
  switch (vector) {
    case SERVER_VECTOR.program:
      if (syndrome === SRR1_PROGRAM.TRAP) return ENDED.trap;
      if (syndrome === SRR1_PROGRAM.ILL) return ENDED.illegal;
      return syndrome === SRR1_PROGRAM.PRIV ? ENDED.privileged : ENDED.other;
    case SERVER_VECTOR.alignment:
      return ENDED.alignment;
    case NO_PAGE:
      return ENDED.noTranslation;
    case DENIED:
      return ENDED.protection;
    case VECTOR_HOST_TICK:
      return ENDED.budget;
    default:
      return ENDED.other;
  }
}

export class WideSubject {
  readonly memory: HostMemory;
  readonly #cache: CodeCache;
  readonly #run: () => number;
  readonly #u64: BigUint64Array;

  constructor(levels: ReadonlySet<Level>, order: ByteOrder) {
    const model = order === 'big' ? MODEL_SERVER : MODEL_SERVER_LITTLE_ENDIAN;
    const memory = HostMemory.create(MEMORY_BYTES, model.order);
    this.memory = memory;
    this.#u64 = new BigUint64Array(memory.wasm.buffer);
    const handlers = new HandlerTable(levels, null, 'i64');
    const interpreter = generateInterpreter(handlers.specs, 0x1_0000, model);
    this.#cache = new CodeCache(memory, handlers, interpreter.packings, () => {}, VCPU_BLOCKS);
    const pages = memory.byteLength / 65536;
    const names = (Object.keys(CORE) as (keyof typeof CORE)[]).filter((name) => name !== 'run');
    names.sort((a, b) => CORE[a] - CORE[b]);
    const imports: Import[] = [
      { name: 'memory', kind: 'memory', pages, maximum: pages },
      { name: 'table', kind: 'table' },
      { name: 'vcpu', kind: 'global' },
      ...names.map((name) => {
        const signature = WIDE_SIGNATURES[name] ?? (SIGNATURES as Record<string, Signature>)[name];
        return { name, kind: 'function', signature: signature ?? { params: [], results: [] } } as const;
      }),
    ];
    const unused = (): number => 0;
    const module = new WebAssembly.Module(
      encodeModule(
        imports,
        [interpreter.run, ...routineFunctions(CORE, model, FIRST_ROUTINE)],
        [SIGNATURES.region],
      ) as BufferSource,
    );
    const instance = new WebAssembly.Instance(module, {
      e: {
        ...Object.fromEntries(names.map((name) => [name, unused])),
        memory: memory.wasm,
        table: new WebAssembly.Table({ element: 'anyfunc', initial: 1 }),
        vcpu: new WebAssembly.Global({ value: 'i32', mutable: false }, VCPU_BLOCKS),
        newPage: (real: number) => this.#cache.newPage(real >>> 0, 0),
        decode: (record: number) => this.#cache.decode(record),
        refill: (address: bigint) => this.#translate(address, 4, 'execute'),
        slowLoad: (address: bigint, bytes: number) => this.#load(address, bytes),
        slowStore: (address: bigint, bytes: number, value: bigint) => this.#store(address, bytes, value),
        slowZeroBlock: (address: bigint) => this.#zero(address, model.blockBytes),
      },
    });
    this.#run = instance.exports['run'] as () => number;
  }

  /** The real address of an access within a page, 0 with EXIT_* set. */
  #translate(ea: bigint, bytes: number, access: 'read' | 'write' | 'execute'): number {
    const address = BigInt.asUintN(64, ea);
    const last = BigInt.asUintN(64, address + BigInt(bytes) - 1n);
    const inside = (from: number, length: number): boolean =>
      address >= BigInt(from) && last >= address && last < BigInt(from + length);
    if (inside(CODE, CODE_BYTES)) {
      if (access === 'write') return this.#fail(DENIED, address);
      return Number(address) - CODE + REAL_CODE;
    }
    if (inside(DATA_PAGES, 0x2000) && access !== 'execute') return Number(address) - DATA_PAGES + REAL_DATA;
    if (inside(READ_ONLY_PAGE, 0x1000) && access !== 'execute') {
      if (access === 'write') return this.#fail(DENIED, address);
      return Number(address) - DATA_PAGES + REAL_DATA;
    }
    // The first byte that is not mapped.
    if (address < last && address >= BigInt(DATA_PAGES) && address < BigInt(DATA_PAGES + 0x2000))
      return this.#fail(NO_PAGE, BigInt(DATA_PAGES + 0x2000));
    return this.#fail(NO_PAGE, address);
  }

  #fail(vector: number, address: bigint): number {
    this.memory.i32[(VCPU_BLOCKS + EXIT_VECTOR) >> 2] = vector;
    this.memory.i32[(VCPU_BLOCKS + EXIT_SYNDROME) >> 2] = 0;
    this.#u64[(VCPU_BLOCKS + EXIT_ADDRESS) >> 3] = address;
    return 0;
  }

  #load(address: bigint, bytes: number): number {
    const real = this.#translate(address, bytes, 'read');
    if (real === 0 || real % bytes === 0) return real;
    const bounce = VCPU_BLOCKS + BOUNCE;
    for (let i = 0; i < bytes; i++) this.memory.write8(bounce + i, this.memory.read8(real + i));
    return bounce;
  }

  #store(address: bigint, bytes: number, value: bigint): number {
    const real = this.#translate(address, bytes, 'write');
    if (real === 0) return 0;
    for (let i = 0; i < bytes; i++) {
      const shift = this.memory.littleEndian ? 8 * i : 8 * (bytes - 1 - i);
      this.memory.write8(real + i, Number((BigInt.asUintN(64, value) >> BigInt(shift)) & 0xffn));
    }
    return 1;
  }

  #zero(address: bigint, bytes: number): number {
    const real = this.#translate(address, bytes, 'write');
    if (real !== 0) this.memory.fill(real, bytes, 0);
    return real;
  }

  run(batch: WideBatch): Outcomes {
    for (const [i, word] of batch.code.entries()) this.memory.write32(REAL_CODE + 4 * i, word);
    this.#cache.written(REAL_CODE, CODE_BYTES);
    this.#cache.flush();
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
    i32[word(FPSCR)] = Number(state[STATE.fpscr]);
    i32[word(FLOAT_AVAILABLE)] = 1;
    i32[word(FLOAT_INTERRUPTS)] = 1;
    i32[word(VECTOR_AVAILABLE)] = 1;
    i32[word(VSX_AVAILABLE)] = 1;
    i32[word(VSCR)] = Number(state[STATE.vscr]);
    for (let n = 0; n < 64; n++)
      u64[doubleword(vsrHalfOffset(32 + (n >> 1), (n & 1) as 0 | 1))] = state[STATE.vr + n] as bigint;
    for (let n = 0; n < 32; n++) u64[doubleword(vsrHalfOffset(n, 1))] = state[STATE.low + n] as bigint;
    i32[word(CODE_PAGES)] = CODE_PAGES_TABLE;
    const data = WINDOW - DATA_PAGES + REAL_DATA;
    (batch.windows[window] as BigUint64Array).forEach((value, n) => {
      memory.write64(data + 8 * n, value);
    });
    i32[word(BUDGET)] = BUDGET_PER_RUN;

    const vector = this.#run();

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
    outcomes[to + STATE.fpscr] = BigInt((i32[word(FPSCR)] as number) >>> 0);
    for (let n = 0; n < WINDOW_BYTES / 8; n++) outcomes[at + OUTCOME.window + n] = memory.read64(data + 8 * n);
  }
}
