/**
 * `npm run device-checks -- [GUEST[/BUS]...]`: a file over disks, a shared folder, an overlay and the network of real guests, and
 * its check sums: the 440 by memory map and by PCI, big- and little-endian servers. All of them if none is named.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { GUESTS, type GuestName, tryDevices } from './work.ts';

const isGuest = (name: string): name is GuestName => Object.hasOwn(GUESTS, name);

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(GUESTS);
const runs = chosen.flatMap((word) => {
  const [name = '', bus] = word.split('/');
  const buses: readonly string[] = isGuest(name) ? GUESTS[name].buses : [];
  if (!isGuest(name) || (bus !== undefined && !buses.includes(bus))) {
    const all = Object.entries(GUESTS).flatMap(([one, guest]) => guest.buses.map((which) => `${one}/${which}`));
    console.error(`device-checks: there is no ${word}; ${all.join(', ')} fit`);
    process.exit(2);
  }
  return (bus === undefined ? buses : [bus]).map((one) => ({ name, bus: one }));
});
const tool = join(import.meta.dirname, '../../tools/guests.mjs');
for (const { name, bus } of runs) {
  const folder = execFileSync(process.execPath, [tool, name], { encoding: 'utf8' }).trim().split('\n').at(-1) as string;
  const { problems, lines, console: said, seconds } = await tryDevices(name, folder, bus, 16 * 2 ** 20);
  console.log(`${name}, ${bus}: ${problems.length === 0 ? 'passed' : 'FAILED'} (${seconds.toFixed(1)} s)`);
  console.log(lines.map((line) => `  ${line}`).join('\n'));
  if (problems.length === 0) continue;
  process.exitCode = 1;
  console.log([...problems, ...said.split(/\r?\n/).slice(-15)].map((line) => `  | ${line}`).join('\n'));
}
