import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UIC_DCR_COUNT, Uic } from '../../src/machine/devices/uic.ts';
import { InterruptLine } from '../../src/machine/interrupts.ts';

const [SR, SRS, ER, CR, , TR, MSR, VR, VCR] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
const bit = (input: number): number => (0x80000000 >>> input) >>> 0;

function make() {
  const normal = new InterruptLine();
  const critical = new InterruptLine();
  const uic = new Uic(normal, critical);
  return { uic, normal, critical };
}

test('a level input interrupts while it is active and enabled', () => {
  const { uic, normal, critical } = make();
  uic.setInput(3, true);
  assert.equal(uic.readDcr(SR), bit(3));
  assert.equal(normal.active, false, 'not enabled yet');
  uic.writeDcr(ER, bit(3));
  assert.equal(normal.active, true);
  assert.equal(critical.active, false);
  uic.writeDcr(SR, bit(3));
  assert.equal(normal.active, true, 'still active: acknowledging changes nothing');
  uic.setInput(3, false);
  assert.equal(normal.active, false);
  assert.equal(uic.readDcr(MSR), 0);
});

test('an edge input is latched until it is acknowledged', () => {
  const { uic, normal } = make();
  uic.writeDcr(TR, bit(9));
  uic.writeDcr(ER, 0xffffffff);
  uic.setInput(9, true);
  uic.setInput(9, false);
  assert.equal(normal.active, true);
  uic.writeDcr(SR, bit(9));
  assert.equal(normal.active, false);
  uic.writeDcr(SRS, bit(31));
  assert.equal(uic.readDcr(MSR), bit(31), 'software can set a status bit');
});

test('a critical input uses the other output, and the vector register says which it is', () => {
  const { uic, normal, critical } = make();
  uic.writeDcr(ER, 0xffffffff);
  uic.writeDcr(CR, (bit(2) | bit(30)) >>> 0);
  uic.writeDcr(VCR, 0x1000_0000);
  uic.setInput(2, true);
  assert.deepEqual([normal.active, critical.active], [false, true]);
  assert.equal(uic.readDcr(VR), 0x1000_0000 + 29 * 512, 'PRO=0 counts from interrupt 31');
  uic.setInput(30, true);
  assert.equal(uic.readDcr(VR), 0x1000_0000 + 1 * 512);
  uic.writeDcr(VCR, 0x1000_0001);
  assert.equal(uic.readDcr(VR), 0x1000_0000 + 2 * 512, 'PRO=1 counts from interrupt 0');
  uic.writeDcr(ER, 0);
  assert.equal(uic.readDcr(VR), 0);
});

test('reset disables everything but keeps the levels of the lines', () => {
  const { uic, normal } = make();
  uic.writeDcr(ER, 0xffffffff);
  uic.setInput(5, true);
  uic.reset();
  assert.equal(normal.active, false);
  assert.equal(uic.readDcr(ER), 0);
  assert.equal(uic.readDcr(SR), bit(5));
});

const operation = fc.oneof(
  fc.record({ kind: fc.constant('line' as const), input: fc.integer({ min: -1, max: 33 }), active: fc.boolean() }),
  fc.record({
    kind: fc.constant('write' as const),
    offset: fc.integer({ min: -1, max: UIC_DCR_COUNT + 1 }),
    value: fc.integer({ min: 0, max: 0xffffffff }),
  }),
  fc.record({ kind: fc.constant('read' as const), offset: fc.integer({ min: -1, max: UIC_DCR_COUNT + 1 }) }),
);

test('after any accesses the outputs follow the registers, and a saved state is complete', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const { uic, normal, critical } = make();
      for (const one of operations) {
        if (one.kind === 'line') uic.setInput(one.input, one.active);
        else if (one.kind === 'write') uic.writeDcr(one.offset, one.value);
        else {
          const value = uic.readDcr(one.offset);
          assert.ok(Number.isInteger(value) && value >= 0 && value <= 0xffffffff);
        }
        const pending = uic.readDcr(SR) & uic.readDcr(ER);
        assert.equal(normal.active, (pending & ~uic.readDcr(CR)) !== 0);
        assert.equal(critical.active, (pending & uic.readDcr(CR)) !== 0);
      }
      const copy = make();
      copy.uic.restore(JSON.parse(JSON.stringify(uic.save())));
      for (let offset = 0; offset < UIC_DCR_COUNT; offset++)
        assert.equal(copy.uic.readDcr(offset), uic.readDcr(offset));
      assert.equal(copy.normal.active, normal.active);
      assert.equal(copy.critical.active, critical.active);
    }),
    { numRuns: 200 },
  );
});
