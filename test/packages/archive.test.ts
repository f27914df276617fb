import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFiles } from '../../src/node/packages/archive.ts';
import { packAr, packDeb } from './mirror.ts';

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

test('files are found whatever their compression is', async () => {
  for (const ending of ['gz', 'zst', ''] as const) {
    const deb = await packDeb({ 'boot/a': 'A', 'bin/b': 'B', 'bin/c': 'C' }, ending);
    const files = await readFiles(deb, [/^bin\/c$/, /^boot\//]);
    assert.deepEqual(files.map(text), ['C', 'A'], ending);
  }
});

test('xz is understood', async () => {
  // printf 'hello from xz\n' > hello; tar -c --format=ustar ./hello | xz -9
  const data = Buffer.from(XZ_TAR, 'base64');
  assert.deepEqual((await readFiles(packAr([['data.tar.xz', data]]), [/^hello$/])).map(text), ['hello from xz\n']);
});

test('what is no package, or damaged, is one line', async () => {
  const deb = await packDeb({ 'boot/a': 'A' });
  await assert.rejects(readFiles(Buffer.from('hello'), [/a/]), /^PackageError: not a Debian package$/);
  await assert.rejects(
    readFiles(deb.subarray(0, deb.length - 10), [/a/]),
    /^PackageError: the package has no whole data/,
  );
  await assert.rejects(readFiles(deb, [/^boot\/b$/]), /^PackageError: the package has no file/);
  const broken = packAr([['data.tar.gz', Buffer.from('this is not gzip')]]);
  await assert.rejects(readFiles(broken, [/a/]), /^PackageError: the package's data.tar.gz is damaged/);
});

const XZ_TAR =
  '/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cf/AHNdABcLyYcSAqi7Qh1rzIStJluLu7Kz+nCVwJiK0aTevncx0rGsTeOGuJEt6fYFE5QUOKtE3IqKdQFhATj+9mle1tIMuToMerAhVj5nkOls0vPqKF4Vw7pftanqlSoZ3+2jqRLCK5CkroplmLnu65+h5bIJN0AAAFObZzy7R/SoAAGPAYBQAADrwzaQscRn+wIAAAAABFla';
