/** The command line: one file a command in `commands/`, each adds itself to the program here. */
import { Command, CommanderError } from 'commander';
import { OptionError } from '../machine/index.ts';
import { CommandError, OWN_STATUS, oneLine, UsageError } from './errors.ts';
import { print, printed } from './print.ts';
import { qemuHint } from './qemu-habits.ts';
import { inheritIgnored } from './signals.ts';
import { version } from './version.ts';

/** What adds each command to the program, in the order of help. */
const commands: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  boot: async () => (await import('./commands/boot.ts')).addBoot,
  run: async () => (await import('./commands/run.ts')).addRun,
  machines: async () => (await import('./commands/machines.ts')).addMachines,
  image: async () => (await import('./commands/image.ts')).addImage,
  disassemble: async () => (await import('./commands/disassemble.ts')).addDisassemble,
};

/** The program with the command that `word` names, whose files alone are loaded; with all of them where it names none. */
async function createProgram(word = ''): Promise<Command> {
  const program = new Command('powervisor')
    .description('KVM on PowerPC, in TypeScript: boots unmodified PowerPC operating systems')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand(false)
    .exitOverride()
    // Our own one-line messages stand in for commander's.
    .configureOutput({ outputError: () => {}, writeOut: print });
  const asked = Object.hasOwn(commands, word) ? [commands[word]] : Object.values(commands);
  for (const load of asked) (await load?.())?.(program);
  program
    .command('help [command]')
    .description('print help for a command')
    .action((name?: string) => {
      const command = name === undefined ? program : program.commands.find((one) => one.name() === name);
      if (command === undefined) throw new UsageError(`there is no command '${name}'; 'powervisor help' lists them`);
      command.outputHelp();
    });
  return program;
}

/** Says what is wrong in one line on standard error, and answers the exit status. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Help and version that were asked for end with 0; help for want of a command is a usage error.
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') return 2;
    const unknown = /unknown option '([^']*)'/.exec(error.message)?.[1];
    const advice = (unknown && qemuHint(unknown)) ?? "'powervisor help' lists what there is";
    console.error(`powervisor: ${oneLine(error).replace(/^error: /, '')}; ${advice}`);
    return 2;
  }
  console.error(`powervisor: ${oneLine(error)}`);
  if (process.env['POWERVISOR_DEBUG'] && error instanceof Error) console.error(error.stack);
  if (error instanceof CommandError) return error.status;
  return error instanceof UsageError || error instanceof OptionError ? 2 : 1;
}

inheritIgnored();
process.stderr.on('error', () => {});
process.on('uncaughtException', (error) => process.exit(report(error)));
try {
  const program = await createProgram(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  const status = report(error);
  // Any other could be that of the command which it runs.
  process.exitCode = status !== 0 && process.argv[2] === 'run' ? OWN_STATUS : status;
}
await printed();
// What still waits for input or a timer has nobody to wait for.
process.exit();
