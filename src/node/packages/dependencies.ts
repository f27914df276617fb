/** What packages need to be of use: the fields Depends and Pre-Depends of Debian's packages (Debian Policy, chapter 7). */
import type { Package, PackageClient } from './client.ts';
import { PackageError } from './error.ts';

/** The names of a dependency that would do, in the order in which apt would try them. */
export type Alternatives = readonly string[];

/** A field such as Depends. Versions are left out: the packages of a suite fit one another. */
function parseDependencies(field: string): Alternatives[] {
  return field
    .split(',')
    .map((one) => one.split('|').flatMap((name) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(name)?.[1] ?? []))
    .filter((names) => names.length > 0);
}

/**
 * The packages that `wanted` asks for, each in the form of a dependency ("bash", "mawk | gawk"), and all that they depend
 * on, in order of their names. What `without` names is taken to be there already. @throws PackageError
 */
export function closure(
  client: Pick<PackageClient, 'find' | 'lookUp' | 'providersOf'>,
  wanted: readonly string[],
  without: ReadonlySet<string> = new Set(),
): Package[] {
  const chosen = new Map<string, Package>();
  const waiting: Package[] = [];
  const choose = (one: Package): void => {
    if (chosen.has(one.name)) return;
    chosen.set(one.name, one);
    waiting.push(one);
  };
  const isThere = (name: string): boolean => chosen.has(name) || without.has(name);
  const satisfy = (alternatives: Alternatives, who: string): void => {
    if (alternatives.some((name) => isThere(name) || client.providersOf(name).some(isThere))) return;
    const real = alternatives.map((name) => client.lookUp(name)).find((found) => found !== undefined);
    const provider = alternatives.flatMap((name) => client.providersOf(name))[0];
    if (real !== undefined) choose(real);
    else if (provider !== undefined) choose(client.find(provider));
    // Its message says where it was looked for.
    else if (alternatives.length === 1) choose(client.find(alternatives[0] ?? ''));
    else throw new PackageError(`${who} ${alternatives.join(' or ')}, and there is none of them`);
  };
  // All that are asked for come first, so that they satisfy what has alternatives.
  for (const alternatives of wanted.flatMap(parseDependencies)) satisfy(alternatives, 'what is wanted is');
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
    const fields = [one.fields.get('pre-depends'), one.fields.get('depends')];
    for (const alternatives of fields.flatMap((field) => parseDependencies(field ?? '')))
      satisfy(alternatives, `the package ${one.name} depends on`);
  }
  return [...chosen.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
