/** Debian's control files: paragraphs of fields, as in Release, Packages and apt's .sources (deb822(5)). */

/** Fields by name in lower case; lines of a folded value stay lines, without their leading space. */
export type Paragraph = ReadonlyMap<string, string>;

/** Lines that begin with '#' are comments. */
export function parseParagraphs(text: string): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  let fields = new Map<string, string>();
  let last = '';
  const end = (): void => {
    if (fields.size > 0) paragraphs.push(fields);
    fields = new Map();
  };
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') end();
    else if (/^[ \t]/.test(line)) fields.set(last, `${fields.get(last) ?? ''}\n${line.trim()}`);
    else {
      const colon = line.indexOf(':');
      last = line.slice(0, colon).toLowerCase();
      fields.set(last, line.slice(colon + 1).trim());
    }
  }
  end();
  return paragraphs;
}

/** The words of a field. */
export const words = (field: string | undefined): string[] => field?.split(/\s+/).filter(Boolean) ?? [];
