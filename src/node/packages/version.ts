/** Debian's order of versions (deb-version(7)): epoch, upstream version, revision. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  return (
    left.epoch - right.epoch || comparePart(left.upstream, right.upstream) || comparePart(left.revision, right.revision)
  );
}

function split(version: string): { epoch: number; upstream: string; revision: string } {
  const colon = version.indexOf(':');
  const rest = version.slice(colon + 1);
  const hyphen = rest.lastIndexOf('-');
  return {
    epoch: colon < 0 ? 0 : Number(version.slice(0, colon)),
    upstream: hyphen < 0 ? rest : rest.slice(0, hyphen),
    revision: hyphen < 0 ? '' : rest.slice(hyphen + 1),
  };
}

/** '~' comes before the end, which comes before letters, which come before all else. */
function order(text: string, index: number): number {
  const char = text[index];
  if (char === '~') return -1;
  if (char === undefined || isDigit(char)) return 0;
  return /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
}

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= '0' && char <= '9';

/** Pieces without digits and numbers, in turns. */
function comparePart(a: string, b: string): number {
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    while ((i < a.length && !isDigit(a[i])) || (j < b.length && !isDigit(b[j]))) {
      const difference = order(a, i) - order(b, j);
      if (difference !== 0) return difference;
      i++;
      j++;
    }
    const left = /^\d*/.exec(a.slice(i))?.[0] ?? '';
    const right = /^\d*/.exec(b.slice(j))?.[0] ?? '';
    const difference = BigInt(left || 0) - BigInt(right || 0);
    if (difference !== 0n) return difference < 0n ? -1 : 1;
    i += left.length;
    j += right.length;
  }
  return 0;
}
