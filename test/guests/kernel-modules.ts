/** Packages of Debian's for tests and benchmarks in a guest: modules of its own kernel, and whatever else. */
import { readFileSync } from 'node:fs';
import { packageCache } from '../../src/node/packages/cache.ts';
import { PackageClient } from '../../src/node/packages/client.ts';
import { TerminalReporter } from '../../src/node/packages/progress.ts';
import { modulesOf } from '../../src/node/run/run-archive.ts';

/** Fetches a package for ppc64el, or one for every architecture; the path of its file. */
export async function fetchPackage(name: string): Promise<string> {
  const reporter = new TerminalReporter(process.stderr, 'packages: ');
  const mirror = process.env['POWERVISOR_MIRROR'];
  const client = await PackageClient.open({ architecture: 'ppc64el', mirror, cache: packageCache(), reporter });
  try {
    return await client.fetch(client.find(name));
  } finally {
    client.close();
  }
}

/** Modules of a Debian kernel for ppc64el, out of its own package, in the order in which they can be loaded. */
export async function kernelModules(
  kernel: Buffer,
  names: readonly string[],
): Promise<readonly { file: string; data: Uint8Array }[]> {
  const release = /Linux version (\S+)/.exec(kernel.toString('latin1'))?.[1];
  const found = await modulesOf(readFileSync(await fetchPackage(`linux-image-${release}`)), names);
  return [...found].map(([name, data]) => ({ file: `${name}.ko`, data }));
}
