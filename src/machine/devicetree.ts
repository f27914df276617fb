import type { Board, TreeConfiguration } from './board.ts';
import type { DeviceSpec, TreeValue } from './device.ts';
import { MachineError } from './error.ts';
import { buildFdt, type Fdt, FdtNode, type FdtValue, parseFdt } from './fdt.ts';

/** What a device tree says beyond the board: sizes and addresses in bytes, `end` exclusive. */
export interface TreeContents extends TreeConfiguration {
  /** The kernel's command line; undefined leaves what a given tree says. */
  readonly append: string | undefined;
  readonly initrd: { readonly start: number; readonly end: number } | undefined;
}

const cpuName = 'cpu0';

/** The board's own device tree, from its processor, its buses and its devices. */
function boardTree(board: Board, devices: readonly DeviceSpec[], configuration: TreeConfiguration): FdtNode {
  const root = new FdtNode('');
  const { node: cpuNode } = configuration.cpu;
  const paths = new Map<string, string>([[cpuName, cpuNode.path]]);
  for (const device of devices) if (device.node !== undefined) paths.set(device.name, device.node.path);

  const phandles = new Map<string, number>();
  const phandle = (name: string): number => {
    const path = name.startsWith('/') ? name : paths.get(name);
    if (path === undefined) throw new MachineError(`the board refers to "${name}", which has no device-tree node`);
    let number = phandles.get(name);
    if (number === undefined) {
      number = phandles.size + 1;
      phandles.set(name, number);
    }
    return number;
  };
  const encode = (value: TreeValue): FdtValue => {
    if (value === true || typeof value === 'string' || value instanceof Uint8Array) return value;
    if (typeof value[0] === 'string') return value as FdtValue;
    return (value as readonly (number | { phandle: string })[]).map((cell) =>
      typeof cell === 'number' ? cell : phandle(cell.phandle),
    );
  };
  const nodes = [...board.treeNodes(configuration), cpuNode, ...devices.flatMap(({ node }) => (node ? [node] : []))];
  for (const { path, properties } of nodes) {
    const node = root.at(path);
    for (const [name, value] of Object.entries(properties)) node.set(name, encode(value));
  }
  root.at(board.memoryNode).set('device_type', 'memory');
  for (const [name, number] of phandles) root.at(paths.get(name) ?? name).set('phandle', number);

  const aliases = root.at('/aliases');
  board.serial.forEach((name, i) => {
    aliases.set(`serial${i}`, paths.get(name) ?? '');
  });
  const console = paths.get(board.serial[0] ?? '');
  // Linux takes either name; older guests know only the longer one.
  if (console !== undefined) root.at('/chosen').set('linux,stdout-path', console).set('stdout-path', console);
  return root;
}

/** Encodes a number in `cells` cells. */
function inCells(value: number, cells: number): number[] {
  return Array.from({ length: cells }, (_, i) => (i === cells - 1 ? value >>> 0 : 0));
}

/** The memory node of a tree: the board's, or the first one of that type. */
function memoryNode(root: FdtNode, board: Board): FdtNode {
  return (
    root.find(board.memoryNode) ??
    root.children.find((node) => node.text('device_type') === 'memory') ??
    root.at(board.memoryNode).set('device_type', 'memory')
  );
}

/** Sets what depends on this machine, in our own tree or in one that the user gave, as QEMU's boards do. */
function patch(root: FdtNode, board: Board, contents: TreeContents): void {
  const addressCells = Math.min(root.cells('#address-cells')?.[0] ?? 2, 4);
  const sizeCells = Math.min(root.cells('#size-cells')?.[0] ?? 1, 4);
  memoryNode(root, board).set('reg', [...inCells(0, addressCells), ...inCells(contents.memoryBytes, sizeCells)]);
  const processors = root.at('/cpus').children.filter((node) => node.text('device_type') === 'cpu');
  const { cpu } = contents;
  for (const node of processors.length > 0 ? processors : [root.at(cpu.node.path)]) {
    node.set('clock-frequency', cpu.clockFrequency);
    node.set('timebase-frequency', cpu.timebaseFrequency);
  }
  const chosen = root.at('/chosen');
  if (contents.append !== undefined) chosen.set('bootargs', contents.append);
  if (contents.initrd !== undefined) {
    chosen.set('linux,initrd-start', contents.initrd.start);
    chosen.set('linux,initrd-end', contents.initrd.end);
  } else {
    chosen.properties.delete('linux,initrd-start');
    chosen.properties.delete('linux,initrd-end');
  }
}

/**
 * The device-tree blob that a machine boots with: generated from the board, or `given` by the user; with this machine's
 * memory size, frequencies, command line and initial RAM disk.
 */
export function makeDeviceTree(
  board: Board,
  devices: readonly DeviceSpec[],
  given: Uint8Array | undefined,
  contents: TreeContents,
): Uint8Array {
  const tree: Fdt =
    given === undefined ? { root: boardTree(board, devices, contents), reservations: [], bootCpu: 0 } : parseFdt(given);
  patch(tree.root, board, contents);
  for (const { firmware } of devices) {
    if (firmware !== undefined)
      tree.reservations.push({ address: BigInt(firmware.address), size: BigInt(firmware.reservedBytes) });
  }
  return buildFdt(tree);
}
