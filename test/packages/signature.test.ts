import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Source } from '../../src/node/packages/apt.ts';
import { checkSignature, clearText } from '../../src/node/packages/signature.ts';

// Made with gpg for this test: an ed25519 key, and a text in clear that it signed.
const data = join(import.meta.dirname, 'data');
const message = readFileSync(join(data, 'InRelease'), 'utf8');
const key = join(data, 'archive-key.asc');
const text = 'Origin: Debian\nSuite: stable\n- dashed';

const folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
after(() => rmSync(folder, { recursive: true }));
const noApt = new Map([['Dir', folder]]);
const signedBy = (...keys: string[]): Source => ({
  ...{ uri: 'http://mirror.invalid/debian/', suite: 'stable', signedBy: keys, trusted: false },
});
const forged = message.replace('stable', 'forged');
const isGpgv = spawnSync('gpgv', ['--version']).status === 0;

test('the text is what stands between the armour', () => {
  assert.equal(clearText(message), text);
  assert.equal(clearText('Origin: Debian\n'), 'Origin: Debian\n');
});

test('gpgv checks a signature by the keys that the source names', () => {
  const inPlace = readFileSync(key, 'utf8');
  for (const source of [signedBy(key), signedBy(inPlace)]) {
    if (!isGpgv) assert.equal(checkSignature(message, source, noApt).unchecked, 'gpgv is not installed');
    else {
      assert.deepEqual(checkSignature(message, source, noApt), { text: `${text}\n` });
      assert.throws(
        () => checkSignature(forged, source, noApt),
        /^PackageError: the signature of http:\/\/mirror\.invalid\/debian\/dists\/stable\/InRelease is not good$/,
      );
      assert.throws(() => checkSignature(text, source, noApt), /is not good/);
    }
  }
});

/** A gpgv that answers so. */
function fakeGpgv(...status: readonly string[]): string {
  const file = join(folder, 'gpgv');
  const lines = status.map((line) => `echo '[GNUPG:] ${line}'`);
  writeFileSync(
    file,
    `#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" != --output ] || echo signed > "$2"; shift; done\n${lines.join('\n')}\n`,
  );
  chmodSync(file, 0o755);
  return file;
}

test('one good signature is enough, a bad one is too many', () => {
  const check = (...status: string[]): string =>
    checkSignature(message, signedBy(key), noApt, fakeGpgv(...status)).text;
  assert.equal(check('GOODSIG A', 'VALIDSIG A'), 'signed\n');
  assert.equal(check('NO_PUBKEY B', 'GOODSIG A', 'EXPKEYSIG C'), 'signed\n');
  for (const status of [[], ['NO_PUBKEY A'], ['EXPKEYSIG A', 'VALIDSIG A'], ['GOODSIG A', 'BADSIG B']])
    assert.throws(() => check(...status), /is not good/);
});

test('why nothing was checked is told', () => {
  const unchecked = (source: Source, gpgv?: string): string | undefined =>
    checkSignature(message, source, noApt, gpgv).unchecked;
  assert.equal(unchecked(signedBy(key), '/nowhere/gpgv'), 'gpgv is not installed');
  assert.equal(unchecked({ ...signedBy(key), trusted: true }), "apt's configuration trusts it as it is");
  assert.match(unchecked(signedBy('/nowhere/key.gpg'), fakeGpgv('GOODSIG A')) ?? '', /^there are no keys/);
});
