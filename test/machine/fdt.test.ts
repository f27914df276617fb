import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bamboo } from '../../src/machine/boards/bamboo.ts';
import { makeDeviceTree } from '../../src/machine/devicetree.ts';
import { MachineError } from '../../src/machine/error.ts';
import { buildFdt, FdtNode, parseFdt } from '../../src/machine/fdt.ts';

const MiB = 2 ** 20;

interface Tree {
  properties: [string, Uint8Array][];
  children: [string, Tree][];
}

const name = fc.string({ unit: fc.constantFrom(...'abcxyz,#-@0129'), minLength: 1, maxLength: 12 });
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    properties: fc.array(fc.tuple(name, fc.uint8Array({ maxLength: 20 })), { maxLength: 4 }),
    children: fc.array(
      fc.tuple(
        name,
        fc.oneof(
          { maxDepth: 4, depthIdentifier: 'tree' },
          fc.constant<Tree>({ properties: [], children: [] }),
          tie('tree'),
        ),
      ),
      {
        maxLength: 3,
      },
    ),
  }),
}));

function toNode(nodeName: string, { properties, children }: Tree): FdtNode {
  const node = new FdtNode(nodeName);
  for (const [key, value] of properties) node.set(key, value);
  for (const [key, child] of children) node.children.push(toNode(key, child));
  return node;
}

test('any tree comes back from its blob', () => {
  fc.assert(
    fc.property(
      tree,
      fc.array(fc.tuple(fc.bigInt(1n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 64n - 1n)), { maxLength: 3 }),
      (one, reserved) => {
        const fdt = {
          root: toNode('', one),
          reservations: reserved.map(([address, size]) => ({ address, size })),
          bootCpu: 3,
        };
        assert.deepEqual(parseFdt(buildFdt(fdt)), fdt);
      },
    ),
    { numRuns: 100 },
  );
});

function boardBlob(memoryBytes = 256 * MiB): Uint8Array {
  const configuration = { memoryBytes, cpu: bamboo.cpus[0], hcallInstructions: undefined, rngSeed: new Uint8Array(0) };
  return makeDeviceTree(bamboo, bamboo.devices(configuration), undefined, {
    ...configuration,
    append: 'console=ttyS0 quiet',
    initrd: { start: 0x1900000, end: 0x1950000 },
  });
}

test("the board's tree says what Linux asks for", () => {
  const { root } = parseFdt(boardBlob());
  assert.equal(root.text('compatible'), 'amcc,bamboo');
  assert.deepEqual(root.find('/memory')?.cells('reg'), [0, 0, 256 * MiB]);
  const cpu = root.find('/cpus/cpu@0');
  assert.deepEqual(cpu?.cells('timebase-frequency'), [400_000_000]);
  assert.deepEqual(cpu?.cells('clock-frequency'), [400_000_000]);
  assert.equal(cpu?.text('dcr-access-method'), 'native');
  assert.deepEqual(root.cells('dcr-parent'), cpu?.cells('phandle'));
  const uic = root.find('/interrupt-controller0');
  assert.deepEqual(uic?.cells('dcr-reg'), [0xc0, 9]);
  const serial = root.find('/plb/opb/serial@ef600300');
  assert.deepEqual(serial?.cells('reg'), [0xef600300, 8]);
  assert.deepEqual(serial?.cells('interrupts'), [0, 4]);
  assert.deepEqual(serial?.cells('interrupt-parent'), uic?.cells('phandle'));
  const chosen = root.find('/chosen');
  assert.equal(chosen?.text('bootargs'), 'console=ttyS0 quiet');
  assert.equal(chosen?.text('stdout-path'), '/plb/opb/serial@ef600300');
  assert.deepEqual(chosen?.cells('linux,initrd-start'), [0x1900000]);
  assert.deepEqual(chosen?.cells('linux,initrd-end'), [0x1950000]);
  const slot2 = root.find('/plb/pci@ec000000')?.cells('interrupt-map')?.slice(7, 14);
  assert.deepEqual(slot2, [0x1000, 0, 0, 0, uic?.cells('phandle')?.[0], 27, 8]);
});

test("a user's tree gets this machine's memory, frequencies and command line, and keeps the rest", () => {
  const root = new FdtNode('').set('#address-cells', 1).set('#size-cells', 1);
  root.at('/memory@0').set('device_type', 'memory').set('reg', [0, 42]);
  root.at('/cpus/PowerPC,440EP@0').set('device_type', 'cpu').set('clock-frequency', 1);
  root.at('/chosen').set('linux,initrd-start', 1).set('bootargs', 'kept').set('x', true);
  root.at('/mine').set('answer', 42);
  const given = buildFdt({ root, reservations: [{ address: 4096n, size: 4096n }], bootCpu: 0 });
  const contents = {
    memoryBytes: 64 * MiB,
    cpu: bamboo.cpus[0],
    hcallInstructions: undefined,
    rngSeed: new Uint8Array(0),
    append: undefined,
    initrd: undefined,
  };
  const patched = parseFdt(makeDeviceTree(bamboo, bamboo.devices(contents), given, contents));
  assert.deepEqual(patched.root.find('/memory@0')?.cells('reg'), [0, 64 * MiB]);
  assert.equal(patched.root.find('/memory'), undefined);
  assert.deepEqual(patched.root.find('/cpus/PowerPC,440EP@0')?.cells('clock-frequency'), [400_000_000]);
  assert.equal(patched.root.find('/chosen')?.text('bootargs'), 'kept');
  assert.equal(patched.root.find('/chosen')?.cells('linux,initrd-start'), undefined);
  assert.deepEqual(patched.root.find('/mine')?.cells('answer'), [42]);
  assert.deepEqual(patched.reservations, [{ address: 4096n, size: 4096n }]);
});

function parsesOrRefuses(blob: Uint8Array): void {
  try {
    parseFdt(blob);
  } catch (error) {
    assert.ok(error instanceof MachineError, String(error));
    assert.ok(!error.message.includes('\n'));
  }
}

test('damaged blobs are refused with a MachineError and nothing else', () => {
  const blob = boardBlob();
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(blob.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }), (changes) => {
      const damaged = blob.slice();
      for (const [at, value] of changes) damaged[at] = value;
      parsesOrRefuses(damaged);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.nat(39), fc.nat(255), (at, value) => {
      const damaged = blob.slice();
      damaged[at] = value;
      parsesOrRefuses(damaged);
    }),
    { numRuns: 300 },
  );
  for (let length = 0; length < blob.length; length += 7)
    assert.throws(() => parseFdt(blob.subarray(0, length)), MachineError);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), parsesOrRefuses));
});

test('what a message quotes of a blob stays on its line, and no terminal obeys it', () => {
  const blob = buildFdt({ root: new FdtNode('').set('\u001b[2J\na\u0085', 1), reservations: [], bootCpu: 0 });
  const view = new DataView(blob.buffer);
  // The length of the first property's value: behind two tokens and the root's empty name.
  view.setUint32(view.getUint32(8) + 12, 0x10000);
  assert.throws(() => parseFdt(blob), {
    name: 'MachineError',
    message: 'the device tree is not usable: the value of "\\x1b[2J\\x0aa\\x85" lies outside of the file',
  });
});

test('a blob larger than any tree is refused before it is taken apart', () => {
  const blob = new Uint8Array(3 * 2 ** 20);
  blob.set(buildFdt({ root: new FdtNode(''), reservations: [], bootCpu: 0 }));
  // What stands behind the tree is not looked at.
  parseFdt(blob);
  new DataView(blob.buffer).setUint32(4, blob.length);
  assert.throws(
    () => parseFdt(blob),
    /^MachineError: the device tree is not usable: it has 3 MiB; up to 2 MiB would fit$/,
  );
});
