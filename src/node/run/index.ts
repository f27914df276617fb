/** A command in a guest of its own: the package's entry `powervisor/run`. */
export { type Reporter, TerminalReporter } from '../packages/progress.ts';
export { type RunningCommand, type RunOptions, type RunResult, run, startCommand } from './run.ts';
