import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSources, parseSourcesList, proxyEnvironment } from '../../src/node/packages/apt.ts';
import { parseParagraphs } from '../../src/node/packages/control.ts';

test('paragraphs have folded fields, and comments are left out', () => {
  const text = '# a comment\nPackage: a\nDepends: b,\n  c\n# within\nEmpty:\n\n\nPackage: d\r\n';
  const paragraphs = parseParagraphs(text).map((one) => Object.fromEntries(one));
  assert.deepEqual(paragraphs, [{ package: 'a', depends: 'b,\nc', empty: '' }, { package: 'd' }]);
});

test('one-line sources', () => {
  const text = [
    'deb http://one.invalid/debian bookworm main contrib # remark',
    '# deb http://off.invalid/debian bookworm main',
    'deb-src http://one.invalid/debian bookworm main',
    'deb [arch=amd64 signed-by=/keys/a.gpg,/keys/b.gpg trusted=yes] https://two.invalid/debian/ trixie main',
    'deb http://flat.invalid/repo ./',
    'deb http://other.invalid/debian bookworm non-free',
  ].join('\n');
  assert.deepEqual(parseSourcesList(text), [
    { uri: 'http://one.invalid/debian/', suite: 'bookworm', signedBy: [], trusted: false },
    { uri: 'https://two.invalid/debian/', suite: 'trixie', signedBy: ['/keys/a.gpg', '/keys/b.gpg'], trusted: true },
  ]);
});

test('deb822 sources', () => {
  const text = [
    ...['Types: deb deb-src', '# a remark', 'URIs: http://one.invalid/debian', 'Suites: bookworm bookworm-updates'],
    ...['Components: main', 'Signed-By: /keys/a.gpg', ''],
    ...['Enabled: no', 'Types: deb', 'URIs: http://off.invalid', 'Suites: x', 'Components: main', ''],
    ...['Types: deb-src', 'URIs: http://source.invalid', 'Suites: x', 'Components: main', ''],
    ...['Types: deb', 'URIs: http://key.invalid', 'Suites: x', 'Components: main', 'Signed-By:'],
    ...[' -----BEGIN PGP PUBLIC KEY BLOCK-----', ' .', ' AAAA', ' -----END PGP PUBLIC KEY BLOCK-----'],
  ].join('\n');
  assert.deepEqual(parseSources(text), [
    { uri: 'http://one.invalid/debian/', suite: 'bookworm', signedBy: ['/keys/a.gpg'], trusted: false },
    { uri: 'http://one.invalid/debian/', suite: 'bookworm-updates', signedBy: ['/keys/a.gpg'], trusted: false },
    {
      uri: 'http://key.invalid/',
      suite: 'x',
      signedBy: ['\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----'],
      trusted: false,
    },
  ]);
});

test("apt's proxies come before the environment's", () => {
  const apt = (entries: Record<string, string>): Map<string, string> => new Map(Object.entries(entries));
  const environment = { http_proxy: 'http://env:1', HTTPS_PROXY: 'http://env:2', no_proxy: 'here' };
  assert.deepEqual(proxyEnvironment(apt({}), environment), {
    http_proxy: 'http://env:1',
    https_proxy: 'http://env:2',
    no_proxy: 'here',
  });
  assert.deepEqual(proxyEnvironment(apt({ 'Acquire::http::Proxy': 'http://apt:3' }), environment), {
    http_proxy: 'http://apt:3',
    https_proxy: 'http://apt:3',
    no_proxy: 'here',
  });
  assert.deepEqual(proxyEnvironment(apt({ 'Acquire::http::Proxy': 'DIRECT' }), { http_proxy: 'http://env:1' }), {});
});
