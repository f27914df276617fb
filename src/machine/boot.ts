import type { GuestMemory, Vcpu } from '../kvm/api.ts';
import type { Board, BootSpec, FirmwareInformant, FirmwareSpec, TreeConfiguration } from './board.ts';
import type { DeviceSpec } from './device.ts';
import { makeDeviceTree } from './devicetree.ts';
import { formatBytes, hex, MachineError } from './error.ts';
import type { KernelImage, Segment } from './loaders/image.ts';

/** Files and texts that a machine boots from. */
export interface BootFiles {
  /** Boards with firmware do without. */
  readonly kernel?: Uint8Array | undefined;
  /** Firmware, where the board can start from some: an ELF file, or the ROM's contents up to its end. */
  readonly bios?: Uint8Array | undefined;
  readonly initrd?: Uint8Array | undefined;
  readonly dtb?: Uint8Array | undefined;
  readonly append?: string | undefined;
}

/** What Linux accepts as a command line on PowerPC, bytes including the end. */
const COMMAND_LINE_BYTES = 2048;
/** Room behind a kernel for its zeroed data, whose size a uImage doesn't tell. */
const KERNEL_SLACK = 2 ** 20;
const ALIGNMENT = 2 ** 16;

function alignUp(value: number): number {
  return Math.ceil(value / ALIGNMENT) * ALIGNMENT;
}

/** Where the device tree and the initial RAM disk go. */
export interface Placement {
  readonly deviceTree: number;
  readonly initrd: number;
}

/**
 * Chooses addresses: the board's customary ones, unless the kernel reaches into them or RAM ends before; then right behind
 * the kernel. All sizes and addresses in bytes; `ramEnd`: where RAM, or what may be used of it, ends. Throws MachineError
 * when nothing fits.
 */
export function placeImages(
  boot: BootSpec,
  kernelEnd: number,
  deviceTreeBytes: number,
  initrdBytes: number,
  ramEnd: number,
): Placement {
  const treeLimit = Math.min(ramEnd, boot.deviceTreeLimit);
  const initrdLimit = Math.min(ramEnd, boot.initrdLimit);
  const fits = (place: Placement): boolean =>
    place.deviceTree + deviceTreeBytes <= treeLimit &&
    (initrdBytes === 0 ||
      (place.initrd + initrdBytes <= initrdLimit && place.deviceTree + deviceTreeBytes <= place.initrd));
  const customary = { deviceTree: boot.deviceTree, initrd: boot.initrd };
  if (kernelEnd + KERNEL_SLACK <= boot.deviceTree && fits(customary)) return customary;
  const deviceTree = alignUp(kernelEnd + KERNEL_SLACK);
  const behind = { deviceTree, initrd: alignUp(deviceTree + deviceTreeBytes) };
  if (fits(behind)) return behind;
  if (initrdBytes === 0 || deviceTree + deviceTreeBytes > treeLimit)
    throw new MachineError(
      `the kernel ends at ${hex(kernelEnd)}, which leaves no room for the device tree below ${hex(treeLimit)}` +
        (ramEnd < boot.deviceTreeLimit ? '; more memory would fit' : '; a smaller kernel would fit'),
    );
  throw new MachineError(
    `the initrd has ${formatBytes(initrdBytes)}, but between the kernel and ${hex(initrdLimit)} there is room for ` +
      `${formatBytes(Math.max(0, initrdLimit - behind.initrd))}` +
      (ramEnd < boot.initrdLimit ? '; more memory would fit' : '; a smaller one would fit'),
  );
}

function kernelEnd(segments: readonly Segment[]): number {
  let end = 0;
  for (const { address, memoryBytes } of segments) end = Math.max(end, address + memoryBytes);
  return end;
}

function rangeOf(segments: readonly Segment[], end: number): { address: number; bytes: number } {
  const address = Math.min(...segments.map((segment) => segment.address));
  return { address, bytes: end - address };
}

function checkAppend(append: string | undefined): void {
  if (append === undefined) return;
  if (append.length >= COMMAND_LINE_BYTES)
    throw new MachineError(
      `the kernel command line has ${append.length} characters; at most ${COMMAND_LINE_BYTES - 1} would fit`,
    );
  for (const character of append) {
    if (character === '\0' || (character.codePointAt(0) as number) > 0xff)
      throw new MachineError('the kernel command line has a character that the kernel cannot read; ASCII would fit');
  }
}

function writerOf(memory: GuestMemory): (address: number, bytes: Uint8Array) => void {
  return (address, bytes) => {
    if (bytes.length > 0 && !memory.writeBytes(address, bytes))
      throw new MachineError(`guest memory from ${hex(address)} to ${hex(address + bytes.length)} cannot be written`);
  };
}

/** Puts a kernel's segments into memory, `base` behind their addresses. */
function loadSegments(segments: readonly Segment[], base: number, memory: GuestMemory): void {
  const write = writerOf(memory);
  for (const { address, bytes, memoryBytes } of segments) {
    write(base + address, bytes);
    if (memoryBytes > bytes.length) memory.fill(base + address + bytes.length, memoryBytes - bytes.length, 0);
  }
}

/** What a guest starts with. */
export interface Starter {
  /** The kernel, or firmware in its place, that is entered; undefined: the processor begins as a reset leaves it. */
  readonly image: KernelImage | undefined;
  /** What the ROM has. */
  readonly rom?: readonly Segment[] | undefined;
  /** The kernel's file, for firmware. */
  readonly payload?: Uint8Array | undefined;
}

/** Puts kernel, initial RAM disk, device tree and firmware into guest memory and the processor at the kernel's entry. */
export function bootGuest(
  board: Board,
  boot: BootSpec,
  devices: readonly DeviceSpec[],
  { image, rom = [], payload }: Starter,
  files: Omit<BootFiles, 'kernel'>,
  configuration: TreeConfiguration,
  memory: GuestMemory,
  vcpu: Vcpu,
): void {
  checkAppend(files.append);
  const { memoryBytes } = configuration;
  const initrdBytes = files.initrd?.length ?? 0;
  const tree = (initrd: number): Uint8Array =>
    makeDeviceTree(board, devices, files.dtb, {
      ...configuration,
      ...(inMemory && { kernel: inMemory }),
      append: files.append ?? (files.dtb === undefined ? '' : undefined),
      initrd: initrdBytes > 0 ? { start: initrd, end: initrd + initrdBytes } : undefined,
    });
  const segments = image?.segments ?? [];
  const end = kernelEnd(segments);
  const payloadAddress = alignUp(Math.max(boot.firmware?.kernel ?? 0, end));
  const inMemory = payload ? { address: payloadAddress, bytes: payload.length } : image && rangeOf(segments, end);
  const firmware = devices.flatMap((device) => device.firmware ?? []);
  const ramEnd = Math.min(memoryBytes, ...firmware.map(({ address }) => address));
  if (end > ramEnd)
    throw new MachineError(
      `the kernel ends at ${hex(end)}, but the firmware's place begins at ${hex(ramEnd)}; more memory would fit`,
    );
  // The tree's size does not depend on the addresses in it.
  const place = { ...placeImages(boot, end, tree(0).length, initrdBytes, ramEnd) };
  if (payload !== undefined) {
    // The kernel's file comes between device tree and initial RAM disk.
    const behind = alignUp(payloadAddress + payload.length);
    place.initrd = Math.max(place.initrd, behind);
    if (behind > ramEnd || (initrdBytes > 0 && place.initrd + initrdBytes > ramEnd))
      throw new MachineError(
        `kernel and initrd have ${formatBytes(payload.length + initrdBytes)}, and firmware wants them from ` +
          `${hex(payloadAddress)}; more memory would fit`,
      );
  }

  const write = writerOf(memory);
  loadSegments(segments, 0, memory);
  loadSegments(rom, 0, memory);
  if (payload !== undefined) write(payloadAddress, payload);
  const treeBytes = tree(place.initrd);
  write(place.deviceTree, treeBytes);
  if (files.initrd !== undefined && initrdBytes > 0) write(place.initrd, files.initrd);
  for (const { address, bytes } of firmware) write(address, bytes);
  if (image === undefined) return;
  const { entry, littleEndian } = image;
  boot.enter(vcpu, {
    address: entry,
    deviceTree: place.deviceTree,
    deviceTreeBytes: treeBytes.length,
    memoryBytes,
    littleEndian,
  });
}

/** Between a kernel that firmware boots and what is behind it. */
const FIRMWARE_GAP = 2 ** 20;
const PAGE_BYTES = 4096;
const toPage = (address: number): number => Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;

/**
 * Puts firmware into its ROM, and what it is to boot into memory: the kernel at the board's place, the initial RAM disk and
 * the command line behind it.
 */
export function bootFirmware(
  boot: FirmwareSpec,
  rom: readonly Segment[],
  kernel: KernelImage | undefined,
  files: Pick<BootFiles, 'initrd' | 'append'>,
  { memoryBytes, hcallInstructions }: Pick<TreeConfiguration, 'memoryBytes' | 'hcallInstructions'>,
  memory: GuestMemory,
  vcpu: Vcpu,
  informant: FirmwareInformant,
): void {
  checkAppend(files.append);
  const write = writerOf(memory);
  for (const { address, bytes } of rom) write(address, bytes);
  const none = { address: 0, bytes: 0 };
  if (kernel === undefined) {
    if (files.initrd !== undefined || files.append !== undefined)
      throw new MachineError(`there is no kernel for the ${files.initrd === undefined ? 'command line' : 'initrd'}`);
    informant.inform({ kernel: none, initrd: none, commandLine: 0, hcallInstructions });
  } else {
    const end = kernelEnd(kernel.segments);
    const initrd = toPage(boot.kernel + end + FIRMWARE_GAP);
    const initrdBytes = files.initrd?.length ?? 0;
    const commandLine = toPage(initrd + initrdBytes);
    if (commandLine + PAGE_BYTES > memoryBytes)
      throw new MachineError(
        `kernel, initrd and command line end at ${hex(commandLine + PAGE_BYTES)}, but the machine has ` +
          `${formatBytes(memoryBytes)} of memory; more would fit`,
      );
    loadSegments(kernel.segments, boot.kernel, memory);
    if (files.initrd !== undefined) write(initrd, files.initrd);
    memory.fill(commandLine, PAGE_BYTES, 0);
    const { append } = files;
    if (append !== undefined)
      write(
        commandLine,
        Uint8Array.from(append, (character) => character.charCodeAt(0)),
      );
    informant.inform({
      kernel: { address: boot.kernel + kernel.entry, bytes: end },
      initrd: initrdBytes === 0 ? none : { address: initrd, bytes: initrdBytes },
      commandLine: append === undefined ? 0 : commandLine,
      hcallInstructions,
    });
  }
  boot.enter(vcpu);
}
