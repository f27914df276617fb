/** Debugging a machine: what the gdb server, the monitor and programs share. */
export {
  Debugger,
  type DebugStop,
  type RunControl,
  type StepRange,
  type WatchedAccess,
  type Watchpoint,
} from './debugger.ts';
export { DEBUG_FAMILIES, type DebugFamily, debugFamily, type RegisterGroup } from './families.ts';
export type { DebugMemory } from './memory.ts';
export type { DebugRegister, DebugRegisters, RegisterPart } from './registers.ts';
