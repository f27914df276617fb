/** The signature of a Release file, checked with gpgv. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AptOptions, aptPath, listFolder, type Source } from './apt.ts';
import { PackageError } from './error.ts';

export interface SignedText {
  readonly text: string;
  /** Why nobody checked the signature; undefined: it was good. */
  readonly unchecked?: string;
}

const debianKeyrings = ['debian-archive-keyring.gpg', 'debian-archive-keyring.pgp'];

/** The bytes of a key in ASCII armour (RFC 4880, section 6.2); gpgv takes no other keyrings. */
function removeArmour(text: string): Buffer {
  const body = /^-----BEGIN PGP PUBLIC KEY BLOCK-----\s*\n(?:\S+:.*\n)*\s*\n([^-]*?)(?:\n=\S{4})?\s*-----END/m.exec(
    text,
  );
  return Buffer.from(body?.[1] ?? '', 'base64');
}

/** Keyrings for a source: what it names, else what the system trusts and Debian's own. */
function keyrings(source: Source, options: AptOptions, folder: string): string[] {
  const parts = aptPath(options, 'Dir::Etc::trustedparts', 'trusted.gpg.d');
  const general = [
    aptPath(options, 'Dir::Etc::trusted', 'trusted.gpg'),
    ...listFolder(parts).map((name) => join(parts, name)),
    ...debianKeyrings.map((name) => join('/usr/share/keyrings', name)),
  ];
  const isArmour = (key: string): boolean => key.includes('-----BEGIN PGP');
  return (source.signedBy.length > 0 ? source.signedBy : general).flatMap((key, index) => {
    // What is not a file is a key's fingerprint, which narrows the choice among keys that the system trusts anyway.
    if (!isArmour(key) && !existsSync(key)) return [];
    const bytes = isArmour(key) ? Buffer.from(key) : readFileSync(key);
    if (!isArmour(bytes.toString('latin1', 0, 4096))) return [key];
    const file = join(folder, `key-${index}.gpg`);
    writeFileSync(file, removeArmour(bytes.toString('latin1')));
    return [file];
  });
}

/** The text within "BEGIN PGP SIGNED MESSAGE" (RFC 4880, section 7), unchecked. */
export function clearText(message: string): string {
  const match =
    /^-----BEGIN PGP SIGNED MESSAGE-----\r?\n(?:.+\r?\n)*\r?\n([\s\S]*?)\r?\n-----BEGIN PGP SIGNATURE-----/.exec(
      message,
    );
  return match ? (match[1] ?? '').replace(/^- /gm, '') : message;
}

/**
 * Checks the signature of an InRelease file and answers what was signed.
 * @throws PackageError when there are keys and it is none of theirs.
 */
export function checkSignature(message: string, source: Source, options: AptOptions, gpgv = 'gpgv'): SignedText {
  if (source.trusted) return { text: clearText(message), unchecked: "apt's configuration trusts it as it is" };
  if (spawnSync(gpgv, ['--version']).status !== 0)
    return { text: clearText(message), unchecked: 'gpgv is not installed' };
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-keys-'));
  try {
    const keys = keyrings(source, options, folder);
    if (keys.length === 0)
      return {
        text: clearText(message),
        unchecked: "there are no keys (Debian's package debian-archive-keyring has them)",
      };
    const output = join(folder, 'text');
    const input = join(folder, 'message');
    writeFileSync(input, message);
    const words = ['--status-fd', '1', '--output', output, ...keys.flatMap((key) => ['--keyring', key]), input];
    const { stdout } = spawnSync(gpgv, words, {
      encoding: 'utf8',
      env: { ...process.env, GNUPGHOME: folder, LC_ALL: 'C' },
    });
    // gpgv's own status asks for all signers' keys; one good signature of a key that we have is enough, and no bad one.
    if (!/^\[GNUPG:\] GOODSIG /m.test(stdout) || /^\[GNUPG:\] BADSIG /m.test(stdout))
      throw new PackageError(`the signature of ${source.uri}dists/${source.suite}/InRelease is not good`);
    return { text: readFileSync(output, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
