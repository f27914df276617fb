/**
 * `npm run guest-suite`: boots the guest debian-tools, has it do what it must be able to do (checks.ts), and says what it
 * could not. `--run COMMAND` has it do something else.
 */
import { createWriteStream } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { buildCommand, guestFolder } from '../../bench/contenders.ts';
import { BenchError } from '../../bench/errors.ts';
import { type Check, checks } from './checks.ts';
import { ConsoleError, GuestConsole } from './console.ts';
import { bootCommand, debianTools, machineNames } from './machines.ts';

interface Options {
  on: string;
  only?: string[];
  run?: string[];
  log?: string;
  stats?: string;
  timeout?: string;
  list?: true;
}

/** A boot takes half a minute on two quiet cores; this is for busy ones. */
const BOOT_SECONDS = 600;
const RUN_SECONDS = 600;

/** What is wrong with the answer, or undefined. */
export function problemOf(check: Check, output: string, status: number | undefined): string | undefined {
  if (status === undefined) return `not done in ${check.timeoutSeconds} s`;
  if (status !== 0) return `status ${status}`;
  return check.expect === undefined || check.expect.test(output) ? undefined : 'a wrong answer';
}

function chosen({ only, run, timeout }: Options): readonly Check[] {
  const seconds = timeout === undefined ? undefined : Number(timeout);
  if (seconds !== undefined && !(seconds > 0)) throw new BenchError(`'${timeout}' is not a number of seconds`, 2);
  const found = run
    ? run.map((command) => ({ name: command, command, timeoutSeconds: RUN_SECONDS }))
    : checks.filter(({ name }) => only === undefined || only.includes(name));
  const unknown = only?.find((name) => !checks.some((check) => check.name === name));
  if (unknown !== undefined) throw new BenchError(`there is no check '${unknown}'; --list tells them`, 2);
  return seconds === undefined ? found : found.map((check) => ({ ...check, timeoutSeconds: seconds }));
}

/** Runs the checks in one boot; answers how many failed. */
async function runChecks(list: readonly Check[], options: Options): Promise<number> {
  const folder = await guestFolder(debianTools);
  if (options.on !== 'qemu') await buildCommand();
  const log = options.log === undefined ? undefined : createWriteStream(options.log);
  const command = bootCommand(options.on, folder, options.stats === undefined ? [] : ['--stats', options.stats]);
  const start = performance.now();
  const guest = await GuestConsole.boot(command, BOOT_SECONDS, (text) => log?.write(text));
  console.log(`${options.on}: the shell after ${((performance.now() - start) / 1000).toFixed(1)} s`);
  let failed = 0;
  try {
    for (const check of list) {
      const { output, status, seconds } = await guest.run(check.command, check.timeoutSeconds);
      const problem = problemOf(check, output, status);
      if (problem !== undefined) failed++;
      console.log(
        `${problem === undefined ? 'ok  ' : 'FAIL'} ${check.name} (${seconds.toFixed(1)} s)${problem ? `: ${problem}` : ''}`,
      );
      if (options.run || problem !== undefined) console.log(output.trimEnd().replaceAll(/^/gm, '     '));
    }
  } finally {
    await guest.kill();
    log?.end();
  }
  console.log(`${list.length - failed} of ${list.length} passed`);
  return failed;
}

try {
  const program = new Command('guest-suite')
    .description('runs programs of Debian in a guest and checks what they answer')
    .option('--on <machine>', machineNames.join(', '), 'assist')
    .option('--only <names...>', 'these checks')
    .option('--run <commands...>', 'these commands of bash in place of the checks; their output is shown')
    .option('--timeout <seconds>', 'what each may take')
    .option('--log <file>', 'keeps what the console printed')
    .option('--stats <file>', 'passed to powervisor boot')
    .option('--list', 'names the checks')
    .exitOverride()
    .parse();
  const options = program.opts<Options>();
  if (!machineNames.includes(options.on))
    throw new BenchError(`there is no machine '${options.on}'; there is: ${machineNames.join(', ')}`, 2);
  const list = chosen(options);
  if (options.list) for (const { name } of list) console.log(name);
  else process.exitCode = (await runChecks(list, options)) > 0 ? 1 : 0;
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else if (error instanceof ConsoleError || error instanceof BenchError) {
    console.error(`guest-suite: ${error.message}`);
    process.exitCode = error instanceof BenchError ? error.status : 1;
  } else throw error;
}
