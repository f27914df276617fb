/**
 * A guest without firmware or PAPR that owns its hash table, as in the talk "KVM on PowerPC": SDR1, SLB, real mode and
 * back, faults, tlbie storms, and the paravirtual framework. It checks itself, and says on the serial port what it found.
 */
import { assembleWords } from '../../src/isa/index.ts';

const HYPERCALL = 'lis r0,0x4b56; ori r0,r0,0x4d21; sc; nop';

/** KVM's hypercalls and the magic page, in both ways to reach it (Linux's Documentation/virt/kvm/ppc-pv.rst). */
const PARAVIRT = `
    li r30,'P'
    lis r11,0x2a; ori r11,r11,3
    ${HYPERCALL}
    li r5,0; bl check                   # KVM_HC_FEATURES
    mr r3,r4; li r5,2; bl check         # the magic page is all there is
    lis r11,0x2a; ori r11,r11,99
    ${HYPERCALL}
    li r5,12; bl check                  # EV_UNIMPLEMENTED
    lis r11,0x2a; ori r11,r11,4
    li r3,-4096; li r4,-4096; ori r4,r4,1
    ${HYPERCALL}
    li r5,0; bl check                   # KVM_HC_PPC_MAP_MAGIC_PAGE
    lis r6,0x1234; ori r6,r6,0x5678; sldi r6,r6,32; oris r6,r6,0x9abc; ori r6,r6,0xdef0
    mtspr 272,r6
    ld r3,-4064(0); mr r5,r6; bl check  # SPRG0 stands there
    addi r7,r6,1
    std r7,-4056(0)
    mfspr r3,273; mr r5,r7; bl check    # what is stored there is SPRG1
    mtspr 19,r6
    ld r3,-4016(0); mr r5,r6; bl check  # DAR
    lis r7,0x4000
    mtspr 18,r7
    lwz r3,-4000(0); mr r5,r7; bl check # DSISR, a word
    mfmsr r5; ld r3,-4008(0); bl check  # MSR
    bl to_real
    ld r3,-4056(0); addi r5,r6,1; bl check
    li r7,77; std r7,-4064(0)
    bl to_virtual
    mfspr r3,272; li r5,77; bl check
`;

/** Guest real addresses and numbers that the program has. */
const source = (paravirt: boolean): string => `
    b start
    .org 0x300
    b data_storage
    .org 0x380
    b data_segment
    .org 0x400
    b instruction_storage
    .org 0x480
    b instruction_segment
    .org 0x500
    rfid
    .org 0x700
    b program
    .org 0x900
    rfid
    .org 0xc00
    b system_call

    # r13: counters of interrupts, in real mode and, below the kernel's segment, in virtual mode.
    # r28: address of the serial port, real; r29: MSR of the kernel in virtual mode; r30: letter of the part at hand;
    # r31: checks so far. r16–r27 are the handlers'.
    .org 0x1000
start:
    li r0,0
    lis r13,1
    li r31,0
    li r30,'A'
    lis r28,0xf000; clrldi r28,r28,32
    # The hash table: 2^11 groups at 1 MB, empty.
    lis r3,0x10; addi r4,r3,-8; lis r5,0; ori r5,r5,0x8000; mtctr r5
clear:
    stdu r0,8(r4); bdnz clear
    mtspr 25,r3
    mfspr r3,25; lis r5,0x10; bl check
    slbia
    # The kernel's segments: that of the talk's numbers at index 2. Kp = 1: problem state is kept out of PP 0.
    li r20,0xc; sldi r20,r20,60; oris r20,r20,0x1000; bl segment_of
    sldi r3,r23,12; ori r3,r3,0x400
    oris r4,r20,0x0800; ori r4,r4,2
    slbmte r3,r4
    li r20,0xc; sldi r20,r20,60; bl segment_of
    sldi r3,r23,12; ori r3,r3,0x400
    li r4,0xc; sldi r4,r4,60; oris r4,r4,0x0800
    slbmte r3,r4
    li r5,0
    slbmfee r6,r5; mr r3,r6; mr r5,r4; bl check
    li r5,0
    slbmfev r6,r5; sldi r5,r23,12; ori r5,r5,0x400; mr r3,r6; bl check
    # On to virtual mode: the code's page first.
    li r20,0xc; sldi r20,r20,60; ori r20,r20,0x1000
    bl enter_page
    li r3,1; sldi r3,r3,63; ori r3,r3,0x1000
    mfmsr r4; or r29,r3,r4; ori r29,r29,0x30
    bl to_virtual
    mfmsr r3; andi. r3,r3,0x30; li r5,0x30; bl check
    ld r3,0(r13)                        # the counters' page

    li r30,'T'                          # the talk's address: EA c000000012000380 is RA 12000380
    li r14,0xc; sldi r14,r14,60; oris r14,r14,0x1200; ori r14,r14,0x380
    lis r6,0x5ea; ori r6,r6,0x4e11
    std r6,0(r14)                       # a page fault first
    ld r3,0(r14); mr r5,r6; bl check
    bl to_real
    clrldi r14,r14,32
    ld r3,0(r14); mr r5,r6; bl check
    ld r3,0(r13); li r5,2; bl check     # a data storage interrupt more; code's pages come by others
    ld r3,24(r13); rldicl r3,r3,34,62; li r5,1; bl check # for want of an entry (DSISR bit 1)
    ld r3,32(r13); li r5,0xc; sldi r5,r5,60; or r5,r5,r14; bl check # DAR
    bl to_virtual

    li r30,'F'                          # a thousand pages, each faulting once
    li r14,0xc; sldi r14,r14,60; oris r14,r14,0x400
    li r7,1000; mtctr r7
    mr r8,r14
touch:
    std r8,16(r8); addi r8,r8,4096; bdnz touch
    ld r3,0(r13); li r5,1002; bl check
    li r7,1000; mtctr r7
    mr r8,r14; li r9,0
again:
    ld r10,16(r8); subf r10,r8,r10; or r9,r9,r10; addi r8,r8,4096; bdnz again
    mr r3,r9; li r5,0; bl check
    ld r3,0(r13); li r5,1002; bl check

    li r30,'I'                          # a storm: the page moves to and fro, with tlbie each time
    li r14,0xc; sldi r14,r14,60; oris r14,r14,0x400
    lis r6,0x400; std r6,0(r14)         # its own address by the real page
    addi r8,r14,0x1000; lis r6,0x400; ori r6,r6,0x1000; std r6,0(r8)
    li r15,500
storm:
    bl to_real
    mr r20,r14; bl find_page            # r21: its entry
    ld r6,8(r21); xori r6,r6,0x1000
    li r7,0; std r7,0(r21)
    sync
    bl segment_of
    sldi r7,r23,28; rldicl r8,r14,0,36; or r7,r7,r8
    tlbie r7,r0
    eieio; tlbsync; sync
    std r6,8(r21); sync
    mr r20,r14; bl avpn
    std r22,0(r21)
    bl to_virtual
    ld r3,0(r14)
    bl to_real
    ld r5,8(r21); rldicr r5,r5,0,51; rldicl r5,r5,0,16
    bl check
    bl to_virtual
    addi r15,r15,-1; cmpdi r15,0; bne storm

    li r30,'S'                          # a segment that is not there, then one that is taken away
    lis r14,0x7000; sldi r14,r14,8; ori r14,r14,0x100
    std r14,0(r14)
    ld r3,8(r13); li r5,1; bl check
    ld r3,0(r14); mr r5,r14; bl check
    rldicr r7,r14,0,35
    slbie r7; isync
    ld r3,0(r14); mr r5,r14; bl check
    ld r3,8(r13); li r5,2; bl check

    li r30,'U'                          # problem state: privileged instructions, the kernel's page, system calls
    lis r14,0x2000; sldi r14,r14,12     # a user address without a segment
    lis r6,user@h; ori r6,r6,user@l
    bl to_real
    # The page of the user's code, at 0x20000000000.
    mr r20,r14; rldicr r20,r20,0,51; or r20,r20,r6; bl segment_of; bl enter_page
    bl to_virtual
    or r6,r14,r6
    mtspr 26,r6
    ori r7,r29,0x4000; mtspr 27,r7
    rfid
back:
    mr r3,r24; lis r5,4; bl check       # SRR1: a privileged instruction
    ld r3,40(r13); li r5,2; bl check    # two of them
    ld r3,48(r13); li r5,2; bl check    # two system calls
    mr r3,r7; rldicl r3,r3,37,63; li r5,1; bl check # DSISR: protection
    mfmsr r3; andi. r3,r3,0x4000; li r5,0; bl check

    li r30,'L'                          # pages by the million would not fit: the table overflows into secondary groups
    li r14,0xc; sldi r14,r14,60; oris r14,r14,0x600
    li r7,12; mtctr r7; mr r8,r14
spread:
    std r8,0(r8); addis r8,r8,0x80; bdnz spread # every 8 MB: one group for all
    li r7,12; mtctr r7; mr r8,r14; li r9,0
gather:
    ld r10,0(r8); subf r10,r8,r10; or r9,r9,r10; addis r8,r8,0x80; bdnz gather
    mr r3,r9; li r5,0; bl check
${paravirt ? PARAVIRT : ''}
    li r30,'D'
    b done

    # In problem state. r9: the kernel's memory.
    .org 0x3000
user:
    mfmsr r3                            # traps, and is passed over
    lis r3,0x11; mtspr 26,r3            # so does this
    li r9,0xc; sldi r9,r9,60; oris r9,r9,0x400
    li r10,5
    ld r10,0(r9)                        # PP 0 with Kp: DSISR says protection, and it is passed over
    li r0,1; sc
    li r0,2; sc                         # back to the kernel
    b user

    .org 0x4000
    # Goes to virtual or to real mode at once, and returns there.
to_virtual:
    mflr r16
    li r17,0xc; sldi r17,r17,60; or r16,r16,r17; or r13,r13,r17
    mtspr 26,r16; mtspr 27,r29
    rfid
to_real:
    mflr r16; clrldi r16,r16,4; clrldi r13,r13,4
    mtspr 26,r16
    li r17,0x30; andc r17,r29,r17; mtspr 27,r17
    rfid

    # r3: what is; r5: what should be.
check:
    addi r31,r31,1
    cmpd r3,r5
    beqlr
    mr r18,r3; mr r19,r5
    bl to_real
    li r3,'!'; bl put
    mr r3,r30; bl put
    mr r3,r31; bl number
    mr r3,r18; bl number
    mr r3,r19; bl number
    b off
done:
    bl to_real
    li r3,'O'; bl put
    li r3,'K'; bl put
    mr r3,r31; bl number
off:
    li r3,10; bl put
    lis r3,0xf000; clrldi r3,r3,32; ori r3,r3,0x1000
    li r4,0x5555; stw r4,0(r3)
    b off
put:
    lbz r16,5(r28); andi. r16,r16,0x20; beq put
    stb r3,0(r28)
    blr
number:                                 # in hexadecimal, behind a space
    mflr r17
    mr r16,r3
    li r3,' '; stb r3,0(r28)
    li r19,16
digit:
    rldicl r16,r16,4,0; clrldi r3,r16,60
    cmpdi r3,10; blt decimal
    addi r3,r3,39
decimal:
    addi r3,r3,48; stb r3,0(r28)
    addi r19,r19,-1; cmpdi r19,0; bne digit
    mtlr r17
    blr

    # r23 = the VSID of the segment of r20: the talk's, 414f012af, for c00000001, those around it for the kernel's others, else
    # the segment's number with a bit.
segment_of:
    rldicl r23,r20,36,28
    srdi r22,r20,60; cmpdi r22,0xc; bne users
    clrldi r22,r23,52
    li r23,0x4; sldi r23,r23,32; oris r23,r23,0x14f0; ori r23,r23,0x12ae
    add r23,r23,r22
    blr
users:
    ori r23,r23,0x4000
    blr
    # r22 = doubleword 0 of an entry for r20 (r23: VSID).
avpn:
    mflr r27; bl segment_of; mtlr r27
    rldicl r22,r20,52,48; srdi r22,r22,11; sldi r22,r22,7
    sldi r27,r23,12; or r22,r22,r27; ori r22,r22,1
    blr
    # r21 = the first entry of the primary group of r20, in r22 doubleword 0 as it should be.
group_of:
    mflr r26; bl avpn; mtlr r26
    rldicl r21,r20,52,48; xor r21,r21,r23
group:
    clrldi r21,r21,53; sldi r21,r21,7; addis r21,r21,0x10
    blr
    # Enters r20 -> its low 28 bits: PP 2 for the user's segments, PP 0 for the kernel's.
enter_page:
    mflr r25; bl group_of
enter:
    li r27,8
slot:
    ld r26,0(r21); andi. r26,r26,1; beq free
    addi r21,r21,16; addi r27,r27,-1; cmpdi r27,0; bne slot
    andi. r26,r22,2; bne full
    ori r22,r22,2
    rldicl r21,r20,52,48; xor r21,r21,r23; nor r21,r21,r21; bl group
    b enter
full:
    li r3,'!'; bl put; b off
free:
    rldicl r26,r20,0,32
    srdi r27,r20,60; cmpdi r27,0xc; beq kernel
    rldicl r26,r26,0,36; ori r26,r26,2
kernel:
    rldicr r26,r26,0,51; srdi r27,r20,60; cmpdi r27,0xc; ori r26,r26,0x10; beq enter_it; ori r26,r26,2
enter_it:
    std r26,8(r21); sync; std r22,0(r21); sync
    mtlr r25
    blr
    # r21 = the entry of r20, which is in its primary group.
find_page:
    mflr r25; bl group_of
look:
    ld r26,0(r21); cmpd r26,r22; beq found
    addi r21,r21,16; b look
found:
    mtlr r25
    blr

    # Handlers: in real mode. They keep LR and CR in SPRG1 and SPRG2, and CTR is nobody's.
data_storage:
    mflr r16; mtspr 273,r16; mfcr r16; mtspr 274,r16
    clrldi r17,r13,4
    mfspr r20,19; mfspr r16,18
    std r16,24(r17); std r20,32(r17)
    lwz r16,28(r17)
    andis. r19,r16,0x4000; beq protection
    ld r19,0(r17); addi r19,r19,1; std r19,0(r17)
    bl enter_page
    b return
protection:
    mr r7,r16
    mfspr r16,26; addi r16,r16,4; mtspr 26,r16
    b return
instruction_storage:
    mflr r16; mtspr 273,r16; mfcr r16; mtspr 274,r16
    mfspr r20,26
    bl enter_page
    b return
data_segment:
    mflr r16; mtspr 273,r16; mfcr r16; mtspr 274,r16
    clrldi r17,r13,4
    ld r19,8(r17); addi r19,r19,1; std r19,8(r17)
    mfspr r20,19
    b insert
instruction_segment:
    mflr r16; mtspr 273,r16; mfcr r16; mtspr 274,r16
    mfspr r20,26
insert:
    bl segment_of
    sldi r22,r23,12; ori r22,r22,0x400
    rldicr r21,r20,0,35; oris r21,r21,0x0800; ori r21,r21,1
    slbmte r22,r21
    b return
program:
    mflr r16; mtspr 273,r16; mfcr r16; mtspr 274,r16
    clrldi r17,r13,4
    ld r19,40(r17); addi r19,r19,1; std r19,40(r17)
    mfspr r24,27; lis r16,0xf; and r24,r24,r16
    mfspr r16,26; addi r16,r16,4; mtspr 26,r16
    b return
system_call:
    mflr r16; mtspr 273,r16; mfcr r16; mtspr 274,r16
    clrldi r17,r13,4
    ld r19,48(r17); addi r19,r19,1; std r19,48(r17)
    cmpdi r0,2; bne return
    li r16,0xc; sldi r16,r16,60; addi r16,r16,back@l; mtspr 26,r16; mtspr 27,r29
return:
    mfspr r16,274; mtcrf 255,r16; mfspr r16,273; mtlr r16
    rfid
`;

/** The image, to be loaded at real address 0. */
export function bareGuest(options: { readonly paravirt: boolean }): Uint8Array {
  const words = assembleWords(source(options.paravirt), 0);
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setUint32(4 * i, word);
  return bytes;
}
