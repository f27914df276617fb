/** `firmware.ts NAME OUT`: takes firmware out of Debian's package (guests/NAME/recipe.json). Mirrors as for guests. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readFiles } from '../src/node/packages/archive.ts';
import { packageCache } from '../src/node/packages/cache.ts';
import { PackageClient } from '../src/node/packages/client.ts';
import { oneLine } from '../src/node/packages/error.ts';
import { TerminalReporter } from '../src/node/packages/progress.ts';

interface Recipe {
  readonly architecture: string;
  /** The package, and the files that are wanted of it. */
  readonly firmware: { readonly package: string; readonly files: readonly string[] };
}

async function take(name: string, out: string): Promise<void> {
  const { architecture, firmware }: Recipe = JSON.parse(
    readFileSync(join(import.meta.dirname, '../guests', name, 'recipe.json'), 'utf8'),
  );
  const reporter = new TerminalReporter(process.stderr, `guest ${name}: `);
  const mirror = process.env['POWERVISOR_MIRROR'];
  const client = await PackageClient.open({ architecture, mirror, cache: packageCache(), reporter });
  try {
    const archive = readFileSync(await client.fetch(client.find(firmware.package)));
    const files = await readFiles(
      archive,
      firmware.files.map((file) => new RegExp(`^${RegExp.escape(file)}$`)),
    );
    mkdirSync(out, { recursive: true });
    firmware.files.forEach((file, i) => {
      writeFileSync(join(out, basename(file)), files[i] as Uint8Array);
    });
  } finally {
    client.close();
  }
}

const [name = '', out = ''] = process.argv.slice(2);
try {
  await take(name, out);
} catch (error) {
  console.error(`guest ${name}: ${oneLine(error)}`);
  process.exitCode = 1;
}
