/** Real programs in the guest debian-tools, one after another in its shell, of each contender in turns. */
import { readFileSync } from 'node:fs';
import { ConsoleError, GuestConsole } from '../test/guest-suite/console.ts';
import type { Contender } from './contenders.ts';
import { BenchError } from './errors.ts';
import type { Guest, Metric } from './guests.ts';
import type { Sample } from './race.ts';
import { parseStat, TICKS_PER_SECOND } from './threads.ts';

interface Program {
  readonly name: string;
  readonly command: string;
  /** What its output must match. */
  readonly answer: RegExp;
}

const BOOT_SECONDS = 900;
const PROGRAM_SECONDS = 1200;

/** A C program of some 5,000 lines: many small functions, loops and switches, as a compiler gets them. */
function cSource(): string {
  const parts = ['#include <stdio.h>'];
  for (let i = 0; i < 400; i++)
    parts.push(
      `static int f${i}(const int *a, int n)`,
      '{',
      `\tint s = ${i};`,
      '\tfor (int i = 0; i < n; i++) {',
      `\t\tif (a[i] > s) s += a[i] * ${i + 3}; else s ^= a[i] << ${i % 7};`,
      '\t}',
      '\tswitch (s & 7) {',
      '\tcase 0: return s;',
      '\tcase 1: s += 3; break;',
      '\tcase 2: s *= 5; break;',
      '\tcase 3: return -s;',
      '\tdefault: s -= n;',
      '\t}',
      '\treturn s;',
      '}',
    );
  const calls = Array.from({ length: 400 }, (_, i) => `\ts += f${i}(a, 64);`);
  const main = ['int main(void)', '{', '\tint a[64], s = 0;', '\tfor (int i = 0; i < 64; i++) a[i] = i * i;'];
  return [...parts, ...main, ...calls, '\tprintf("%d\\n", s);', '\treturn 0;', '}'].join('\n');
}

const CXX_SOURCE = `#include <iostream>
#include <map>
#include <regex>
#include <string>
int main()
{
	std::map<std::string, int> counts;
	const std::regex word("[a-z]+");
	const std::string text = "the one and the other and the third";
	for (std::sregex_iterator i(text.begin(), text.end(), word), end; i != end; ++i) counts[i->str()]++;
	for (const auto &[name, count] : counts) std::cout << name << ' ' << count << '\\n';
}`;

const PYTHON_BENCH = `import hashlib, json
d = {}
s = 0
for i in range(600000):
    d[i % 1000] = d.get(i % 1000, 0) + i
    s += len(str(i))
print(s, hashlib.sha256(json.dumps(d).encode()).hexdigest()[:8])`;

const NODE_BENCH = `const words = new Map();
let x = 1;
for (let i = 0; i < 2e6; i++) { x = (x * 1103515245 + 12345) >>> 0; const k = 'w' + (x % 5000); words.set(k, (words.get(k) ?? 0) + 1); }
console.log(words.size, [...words.values()].reduce((a, b) => a + b));`;

const SQLITE_BENCH = `create table t(a integer primary key, b text, c integer);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) insert into t select i, printf('%08d', i * 7919 % 100003), i % 97 from n;
create index tb on t(b);
select count(distinct b), sum(c) from t;
select c, count(*) from t where b > '00050000' group by c order by 2 desc, 1 limit 1;`;

const FILES: Readonly<Record<string, string>> = {
  'big.c': cSource(),
  'words.cc': CXX_SOURCE,
  'bench.py': PYTHON_BENCH,
  'bench.js': NODE_BENCH,
  'bench.sql': SQLITE_BENCH,
};

const openssl = (name: string, what: string): Program => ({
  name: `openssl ${name}`,
  command: `head -c 30000000 /dev/zero | openssl ${what} | openssl dgst -md5`,
  answer: /[0-9a-f]{32}/,
});

const KEY = '000102030405060708090a0b0c0d0e0f';

const PROGRAMS: readonly Program[] = [
  ...['first', 'second', 'third'].map((which) => ({
    name: `gcc -O2, ${which}`,
    command: 'gcc -O2 big.c -o big && ./big',
    answer: /^-?\d+$/m,
  })),
  { name: 'g++ -O2 with <regex>', command: 'g++ -O2 words.cc -o words && ./words', answer: /^the 3$/m },
  { name: '50 times /bin/true', command: 'for i in $(seq 50); do /bin/true; done; echo $i', answer: /^50$/m },
  { name: '10 starts of python', command: 'for i in $(seq 10); do python3 -c pass; done; echo $i', answer: /^10$/m },
  { name: 'python', command: 'python3 bench.py', answer: /^3488890 [0-9a-f]{8}$/m },
  { name: 'node', command: 'node bench.js', answer: /^650 2000000$/m },
  { name: 'sqlite, 100,000 rows', command: 'rm -f x.db; sqlite3 x.db < bench.sql', answer: /^100000\|\d+$/m },
  { name: 'tar | xz', command: 'tar cf - -C /usr/include . | head -c 8000000 | xz -2 | wc -c', answer: /^\d{5,}$/m },
  { name: 'awk', command: `awk 'BEGIN { for (i = 0; i < 1000000; i++) s += i % 7; print s }'`, answer: /^2999997$/m },
  openssl('sha256', 'dgst -sha256 -binary'),
  openssl('aes-128-cbc', `enc -aes-128-cbc -K ${KEY} -iv ${KEY}`),
  openssl('chacha20', `enc -chacha20 -K ${KEY}${KEY} -iv ${KEY}`),
];

export const PEAK_MEMORY = 'peak memory';
const BOOT = 'boot to the shell';
const CPU = 'processor time';

export const programMetrics: readonly Metric[] = [
  { name: BOOT, unit: 's' },
  ...PROGRAMS.map(({ name }): Metric => ({ name, unit: 's' })),
  { name: CPU, unit: 's' },
  { name: PEAK_MEMORY, unit: 'MB' },
];

/** Processor time of a process so far, and the most memory that it had. */
function usage(pid: number): Record<string, number> {
  const { ticks } = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  const peak = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return { [CPU]: ticks / TICKS_PER_SECOND, [PEAK_MEMORY]: Number(peak ?? 0) / 1000 };
}

/** Boots, runs all, and answers what each took. */
async function runOnce(contender: Contender, guest: Guest): Promise<Record<string, number>> {
  const start = performance.now();
  const shell = await GuestConsole.boot(contender.command(`console=${guest.console} quiet`), BOOT_SECONDS);
  const figures: Record<string, number> = { [BOOT]: (performance.now() - start) / 1000 };
  try {
    await shell.run('mkdir -p /tmp/bench', 60);
    for (const [name, contents] of Object.entries(FILES)) await writeLong(shell, `/tmp/bench/${name}`, contents);
    for (const { name, command, answer } of PROGRAMS) {
      const { status, output, seconds } = await shell.run(`cd /tmp/bench && ${command}`, PROGRAM_SECONDS);
      if (status !== 0 || !answer.test(output))
        throw new BenchError(`${contender.name}: ${name} ended with ${status}: ${output.trim().slice(-200)}`);
      figures[name] = seconds;
    }
    Object.assign(figures, usage(shell.pid));
  } finally {
    await shell.kill();
  }
  return figures;
}

/** Writes a file in pieces, as a terminal takes them. */
async function writeLong(shell: GuestConsole, path: string, contents: string): Promise<void> {
  const lines = contents.split('\n');
  await shell.run(`: > ${path}`, 60);
  for (let at = 0; at < lines.length; at += 200) {
    await shell.writeFile(`${path}.part`, lines.slice(at, at + 200).join('\n'));
    const { status, output } = await shell.run(`cat ${path}.part >> ${path}`, 60);
    if (status !== 0) throw new BenchError(`${path} cannot be written: ${output}`);
  }
}

/** @throws BenchError when a program does not answer what it must, or a machine does not. */
export async function racePrograms(guest: Guest, contenders: readonly Contender[], rounds: number): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let round = 1; round <= rounds; round++)
    for (const contender of contenders) {
      try {
        // What remembers earlier runs has one.
        if (round === 1 && contender.fills) await runOnce(contender, guest);
        const figures = await runOnce(contender, guest);
        samples.push({ round, contender: contender.name, seconds: 0, figures, clock: {} });
        console.error(
          `round ${round}/${rounds} ${contender.name}: ${programMetrics.map(({ name }) => `${name} ${figures[name]?.toFixed(2)}`).join(', ')}`,
        );
      } catch (error) {
        if (error instanceof ConsoleError) throw new BenchError(`${contender.name}: ${error.message}`);
        throw error;
      }
    }
  return samples;
}
