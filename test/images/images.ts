/** Images that tests make: archives, and a registry that has them. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { packTar, type TarEntry } from 'modern-tar';

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

type Made = Omit<TarEntry['header'], 'name' | 'size'> & { readonly body?: string | Uint8Array };

/** An archive of entries by name. */
export async function archive(entries: Readonly<Record<string, Made | string>>): Promise<Buffer> {
  const list = Object.entries(entries).map(([name, one]): TarEntry => {
    const { body = '', ...header } = typeof one === 'string' ? { body: one } : one;
    const type = header.type ?? (name.endsWith('/') ? 'directory' : 'file');
    return { header: { mode: 0o644, ...header, type, name, size: Buffer.byteLength(body) }, body };
  });
  return Buffer.from(await packTar(list));
}

export interface TestImage {
  /** By digest. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  readonly index: Buffer;
}

export interface Described {
  readonly architecture?: string;
  readonly config?: object;
}

/** An image of layers (plain archives): the first as it is, the second by gzip, the third by zstd, and so on. */
export function imageOf(
  layers: readonly Buffer[],
  { architecture = 'ppc64le', config = {} }: Described = {},
): TestImage {
  const blobs = new Map<string, Buffer>();
  const keep = (bytes: Buffer): { digest: string; size: number } => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const pack = [(bytes: Buffer) => bytes, gzipSync, zstdCompressSync] as const;
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const manifest = keep(
    json({
      schemaVersion: 2,
      config: keep(
        json({ os: 'linux', architecture, config, rootfs: { type: 'layers', diff_ids: layers.map(digestOf) } }),
      ),
      layers: layers.map((layer, i) => keep((pack[i % 3] as (bytes: Buffer) => Buffer)(layer))),
    }),
  );
  const other = keep(json({ schemaVersion: 2, layers: [] }));
  const index = json({
    schemaVersion: 2,
    manifests: [
      { ...other, platform: { os: 'linux', architecture: 'amd64' } },
      { ...manifest, platform: { os: 'linux', architecture } },
    ],
  });
  return { blobs, index };
}

export interface TestRegistry {
  /** HOST:PORT. */
  readonly host: string;
  /** What was asked for, with "!" behind where the token was given. */
  readonly asked: string[];
  close(): void;
}

/** A registry that has an image under a name, gives a token to who asks, and has its blobs on another server. */
export async function serveImage(name: string, { blobs, index }: TestImage): Promise<TestRegistry> {
  const asked: string[] = [];
  const listen = async (answer: (request: IncomingMessage, response: ServerResponse) => void) => {
    const server = createServer((request, response) => {
      asked.push(`${request.url}${request.headers.authorization === 'Bearer secret' ? '!' : ''}`);
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { server, host: `127.0.0.1:${(server.address() as AddressInfo).port}` };
  };
  const store = await listen(({ url = '' }, response) => response.end(blobs.get(url.slice(1))));
  const front = await listen(({ url = '', headers }, response) => {
    if (url.startsWith('/token')) response.end(JSON.stringify({ token: 'secret' }));
    else if (headers.authorization === undefined)
      response
        .writeHead(401, {
          'www-authenticate': `Bearer realm="http://${front.host}/token",service="s",scope="repository:${name}:pull"`,
        })
        .end();
    else if (url === `/v2/${name}/manifests/1.0`) response.end(index);
    else if (url.startsWith(`/v2/${name}/blobs/`) && blobs.has(url.slice(url.lastIndexOf('/') + 1)))
      response.writeHead(307, { location: `http://${store.host}/${url.slice(url.lastIndexOf('/') + 1)}` }).end();
    else response.writeHead(404).end();
  });
  return {
    host: front.host,
    asked,
    close: () => {
      for (const { server } of [store, front]) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}
