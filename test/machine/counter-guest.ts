/** A small program for snapshots of its run. */
import { assembleWords } from '../../src/isa/index.ts';
import { KvmError } from '../../src/kvm/index.ts';
import { MachineError } from '../../src/machine/index.ts';

/** Begins with the magic page, by KVM's hypercall. */
export const MAP_MAGIC_PAGE = `
    lis r11,0x2a; ori r11,r11,4
    li r3,-4096; li r4,-4096; ori r4,r4,1
    lis r0,0x4b56; ori r0,r0,0x4d21; sc; nop`;

/** A program for the bare board: counts, writes what it counted to memory, and a letter to the console now and then. */
export function counter(begin = ''): Uint8Array {
  const source = `
    ${begin}
    lis r28,0xf000; clrldi r28,r28,32
    lis r9,0x8; li r4,0; li r8,'a'
  again:
    lis r7,1; mtctr r7
  count:
    addi r4,r4,1; bdnz count
    stdu r4,4096(r9)
    stb r8,0(r28)
    addi r8,r8,1
    cmpdi r8,'k'; bne again
    lis r5,0xf000; clrldi r5,r5,32; addi r5,r5,0x1000; li r6,0x5555; stw r6,0(r5)
  forever: b forever`;
  const words = assembleWords(source, 0);
  const bytes = new Uint8Array(words.length * 4);
  for (const [i, word] of words.entries()) new DataView(bytes.buffer).setUint32(4 * i, word);
  return bytes;
}

/** One line of an error of ours. */
export const isRefusal = (error: unknown): boolean =>
  (error instanceof MachineError || error instanceof KvmError) && !error.message.includes('\n');
