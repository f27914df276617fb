import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;

test('root in the guest may do in a folder of an ordinary user what root may', {
  skip: process.platform !== 'linux' || !isRoot,
}, (t) => {
  const path = fs.mkdtempSync(join(tmpdir(), 'powervisor-share-'));
  t.after(() => fs.rmSync(path, { recursive: true, force: true }));
  fs.mkdirSync(`${path}/of-root`, { mode: 0o755 });
  fs.writeFileSync(`${path}/of-root/secret`, '', { mode: 0o600 });
  fs.chownSync(path, NOBODY, NOBODY);
  const script = new URL('./ordinary-user.ts', import.meta.url).pathname;
  const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  const said = execFileSync('setpriv', [...user, process.execPath, script, path], { encoding: 'utf8' });
  assert.equal(said, 'done\n');
});
