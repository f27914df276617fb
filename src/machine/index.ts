/** User space: boards, devices, loaders, and the machine made of them. This file is the room's public interface. */
export { KvmError } from '../kvm/api.ts';
export type {
  Board,
  BoardConfiguration,
  BootEntry,
  BootSpec,
  CpuSpec,
  TreeConfiguration,
} from './board.ts';
export { boards, findBoard } from './boards/index.ts';
export type { BootFiles } from './boot.ts';
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
export { MachineError, OptionError } from './error.ts';
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
export type { InterruptLine, InterruptSink } from './interrupts.ts';
export type { FastCodecs } from './loaders/gzip.ts';
export {
  Machine,
  type MachineEnd,
  type MachineState,
  type RunOptions,
  type RunSignal,
  type SaveOptions,
} from './machine.ts';
export type { CodeCache, MachineOptions, RestoreOptions } from './options.ts';
export type { PowerEvent, PowerSwitch } from './power.ts';
export type { SnapshotCompression } from './snapshot/codec.ts';
export { BytesSource, type SnapshotHeader, SnapshotReader, type SnapshotSource } from './snapshot/container.ts';
