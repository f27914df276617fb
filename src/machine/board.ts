import type { Accel, Vcpu, Vm } from '../kvm/api.ts';
import type { PlacedCard } from './cards.ts';
import type { DeviceSpec, TreeNodeSpec } from './device.ts';

/** A processor that a board can have: KVM's model name, and what the device tree says of it. Frequencies in Hz, caches in bytes. */
export interface CpuSpec {
  readonly model: string;
  /** As users call it, where that is not the model's name. */
  readonly name?: string;
  readonly clockFrequency: number;
  readonly timebaseFrequency: number;
  /** The processor's node below /cpus, without the frequencies, which the machine adds; firmware makes its own. */
  readonly node: TreeNodeSpec;
  /** Word size of the kernels that fit, where it is not the board's. */
  readonly kernelBits?: 32 | 64;
  /** How its privileged instructions can be served, where that is not the board's. */
  readonly accels?: readonly [Accel, ...Accel[]];
}

/** What users call a processor. */
export const cpuName = ({ name, model }: CpuSpec): string => name ?? model;

/** Where a board's firmware puts what it boots. All are guest physical addresses in RAM. */
export interface BootSpec {
  /** The customary addresses, used when they fit. */
  readonly deviceTree: number;
  readonly initrd: number;
  /** The kernel's early mapping ends here: the device tree must lie below. */
  readonly deviceTreeLimit: number;
  /** The kernel's linear mapping ends here: the initial RAM disk must lie below. */
  readonly initrdLimit: number;
  /** Sets up what KVM keeps beside the registers (hash table, capabilities), after each reset. */
  prepare?(vm: Vm, vcpu: Vcpu, memoryBytes: number): void;
  /** Sets a freshly reset processor's registers and mappings for the kernel's first instruction. */
  enter(vcpu: Vcpu, entry: BootEntry): void;
  /** The board can start from firmware as well, which finds kernel, initial RAM disk and device tree in memory. */
  readonly firmware?: {
    /** Where firmware goes that is no ELF file. The processor then begins as a reset leaves it. */
    readonly rom: RomSpec;
    /** Where a kernel's file goes, as it is. */
    readonly kernel: number;
  };
}

/** Read-only memory that firmware runs from. Guest physical, in pages of 4 KB. */
export interface RomSpec {
  readonly address: number;
  readonly bytes: number;
  /** A device that stands in the midst of it. */
  readonly gap?: { readonly address: number; readonly bytes: number };
}

/** How a board starts whose firmware does the booting. All addresses are guest physical. */
export interface FirmwareSpec {
  /** The firmware's file as Debian calls it, and what it is, for messages and for who looks for it. */
  readonly file: string;
  readonly title: string;
  readonly rom: RomSpec;
  /** Where a kernel goes that is given beside it, whatever its own addresses are. */
  readonly kernel: number;
  /** The device that tells it what there is to boot: a `FirmwareInformant`. */
  readonly informant: string;
  /** Sets a freshly reset processor's registers for the firmware's first instruction. */
  enter(vcpu: Vcpu): void;
}

/** What is in memory for firmware to boot. Addresses are guest physical, sizes bytes; 0 where there is none. */
export interface Preloaded {
  readonly kernel: { readonly address: number; readonly bytes: number };
  readonly initrd: { readonly address: number; readonly bytes: number };
  readonly commandLine: number;
  /** KVM's hypercall sequence, where the guest may use it. */
  readonly hcallInstructions: readonly number[] | undefined;
}

/** A device that firmware asks what there is to boot. */
export interface FirmwareInformant {
  /** After each reset. */
  inform(preloaded: Preloaded): void;
}

/** Where and how a kernel is entered. Addresses are guest physical. */
export interface BootEntry {
  readonly address: number;
  readonly deviceTree: number;
  readonly deviceTreeBytes: number;
  readonly memoryBytes: number;
  readonly littleEndian: boolean;
}

/** What a board needs to know of a particular machine to lay out its devices. */
export interface BoardConfiguration {
  readonly memoryBytes: number;
  readonly cpu: CpuSpec;
  /** The devices that were plugged in: the board gives each its place. Absent: none. */
  readonly cards?: readonly PlacedCard[];
  /** It has a display (`Board.hasDisplay`). */
  readonly display?: boolean;
}

/** What a board's device tree says of a particular machine beyond its devices. */
export interface TreeConfiguration extends BoardConfiguration {
  /** KVM's hypercall sequence, where the guest may use it. */
  readonly hcallInstructions: readonly number[] | undefined;
  /** Random bytes for the guest's own generator; empty where the host has none. */
  readonly rngSeed: Uint8Array;
  /** The kernel in memory, or its file for firmware to boot; sizes in bytes. Absent: there is none. */
  readonly kernel?: { readonly address: number; readonly bytes: number };
}

/** A board is data: processor, memory, devices with addresses and wiring, and how it boots. */
export interface Board {
  readonly name: string;
  /** One line for lists. */
  readonly description: string;
  /** The processors that it can have; the first is the customary one. */
  readonly cpus: readonly [CpuSpec, ...CpuSpec[]];
  /** How privileged instructions can be served; the first is the fastest. */
  readonly accels: readonly [Accel, ...Accel[]];
  /** Word size of the kernels that fit. */
  readonly kernelBits: 32 | 64;
  readonly memory: {
    /** Bytes of RAM when the user names none. */
    readonly defaultBytes: number;
    /** What would fit, for messages. */
    readonly sizes: string;
    fits(bytes: number): boolean;
  };
  /** The buses that devices can be plugged into, and how many each has room for; the first is the customary one. Absent: none. */
  readonly buses?: Readonly<Record<string, number>>;
  /** A display can be had. */
  readonly hasDisplay?: boolean;
  /** Its devices, those that were plugged in among them: no more than the buses have room for. */
  devices(configuration: BoardConfiguration): readonly DeviceSpec[];
  /** Device-tree nodes that are not devices' own: the root and buses, parents first; none where firmware makes the tree. */
  treeNodes(configuration: TreeConfiguration): readonly TreeNodeSpec[];
  /** Path of the interrupt-independent memory node, such as "/memory"; empty where firmware makes the tree. */
  readonly memoryNode: string;
  /** Names of the serial devices; the first is the console. */
  readonly serial: readonly string[];
  readonly boot: BootSpec | FirmwareSpec;
}

/** The board starts from firmware. */
export const hasFirmware = (boot: BootSpec | FirmwareSpec): boot is FirmwareSpec => 'rom' in boot;
