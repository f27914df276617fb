#!/bin/bash
# Builds one guest from Debian's packages:  build.sh GUEST OUT WORK
#
# GUEST is a folder beside this script, OUT receives the kernel image and initramfs.cpio.gz, WORK is scratch space
# (about 700 MB). Sources come by name through apt, from whatever mirror the system is set up with, so apt verifies
# them; apt's own lists are left alone. POWERVISOR_NODE is the Node that runs our sources. Progress goes to standard
# output, one line a step; the commands' own output to WORK/log. `build.sh --packages GUEST` only prints the packages
# that must be installed.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list_only=
[ "${1:-}" != --packages ] || { list_only=1; shift; }
guest=${1:?guest} out=${2:-} work=${3:-}
[ -f "$here/$guest/recipe.sh" ] || { echo "no recipe for a guest named '$guest'" >&2; exit 2; }
# A recipe may build on another guest's kernel (base), add a folder of configurations (with), and have shared libraries.
base=$guest with= libraries=
. "$here/$guest/recipe.sh"
packages="$packages make gcc libc6-dev flex bison bc bzip2 xz-utils"
[ -z "$list_only" ] || { echo "$packages"; exit; }
: "${out:?} ${work:?}"

jobs=$(nproc)
mkdir -p "$out" "$work"
out=$(cd "$out" && pwd) work=$(cd "$work" && pwd)
log=$work/log
: > "$log"
trap '[ $? = 0 ] || { echo "guest $guest: failed; the last lines of $log:"; tail -n 5 "$log"; } >&2' EXIT

step() { printf 'guest %s: %3d s: %s\n' "$guest" $SECONDS "$*"; }

# run COMMAND...: its output goes to the log
run() { "$@" >> "$log" 2>&1; }

# ---- sources ----

# apt with lists of its own: the system's entries, source packages too, fresh and without touching the system's lists.
private_apt=()
set_up_apt() {
	local apt=$work/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$work/sources"
	apt-get indextargets --format '$(SIGNED_BY)|$(REPO_URI) $(RELEASE) $(COMPONENT)|$(ORIGIN)' 'Created-By: Packages' |
		awk -F'|' '$3 ~ /^(Debian)?$|ORIGIN/ {
			key = $1 ~ /^\// ? "[signed-by=" $1 "] " : ""
			print "deb " key $2
			print "deb-src " key $2
		}' | sort -u > "$apt/sources.list"
	private_apt=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= -o Debug::NoLocking=1)
	run apt-get "${private_apt[@]}" update
}

# The kernel's source package: 6.1 where there is one, else the newest.
kernel_package() {
	local all
	all=$(apt-cache "${private_apt[@]}" search --names-only '^linux-source-[0-9.]+$' | cut -d' ' -f1 | sort -V)
	[ -n "$all" ] || { echo "apt's mirror has no linux-source package" >&2; return 1; }
	grep -x 'linux-source-6\.1' <<< "$all" || tail -n 1 <<< "$all"
}

fetch_kernel() {
	local package deb
	cd "$work"
	package=$(kernel_package)
	run apt-get "${private_apt[@]}" download "$package"
	deb=$(ls "${package}"_*.deb)
	# Less what no PowerPC kernel is built of: a third of the tree is left. Kconfig and make files are all needed.
	mkdir -p linux
	dpkg-deb --fsys-tarfile "$deb" | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' | xz -dc |
		tar -x -C linux --strip-components=1 --exclude-from="$here/common/kernel.exclude" >> "$log" 2>&1
	rm -f "$deb"
	[ ! -f "$here/$guest/kernel-edit.sh" ] || (cd linux && run bash -eu "$here/$guest/kernel-edit.sh")
}

# fetch_sources PACKAGE...: source packages
fetch_sources() {
	cd "$work/sources"
	run apt-get "${private_apt[@]}" source --download-only "$@"
}

# unpack NAME [MEMBER...]: the upstream archive of a fetched source package, to WORK/NAME
unpack() {
	local name=$1
	shift
	mkdir -p "$work/$name"
	run tar -x -C "$work/$name" --strip-components=1 --wildcards -f "$(ls "$work/sources/${name}"_*.orig.tar.*z* | grep -v '\.asc$')" "$@"
}

# ---- kernel ----

build_kernel() {
	local build=$work/kernel option
	local make=(make -s -C "$work/linux" "O=$build" ARCH=powerpc "CROSS_COMPILE=$cross"
		KBUILD_BUILD_USER=powervisor KBUILD_BUILD_HOST=powervisor 'KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026')
	mkdir -p "$build"
	cat "$here/common/kernel.config" "$here/$base/kernel.config" ${with:+"$here/$with/kernel.config"} > "$build/wanted.config"
	run "${make[@]}" KCONFIG_ALLCONFIG="$build/wanted.config" allnoconfig
	grep '^CONFIG.*=' "$build/wanted.config" | while read -r option; do
		grep -qxF "$option" "$build/.config" || step "note: the kernel has no $option"
	done
	# The make runs with its lines in a file of their own, so that they can be counted.
	make V=0 "${make[@]:2}" -j"$jobs" "${image##*/}" > "$build/make.log" 2>&1 &
	local maker=$!
	while sleep 10 && kill -0 $maker 2> /dev/null; do
		step "building the kernel: $(grep -c '^  CC \|^  AS ' "$build/make.log" || true) of about 800 files"
	done
	wait $maker || { tail -n 20 "$build/make.log" >> "$log"; return 1; }
	cp "$build/$image" "$out/"
	"${cross}strip" -g -o "$out/vmlinux" "$build/vmlinux"
}

# ---- user land ----

userland_soft_float() {
	local prefix=$work/soft-float routine
	export SOFT_FLOAT=$prefix
	step 'building the C library (musl, soft float)'
	unpack musl
	cd "$work/musl"
	run ./configure --target=powerpc-linux-gnu --prefix="$prefix" --disable-shared --enable-wrapper=gcc \
		CC=powerpc-linux-gnu-gcc CFLAGS='-O2 -msoft-float -mlong-double-64 -mcpu=powerpc -mno-string'
	run make -j"$jobs" install
	for routine in linux asm asm-generic mtd; do
		ln -sfn /usr/powerpc-linux-gnu/include/$routine "$prefix/include/$routine"
	done

	unpack glibc '*/soft-fp' '*/stdlib/longlong.h'
	mkdir -p "$work/softfp/include"
	cp "$here"/soft-float/*.h "$work/glibc/stdlib/longlong.h" "$work/softfp/include/"
	cd "$work/softfp"
	for routine in {add,sub,mul,div,neg,eq,ge,le,unord}{s,d}f{3,2} extendsfdf2 truncdfsf2 \
		fix{,uns}{s,d}f{s,d}i float{s,d}i{s,d}f floatun{s,d}i{s,d}f; do
		[ -f "../glibc/soft-fp/$routine.c" ] || continue
		echo "$routine"
	done | run xargs -P "$jobs" -I@ powerpc-linux-gnu-gcc -O2 -msoft-float -mlong-double-64 -fno-pie -w \
		-include include/libc-symbols-stub.h -Iinclude -I../glibc/soft-fp -c ../glibc/soft-fp/@.c -o @.o
	run powerpc-linux-gnu-ar rcs "$prefix/lib/libsoftfp.a" ./*.o
	build_busybox "$here/soft-float/gcc"
	build_benchmarks "$here/soft-float/gcc"
}

# Debian's own C library for the cross compiler.
userland_glibc() {
	build_busybox "${cross}gcc -no-pie -fno-pie"
	build_benchmarks "${cross}gcc" -static -no-pie
}

# An image of `powervisor run`: all that busybox has, for both word sizes.
userland_run() {
	local one
	for one in powerpc powerpc64; do
		cross=$one-linux-gnu- build_busybox "$one-linux-gnu-gcc -no-pie -fno-pie" defconfig
		mv "$work/busybox-build/busybox" "$work/busybox-$one"
		rm -r "$work/busybox-build"
	done
}

# build_busybox COMPILER [CONFIGURATION]: that and what common and `with` list; allnoconfig if none is named
build_busybox() {
	local build=$work/busybox-build option
	local make=(make -s -C "$work/busybox" "O=$build" "CC=$1" "AR=${cross}ar" "NM=${cross}nm" "OBJCOPY=${cross}objcopy"
		"STRIP=${cross}strip" HOSTCC=gcc)
	step 'building busybox'
	[ -d "$work/busybox" ] || unpack busybox
	mkdir -p "$build"
	run "${make[@]}" "${2:-allnoconfig}"
	option=$(cat "$here/common/busybox.config" ${with:+"$here/$with/busybox.config"} | paste -sd'|')
	sed -i -E "s/^# CONFIG_($option) is not set/CONFIG_\1=y/" "$build/.config"
	run "${make[@]}" oldconfig < <(yes '' || true)
	run "${make[@]}" -j"$jobs" busybox
}

# build_benchmarks COMPILER [FLAG...]
build_benchmarks() {
	local name
	step 'building the benchmarks'
	mkdir -p "$work/bench"
	for name in int mem fp sys; do
		run "$@" -O2 -Wall -ffp-contract=off -s -o "$work/bench/bench-$name" "$here/userland/bench-$name.c"
	done
}

build_initramfs() {
	step 'packing the initramfs'
	run "${POWERVISOR_NODE:-node}" "$here/../tools/guests/pack.ts" "$work/busybox-build/busybox" "$off" \
		"$out/initramfs.cpio.gz" "$work"/bench/bench-* \
		${libraries:+--libraries $(printf "/usr/${cross%-}/lib/%s " $libraries)}
}

# Two archives of files, which differ in busybox's word size alone, and the one for the agent.
build_run_archives() {
	local one folders=() root=initramfs.cpio.gz
	for one in powerpc64 powerpc; do
		folders+=(--libraries "$one-linux-gnu" "/usr/$one-linux-gnu/lib/$([ $one = powerpc ] && echo ld.so.1 || echo ld64.so.1)"
			$(printf "/usr/$one-linux-gnu/lib/%s " $libraries))
	done
	step 'packing the archives'
	for one in powerpc64 powerpc; do
		run "${POWERVISOR_NODE:-node}" "$here/../tools/guests/pack.ts" "$work/busybox-$one" "$off" "$out/$root" "${folders[@]}"
		root=initramfs-32.cpio.gz
	done
	run "${POWERVISOR_NODE:-node}" "$here/../tools/guests/pack-run.ts" "$work/busybox-powerpc64" "$out/run.cpio"
}

step 'fetching and unpacking the sources'
set_up_apt
sources=busybox
[ "$userland" != soft_float ] || sources='busybox musl glibc'
# shellcheck disable=SC2086
fetch_sources $sources
fetch_kernel
step 'building the kernel'
build_kernel
"userland_$userland"
if [ "$userland" = run ]; then build_run_archives; else build_initramfs; fi
step 'done'
