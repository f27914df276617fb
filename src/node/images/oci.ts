/**
 * Container images as what a guest can have for its files (OCI image specification 1.1 and its image layout; Docker's image
 * manifest v2 and the archive of `docker save`): which manifest is the architecture's, its configuration, its layers.
 */
import { createReadStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { MachineError } from '../../machine/index.ts';
import { checkDigest, keep, plainLayer, stored } from './store.ts';

/** What an image's files are, and how it is meant to be used. */
export interface ImageContents {
  /** Plain archives, the lowest first. */
  readonly layers: readonly string[];
  readonly config: ImageConfig;
}

export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>;
  /** Entry point and arguments, for a run without a command. */
  readonly command: readonly string[];
  readonly directory: string | undefined;
  /** "NAME", "UID", each with ":GROUP" or without. */
  readonly user: string | undefined;
}

export const PLAIN_CONFIG: ImageConfig = { env: {}, command: [], directory: undefined, user: undefined };

/** Where blobs come from. */
export interface BlobSource {
  /** For messages. */
  readonly name: string;
  /** A blob's bytes. @throws MachineError when it is not there */
  open(digest: string, size: number | undefined): Promise<Readable>;
}

/** A part of an image's JSON, of which nothing is known. */
type Json = { readonly [name: string]: unknown };

export const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

/** Bytes of a manifest or a configuration. */
export const MOST_JSON = 2 ** 23;
const MOST_LAYERS = 512;
/** Of an index in an index. */
const MOST_DEPTH = 4;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
export const objectsOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);

/** @throws MachineError when it is no object of JSON */
export function parseJson(bytes: Uint8Array, what: string): Json {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    if (isObject(value)) return value;
  } catch {}
  throw new MachineError(`${what} is no JSON object`);
}

async function readBlob(source: BlobSource, digest: string): Promise<Uint8Array> {
  const path = await keep(digest, MOST_JSON, () => source.open(digest, undefined));
  return readFile(path);
}

const platformOf = ({ os, architecture, variant }: Json): string =>
  [os, architecture, variant].filter((one) => typeof one === 'string').join('/');

/** The manifest for `architecture` (Go's name: ppc64le, ppc64), out of an index or as it is. @throws MachineError */
async function chooseManifest(source: BlobSource, top: Json, architecture: string, depth = 0): Promise<Json> {
  if (!Array.isArray(top['manifests'])) return top;
  if (depth >= MOST_DEPTH) throw new MachineError(`${source.name}: indexes of indexes of indexes`);
  const entries = objectsOf(top['manifests']);
  const platforms = entries.flatMap(({ platform }) => (isObject(platform) ? [platformOf(platform)] : []));
  const isOurs = ({ platform }: Json): boolean =>
    isObject(platform) && platformOf(platform) === `linux/${architecture}`;
  // What says nothing of a platform may be anything: its configuration says.
  const chosen = entries.find(isOurs) ?? entries.find(({ platform }) => !isObject(platform));
  if (chosen === undefined)
    throw new MachineError(
      `${source.name} has nothing for linux/${architecture}; it has ${[...new Set(platforms)].join(', ') || 'nothing'}`,
    );
  const digest = checkDigest(chosen['digest']);
  const next = parseJson(await readBlob(source, digest), `${source.name}: the manifest ${digest}`);
  return chooseManifest(source, next, architecture, depth + 1);
}

/** Of an image's configuration, or what is in its `config`. */
export function readConfig(whole: Json): ImageConfig {
  const config = isObject(whole['config']) ? whole['config'] : {};
  const pairs = textsOf(config['Env']).flatMap((one) => {
    const at = one.indexOf('=');
    return at > 0 ? [[one.slice(0, at), one.slice(at + 1)] as const] : [];
  });
  return {
    env: Object.fromEntries(pairs),
    command: [...textsOf(config['Entrypoint']), ...textsOf(config['Cmd'])],
    directory: textOf(config['WorkingDir']),
    user: textOf(config['User']),
  };
}

/** @throws MachineError when the configuration says that it is for another processor */
export function checkArchitecture(name: string, config: Json, architecture: string): void {
  const platform = platformOf(config);
  if (config['architecture'] !== undefined && config['architecture'] !== architecture)
    throw new MachineError(`${name} is for ${platform}, not for linux/${architecture}`);
}

/**
 * All that an index or manifest leads to, in the cache.
 * @throws MachineError when it is not for `architecture`, or something is missing or not what its digest says
 */
export async function resolveImage(source: BlobSource, top: Json, architecture: string): Promise<ImageContents> {
  const manifest = await chooseManifest(source, top, architecture);
  const wanted = objectsOf(manifest['layers']);
  const { config: described } = manifest;
  if (!isObject(described) || wanted.length > MOST_LAYERS)
    throw new MachineError(`${source.name}: the manifest is of a kind that is not known`);
  const config = parseJson(
    await readBlob(source, checkDigest(described['digest'])),
    `${source.name}: the configuration`,
  );
  checkArchitecture(source.name, config, architecture);
  const { rootfs } = config;
  const digests = isObject(rootfs) ? textsOf(rootfs['diff_ids']) : [];
  if (digests.length !== wanted.length) throw new MachineError(`${source.name}: not as many layers as it says`);
  const layers = await Promise.all(
    wanted.map(async ({ digest, size }, i) => {
      const plain = checkDigest(digests[i]);
      const found = stored(plain, '.tar');
      if (found !== undefined) return found;
      const bytes = typeof size === 'number' ? size : undefined;
      const packed = await keep(checkDigest(digest), bytes, () => source.open(checkDigest(digest), bytes));
      const path = await plainLayer(packed, plain);
      // It is not needed any more, and would take as much room again.
      await rm(packed, { force: true });
      return path;
    }),
  );
  return { layers, config: readConfig(config) };
}

/** A file's part as a stream. */
export const partOf = (path: string, offset: number, size: number): Readable =>
  createReadStream(path, size > 0 ? { start: offset, end: offset + size - 1 } : { start: 0, end: -1 });
