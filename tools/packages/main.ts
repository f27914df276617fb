/** `npm run packages -- ARCHITECTURE NAME...`: fetches packages of Debian's and prints where their files are. */
import { Command, CommanderError } from 'commander';
import { packageCache } from '../../src/node/packages/cache.ts';
import { PackageClient } from '../../src/node/packages/client.ts';
import { oneLine } from '../../src/node/packages/error.ts';
import { TerminalReporter } from '../../src/node/packages/progress.ts';

interface Options {
  mirror?: string;
}

async function fetchPackages(architecture: string, names: readonly string[], options: Options): Promise<void> {
  const mirror = options.mirror ?? process.env['POWERVISOR_MIRROR'];
  const reporter = new TerminalReporter(process.stderr, 'packages: ');
  const client = await PackageClient.open({ architecture, mirror, cache: packageCache(), reporter });
  try {
    for (const name of names) console.log(await client.fetch(client.find(name)));
  } finally {
    client.close();
  }
}

try {
  await new Command('packages')
    .description("fetches Debian's packages, checked, and prints where their files are")
    .argument('<architecture>', 'such as ppc64el')
    .argument('<names...>', 'the packages')
    .option('--mirror <mirror>', "'URL [SUITE]' of a mirror, in place of apt's")
    .exitOverride()
    .action(fetchPackages)
    .parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    console.error(`packages: ${oneLine(error)}`);
    process.exitCode = 1;
  }
}
