/** Kernels that get to KVM's magic page. */

const LI_R3_MINUS_4096 = 0x3860_f000;
const LI_R4_4 = 0x3880_0004;
const LI_R3_0 = 0x3860_0000;
const isCall = (word: number): boolean => (word & 0xfc00_0003) >>> 0 === 0x4800_0001;

/**
 * A copy of an ELF file of Linux 6.1 without its test of the magic page, fault_in_readable(-4096, 4), which refuses the
 * address unseen (guests/README.md): the call becomes `li r3,0`, and the kernel goes on to patch itself.
 */
export function withoutMagicPageTest(kernel: Uint8Array): Uint8Array {
  const copy = kernel.slice();
  const view = new DataView(copy.buffer);
  const littleEndian = copy[5] === 1;
  const word = (at: number): number => view.getUint32(at, littleEndian);
  const calls: number[] = [];
  for (let at = 0; at + 20 <= copy.length; at += 4) {
    if (word(at) !== LI_R4_4 && word(at) !== LI_R3_MINUS_4096) continue;
    if (word(at) + word(at + 4) !== LI_R4_4 + LI_R3_MINUS_4096) continue;
    const call = [at + 8, at + 12].find((one) => isCall(word(one)));
    if (call !== undefined) calls.push(call);
  }
  if (calls.length !== 1) throw new Error(`the kernel has ${calls.length} tests of the magic page`);
  view.setUint32(calls[0] as number, LI_R3_0, littleEndian);
  return copy;
}
