/**
 * 9P messages that no client would send, to a server over a folder in memory or of the host: fields from a few values that fit
 * and many that do not, bits flipped, ends cut off, many at a time, resets in their midst.
 */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Folder, MemoryFolder, NinePServer } from '../../src/machine/ninep/index.ts';
import { REQUEST, type RequestName } from '../../src/machine/ninep/protocol.ts';
import { NodeFolder } from '../../src/node/index.ts';
import { message, text, u8, u16, u32, u64 } from '../ninep/client.ts';
import { Random } from '../truth/random.ts';
import type { CaseEnd } from './judge.ts';

const NAMES = [
  'a',
  'b',
  'c',
  'd',
  'l',
  '.',
  '..',
  '',
  '/',
  'a/b',
  '../x',
  '\0',
  'a\0',
  '\xff\xfe',
  'n'.repeat(255),
  'n'.repeat(256),
];
const TARGETS = ['a', '..', '/', '/etc/passwd', '../../../..', '', 'x\0', 't'.repeat(4000)];
const NUMBERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0xffffffff];
const FLAGS = [0, 1, 2, 3, 0o100, 0o102, 0o302, 0o1002, 0o2001, 0o200000, 0o400000, 0xffffffff];
const MODES = [0o644, 0o755, 0, 0o7777, 0o100644, 0o020666, 0o010600, 0o140600, 0o040755, 0o120777, 0xffffffff];
const SIZES = [0n, 1n, 2n, 100n, 4096n, 70_000n, 2n ** 31n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const WELL_KNOWN: readonly RequestName[] = [
  'walk',
  'walk',
  'walk',
  'lopen',
  'lcreate',
  'mkdir',
  'read',
  'write',
  'readdir',
  'clunk',
];
const MESSAGE_BYTES = 65536;
const MEMORY_BYTES = 2 ** 22;
/** Messages of a case. */
const MESSAGES = 60;

/** The fields of a request, by a grammar: f fid, s name, t target, 4 flags or mode, 8 size, w walk names, d data, x rest. */
const GRAMMAR: Readonly<Record<RequestName, string>> = {
  statfs: 'f',
  lopen: 'f4',
  lcreate: 'fs4mg',
  symlink: 'fstg',
  mknod: 'fsmnng',
  rename: 'ffs',
  readlink: 'f',
  getattr: 'f8',
  setattr: 'f4mgg88888',
  xattrwalk: 'ffs',
  xattrcreate: 'fs84',
  readdir: 'f8n',
  fsync: 'fn',
  lock: 'f1488ns',
  getlock: 'f188ns',
  link: 'ffs',
  mkdir: 'fsmg',
  renameat: 'fsfs',
  unlinkat: 'fsu',
  version: 'vs',
  auth: 'fssn',
  attach: 'fNssn',
  flush: '2',
  walk: 'ffw',
  read: 'f8n',
  write: 'f8d',
  clunk: 'f',
  remove: 'f',
};
const NAMES_OF_REQUESTS = Object.keys(GRAMMAR) as RequestName[];

function field(random: Random, kind: string): Uint8Array {
  switch (kind) {
    case 'f':
      return u32(random.pick(NUMBERS));
    case 's':
      return text(random.pick(NAMES));
    case 't':
      return text(random.pick(TARGETS));
    case '1':
      return u8(random.below(256));
    case '2':
      return u16(random.below(8));
    case '4':
      return u32(random.pick(FLAGS));
    case 'm':
      return u32(random.pick(MODES));
    case 'g':
    case 'N':
      return u32(random.pick([0, 0xffffffff, 1000, random.word() >>> 0]));
    case 'u':
      return u32(random.pick([0, 0x200, 0xffffffff]));
    case 'n':
      return u32(random.pick([0, 1, 11, 24, 100, 4096, MESSAGE_BYTES, 0xffffffff]));
    case 'v':
      return u32(random.pick([MESSAGE_BYTES, MESSAGE_BYTES, 0, 4096, 0xffffffff]));
    case '8':
      return u64(random.pick(SIZES));
    case 'w': {
      const count = random.pick([0, 1, 1, 2, 3, 16, 17, 0xffff]);
      return Buffer.concat([
        u16(count),
        ...Array.from({ length: Math.min(count, 20) }, () => text(random.pick(NAMES))),
      ]);
    }
    default: {
      const length = random.pick([0, 1, 100, 4096, 60_000]);
      const said = random.chance(0.1) ? random.pick([0xffffffff, length + 1]) : length;
      return Buffer.concat([u32(said), Buffer.alloc(length, random.below(256))]);
    }
  }
}

function request(random: Random): Uint8Array {
  const name = random.pick(random.chance(0.6) ? WELL_KNOWN : NAMES_OF_REQUESTS);
  const fields = [...GRAMMAR[name]].map((kind) => field(random, kind));
  let bytes = message(REQUEST[name], random.below(8), ...fields);
  if (random.chance(0.05)) bytes[random.below(bytes.length)] = random.below(256);
  if (random.chance(0.03)) bytes = bytes.subarray(0, random.below(bytes.length));
  if (random.chance(0.02)) bytes = Buffer.from(Array.from({ length: random.below(64) }, () => random.below(256)));
  return bytes;
}

/** @throws Error when that is no answer to a request. */
function checkAnswer(asked: Uint8Array, answer: Uint8Array | undefined, room: number): void {
  if (answer === undefined) return;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  if (answer.length > room) throw new Error(`${answer.length} bytes in a room of ${room}`);
  if (answer.length < 7 || view.getUint32(0, true) !== answer.length)
    throw new Error('an answer of another size than it says');
  if (answer[5] !== asked[5] || answer[6] !== asked[6]) throw new Error('an answer of another tag');
  if (answer[4] !== 7 && answer[4] !== (asked[4] as number) + 1)
    throw new Error(`type ${answer[4]} for type ${asked[4]}`);
}

export class HostileMessages {
  readonly #folder: Folder;
  /** What lies around the shared folder of the host. */
  readonly #around: string | undefined;
  #before = '';

  /** `threads`: of the host, each call on a thread of Node's. */
  constructor(kind: 'memory' | 'host' | 'threads') {
    if (kind === 'memory') {
      this.#folder = new MemoryFolder('memory', () => 0, MEMORY_BYTES);
      return;
    }
    this.#around = fs.mkdtempSync(join(tmpdir(), 'powervisor-fuzz-'));
    process.once('exit', () => fs.rmSync(this.#around as string, { recursive: true, force: true }));
    const share = join(this.#around, 'share');
    fs.mkdirSync(share);
    fs.mkdirSync(join(this.#around, 'a'));
    for (const name of ['x', 'b', 'a/b', 'a/c']) fs.writeFileSync(join(this.#around, name), 'outside');
    const folder = new NodeFolder(share);
    if (kind === 'threads') folder.makeSlow();
    this.#folder = folder;
    this.#before = this.#outside();
  }

  /** Everything around the shared folder. */
  #outside(): string {
    const around = this.#around as string;
    return JSON.stringify(
      ['', 'x', 'b', 'a', 'a/b', 'a/c'].map((name) => {
        const path = join(around, name);
        const { mode, mtimeMs, size, nlink } = fs.lstatSync(path);
        return [mode, mtimeMs, size, nlink, fs.lstatSync(path).isDirectory() && fs.readdirSync(path)];
      }),
    );
  }

  /** Sends the messages of a seed. @throws whatever must not be thrown. */
  async run(seed: number): Promise<CaseEnd> {
    const random = new Random(seed);
    let fault: unknown;
    const server = new NinePServer(this.#folder, await this.#folder.root.status(), {
      writable: random.chance(0.9),
      maxEntries: random.pick([4, 100, 2 ** 16]),
      maxListingBytes: random.pick([1, 2 ** 16]),
      onFault: (error) => {
        fault ??= error;
      },
    });
    const waiting: Promise<void>[] = [];
    const send = (asked: Uint8Array, room = 2 ** 17): void => {
      const answer = server.answer(asked, room);
      if (answer instanceof Promise) waiting.push(answer.then((bytes) => checkAnswer(asked, bytes, room)));
      else checkAnswer(asked, answer, room);
    };
    send(message(REQUEST.version, 0, u32(MESSAGE_BYTES), text('9P2000.L')));
    for (let fid = 0; fid < 3; fid++)
      send(message(REQUEST.attach, fid, u32(fid), u32(0xffffffff), text(''), text(''), u32(fid * 1000)));
    for (let i = 0; i < MESSAGES; i++) {
      send(request(random), random.chance(0.05) ? random.below(200) : undefined);
      if (random.chance(0.1)) await Promise.all(waiting.splice(0));
      if (random.chance(0.005)) server.reset();
    }
    if (random.chance(0.5)) await Promise.all(waiting.splice(0));
    server.reset();
    await Promise.all(waiting);
    if (fault !== undefined) throw fault;
    const left = JSON.stringify(server.usage);
    if (left !== '{"fids":0,"entries":1,"openFiles":0,"openDirectories":0}') throw new Error(`left open: ${left}`);
    if (this.#around !== undefined && seed % 16 === 0) this.checkAll();
    return 'accepted';
  }

  checkAll(): void {
    if (this.#around !== undefined && this.#outside() !== this.#before) throw new Error('what is outside was touched');
  }
}
