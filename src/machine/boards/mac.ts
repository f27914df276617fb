/** What all Power Macs here share: OpenBIOS, and what it is told. */
import type { Vcpu } from '../../kvm/api.ts';
import type { Board, BoardConfiguration, FirmwareSpec } from '../board.ts';
import { IDE } from '../cards.ts';
import type { DeviceSpec } from '../device.ts';
import { fwCfg, word16, word32 } from '../devices/fw-cfg.ts';

export const MiB = 2 ** 20;
export const GiB = 2 ** 30;

/** Where the processor begins after power-on, in the ROM. */
const RESET_VECTOR = 0xfff00100;
const FW_CFG_BASE = 0xf0000510;
export const FW_CFG_NAME = 'fwcfg';

/** Machines as OpenBIOS tells them apart. */
export const MACHINE_ID = { MAC99: 1, HEATHROW: 2, MAC99_U3: 3 } as const;
/** Which system controller is behind the VIA. */
export const VIA = { CUDA: 0, PMU: 1, PMU_ADB: 2 } as const;

/** PowerPC's own keys (QEMU's hw/ppc.h). */
const PPC = {
  WIDTH: 0x8000,
  HEIGHT: 0x8001,
  DEPTH: 0x8002,
  TIMEBASE: 0x8003,
  CLOCK: 0x8004,
  IS_KVM: 0x8005,
  KVM_HYPERCALL: 0x8006,
  KVM_PID: 0x8007,
  NVRAM: 0x8008,
  BUS: 0x8009,
  NVRAM_FLAT: 0x800a,
  VIA: 0x800b,
} as const;

/** Picture that firmware sets up. */
const DISPLAY = { width: 800, height: 600, depth: 32 } as const;

/** Where the machines with UniNorth have their NVRAM: in the midst of the ROM. */
export const NVRAM = 0xfff04000;

/** OpenBIOS, which Debian has for QEMU's Macs. `nvramBytes`: what of the memory map NVRAM takes in its ROM. */
export const openBios = (nvramBytes = 0): FirmwareSpec => ({
  file: '/usr/share/qemu/openbios-ppc',
  title: 'OpenBIOS for PowerPC',
  rom: { address: 0xfff00000, bytes: MiB, ...(nvramBytes > 0 && { gap: { address: NVRAM, bytes: nvramBytes } }) },
  kernel: 0x01000000,
  informant: FW_CFG_NAME,
  enter: (vcpu: Vcpu) => {
    const regs = vcpu.getRegs();
    regs.pc = BigInt(RESET_VECTOR);
    vcpu.setRegs(regs);
  },
});

/** Where firmware asks what the machine is. Frequencies in Hz. */
export function macFwCfg(
  { memoryBytes, cpu, cards = [] }: BoardConfiguration,
  options: {
    machineId: number;
    busFrequency: number;
    via: number;
    hasDisplay: boolean;
    nvram?: number;
  },
): DeviceSpec {
  const drives = cards.flatMap(({ bus, drive }) => (bus === IDE && drive !== undefined ? [drive] : []));
  return fwCfg({
    name: FW_CFG_NAME,
    base: FW_CFG_BASE,
    memoryBytes,
    machineId: options.machineId,
    noGraphic: !options.hasDisplay,
    bootDisk: drives.length > 0 && drives.every(({ isCd }) => isCd) ? 'd' : 'c',
    items: [
      [PPC.WIDTH, word16(DISPLAY.width)],
      [PPC.HEIGHT, word16(DISPLAY.height)],
      [PPC.DEPTH, word16(DISPLAY.depth)],
      [PPC.TIMEBASE, word32(cpu.timebaseFrequency)],
      [PPC.CLOCK, word32(cpu.clockFrequency)],
      [PPC.BUS, word32(options.busFrequency)],
      [PPC.VIA, word16(options.via)],
      ...(options.nvram === undefined ? [] : ([[PPC.NVRAM, word32(options.nvram)]] as const)),
    ],
    hypercall: { isKvm: PPC.IS_KVM, instructions: PPC.KVM_HYPERCALL },
  });
}

/** What boards with firmware have no use for: it makes the device tree. */
export const FIRMWARE_TREE: Pick<Board, 'treeNodes' | 'memoryNode'> = { treeNodes: () => [], memoryNode: '' };
