#!/bin/bash
# obs-build's `--vm-type emulator`: called with the words of --vm-args, the root image, the swap image (an empty word when there is none).
# Standard output is the log of the build. A guest that powers off is 0, whatever its build said: that is on the swap image.
set -u
if [ $# -lt 2 ]; then
	echo 'emulator.sh: obs-build calls this with a root image and a swap image' >&2
	exit 1
fi
words=("${@:1:$#-2}") root=${*: -2:1} swap=${*: -1}
kernel=${POWERVISOR_OBS_KERNEL:-${BUILD_ROOT:-}/boot/kernel} initrd=${POWERVISOR_OBS_INITRD:-${BUILD_ROOT:-}/boot/initrd}
[ -f "$kernel" ] || { echo "emulator.sh: there is no kernel $kernel: POWERVISOR_OBS_KERNEL names one" >&2; exit 1; }
options=(--machine pseries --no-reboot --memory "${POWERVISOR_OBS_MEMORY:-1024}M" --kernel "$kernel" --disk "$root,format=raw")
[ -z "$swap" ] || options+=(--disk "$swap,format=raw")
[ ! -f "$initrd" ] || options+=(--initrd "$initrd")
# In the place of the shell, so that who kills what has the root image open kills the machine.
# shellcheck disable=SC2086
exec ${POWERVISOR:-powervisor} boot "${options[@]}" "${words[@]}" \
	--append 'console=hvc0 root=/dev/vda rw init=/.build/build oops=panic panic=1' < /dev/null
