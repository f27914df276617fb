/** Names of images: `debian`, `user/name:tag`, `ghcr.io/owner/name@sha256:...` (distribution's "reference" grammar). */
import { MachineError } from '../../machine/index.ts';

export interface Reference {
  /** Host, with a port where one is named. */
  readonly registry: string;
  readonly repository: string;
  /** A tag, or a digest (`sha256:...`). */
  readonly version: string;
}

/** Where a name without a host is looked for, as everywhere. */
const CUSTOMARY = 'registry-1.docker.io';
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;

/** @throws MachineError */
export function parseReference(text: string): Reference {
  const wrong = new MachineError(
    `'${text}' names no image; NAME:TAG fits, or HOST/NAME:TAG, or HOST/NAME@sha256:DIGEST`,
  );
  const [, path = '', tag, digest] =
    /^([^@]*?)(?::([A-Za-z0-9_][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text) ?? [];
  const parts = path.split('/');
  const [first = ''] = parts;
  const hasHost = parts.length > 1 && (/[.:]/.test(first) || first === 'localhost');
  const registry = hasHost && first !== 'docker.io' ? first : CUSTOMARY;
  const names = hasHost ? parts.slice(1) : parts;
  if (!/^[A-Za-z0-9.-]+(:\d{1,5})?$/.test(registry) || names.some((name) => !NAME.test(name))) throw wrong;
  const repository = registry === CUSTOMARY && names.length === 1 ? `library/${names[0]}` : names.join('/');
  return { registry, repository, version: digest ?? tag ?? 'latest' };
}
