import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseShare } from '../../src/cli/shares.ts';

test('a share is a tag and a folder, and writable only when it says so', () => {
  assert.deepEqual(parseShare('src=/home/me/src'), [{ tag: 'src', folder: '/home/me/src', writable: false }]);
  assert.deepEqual(parseShare('src=.,rw'), [{ tag: 'src', folder: '.', writable: true }]);
  assert.deepEqual(parseShare('/dev/root=/,ro'), [{ tag: '/dev/root', folder: '/', writable: false }]);
});

test('signs in the name of a folder are those of the folder', () => {
  for (const folder of ['a,b', 'a=b', 'a,rw,b', 'a b', 'a,rw']) {
    assert.deepEqual(parseShare(`t=${folder},ro`), [{ tag: 't', folder, writable: false }]);
    assert.deepEqual(parseShare(`t=${folder},rw`), [{ tag: 't', folder, writable: true }]);
  }
});

test('each share is added to those before', () => {
  const both = parseShare('b=/b', parseShare('a=/a'));
  assert.deepEqual(
    both.map(({ tag }) => tag),
    ['a', 'b'],
  );
  assert.throws(() => parseShare('a=/c', both), /two folders with the tag 'a'/);
});

test('what shares nothing is refused', () => {
  for (const wrong of ['', 'folder', 'tag=', 'tag=,rw', '/folder,rw'])
    assert.throws(() => parseShare(wrong), /shares no folder/);
  for (const wrong of ['=x', 'a b=x', 'a,b=x', `${'t'.repeat(32)}=x`])
    assert.throws(() => parseShare(wrong), /is no tag/);
});
