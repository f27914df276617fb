import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { readFiles } from '../../src/node/packages/archive.ts';
import { type ClientOptions, PackageClient } from '../../src/node/packages/client.ts';
import { PackageError } from '../../src/node/packages/error.ts';
import { type MadePackage, Mirror, makeArchive, packDeb, sha256 } from './mirror.ts';

const kernel = 'x'.repeat(200_000);
const deb = await packDeb({ 'boot/vmlinux-6.1.0-2': kernel, 'lib/more': 'more' });
const meta = await packDeb({ 'usr/share/doc/meta': 'nothing' }, 'zst');
const packages: MadePackage[] = [
  { name: 'linux-image', version: '6.1.9-1', deb: meta, depends: 'linux-base, linux-image-6.1.0-1 (= 6.1.9-1)' },
  {
    name: 'linux-image',
    version: '6.1.10-1',
    deb: meta,
    depends: 'linux-base (>= 4), linux-image-6.1.0-2 (= 6.1.10-1)',
  },
  { name: 'linux-image-6.1.0-2', version: '6.1.10-1', deb },
  { name: 'broken', version: '1', deb, sha256: sha256('another') },
];

let mirror: Mirror;
let folder: string;
let said: string[];
beforeEach(async () => {
  mirror = await Mirror.start(makeArchive(packages));
  folder = mkdtempSync(join(tmpdir(), 'powervisor-test-'));
  said = [];
});
afterEach(() => {
  mirror.stop();
  rmSync(folder, { recursive: true });
});

/** apt as it is on a system without keys, sources or proxies. */
const noApt = (): Map<string, string> => new Map([['Dir', join(folder, 'root')]]);
const cache = (): string => join(folder, 'cache');
const debPath = (): string => join(cache(), 'linux-image-6.1.0-2_ppc64el.deb');

async function withClient<T>(
  use: (client: PackageClient) => T | Promise<T>,
  more: Partial<ClientOptions> = {},
): Promise<T> {
  const reporter = { say: (text: string) => void said.push(text), progress: () => {} };
  const options = {
    architecture: 'ppc64el',
    mirror: mirror.url,
    cache: cache(),
    reporter,
    apt: more.apt ?? trusting(),
    environment: {},
  };
  const client = await PackageClient.open({ ...options, ...more });
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

/** apt with this mirror as a source that needs no signature. */
function trusting(): Map<string, string> {
  mkdirSync(join(folder, 'root/etc/apt'), { recursive: true });
  writeFileSync(join(folder, 'root/etc/apt/sources.list'), `deb [trusted=yes] ${mirror.url} stable main\n`);
  return noApt();
}

const fromApt = { mirror: undefined };
const fetchKernel = (client: PackageClient): Promise<string> => client.fetch(client.find('linux-image-6.1.0-2'));
const isError = (pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof PackageError, String(error));
  assert.match(error.message, pattern);
  assert.doesNotMatch(error.message, /\n/);
  return true;
};

test('the newest version is found, what it depends on is fetched, and its kernel unpacked', async () => {
  const path = await withClient((client) => {
    const newest = client.find('linux-image');
    assert.equal(newest.version, '6.1.10-1');
    return client.fetch(client.dependency(newest, /^linux-image-/));
  }, fromApt);
  assert.equal(path, debPath());
  const [file] = await readFiles(readFileSync(path), [/^boot\/vmlinux-/]);
  assert.equal(Buffer.from(file ?? []).toString(), kernel);
  assert.deepEqual(said, ["the signature of stable was not checked: apt's configuration trusts it as it is"]);
});

test('what is whole in the cache is not fetched again, and what is damaged is', async () => {
  await withClient(fetchKernel, fromApt);
  const before = mirror.requests.length;
  await withClient(fetchKernel, fromApt);
  assert.deepEqual(mirror.requests.slice(before), ['/debian/dists/stable/InRelease']);
  const bytes = readFileSync(debPath());
  bytes[1000] = ~(bytes[1000] ?? 0);
  writeFileSync(debPath(), bytes);
  await withClient(fetchKernel, fromApt);
  assert.deepEqual(readFileSync(debPath()), deb);
});

test('a download that was ended goes on where it was', async () => {
  await withClient(async (client) => {
    // No process has so high a number: who began this has ended.
    const part = `${debPath()}.${sha256(deb).slice(0, 16)}.${2 ** 30}.part`;
    writeFileSync(part, deb.subarray(0, 500));
    await fetchKernel(client);
  }, fromApt);
  assert.equal(mirror.requests.at(-1), '/debian/pool/linux-image-6.1.0-2_6.1.10-1.deb bytes=500-');
  assert.deepEqual(readFileSync(debPath()), deb);
  assert.deepEqual(
    readdirSync(cache()).filter((name) => name.endsWith('.part')),
    [],
  );
});

test('what an ended run left is thrown away when it is wrong, or longer than the file', async () => {
  for (const left of [Buffer.alloc(500), Buffer.concat([deb, deb])]) {
    rmSync(debPath(), { force: true });
    await withClient(async (client) => {
      writeFileSync(`${debPath()}.${sha256(deb).slice(0, 16)}.${2 ** 30}.part`, left);
      await fetchKernel(client);
    }, fromApt);
    assert.deepEqual(readFileSync(debPath()), deb);
  }
});

test('a connection that breaks is taken up again', async () => {
  let breaks = 2;
  mirror.intercept = (request, response) => {
    if (!request.url?.includes('pool/') || breaks-- <= 0) return false;
    const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': deb.length - from });
    response.write(deb.subarray(from, from + 100), () => response.destroy());
    return true;
  };
  await withClient(fetchKernel, fromApt);
  assert.deepEqual(readFileSync(debPath()), deb);
});

test('a wrong sum is an error, and nothing comes into the cache', async () => {
  await withClient(async (client) => {
    await assert.rejects(
      client.fetch(client.find('broken')),
      isError(/broken_1\.deb: the SHA-256 is not what the index/),
    );
  }, fromApt);
  assert.ok(!readdirSync(cache()).some((name) => name.startsWith('broken')));
});

test('a file that is cut short or too long is an error', async () => {
  const path = 'pool/linux-image-6.1.0-2_6.1.10-1.deb';
  await withClient(async (client) => {
    mirror.files.set(path, deb.subarray(0, 100));
    await assert.rejects(fetchKernel(client), isError(/ends after 100 of the \d+ bytes|less than an earlier run/));
    mirror.files.set(path, Buffer.concat([deb, deb]));
    mirror.intercept = (request, response) => {
      delete request.headers.range;
      mirror.serve(request, response);
      return true;
    };
    await assert.rejects(fetchKernel(client), isError(/longer than the \d+ bytes/));
  }, fromApt);
});

test('an index that is not the one of the Release file is refused', async () => {
  const path = 'dists/stable/main/binary-ppc64el/Packages.gz';
  mirror.files.set(path, Buffer.from(mirror.files.get(path) ?? []).fill(0));
  await assert.rejects(withClient(fetchKernel, fromApt), isError(/Packages\.gz: the SHA-256 is not/));
});

test('an index is fetched by its hash where the Release file says so', async () => {
  mirror.files.clear();
  for (const [path, bytes] of makeArchive(packages, ['Acquire-By-Hash: yes'])) mirror.files.set(path, bytes);
  await withClient(fetchKernel, fromApt);
  // Nothing is there: the plain name is next.
  const index = mirror.requests.filter((path) => path.includes('binary-ppc64el'));
  assert.match(index[0] ?? '', /by-hash\/SHA256\/[0-9a-f]{64}$/);
  assert.match(index[1] ?? '', /Packages\.gz$/);
});

test('a mirror whose index is not the one of its Release file is said by the name of the file that it has', async () => {
  mirror.files.clear();
  for (const [path, bytes] of makeArchive(packages, ['Acquire-By-Hash: yes']))
    mirror.files.set(path, path.endsWith('.gz') ? bytes.subarray(0, 40) : bytes);
  await assert.rejects(
    withClient(fetchKernel, fromApt),
    isError(/main\/binary-ppc64el\/Packages\.gz: (it ends after 40 of the \d+ bytes|there is less than)/),
  );
});

test('redirects are followed, but not for ever', async () => {
  mirror.intercept = (request, response) => {
    if (request.url?.startsWith('/moved/')) request.url = request.url.replace('/moved/', '/debian/');
    else {
      response.writeHead(302, { location: (request.url ?? '').replace('/debian/', '/moved/') }).end();
      return true;
    }
    return false;
  };
  await withClient(fetchKernel, fromApt);
  assert.deepEqual(readFileSync(debPath()), deb);
  mirror.intercept = (_, response) => {
    response.writeHead(301, { location: '/debian/round' }).end();
    return true;
  };
  await assert.rejects(withClient(fetchKernel, fromApt), isError(/too many redirects/));
});

test("apt's proxy is asked, in the form that a proxy for packages takes", async () => {
  const apt = trusting();
  apt.set('Acquire::http::Proxy', mirror.url.replace('/debian', ''));
  writeFileSync(
    join(folder, 'root/etc/apt/sources.list'),
    'deb [trusted=yes] http://mirror.invalid/debian stable main\n',
  );
  await withClient(fetchKernel, { mirror: undefined, apt });
  assert.equal(mirror.requests[0], 'http://mirror.invalid/debian/dists/stable/InRelease');
});

test('a mirror that is a folder is read', async () => {
  for (const [path, bytes] of mirror.files) {
    mkdirSync(join(folder, 'files', path, '..'), { recursive: true });
    writeFileSync(join(folder, 'files', path), bytes);
  }
  trusting();
  writeFileSync(
    join(folder, 'root/etc/apt/sources.list'),
    `deb [trusted=yes] ${pathToFileURL(join(folder, 'files')).href} stable main\n`,
  );
  await withClient(fetchKernel, { mirror: undefined, apt: noApt() });
  assert.deepEqual(readFileSync(debPath()), deb);
});

test('what cannot be had is one line', async () => {
  await withClient((client) => {
    assert.throws(() => client.find('quake'), isError(/^there is no package quake for ppc64el in .*--mirror/));
    assert.throws(() => client.find('linux-image', '5'), isError(/no package linux-image 5/));
    assert.throws(() => client.dependency(client.find('linux-image'), /^quake/), isError(/depends on no/));
  }, fromApt);
  const none = { mirror: undefined, apt: new Map([['Dir', join(folder, 'empty')]]) };
  await assert.rejects(
    withClient(fetchKernel, none),
    isError(/^apt has no mirror here; .*--mirror.*POWERVISOR_MIRROR/),
  );
  await assert.rejects(withClient(fetchKernel, { mirror: 'debian' }), isError(/'debian' is not a mirror/));
  await assert.rejects(
    withClient(fetchKernel, { mirror: `${mirror.url} sid` }),
    isError(/sid\/InRelease is not there/),
  );
  await assert.rejects(
    withClient(fetchKernel, { ...fromApt, architecture: 'alpha' }),
    isError(/^no source of apt has packages for alpha/),
  );
  mirror.intercept = (_, response) => {
    response.writeHead(503).end();
    return true;
  };
  await assert.rejects(withClient(fetchKernel, fromApt), isError(/the server's answer is 503/));
});

test('a suite for those who ask for it, such as backports, is left alone', async () => {
  mirror.files.clear();
  for (const [path, bytes] of makeArchive(packages, ['NotAutomatic: yes'])) mirror.files.set(path, bytes);
  await assert.rejects(withClient(fetchKernel, fromApt), isError(/no source of apt has packages/));
});
