/** OSI calls: system calls with two magic numbers, which go to user space (Mac-on-Linux; the uapi's KVM_EXIT_OSI). */
import { KVM_EXIT, type KvmRun } from '../api.ts';
import { W_GPR, W_OSI, W_OSI_CALL } from './layout.ts';

/** r3 and r4 of a call. */
const MAGIC_R3 = 0x1137_24fa;
const MAGIC_R4 = 0x7781_0f9b;

export class OsiCalls {
  readonly #words: Int32Array;
  readonly #run: KvmRun;

  constructor(words: Int32Array, run: KvmRun) {
    this.#words = words;
    this.#run = run;
  }

  /** KVM_CAP_PPC_OSI. */
  enable(isOn: boolean): void {
    this.#words[W_OSI] = isOn ? 1 : 0;
  }

  /** Whether the system call that the guest, its kernel or a program, has just made is such a call. */
  get wanted(): boolean {
    const words = this.#words;
    if (words[W_OSI] === 0 || words[W_GPR + 6] !== MAGIC_R3 || words[W_GPR + 8] !== MAGIC_R4) return false;
    return words[W_GPR + 7] === 0 && words[W_GPR + 9] === 0;
  }

  /** Shows user space the general registers. PC is behind the sc. */
  serve(): number {
    const words = this.#words;
    const { gprs } = this.#run.osi;
    for (let n = 0; n < 32; n++)
      gprs[n] =
        (BigInt((words[W_GPR + 2 * n + 1] as number) >>> 0) << 32n) | BigInt((words[W_GPR + 2 * n] as number) >>> 0);
    words[W_OSI_CALL] = 1;
    return KVM_EXIT.OSI;
  }

  /** `run` begins: takes the registers as user space left them. */
  complete(): void {
    const words = this.#words;
    if (words[W_OSI_CALL] === 0) return;
    words[W_OSI_CALL] = 0;
    const { gprs } = this.#run.osi;
    for (let n = 0; n < 32; n++) {
      const value = gprs[n] as bigint;
      words[W_GPR + 2 * n] = Number(BigInt.asIntN(32, value));
      words[W_GPR + 2 * n + 1] = Number(BigInt.asIntN(32, value >> 32n));
    }
  }
}
