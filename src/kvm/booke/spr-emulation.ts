/** mfspr and mtspr of a Book E guest's kernel. */
import { KVM_EXIT, KVM_SYSTEM_EVENT, type KvmRun } from '../api.ts';
import { RESUME_GUEST } from '../family.ts';
import type { VcpuCounters } from '../stats.ts';
import type { GuestTime } from '../time.ts';
import { DBCR0_ABSENT, DBCR0_RST } from './bits.ts';
import type { BookeContext } from './context.ts';
import { readXer, W_DBCR0, writeXer } from './layout.ts';
import { RIGHT, SPECIAL, type SprTable } from './sprs.ts';
import type { BookeTimers } from './timers.ts';

/** `write` says: no such register. */
export const NO_SPR = -2;

const TWO_32 = 2 ** 32;
/** Time-base values are doubles: what a guest writes to TBU counts up to 2^53 ticks. */
const TBU_BITS = 0x1fffff;

export class SprEmulation {
  protected readonly table: SprTable;
  protected readonly words: Int32Array;
  protected readonly context: BookeContext;
  readonly #timers: BookeTimers;
  readonly #time: GuestTime;
  readonly #counters: VcpuCounters;
  readonly #run: KvmRun;
  /** A register of the debug facility was written. */
  readonly #onDebug: () => void;

  constructor(
    table: SprTable,
    context: BookeContext,
    timers: BookeTimers,
    time: GuestTime,
    counters: VcpuCounters,
    run: KvmRun,
    onDebug: () => void,
  ) {
    this.table = table;
    this.words = context.words;
    this.context = context;
    this.#timers = timers;
    this.#time = time;
    this.#counters = counters;
    this.#run = run;
    this.#onDebug = onDebug;
  }

  /** Problem state may read it. */
  isUser(spr: number): boolean {
    return ((this.table.rights[spr] as number) & RIGHT.USER_READ) !== 0;
  }

  /** mfspr into the word at `target`. False: the processor has no such register. */
  read(spr: number, target: number): boolean {
    const words = this.words;
    if (((this.table.rights[spr] as number) & RIGHT.READ) === 0) return false;
    (this.#counters.sprs[spr] as number)++;
    switch (this.table.special[spr]) {
      case SPECIAL.XER:
        words[target] = readXer(words);
        return true;
      case SPECIAL.DEC:
        words[target] = this.#timers.readDec();
        return true;
      case SPECIAL.TSR:
        words[target] = this.#timers.readTsr();
        return true;
      case SPECIAL.TB:
        words[target] = this.#time.timebase();
        return true;
      case SPECIAL.TBU:
        words[target] = Math.floor(this.#time.timebase() / TWO_32);
        return true;
      case SPECIAL.EPR:
        words[target] = this.readEpr();
        return true;
      case SPECIAL.MMUCSR0:
        words[target] = 0;
        return true;
      default:
        words[target] = words[this.table.word[spr] as number] as number;
        return true;
    }
  }

  /** mtspr. Returns RESUME_GUEST, NO_SPR or an exit reason. */
  write(spr: number, value: number): number {
    const words = this.words;
    const timers = this.#timers;
    if ((this.table.rights[spr] as number) === 0) return NO_SPR;
    // What is only read keeps its value.
    if (((this.table.rights[spr] as number) & RIGHT.WRITE) === 0) return RESUME_GUEST;
    (this.#counters.sprs[1024 + spr] as number)++;
    const index = this.table.word[spr] as number;
    switch (this.table.special[spr]) {
      case SPECIAL.PLAIN:
        words[index] = value & (this.table.mask[spr] as number);
        return RESUME_GUEST;
      case SPECIAL.CCR0:
        words[index] = value & (this.table.mask[spr] as number);
        this.context.refreshUnits();
        return RESUME_GUEST;
      case SPECIAL.CLEAR:
        words[index] = (words[index] as number) & ~value;
        return RESUME_GUEST;
      case SPECIAL.DBSR:
        words[index] = (words[index] as number) & ~value;
        this.#onDebug();
        return RESUME_GUEST;
      case SPECIAL.DEBUG:
        words[index] = value;
        this.#onDebug();
        return RESUME_GUEST;
      case SPECIAL.XER:
        writeXer(words, value);
        return RESUME_GUEST;
      case SPECIAL.PID:
        this.context.setPid(value);
        return RESUME_GUEST;
      case SPECIAL.DEC:
        timers.writeDec(value);
        return RESUME_GUEST;
      case SPECIAL.DECAR:
        timers.writeDecar(value);
        return RESUME_GUEST;
      case SPECIAL.TSR:
        timers.clearTsr(value);
        return RESUME_GUEST;
      case SPECIAL.TCR:
        timers.writeTcr(value);
        return RESUME_GUEST;
      case SPECIAL.TBL: {
        const now = this.#time.timebase();
        timers.writeTimebase(now - (now % TWO_32) + (value >>> 0));
        return RESUME_GUEST;
      }
      case SPECIAL.TBU:
        timers.writeTimebase((value & TBU_BITS) * TWO_32 + (this.#time.timebase() % TWO_32));
        return RESUME_GUEST;
      case SPECIAL.DBCR0:
        words[W_DBCR0] = value & ~(DBCR0_RST | DBCR0_ABSENT);
        this.#onDebug();
        if ((value & DBCR0_RST) === 0) return RESUME_GUEST;
        this.#run.systemEvent.type = KVM_SYSTEM_EVENT.RESET;
        return KVM_EXIT.SYSTEM_EVENT;
      case SPECIAL.PID1:
      case SPECIAL.PID2:
        words[index] = value & 0xff;
        this.context.pidsChanged();
        return RESUME_GUEST;
      case SPECIAL.MMUCSR0:
        this.flushTlbs(value);
        return RESUME_GUEST;
      default:
        return NO_SPR;
    }
  }

  /** The vector of the external interrupt that was taken last. */
  protected readEpr(): number {
    return 0;
  }

  /** mtspr MMUCSR0: invalidates whole TLBs. */
  protected flushTlbs(_which: number): void {}
}
