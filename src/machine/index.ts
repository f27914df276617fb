/** User space: boards, devices, loaders, and the machine made of them. This file is the room's public interface. */
export { KvmError } from '../kvm/api.ts';
export type {
  Board,
  BoardConfiguration,
  BootEntry,
  BootSpec,
  CpuSpec,
  FirmwareInformant,
  FirmwareSpec,
  Preloaded,
  TreeConfiguration,
} from './board.ts';
export { hasFirmware } from './board.ts';
export { boards, findBoard } from './boards/index.ts';
export type { BootFiles } from './boot.ts';
export type { Card, CardOptions, PlacedCard } from './cards.ts';
export {
  DEBUG_FAMILIES,
  type DebugFamily,
  type Debugger,
  type DebugMemory,
  type DebugRegister,
  type DebugRegisters,
  type DebugStop,
  type RegisterGroup,
  type RegisterPart,
  type StepRange,
  type WatchedAccess,
  type Watchpoint,
} from './debugger/index.ts';
export {
  type ByteSink,
  type ConsoleDevice,
  type DcrRegion,
  type Device,
  type DeviceSpec,
  type DeviceState,
  type InterruptSpec,
  interruptProperties,
  type MmioRegion,
  savedBoolean,
  savedNumber,
  savedNumbers,
  savedReal,
  type TimedDevice,
  type TreeCell,
  type TreeNodeSpec,
  type TreeValue,
  type Wiring,
} from './device.ts';
export type { ShareOptions } from './devices/virtio-9p.ts';
export type { DiskOptions } from './devices/virtio-blk.ts';
export type { ConsolePortOptions } from './devices/virtio-console.ts';
export type { NetworkOptions } from './devices/virtio-net.ts';
export {
  type BackingName,
  createQcow2,
  DISK_FORMATS,
  type DiskCodecs,
  type DiskFormat,
  MemoryBytes,
  type OpenDiskOptions,
  openDisk,
  openOverlay,
  type Qcow2Options,
} from './disks/index.ts';
export { MachineError, OptionError } from './error.ts';
export { GdbConnection, type GdbTarget, type GdbTransport } from './gdb/index.ts';
export type { MachineHost, World } from './host.ts';
export {
  H_FUNCTION,
  H_HARDWARE,
  H_PARAMETER,
  H_PRIVILEGE,
  H_SUCCESS,
  type Hypercall,
  type HypercallArguments,
} from './hypercalls.ts';
export type { DeviceView } from './instance.ts';
export type { InterruptLine, InterruptSink } from './interrupts.ts';
export type { FastCodecs } from './loaders/gzip.ts';
export type { MachineEnd } from './loop.ts';
export {
  Machine,
  type MachineState,
  type RunOptions,
  type RunSignal,
  type SaveOptions,
} from './machine.ts';
export {
  type CodeLine,
  type FoundSymbol,
  type InspectedMachine,
  Inspector,
  Monitor,
  type RegisterView,
  SymbolTable,
} from './monitor/index.ts';
export { formatAddress, parseAddress } from './network/addresses.ts';
export { type Forward, parseNetwork, type UserNetworkOptions } from './network/options.ts';
export { type OpenForward, UserNetwork } from './network/user-network.ts';
export {
  type FileAccess,
  type FileChanges,
  type FileStatus,
  type Folder,
  type FolderDirectory,
  FolderError,
  type FolderFile,
  type FolderRoom,
  MemoryFolder,
  type NewTime,
  NinePServer,
  type NinePServerOptions,
  type Soon,
} from './ninep/index.ts';
export type { CodeCache, MachineOptions, MachineTrace, RestoreOptions } from './options.ts';
export type { BlockStore, ByteStore } from './outside/blocks.ts';
export type { Outside } from './outside/events.ts';
export type { MessageServer } from './outside/messages.ts';
export { MAX_FRAME_BYTES, type PacketLink, type PacketReceiver } from './outside/packets.ts';
export type { GuestPort, PortEnd } from './outside/ports.ts';
export type {
  Accept,
  DatagramSocket,
  DatagramUser,
  Listener,
  Sockets,
  Stream,
  StreamEnd,
  StreamUser,
} from './outside/sockets.ts';
export { encodePng, type Picture } from './picture.ts';
export type { PowerEvent, PowerSwitch } from './power.ts';
export type { Seat } from './seat.ts';
export type { SnapshotCompression } from './snapshot/codec.ts';
export { BytesSource, type SnapshotHeader, SnapshotReader, type SnapshotSource } from './snapshot/container.ts';
export {
  TRACE_FORMATS,
  type TraceFormatName,
  type TraceOptions,
  type TraceSink,
  traceFormatOf,
} from './trace/index.ts';
export type { Chain } from './virtio/chain.ts';
export { VIRTIO_ID, type VirtioDevice, type VirtioPort, type VirtioSpec } from './virtio/device.ts';
export { QueueService } from './virtio/service.ts';
