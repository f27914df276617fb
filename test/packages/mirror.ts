/** A mirror of an archive of made-up packages, on a port of this computer. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packTar } from 'modern-tar';

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** An `ar` archive of members. */
export function packAr(members: readonly (readonly [string, Uint8Array])[]): Buffer {
  const pieces = members.flatMap(([name, bytes]) => [
    Buffer.from(`${name.padEnd(16)}${'0'.padEnd(12)}0     0     100644  ${String(bytes.length).padEnd(10)}\`\n`),
    bytes,
    Buffer.alloc(bytes.length & 1, '\n'),
  ]);
  return Buffer.concat([Buffer.from('!<arch>\n'), ...pieces]);
}

/** A package with these files; `ending` says how its contents are compressed. */
export async function packDeb(
  files: Readonly<Record<string, string>>,
  ending: 'gz' | 'zst' | '' = 'gz',
): Promise<Buffer> {
  const folders = ['./', './boot/'].map((name) => ({ header: { name, size: 0, type: 'directory' as const } }));
  const entries = Object.entries(files).map(([name, body]) => ({
    header: { name: `./${name}`, size: body.length },
    body,
  }));
  const tar = await packTar([...folders, ...entries]);
  const data = ending === 'gz' ? gzipSync(tar) : ending === 'zst' ? zstdCompressSync(tar) : tar;
  return packAr([
    ['debian-binary', Buffer.from('2.0\n')],
    ['control.tar.gz', gzipSync(Buffer.alloc(1024))],
    [ending === '' ? 'data.tar' : `data.tar.${ending}`, data],
  ]);
}

export interface MadePackage {
  readonly name: string;
  readonly version: string;
  readonly deb: Uint8Array;
  readonly depends?: string;
  readonly provides?: string;
  /** In place of the right sum. */
  readonly sha256?: string;
}

const stanza = ({ name, version, deb, depends, provides, sha256: sum }: MadePackage): string =>
  [
    ...[`Package: ${name}`, `Version: ${version}`, 'Architecture: ppc64el'],
    ...(depends === undefined ? [] : [`Depends: ${depends}`]),
    ...(provides === undefined ? [] : [`Provides: ${provides}`]),
    ...[`Filename: pool/${name}_${version}.deb`, `Size: ${deb.length}`, `SHA256: ${sum ?? sha256(deb)}`, ''],
  ].join('\n');

/** What is served, by path below the mirror's root; a test changes it as it likes. */
export function makeArchive(
  packages: readonly MadePackage[],
  release: readonly string[] = [],
): Map<string, Uint8Array> {
  const index = gzipSync(packages.map(stanza).join('\n'));
  const path = 'main/binary-ppc64el/Packages.gz';
  const text = [
    ...['Origin: Debian', 'Suite: stable', 'Architectures: amd64 ppc64el', ...release],
    ...['SHA256:', ` ${sha256(index)} ${index.length} ${path}`, ''],
  ].join('\n');
  return new Map<string, Uint8Array>([
    ['dists/stable/InRelease', Buffer.from(text)],
    [`dists/stable/${path}`, index],
    ...packages.map(({ name, version, deb }) => [`pool/${name}_${version}.deb`, deb] as const),
  ]);
}

type Handler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** Serves an archive; `requests` are the paths (and ranges) that came. */
export class Mirror {
  readonly requests: string[] = [];
  readonly files: Map<string, Uint8Array>;
  /** Sees each request first; answers whether it has served it. */
  intercept: Handler = () => false;
  readonly #server: Server;

  private constructor(files: Map<string, Uint8Array>) {
    this.files = files;
    this.#server = createServer((request, response) => {
      const { range } = request.headers;
      this.requests.push(`${request.url}${range ? ` ${range}` : ''}`);
      if (!this.intercept(request, response)) this.serve(request, response);
    });
  }

  static async start(files: Map<string, Uint8Array>): Promise<Mirror> {
    const mirror = new Mirror(files);
    await new Promise<void>((resolve) => mirror.#server.listen(0, '127.0.0.1', resolve));
    return mirror;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/debian`;
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    const path = new URL(request.url ?? '', 'http://mirror').pathname.replace('/debian/', '');
    const bytes = this.files.get(path);
    if (bytes === undefined) return void response.writeHead(404).end();
    const offset = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (offset > bytes.length) return void response.writeHead(416).end();
    response.writeHead(offset > 0 ? 206 : 200, { 'content-length': bytes.length - offset });
    response.end(bytes.subarray(offset));
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
