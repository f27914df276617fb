import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parseIcount, parseMemory, parseSeconds } from '../../src/cli/values.ts';

test('memory sizes take K, M and G; a bare number counts MiB', () => {
  assert.equal(parseMemory('256M'), 256 * 2 ** 20);
  assert.equal(parseMemory('1g'), 2 ** 30);
  assert.equal(parseMemory('65536K'), 64 * 2 ** 20);
  assert.equal(parseMemory('128'), 128 * 2 ** 20);
  assert.equal(parseMemory('128MiB'), 128 * 2 ** 20);
  for (const wrong of ['', '0', 'M', '-1M', '1.5G', '256X', '12 M', '9999999999999G', '1e3M']) {
    assert.throws(() => parseMemory(wrong), /memory/, wrong);
  }
});

test('a time-out is a positive number of seconds', () => {
  assert.equal(parseSeconds('10'), 10);
  assert.equal(parseSeconds('0.5'), 0.5);
  for (const wrong of ['', '0', '-1', 'ten', '1e9', 'Infinity', '99999999']) {
    assert.throws(() => parseSeconds(wrong), /time-out/, wrong);
  }
});

test('--icount is a shift from 0 to 10', () => {
  assert.equal(parseIcount('0'), 0);
  assert.equal(parseIcount('10'), 10);
  for (const wrong of ['', '11', '-1', '1.5', 'auto']) assert.throws(() => parseIcount(wrong), /--icount/, wrong);
});

test('an address is decimal or hexadecimal', () => {
  assert.equal(parseAddress('0xc0000000'), 0xc0000000);
  assert.equal(parseAddress('4096'), 4096);
  for (const wrong of ['', 'c000', '0x', '-4', '0x1g']) assert.throws(() => parseAddress(wrong), /address/, wrong);
});
