/** User space: boards, devices, loaders, and the machine made of them. This file is the room's public interface. */
export type { Board } from './board.ts';
export { boards, findBoard } from './boards/index.ts';
export type { DeviceState } from './device.ts';
export { MachineError } from './error.ts';
export type { MachineHost } from './host.ts';
export { Machine, type MachineEnd, type MachineOptions } from './machine.ts';
