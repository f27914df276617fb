/** A program of Linux for 32-bit PowerPC, without a library, that has two processes compute with the same floating-point registers. */
import { assembleWords } from '../../src/isa/index.ts';
import { characterDevice, directory, file, packCpio } from '../../src/node/run/cpio.ts';
import { makeElf } from './images.ts';

/** Behind the headers of an ELF file with one segment, so that file and memory are alike in a page. */
const START = 0x1000_0054;
const ROUNDS = 300;

/** Linux's system calls. */
const CALL = { exit: 1, fork: 2, write: 4, reboot: 88, wait4: 114, sched_yield: 158 } as const;

/**
 * The child adds 1.25 three hundred times, the parent 2.5, and their thirds of one are rounded up and
 * down; between additions each gives up the processor. Each prints a line when all is right.
 */
const SOURCE = `
    bl past
    .long 0x3ff40000, 0            # 1.25
    .long 0x40040000, 0            # 2.5
    .long 0x3ff00000, 0            # 1
    .long 0x40080000, 0            # 3
past:
    mflr r31
    li r0,${CALL.fork}; sc
    mr r30,r3
    lfd f1,0(r31); mtfsfi 7,2
    cmpwi r30,0; beq ready
    lfd f1,8(r31); mtfsfi 7,3
ready:
    li r29,${ROUNDS}
    fsub f2,f1,f1
again:
    fadd f2,f2,f1
    li r0,${CALL.sched_yield}; sc
    addi r29,r29,-1; cmpwi r29,0; bne again
    lfd f3,16(r31); lfd f4,24(r31)
    fdiv f5,f3,f4
    addi r28,r1,-64
    fctiwz f6,f2; stfd f6,0(r28)   # 375 or 750
    stfd f5,8(r28)                 # a third, rounded up or down
    lwz r27,4(r28); lwz r26,12(r28)
    cmpwi r30,0; bne parent
    cmpwi r27,375; bne wrong
    lis r25,0x5555; ori r25,r25,0x5556
    cmpw r26,r25; bne wrong
    lis r3,0x4348; ori r3,r3,0x494c; stw r3,16(r28)
    lis r3,0x4420; ori r3,r3,0x3337; stw r3,20(r28)
    lis r3,0x350a; stw r3,24(r28)
    li r3,1; addi r4,r28,16; li r5,10; li r0,${CALL.write}; sc
    li r3,0
    li r0,${CALL.exit}; sc
parent:
    li r3,-1; li r4,0; li r5,0; li r6,0; li r0,${CALL.wait4}; sc
    cmpwi r27,750; bne wrong
    lis r25,0x5555; ori r25,r25,0x5555
    cmpw r26,r25; bne wrong
    lis r3,0x5041; ori r3,r3,0x5245; stw r3,16(r28)
    lis r3,0x4e54; ori r3,r3,0x2037; stw r3,20(r28)
    lis r3,0x3530; ori r3,r3,0x0a00; stw r3,24(r28)
    li r3,1; addi r4,r28,16; li r5,11; li r0,${CALL.write}; sc
    lis r3,-287; ori r3,r3,0xdead; lis r4,0x2812; ori r4,r4,0x1969; lis r5,0x0123; ori r5,r5,0x4567
    li r0,${CALL.reboot}; sc
wrong:
    trap`;

/** An initial RAM disk with the program as /init, which reboots at its end. */
export function floatInitrd(): Uint8Array {
  const words = assembleWords(SOURCE, START);
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word);
  const program = makeElf([{ virtual: START, physical: START, bytes }], START);
  return packCpio([directory('dev'), characterDevice('dev/console', 5, 1, 0o600), file('init', program, 0o755)]);
}
