/** The device tree of the board ppce500 beside that of QEMU's machine of this name. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ppce500 } from '../../src/machine/boards/ppce500.ts';
import { virtioRng } from '../../src/machine/devices/virtio-rng.ts';
import { makeDeviceTree } from '../../src/machine/devicetree.ts';
import { type FdtNode, parseFdt } from '../../src/machine/fdt.ts';
import { makeUImage } from './images.ts';

const MEMORY_BYTES = 2 ** 28;
const QEMU = 'qemu-system-ppc';
const qemu = spawnSync(QEMU, ['--version']).status === 0;

/** A kernel of four instructions: QEMU wants one. */
const CODE = new Uint8Array(16);

function ourTree(cards: Parameters<typeof ppce500.devices>[0]['cards'] = []): FdtNode {
  const configuration = {
    memoryBytes: MEMORY_BYTES,
    cpu: ppce500.cpus[0],
    cards,
    hcallInstructions: undefined,
    rngSeed: new Uint8Array(32),
    kernel: { address: 0, bytes: CODE.length },
    append: 'console=ttyS0',
    initrd: undefined,
  };
  return parseFdt(makeDeviceTree(ppce500, ppce500.devices(configuration), undefined, configuration)).root;
}

/** Every property by its path. Numbers of nodes are in place of what they refer to: `phandles` says where that is. */
function flatten(root: FdtNode): Map<string, string> {
  const phandles = new Map<number, string>();
  const visit = (node: FdtNode, path: string, to: (node: FdtNode, path: string) => void): void => {
    to(node, path);
    for (const child of node.children) visit(child, `${path === '/' ? '' : path}/${child.name}`, to);
  };
  visit(root, '/', (node, path) => {
    const [phandle] = node.cells('phandle') ?? [];
    if (phandle !== undefined) phandles.set(phandle, path);
  });
  // Which cell of how many is such a number.
  const REFERENCES: Readonly<Record<string, readonly [number, number]>> = {
    'interrupt-parent': [0, 1],
    'fsl,msi': [0, 1],
    gpios: [0, 3],
    'interrupt-map': [4, 7],
  };
  const properties = new Map<string, string>();
  visit(root, '/', (node, path) => {
    properties.set(path, '');
    for (const [name, bytes] of node.properties) {
      const [at = -1, of = 1] = REFERENCES[name] ?? [];
      const cells = (node.cells(name) ?? []).map((cell, i) => (i % of === at ? phandles.get(cell) : cell));
      properties.set(`${path} ${name}`, at < 0 ? Buffer.from(bytes).toString('hex') : cells.join(' '));
    }
  });
  return properties;
}

function qemusTree(): FdtNode {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-'));
  try {
    const kernel = join(folder, 'kernel');
    writeFileSync(kernel, makeUImage(CODE));
    const tree = join(folder, 'tree');
    const words = `-M ppce500,dumpdtb=${tree} -cpu e500v2 -m 256 -nic none -display none -serial null -serial null`;
    execFileSync(QEMU, [...words.split(' '), '-kernel', kernel, '-append', 'console=ttyS0'], { stdio: 'pipe' });
    return parseFdt(readFileSync(tree)).root;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("the device tree is that of QEMU's machine, node by node", { skip: !qemu && `no ${QEMU}` }, () => {
  const ours = flatten(ourTree());
  const theirs = flatten(qemusTree());
  // Numbers that nodes are referred to by, also under the name of older trees.
  const isNumber = (key: string): boolean => key.endsWith('phandle');
  // What is new in each run.
  const isRandom = (key: string): boolean => key === '/chosen rng-seed';
  const differences: string[] = [];
  for (const key of new Set([...ours.keys(), ...theirs.keys()]))
    if (!isNumber(key) && !isRandom(key) && ours.get(key) !== theirs.get(key)) differences.push(key);
  assert.deepEqual(differences, []);
});

test('devices that are plugged in stand below the chip, with offsets as addresses', () => {
  const tree = ourTree([
    { device: virtioRng('rng0'), bus: 'mmio' },
    { device: virtioRng('rng1'), bus: 'mmio' },
  ]);
  const second = tree.find('/soc@fe0000000/virtio@81000');
  assert.deepEqual(second?.cells('reg'), [0x81000, 0x200]);
  assert.deepEqual(second?.cells('interrupts'), [81, 2]);
  assert.equal(second?.text('compatible'), 'virtio,mmio');
});
