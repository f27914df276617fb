import { formatBytes, hex, MachineError } from './error.ts';

/** Header (Devicetree Specification v0.4, section 5.2): ten big-endian words. */
const MAGIC = 0xd00dfeed;
const HEADER_BYTES = 40;
const VERSION = 17;
const LAST_COMPATIBLE_VERSION = 16;

/** Structure block tokens (section 5.4.1). */
const BEGIN_NODE = 1;
const END_NODE = 2;
const PROP = 3;
const NOP = 4;
const END = 9;

/** Bounds for trees from outside: larger, deeper or longer-named ones are refused. Boards' own have some kilobytes. */
const MAX_BYTES = 2 ** 21;
const MAX_DEPTH = 64;
const MAX_NAME = 255;

/** What a property is set to: one cell, cells, text, texts, bytes, or nothing (`true`). */
export type FdtValue = number | readonly number[] | string | readonly string[] | Uint8Array | true;

function encodeText(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

function decodeText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function encodeValue(value: FdtValue): Uint8Array {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value === true) return new Uint8Array(0);
  if (typeof value === 'number') return encodeValue([value]);
  if (typeof value === 'string') return encodeText(`${value}\0`);
  if (typeof value[0] === 'string') return encodeText((value as readonly string[]).map((text) => `${text}\0`).join(''));
  const cells = value as readonly number[];
  const bytes = new Uint8Array(cells.length * 4);
  const view = new DataView(bytes.buffer);
  cells.forEach((cell, i) => {
    view.setUint32(i * 4, cell);
  });
  return bytes;
}

/** A node of a device tree. Text is Latin-1: bytes are kept as they are. */
export class FdtNode {
  readonly name: string;
  readonly properties = new Map<string, Uint8Array>();
  readonly children: FdtNode[] = [];

  constructor(name: string) {
    this.name = name;
  }

  set(name: string, value: FdtValue): this {
    this.properties.set(name, encodeValue(value));
    return this;
  }

  /** The property as big-endian cells; undefined when absent. Bytes after the last whole cell are left out. */
  cells(name: string): number[] | undefined {
    const bytes = this.properties.get(name);
    if (bytes === undefined) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: bytes.length >>> 2 }, (_, i) => view.getUint32(i * 4));
  }

  /** The property's first text; undefined when absent. */
  text(name: string): string | undefined {
    const bytes = this.properties.get(name);
    return bytes === undefined ? undefined : decodeText(bytes).split('\0', 1)[0];
  }

  /** The child of this name, made when there is none. */
  child(name: string): FdtNode {
    let found = this.children.find((child) => child.name === name);
    if (found === undefined) {
      found = new FdtNode(name);
      this.children.push(found);
    }
    return found;
  }

  /** The node at an absolute path, with every node on the way made when there is none. */
  at(path: string): FdtNode {
    let node: FdtNode = this;
    for (const part of path.split('/')) if (part !== '') node = node.child(part);
    return node;
  }

  /** The node at an absolute path, or undefined. */
  find(path: string): FdtNode | undefined {
    let node: FdtNode | undefined = this;
    for (const part of path.split('/')) {
      if (part !== '') node = node?.children.find((child) => child.name === part);
    }
    return node;
  }
}

/** A flattened device tree, taken apart. Addresses and sizes of reservations are bytes. */
export interface Fdt {
  root: FdtNode;
  reservations: { address: bigint; size: bigint }[];
  bootCpu: number;
}

/** Makes a device-tree blob (version 17) of a tree. */
export function buildFdt(tree: Fdt): Uint8Array {
  const strings: number[] = [];
  const stringOffsets = new Map<string, number>();
  const structure: number[] = [];
  const word = (value: number): void => {
    structure.push((value >>> 24) & 0xff, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
  };
  const padded = (bytes: Uint8Array): void => {
    for (const byte of bytes) structure.push(byte);
    while (structure.length % 4 !== 0) structure.push(0);
  };
  const stringOffset = (name: string): number => {
    let offset = stringOffsets.get(name);
    if (offset === undefined) {
      offset = strings.length;
      stringOffsets.set(name, offset);
      for (const byte of encodeText(`${name}\0`)) strings.push(byte);
    }
    return offset;
  };
  const node = (one: FdtNode): void => {
    word(BEGIN_NODE);
    padded(encodeText(`${one.name}\0`));
    for (const [name, value] of one.properties) {
      word(PROP);
      word(value.length);
      word(stringOffset(name));
      padded(value);
    }
    for (const child of one.children) node(child);
    word(END_NODE);
  };
  node(tree.root);
  word(END);

  const reservationsOffset = HEADER_BYTES;
  const structureOffset = reservationsOffset + (tree.reservations.length + 1) * 16;
  const stringsOffset = structureOffset + structure.length;
  const bytes = new Uint8Array(stringsOffset + strings.length);
  const view = new DataView(bytes.buffer);
  [
    MAGIC,
    bytes.length,
    structureOffset,
    stringsOffset,
    reservationsOffset,
    VERSION,
    LAST_COMPATIBLE_VERSION,
    tree.bootCpu,
    strings.length,
    structure.length,
  ].forEach((value, i) => {
    view.setUint32(i * 4, value);
  });
  tree.reservations.forEach(({ address, size }, i) => {
    view.setBigUint64(reservationsOffset + i * 16, address);
    view.setBigUint64(reservationsOffset + i * 16 + 8, size);
  });
  bytes.set(structure, structureOffset);
  bytes.set(strings, stringsOffset);
  return bytes;
}

/** Takes a device-tree blob apart. Throws MachineError for anything that is not a well-formed one. */
export function parseFdt(bytes: Uint8Array): Fdt {
  const fail = (what: string): never => {
    throw new MachineError(`the device tree is not usable: ${what}`);
  };
  if (bytes.length < HEADER_BYTES) return fail('it is shorter than a header; a .dtb file made by dtc would fit');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if (magic !== MAGIC) return fail(`it begins with ${hex(magic)} where a .dtb file has ${hex(MAGIC)}`);
  const total = view.getUint32(4);
  if (total > bytes.length) return fail(`it says it has ${total} bytes, but the file ends after ${bytes.length}`);
  if (total > MAX_BYTES) return fail(`it has ${formatBytes(total)}; up to ${formatBytes(MAX_BYTES)} would fit`);
  const version = view.getUint32(20);
  if (view.getUint32(24) > VERSION || version < LAST_COMPATIBLE_VERSION)
    return fail(`its version is ${version}; version ${LAST_COMPATIBLE_VERSION} or ${VERSION} would fit`);
  const stringsOffset = view.getUint32(12);
  const word = (offset: number): number => {
    if (offset + 4 > total) return fail('it ends in the middle of a node');
    return view.getUint32(offset);
  };
  const text = (offset: number): string => {
    const end = bytes.indexOf(0, offset);
    if (end < 0 || end >= total) return fail('a name does not end');
    if (end - offset > MAX_NAME) return fail(`a name is longer than ${MAX_NAME} characters`);
    return decodeText(bytes.subarray(offset, end));
  };

  const reservations: Fdt['reservations'] = [];
  for (let offset = view.getUint32(16); ; offset += 16) {
    if (offset + 16 > total) return fail('its list of reserved memory does not end');
    const address = view.getBigUint64(offset);
    const size = view.getBigUint64(offset + 8);
    if (address === 0n && size === 0n) break;
    reservations.push({ address, size });
  }

  const open: FdtNode[] = [];
  let root: FdtNode | undefined;
  for (let offset = view.getUint32(8); ; ) {
    const token = word(offset);
    offset += 4;
    if (token === BEGIN_NODE) {
      const name = text(offset);
      offset = (offset + name.length + 4) & ~3;
      const node = new FdtNode(name);
      const parent = open.at(-1);
      if (parent !== undefined) parent.children.push(node);
      else if (root === undefined) root = node;
      else return fail('it has two roots');
      open.push(node);
      if (open.length > MAX_DEPTH) return fail(`it is more than ${MAX_DEPTH} nodes deep`);
    } else if (token === END_NODE) {
      if (open.pop() === undefined) return fail('a node ends that has not begun');
    } else if (token === PROP) {
      const length = word(offset);
      const name = text(stringsOffset + word(offset + 4));
      offset += 8;
      if (offset + length > total) return fail(`the value of "${name}" lies outside of the file`);
      const node = open.at(-1);
      if (node === undefined) return fail('a property stands outside of every node');
      node.properties.set(name, new Uint8Array(bytes.subarray(offset, offset + length)));
      offset = (offset + length + 3) & ~3;
    } else if (token === END) {
      break;
    } else if (token !== NOP) {
      return fail(`token ${hex(token)} at offset ${hex(offset - 4)} is unknown`);
    }
  }
  if (root === undefined || open.length > 0) return fail('it ends before its root node does');
  return { root, reservations, bootCpu: view.getUint32(28) };
}
