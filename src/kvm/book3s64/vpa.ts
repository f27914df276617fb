/**
 * The areas that a partition shares with its hypervisor for each of its virtual processors (LoPAPR 1.1, section 14.11.3.2:
 * H_REGISTER_VPA, and table 189: the VPA). They are big-endian whatever the guest is.
 */
import type { HostMemory } from '../../processor/index.ts';
import { W_GPR, W_PIR, wordOf } from '../book3s/layout.ts';
import type { MemorySlots } from '../slots.ts';
import { H } from './hcall.ts';

const TWO_32 = 2 ** 32;
const PAGE_BYTES = 4096;
/** Areas begin on lines of the cache. */
const ALIGNMENT = 128;
/** What is registered, or with OFF no longer, in bits 16:18 of the flags. */
export const VPA_KIND = { VPA: 1, DISPATCH_TRACE: 2, SLB_SHADOW: 3, MASK: 3, OFF: 4 } as const;

/** By kind: where its address is kept, the bytes of its length, which stands at LENGTH, and the least that it may be. */
const LENGTH = 4;
const AREAS = [
  null,
  { word: wordOf('vpa'), lengthBytes: 2, least: 640, crosses: false },
  { word: wordOf('dispatchTrace'), lengthBytes: 4, least: 48, crosses: true },
  { word: wordOf('slbShadow'), lengthBytes: 4, least: 8, crosses: false },
] as const;
const VPA = AREAS[VPA_KIND.VPA];

/** The VPA's count of dispatches: even while the processor runs. */
const DISPATCH_COUNT = 0x100;

export type VpaKind = 1 | 2 | 3;

export class VirtualProcessorAreas {
  readonly #words: Int32Array;
  readonly #slots: MemorySlots;
  readonly #memory: HostMemory;
  readonly #codeWritten: (address: number, length: number) => void;
  /** The processor has stopped, and not begun again. */
  ceded = false;

  constructor(
    words: Int32Array,
    slots: MemorySlots,
    memory: HostMemory,
    codeWritten: (address: number, length: number) => void,
  ) {
    this.#words = words;
    this.#slots = slots;
    this.#memory = memory;
    this.#codeWritten = codeWritten;
  }

  /** H_REGISTER_VPA: flags in r4, the processor in r5, the address in r6. Answers its status. */
  register(): number {
    const words = this.#words;
    const what = ((words[W_GPR + 9] as number) >>> 13) & 7;
    const area = AREAS[what & VPA_KIND.MASK];
    if (area === null || area === undefined) return H.PARAMETER;
    if (words[W_GPR + 11] !== 0 || words[W_GPR + 10] !== words[W_PIR]) return H.PARAMETER;
    const isVpa = area === VPA;
    const others = this.#address(VPA_KIND.DISPATCH_TRACE) !== 0 || this.#address(VPA_KIND.SLB_SHADOW) !== 0;
    if ((what & VPA_KIND.OFF) !== 0) {
      if (isVpa && others) return H.RESOURCE;
      words[area.word] = 0;
      words[area.word + 1] = 0;
      return H.SUCCESS;
    }
    const address = ((words[W_GPR + 13] as number) >>> 0) * TWO_32 + ((words[W_GPR + 12] as number) >>> 0);
    const head = this.#slots.hostAddress(address, LENGTH + area.lengthBytes);
    if (address === 0 || address % ALIGNMENT !== 0 || head < 0) return H.PARAMETER;
    const bytes = this.#big(head + LENGTH, area.lengthBytes);
    if (bytes < area.least || this.#slots.hostAddress(address, bytes) < 0) return H.PARAMETER;
    if (!area.crosses && (address % PAGE_BYTES) + bytes > PAGE_BYTES) return H.PARAMETER;
    if (!isVpa && this.#address(VPA_KIND.VPA) === 0) return H.RESOURCE;
    words[area.word] = words[W_GPR + 12] as number;
    words[area.word + 1] = words[W_GPR + 13] as number;
    if (isVpa) this.dispatch(true);
    return H.SUCCESS;
  }

  /** The processor waits: it has stopped, once. */
  cede(): void {
    if (!this.ceded) this.dispatch(false);
  }

  /** The processor begins to run, or stops: counts it in the VPA, if there is one. */
  dispatch(runs: boolean): void {
    this.ceded = !runs;
    const address = this.#address(VPA_KIND.VPA);
    if (address === 0) return;
    const at = address + DISPATCH_COUNT;
    const slot = this.#slots.find(Math.floor(at / 1024));
    const host = this.#slots.hostAddress(at, 4);
    if (host < 0 || slot === null || slot.readonly) return;
    const count = this.#big(host, 4);
    // What the guest has made of it is put right.
    const next = (count + ((count & 1) === (runs ? 0 : 1) ? 2 : 1)) >>> 0;
    const memory = this.#memory;
    for (let i = 0; i < 4; i++) memory.write8(host + i, (next >>> (24 - 8 * i)) & 0xff);
    slot.markDirty(Math.floor(at / PAGE_BYTES));
    this.#codeWritten(host, 4);
  }

  /** What is registered of a kind, for who saves it: the real address, 0 where nothing is, and the length. */
  registered(kind: VpaKind): { readonly address: number; readonly bytes: number } {
    const address = this.#address(kind);
    const { lengthBytes, least } = AREAS[kind];
    const head = this.#slots.hostAddress(address, LENGTH + lengthBytes);
    if (address === 0 || head < 0) return { address, bytes: 0 };
    return { address, bytes: Math.max(least, this.#big(head + LENGTH, lengthBytes)) };
  }

  /** Registers what was saved, whose contents may come later; address 0: nothing. False: there is no memory for it. */
  restore(kind: VpaKind, address: number, bytes: number): boolean {
    const { word, least } = AREAS[kind];
    const isThere = address % ALIGNMENT === 0 && this.#slots.hostAddress(address, Math.max(least, bytes)) >= 0;
    if (address !== 0 && !isThere) return false;
    this.#words[word] = address;
    this.#words[word + 1] = Math.floor(address / TWO_32);
    return true;
  }

  #address(kind: VpaKind): number {
    const { word } = AREAS[kind];
    return ((this.#words[word + 1] as number) >>> 0) * TWO_32 + ((this.#words[word] as number) >>> 0);
  }

  #big(host: number, bytes: number): number {
    let value = 0;
    for (let i = 0; i < bytes; i++) value = value * 256 + this.#memory.read8(host + i);
    return value;
  }
}
