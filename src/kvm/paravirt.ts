/** The paravirt interface's hypercalls, of the KVM vendor and of ePAPR (Linux, Documentation/virt/kvm/ppc-pv.rst). */

/** r0 of a hypercall: "KVM!". */
export const HCALL_MAGIC = 0x4b56_4d21;
/** lis r0, 0x4b56; ori r0, r0, 0x4d21; sc; nop: what /hypervisor tells the guest to do. */
export const HCALL_INSTRUCTIONS: readonly number[] = [0x3c00_4b56, 0x6000_4d21, 0x4400_0002, 0x6000_0000];
/** `sc` of the sequence above as a guest in the other byte order meets it. */
export const SC_REVERSED = 0x0200_0044;

/** r11. */
export const TOKEN = { FEATURES: 0x2a_0003, MAP_MAGIC_PAGE: 0x2a_0004, EV_IDLE: 0x1_0010 } as const;
/** r3 of the answer. */
export const EV_SUCCESS = 0;
export const EV_UNIMPLEMENTED = 12;
export const FEATURE_MAGIC_PAGE = 1 << 1;
/** The magic page has the segment registers, the MAS registers and SPRG4-7: what the reference always answers. */
export const MAGIC_FEATURE = { SEGMENTS: 1, SPRGS: 2 } as const;
export const MAGIC_FEATURES = MAGIC_FEATURE.SEGMENTS | MAGIC_FEATURE.SPRGS;
