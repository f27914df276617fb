/**
 * Images that are on this computer: a folder or archive of the OCI image layout, an archive of `docker save`, an archive that is
 * the root file system itself.
 */
import { closeSync, createReadStream, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { MachineError } from '../../machine/index.ts';
import {
  type BlobSource,
  checkArchitecture,
  type ImageContents,
  MOST_JSON,
  objectsOf,
  PLAIN_CONFIG,
  parseJson,
  partOf,
  readConfig,
  resolveImage,
} from './oci.ts';
import { checkDigest, keep, plainArchive } from './store.ts';
import { readTar } from './tar.ts';

interface Part {
  readonly offset: number;
  readonly size: number;
}

const blobName = (digest: string): string => `blobs/${checkDigest(digest).replace(':', '/')}`;

/** A folder of the image layout. */
export const isLayout = (folder: string): boolean =>
  statSync(join(folder, 'oci-layout'), { throwIfNoEntry: false })?.isFile() === true;

/** @throws MachineError */
export function imageOfLayout(folder: string, architecture: string): Promise<ImageContents> {
  const source: BlobSource = {
    name: folder,
    open: async (digest) => {
      const path = join(folder, blobName(digest));
      if (!statSync(path, { throwIfNoEntry: false })?.isFile())
        throw new MachineError(`${folder} has no blob ${digest}`);
      return createReadStream(path);
    },
  };
  return resolveImage(
    source,
    parseJson(readFileSync(join(folder, 'index.json')), `${folder}/index.json`),
    architecture,
  );
}

/** Members of an archive that are files, by path. */
function membersOf(path: string): Map<string, Part> {
  const file = openSync(path, 'r');
  try {
    const found = new Map<string, Part>();
    for (const one of readTar(file)) if (one.type === 'file') found.set(one.path.join('/'), one);
    return found;
  } finally {
    closeSync(file);
  }
}

async function readPart(path: string, { offset, size }: Part): Promise<Buffer> {
  if (size > MOST_JSON) throw new MachineError(`${path}: what should be JSON is too long`);
  const pieces: Buffer[] = [];
  if (size > 0) for await (const piece of partOf(path, offset, size)) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** An archive of any of the kinds, compressed or not. @throws MachineError */
export async function imageOfArchive(path: string, architecture: string): Promise<ImageContents> {
  const plain = await plainArchive(path);
  const members = membersOf(plain);
  const json = async (name: string): Promise<Buffer | undefined> => {
    const part = members.get(name);
    return part && readPart(plain, part);
  };
  const part = (name: string): Readable => {
    const found = members.get(name);
    if (found === undefined) throw new MachineError(`${path} has no ${name}`);
    return partOf(plain, found.offset, found.size);
  };
  const index = members.has('oci-layout') ? await json('index.json') : undefined;
  if (index)
    return resolveImage(
      { name: path, open: async (digest) => part(blobName(digest)) },
      parseJson(index, `${path}: index.json`),
      architecture,
    );
  const saved = await json('manifest.json');
  if (saved && members.size > 1) {
    const contents = await imageOfSaved(path, saved, part, architecture);
    if (contents) return contents;
  }
  return { layers: [plain], config: PLAIN_CONFIG };
}

/** `docker save` of old: layers by path, with nothing that says what their sums are but the configuration. */
async function imageOfSaved(
  path: string,
  manifest: Buffer,
  part: (name: string) => Readable,
  architecture: string,
): Promise<ImageContents | undefined> {
  let list: unknown;
  try {
    list = JSON.parse(manifest.toString());
  } catch {}
  const [first] = objectsOf(list);
  const { Config: configName, Layers: names } = first ?? {};
  if (typeof configName !== 'string' || !Array.isArray(names)) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of part(configName)) pieces.push(piece as Buffer);
  const config = parseJson(Buffer.concat(pieces), `${path}: ${configName}`);
  checkArchitecture(path, config, architecture);
  const digests = (config['rootfs'] as { readonly diff_ids?: unknown } | undefined)?.diff_ids;
  if (!Array.isArray(digests) || digests.length !== names.length)
    throw new MachineError(`${path}: not as many layers as it says`);
  const layers: string[] = [];
  for (const [i, name] of names.entries())
    layers.push(await keep(checkDigest(digests[i]), undefined, async () => part(String(name))));
  return { layers, config: readConfig(config) };
}
