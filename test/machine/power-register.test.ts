import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POWER_OFF, POWER_RESET, PowerRegister } from '../../src/machine/devices/power-register.ts';
import { PowerSwitch } from '../../src/machine/power.ts';

test('one word switches off, another resets; nothing else does anything', () => {
  const power = new PowerSwitch();
  const register = new PowerRegister(power);
  const write = (value: number, length = 4): string | undefined => {
    register.write(0, length, value);
    return power.release()?.kind;
  };
  assert.equal(write(POWER_OFF), 'shutdown');
  assert.equal(write(POWER_RESET), 'reset');
  for (const value of [0, 1, 0x55550000, 0x77770000, 0xffffffff]) assert.equal(write(value), undefined);
  for (const length of [1, 2]) assert.equal(write(POWER_OFF, length), undefined);
  assert.equal(register.read(), 0);
  register.restore();
  assert.deepEqual(register.save(), {});
});

test('the first press counts', () => {
  const power = new PowerSwitch();
  const register = new PowerRegister(power);
  register.write(0, 4, POWER_RESET);
  register.write(0, 4, POWER_OFF);
  assert.equal(power.release()?.kind, 'reset');
  assert.equal(power.pressed, undefined);
});
