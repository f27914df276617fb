/** The paravirt interface: hypercalls of the KVM vendor and of ePAPR (Linux, Documentation/virt/kvm/ppc-pv.rst). */
import { RESUME_GUEST } from '../family.ts';
import { LPCR_ILE } from './bits.ts';
import type { Book3sContext } from './context.ts';
import { W_GPR, W_HALTED, W_LPCR, W_MAGIC_EFFECTIVE, W_MAGIC_MAPPED, W_MAGIC_REAL, W_MSR } from './layout.ts';

/** r0 of a hypercall: "KVM!". */
const MAGIC = 0x4b56_4d21;
/** lis r0, 0x4b56; ori r0, r0, 0x4d21; sc; nop: what /hypervisor tells the guest to do. */
export const HCALL_INSTRUCTIONS: readonly number[] = [0x3c00_4b56, 0x6000_4d21, 0x4400_0002, 0x6000_0000];
/** `sc` of the sequence above as a guest in the other byte order meets it. */
export const SC_REVERSED = 0x0200_0044;

const TOKEN = { FEATURES: 0x2a_0003, MAP_MAGIC_PAGE: 0x2a_0004, EV_IDLE: 0x1_0010 } as const;
const EV_SUCCESS = 0;
const EV_UNIMPLEMENTED = 12;
const FEATURE_MAGIC_PAGE = 1 << 1;
/** The magic page has the segment registers, and SPRG4-7: what the reference always answers. */
export const MAGIC_FEATURE = { SEGMENTS: 1, SPRGS: 2 } as const;

export class ParavirtHypercalls {
  readonly #words: Int32Array;
  readonly #context: Book3sContext;
  readonly #littleEndian: boolean;
  /** Everything shadowed so far must go: the magic page has moved. */
  readonly #onMap: () => void;
  readonly #features: number;

  constructor(
    context: Book3sContext,
    littleEndian: boolean,
    onMap: () => void,
    features = MAGIC_FEATURE.SEGMENTS | MAGIC_FEATURE.SPRGS,
  ) {
    this.#features = features;
    this.#words = context.words;
    this.#context = context;
    this.#littleEndian = littleEndian;
    this.#onMap = onMap;
  }

  /** Whether the system call that the guest's kernel has just made is a hypercall. */
  get wanted(): boolean {
    return this.#words[W_GPR] === MAGIC && ((this.#words[W_GPR + 1] as number) === 0 || this.#narrow);
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
