import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EscapeFilter } from '../../src/cli/escape.ts';

function typed(...pieces: string[]): { text: string; actions: string[] } {
  const filter = new EscapeFilter();
  let text = '';
  const actions: string[] = [];
  for (const piece of pieces) {
    const result = filter.push(Buffer.from(piece, 'latin1'));
    text += Buffer.from(result.bytes).toString('latin1');
    actions.push(...result.actions);
  }
  return { text, actions };
}

test('what is typed goes to the guest as it is', () => {
  assert.deepEqual(typed('ls\r', '\x03\x1b[A\xff'), { text: 'ls\r\x03\x1b[A\xff', actions: [] });
});

test('Ctrl-A x and Ctrl-A h are taken out, also when a read ends between the keys', () => {
  assert.deepEqual(typed('a\x01xb'), { text: 'ab', actions: ['quit'] });
  assert.deepEqual(typed('\x01c'), { text: '', actions: ['monitor'] });
  assert.deepEqual(typed('\x01', 'h', '\x01', '?'), { text: '', actions: ['help', 'help'] });
});

test('Ctrl-A twice, or Ctrl-A a, sends Ctrl-A; any other key after it is dropped', () => {
  assert.deepEqual(typed('\x01\x01x', '\x01ax', '\x01qx'), { text: '\x01x\x01xx', actions: [] });
});
