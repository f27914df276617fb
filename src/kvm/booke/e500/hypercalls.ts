/** The hypercalls of an e500 guest's kernel (../../paravirt.ts). */
import { RESUME_GUEST } from '../../family.ts';
import {
  EV_SUCCESS,
  EV_UNIMPLEMENTED,
  FEATURE_MAGIC_PAGE,
  HCALL_MAGIC,
  MAGIC_FEATURES,
  TOKEN,
} from '../../paravirt.ts';
import { MSR } from '../bits.ts';
import type { BookeContext } from '../context.ts';
import { W_GPR, W_IDLE, W_MAGIC_EFFECTIVE, W_MAGIC_MAPPED, W_MSR } from '../layout.ts';

const PAGE = ~0xfff;

export class HypercallsE500 {
  readonly #words: Int32Array;
  /** The magic page has moved. */
  readonly #onMap: () => void;

  constructor(context: BookeContext, onMap: () => void) {
    this.#words = context.words;
    this.#onMap = onMap;
  }

  /** Whether the system call that was just made is one, of the guest's kernel. */
  get wanted(): boolean {
    return this.#words[W_GPR] === HCALL_MAGIC && ((this.#words[W_MSR] as number) & MSR.PR) === 0;
  }

  /** Serves it: r11 has its token, r3 and r4 get the results. */
  serve(): number {
    const words = this.#words;
    let status = EV_SUCCESS;
    let result = 0;
    switch (words[W_GPR + 22]) {
      case TOKEN.FEATURES:
        result = FEATURE_MAGIC_PAGE;
        break;
      case TOKEN.MAP_MAGIC_PAGE:
        // A real address, of which no use is made where nothing is accessed by it, then the effective one with flags.
        words[W_MAGIC_EFFECTIVE] = (words[W_GPR + 8] as number) & PAGE;
        words[W_MAGIC_MAPPED] = 1;
        this.#onMap();
        result = MAGIC_FEATURES;
        break;
      case TOKEN.EV_IDLE:
        words[W_IDLE] = 1;
        break;
      default:
        status = EV_UNIMPLEMENTED;
    }
    words[W_GPR + 6] = status;
    words[W_GPR + 8] = result;
    return RESUME_GUEST;
  }
}
