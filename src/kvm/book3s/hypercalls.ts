/** The hypercalls of a Book3S guest's kernel (../paravirt.ts). */
import { RESUME_GUEST } from '../family.ts';
import { EV_SUCCESS, EV_UNIMPLEMENTED, FEATURE_MAGIC_PAGE, HCALL_MAGIC, MAGIC_FEATURES, TOKEN } from '../paravirt.ts';
import { LPCR_ILE } from './bits.ts';
import type { Book3sContext } from './context.ts';
import { W_GPR, W_HALTED, W_LPCR, W_MAGIC_EFFECTIVE, W_MAGIC_MAPPED, W_MAGIC_REAL, W_MSR } from './layout.ts';

export class ParavirtHypercalls {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #littleEndian: boolean;
  /** Everything shadowed so far must go: the magic page has moved. */
  readonly #onMap: () => void;
  readonly #features: number;

  constructor(context: Book3sContext, littleEndian: boolean, onMap: () => void, features: number = MAGIC_FEATURES) {
    this.#features = features;
    this.#words = context.words;
    this.#context = context;
    this.#littleEndian = littleEndian;
    this.#onMap = onMap;
  }

  /** Whether the system call that the guest's kernel has just made is a hypercall. */
  get wanted(): boolean {
    return this.#words[W_GPR] === HCALL_MAGIC && ((this.#words[W_GPR + 1] as number) === 0 || this.#narrow);
  }

  /** Serves it: r11 has its token, r3 and r4 get the results. */
  serve(): number {
    const words = this.#words;
    let status = EV_SUCCESS;
    let result = 0;
    switch (words[W_GPR + 22]) {
      case TOKEN.FEATURES:
        result = this.#canMap ? FEATURE_MAGIC_PAGE : 0;
        break;
      case TOKEN.MAP_MAGIC_PAGE:
        // Real address, then effective address with flags: the other way round than the text of the interface has it.
        if (!this.#canMap) {
          status = EV_UNIMPLEMENTED;
          break;
        }
        words[W_MAGIC_REAL] = (words[W_GPR + 6] as number) & ~0xfff;
        words[W_MAGIC_REAL + 1] = this.#narrow ? 0 : (words[W_GPR + 7] as number);
        words[W_MAGIC_EFFECTIVE] = (words[W_GPR + 8] as number) & ~0xfff;
        words[W_MAGIC_EFFECTIVE + 1] = this.#narrow ? 0 : (words[W_GPR + 9] as number);
        words[W_MAGIC_MAPPED] = 1;
        this.#onMap();
        result = this.#features;
        break;
      case TOKEN.EV_IDLE:
        words[W_HALTED] = 1;
        break;
      default:
        status = EV_UNIMPLEMENTED;
    }
    this.#answer(status, result);
    return RESUME_GUEST;
  }

  /** A guest in the other byte order has run the sequence, and `sc` the wrong way round is no instruction. */
  refuse(): void {
    this.#words[W_GPR + 6] = EV_UNIMPLEMENTED;
    this.#words[W_GPR + 7] = 0;
    this.#context.step();
  }

  get #narrow(): boolean {
    return this.#words[W_MSR + 1] === 0;
  }

  /** The struct stands in the byte order of memory: a guest whose interrupts come in the other one would misread it. */
  get #canMap(): boolean {
    return (((this.#words[W_LPCR] as number) & LPCR_ILE) !== 0) === this.#littleEndian;
  }

  #answer(status: number, result: number): void {
    const words = this.#words;
    words[W_GPR + 6] = status;
    words[W_GPR + 7] = 0;
    words[W_GPR + 8] = result;
    words[W_GPR + 9] = 0;
  }
}
