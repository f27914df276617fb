/** `npm run gdb-session -- [GUEST…]`: gdb on our machines and on QEMU's, and what differs. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { hasGdb } from './gdb.ts';
import { runSession, type SessionResult, sessionGuest, sessionGuests } from './session.ts';

const names = process.argv.slice(2);
const chosen = names.length > 0 ? names : sessionGuests;
const root = join(import.meta.dirname, '..', '..');

function folderOf(name: string): string {
  const { status, stdout } = spawnSync('npm', ['run', '-s', 'guests', '--', name], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the guest ${name} is not there: npm run guests -- ${name}`);
  return stdout.trim().split('\n').at(-1) ?? '';
}

/** QEMU stops behind the access, and gdb, which expects to stand in front of it, makes a step more: into another function. */
const NOT_COMPARABLE = new Set(['who counted']);

/** What both were asked and answered otherwise. */
function differences(ours: SessionResult, theirs: SessionResult): string[] {
  return Object.entries(ours.seen)
    .filter(([name, answer]) => !NOT_COMPARABLE.has(name) && theirs.seen[name] !== answer)
    .map(([name, answer]) => `${name}: '${answer}', QEMU '${theirs.seen[name]}'`);
}

let isGood = true;
if (!hasGdb()) throw new Error('gdb-multiarch is not installed');
for (const name of chosen) {
  const guest = sessionGuest(name);
  const folder = folderOf(name);
  const ours = await runSession('powervisor', guest, folder);
  const theirs = await runSession('qemu', guest, folder, `*${ours.seen['start_kernel']}`);
  const wrong = differences(ours, theirs);
  isGood &&= wrong.length === 0 && ours.status === 0;
  console.log(`${name}: ${Object.keys(ours.seen).length} answers, ${wrong.length} other than QEMU's`);
  for (const line of wrong) console.log(`  ${line}`);
  for (const [what, answer] of Object.entries(ours.seen)) console.log(`  ${what}: ${answer.replaceAll('\n', '; ')}`);
  console.log(
    `  to connect: ${ours.connectPackets} packets, ${ours.connectMessages} messages; ` +
      `QEMU ${theirs.connectPackets}, ${theirs.connectMessages}`,
  );
  console.log(`  exit status: ${ours.status}`);
}
process.exitCode = isGood ? 0 : 1;
