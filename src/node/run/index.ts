/** A command in a guest of its own: the package's entry `powervisor/run`. */
export { type Reporter, TerminalReporter } from '../packages/progress.ts';
export { PROGRAM_ARCHITECTURES, type ProgramArchitecture } from './image.ts';
export {
  type RunningCommand,
  type RunOptions,
  type RunResult,
  run,
  startCommand,
  type TerminalSize,
} from './run.ts';
