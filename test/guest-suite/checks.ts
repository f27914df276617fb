/** What the guest debian-tools has to be able to do, and what it has to answer. */

export interface Check {
  readonly name: string;
  /** For bash. */
  readonly command: string;
  /** What the output has to have in it, besides a status of 0. */
  readonly expect?: RegExp;
  /** How long it may take on a busy computer. */
  readonly timeoutSeconds: number;
}

/** Modules of Python's own test suite. */
const pythonTests = [
  ...[
    'test_math',
    'test_float',
    'test_cmath',
    'test_statistics',
    'test_struct',
    'test_decimal',
    'test_json',
    'test_re',
  ],
  ...['test_threading', 'test_signal', 'test_ctypes'],
];

const debugged = `
#include <stdio.h>
static volatile long total;
static long add(long a, long b) { return a + b; }
int main(void) {
  for (long i = 1; i <= 3; i++)
    total = add(total, i * 10);
  printf("total %ld\\n", total);
  return 0;
}`;

const inFolder = (name: string): string => `mkdir -p /tmp/${name} && cd /tmp/${name}`;
const gdb = (name: string, ...commands: string[]): string => `${inFolder(name)} && cat > a.c <<'EOF'
${debugged}
EOF
gcc -g -O0 -o a a.c && gdb -q -batch ${commands.map((one) => `-ex '${one}'`).join(' ')} ./a`;

export const checks: readonly Check[] = [
  {
    name: 'perl-atan2',
    command: "perl -e 'print atan2(1,1)'",
    expect: /^0[.]785398163397448/,
    timeoutSeconds: 60,
  },
  { name: 'awk-sin', command: "awk 'BEGIN{print sin(1)}'", expect: /^0[.]841471/, timeoutSeconds: 60 },
  {
    name: 'sqlite-sin',
    command: "sqlite3 :memory: 'select sin(1)'",
    expect: /^0[.]841470984807897/,
    timeoutSeconds: 60,
  },
  {
    name: 'lua',
    command: 'lua -e \'print(math.sin(1), 2^0.5, string.format("%.3f", math.pi))\'',
    expect: /^0[.]8414709848079\t1[.]4142135623731\t3[.]142/,
    timeoutSeconds: 60,
  },
  {
    name: 'node',
    command: "node -e 'let s=0;for(let i=0;i<1e5;i++)s+=Math.sin(i);console.log(s.toFixed(6), [3,1,2].sort().join())'",
    expect: /^1[.]812028 1,2,3/,
    timeoutSeconds: 300,
  },
  {
    name: 'openssl',
    command: 'printf abc | openssl sha256 && openssl genrsa 2>/dev/null | openssl rsa -check -noout',
    expect: /ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad[\s\S]*RSA key ok/,
    timeoutSeconds: 300,
  },
  {
    name: 'gcc',
    command: `${inFolder('gcc')} && printf '#include <stdio.h>\\n#include <math.h>\\nint main(int c, char **v) { printf("%%.15f\\\\n", sin(c)); }\\n' > a.c && gcc -O2 -Wall -o a a.c -lm && ./a`,
    expect: /^0[.]841470984807897/,
    timeoutSeconds: 300,
  },
  {
    name: 'g++',
    command: `${inFolder('gxx')} && cat > a.cc <<'EOF'
#include <algorithm>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
int main() {
  std::map<std::string, int> count;
  for (const char *word : {"b", "a", "b"}) count[word]++;
  for (const auto &[word, n] : count) std::cout << word << n << ' ';
  try { throw std::runtime_error("caught"); } catch (const std::exception &e) { std::cout << e.what() << std::endl; }
}
EOF
g++ -std=c++17 -O2 -o a a.cc && ./a`,
    expect: /^a1 b2 caught/,
    timeoutSeconds: 600,
  },
  {
    name: 'make',
    command: `${inFolder('make')} && printf 'all: a.x b.x\\n%%.x: ; echo made $@ > $@\\n' > Makefile && make -j4 -s && cat a.x b.x`,
    expect: /^made a[.]x\nmade b[.]x/,
    timeoutSeconds: 60,
  },
  {
    name: 'git',
    command: `${inFolder('git')} && git init -q . && git config user.email a@b.c && git config user.name A && echo 1 > f && git add f && git commit -qm one && echo 2 >> f && git commit -qam two && git fsck --strict && git log --format=%s && git diff HEAD~1 --stat`,
    expect: /two\none\n f [|] 1 [+]/,
    timeoutSeconds: 120,
  },
  {
    name: 'strace',
    command: "strace -f -e trace=execve,exit_group sh -c 'true; /bin/true'",
    expect: /execve[(]"\/bin\/true"[\s\S]*exited with 0/,
    timeoutSeconds: 120,
  },
  {
    name: 'gdb-break',
    command: gdb('gdb-break', 'break add', 'run', 'backtrace', 'continue', 'print a', 'print b', 'finish'),
    expect:
      /Breakpoint 1, add \(a=0, b=10\)[\s\S]*#1 .*main[\s\S]*[$]1 = 10\n[$]2 = 20\n[\s\S]*Value returned is [$]3 = 30/,
    timeoutSeconds: 300,
  },
  {
    name: 'gdb-step',
    command: gdb('gdb-step', 'break main', 'run', 'next', 'step', 'stepi', 'stepi', 'info symbol $pc', 'continue'),
    expect:
      /Breakpoint 1, main[\s\S]*add \(a=0, b=10\)[\s\S]*(add|main).* in section .text[\s\S]*total 60[\s\S]*exited normally/,
    timeoutSeconds: 300,
  },
  {
    name: 'gdb-watch',
    command: gdb('gdb-watch', 'break main', 'run', 'watch total', ...Array(4).fill('continue')),
    expect:
      /Hardware watchpoint 2: total[\s\S]*Old value = 0\nNew value = 10\n[\s\S]*New value = 30\n[\s\S]*New value = 60\n[\s\S]*total 60/,
    timeoutSeconds: 300,
  },
  {
    name: 'gdb-watch-software',
    command: gdb(
      'gdb-watch-software',
      ...['set can-use-hw-watchpoints 0', 'break main', 'run', 'watch total'],
      ...Array(3).fill('continue'),
    ),
    expect: /Watchpoint 2: total[\s\S]*Old value = 0\nNew value = 10\n[\s\S]*New value = 30\n[\s\S]*New value = 60\n/,
    timeoutSeconds: 600,
  },
  ...pythonTests.map((name) => ({
    name,
    command: `cd /tmp && python3 -m test ${name}`,
    expect: /(All 1 test|1 test) OK[.]\n/,
    timeoutSeconds: 1800,
  })),
];
