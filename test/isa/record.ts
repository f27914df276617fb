/** Records what objdump makes of the random words: `node test/isa/record.ts`, after the table has changed. */
import { writeFileSync } from 'node:fs';
import { objdumpVersion, objdumpWords, RECORDING_FILE, type Recording, relocatable } from './objdump.ts';
import { DIALECTS, digest, namedForms, wordsOf } from './words.ts';

const WORDS_PER_FORM = 100;

const version = objdumpVersion();
if (version === undefined) throw new Error('there is no powerpc-linux-gnu-objdump to record from');
const forms: Record<string, Recording['forms'][string]> = {};
const named = namedForms();
const listings = new Map(
  DIALECTS.flatMap(({ dialect, has }) => {
    const ours = named.filter(([, form]) => has(form));
    const listing = objdumpWords(
      ours.flatMap(([, form]) => wordsOf(form, WORDS_PER_FORM)),
      dialect,
    );
    return ours.map(([name], at) => [name, listing.slice(at * WORDS_PER_FORM, (at + 1) * WORDS_PER_FORM)] as const);
  }),
);
named.forEach(([name]) => {
  const texts = listings.get(name) ?? [];
  const [first] = texts;
  if (!first || texts.length !== WORDS_PER_FORM) throw new Error(`${name}: objdump answered ${texts.length} lines`);
  const word = `0x${first.word.toString(16).padStart(8, '0')}`;
  forms[name] = { digest: digest(texts.map(relocatable).join('\n')), word, text: relocatable(first) };
});
const lines = Object.entries(forms).map(([name, form]) => `    ${JSON.stringify(name)}: ${JSON.stringify(form)}`);
const head = `{\n  "version": ${JSON.stringify(version)},\n  "wordsPerForm": ${WORDS_PER_FORM},\n  "forms": {\n`;
writeFileSync(RECORDING_FILE, `${head}${lines.join(',\n')}\n  }\n}\n`);
console.log(`${named.length} forms recorded from objdump ${version}`);
