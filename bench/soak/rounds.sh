#!/bin/bash
# The work of the soak, inside of the guest: rounds of compiling, Python and shell until the machine is ended. Each round's
# programs are others, so that there is always code that was never seen. A line ROUND tells of each.
cd /tmp || exit 1
mkdir -p soak && cd soak || exit 1

# source SEED FUNCTIONS: a C program of many functions, and the sum that it has to print.
cat > source.py <<'END'
import random, sys
seed, count = int(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
mask = (1 << 64) - 1
lines = ['#include <stdio.h>', 'typedef unsigned long u64;']
total = 0
for i in range(count):
    a, b, c = rng.getrandbits(63) | 1, rng.getrandbits(60), rng.randrange(1, 63)
    n = rng.randrange(3, 40)
    lines += [f'__attribute__((noinline)) u64 f{i}(u64 x) {{ u64 s = x; for (int i = 0; i < {n}; i++) {{ s = s * {a}UL + {b}UL;',
              f'  if (s & {1 << c}UL) s ^= s >> {c}; else s += {i}UL * i; switch (s & 3) {{ case 0: s += 7; break; case 1: s ^= {b}UL; break; default: s--; }} }} return s; }}']
    s = i
    for k in range(n):
        s = (s * a + b) & mask
        if s & (1 << c): s ^= s >> c
        else: s = (s + i * k) & mask
        if s & 3 == 0: s = (s + 7) & mask
        elif s & 3 == 1: s ^= b
        else: s = (s - 1) & mask
    total = (total + s) & mask
calls = ' '.join(f't += f{i}({i});' for i in range(count))
lines += [f'int main(void) {{ u64 t = 0; {calls} printf("%lu\\n", t); return 0; }}']
open('a.c', 'w').write('\n'.join(lines) + '\n')
print(total)
END

cat > b.cc <<'END'
#include <algorithm>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>
int main(int argc, char **argv) {
  std::mt19937 rng(SEED);
  std::vector<std::string> words;
  for (int i = 0; i < 20000; i++) words.push_back(std::to_string(rng() % 5000));
  std::sort(words.begin(), words.end());
  std::map<std::string, int> count;
  for (const auto &word : words) count[word]++;
  int sum = 0;
  for (const auto &[word, n] : count) sum += n;
  std::cout << sum << std::endl;
}
END

# Python: bytecode, allocation, big integers, floating point, regular expressions.
cat > bench.py <<'END'
import hashlib, json, re, sys
seed = int(sys.argv[1])
def queens(n, row=0, cols=0, left=0, right=0):
    if row == n: return 1
    found, free = 0, ~(cols | left | right) & ((1 << n) - 1)
    while free:
        bit = free & -free
        free ^= bit
        found += queens(n, row + 1, cols | bit, (left | bit) << 1, (right | bit) >> 1)
    return found
assert queens(8) == 92
a, b = 0, 1
for _ in range(5000): a, b = b, a + b
assert a.bit_length() == 3471
bodies = [[float(i), float(i * seed % 17), 1.0 / (i + 1)] for i in range(40)]
for _ in range(30):
    for p in bodies:
        for q in bodies:
            dx, dy = p[0] - q[0], p[1] - q[1]
            d = dx * dx + dy * dy + 0.25
            p[2] += 1e-6 * (q[0] - p[0]) / d
        p[0] += p[2]
document = [{'name': f'n{i}', 'values': list(range(i % 50)), 'x': bodies[i % 40][0]} for i in range(500)]
assert json.loads(json.dumps(document)) == document
words = re.findall(r'n(\d+)"', json.dumps(document))
assert len(words) == 500
digest = hashlib.sha256()
for i in range(300): digest.update(str(i * seed).encode() * 20)
print('python', digest.hexdigest()[:8])
END

work() {
	case $1 in
	gcc)
		want=$(python3 source.py "$2" 120) && gcc -O2 -o a a.c && [ "$(./a)" = "$want" ]
		;;
	g++)
		g++ -O2 -DSEED="$2" -o b b.cc && [ "$(./b)" = 20000 ]
		;;
	python)
		python3 bench.py "$2" > python.out
		;;
	shell)
		rm -rf tree && mkdir tree && for i in $(seq 200); do
			echo "line $i of $2" > "tree/$i"
			[ "$(sed 's/line/LINE/' "tree/$i" | cut -d' ' -f2)" = "$i" ] || return 1
		done
		[ "$(find tree -type f -exec cat {} + | sort -k2n | awk '{ s += $2 } END { print s }')" = 20100 ] || return 1
		tar -c tree | gzip -9 > tree.tgz && [ "$(tar -tzf tree.tgz | wc -l)" = 201 ]
		;;
	perl)
		[ "$(perl -e 'my %h; $h{$_ % 977} .= $_ for 1..60000; my $n = 0; $n += length for values %h; print $n')" = 288894 ]
		;;
	git)
		rm -rf repo && git init -q repo && cd repo || return 1
		git config user.email a@b.c && git config user.name A
		for i in $(seq 10); do cp ../a.c f && echo "$i $2" >> f && git add f && git commit -qm "$i" || return 1; done
		git gc -q && git fsck --strict > /dev/null 2>&1 && [ "$(git log --format=%s | wc -l)" = 10 ] && cd ..
		;;
	esac
}

# What the guest's kernel hands out for the first time is memory that the host has to give: that comes first.
python3 - <<'END'
import re
free = int(re.search(r'MemAvailable:\s*(\d+)', open('/proc/meminfo').read()).group(1)) << 10
pieces = [b'\x55' * (1 << 20) for _ in range(int(free * 0.9) >> 20)]
print('TOUCHED', len(pieces))
END

for ((round = ${1:-1}; ; round++)); do
	for kind in gcc g++ python shell perl git; do
		begin=$(date +%s%N)
		if (work "$kind" "$round") > log 2>&1; then result=ok; else result=WRONG; fi
		echo "ROUND $round $kind $result $((($(date +%s%N) - begin) / 1000000)) ms"
		[ $result = ok ] || tail -5 log
	done
done
