import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallPace } from '../../src/node/call-pace.ts';
import { FileCalls } from '../../src/node/file-calls.ts';

test('a long call among many short ones changes nothing: the thread had to wait for a processor', () => {
  const calls = new CallPace();
  for (let i = 0; i < 10_000; i++) calls.took(i % 100 === 0 ? 50 : 0.005, i);
  assert.equal(calls.isSlow(10_000), false);
});

test('a disk whose calls are long is waited for on other threads, a hundred times as long as it kept this one', () => {
  const calls = new CallPace();
  for (let i = 0; i < 20 && !calls.isSlow(1000); i++) calls.took(10, 1000);
  assert.ok(calls.isSlow(1000));
  assert.ok(calls.isSlow(5000));
  assert.equal(calls.isSlow(32_000), false);
});

test('a call that takes seconds is enough', () => {
  const calls = new CallPace();
  calls.took(5000, 0);
  assert.ok(calls.isSlow(20_000));
});

test('calls of a slow file system are promises', async () => {
  const calls = new FileCalls();
  assert.equal(calls.lstat('/') instanceof Promise, false);
  calls.pace.makeSlow();
  const status = calls.lstat('/');
  assert.ok(status instanceof Promise);
  assert.ok((await status)?.isDirectory());
  await assert.rejects(async () => calls.open('/there/is/none', 0), { message: 'ENOENT' });
  assert.equal(await calls.lstat('/there/is/none'), undefined);
});
