# The 64-bit big-endian servers with what guests/devices has: disks, shared folders, and programs of Debian's C library.
. "$here/book3s64/recipe.sh"
base=book3s64
with=devices
packages="$packages libstdc++6-ppc64-cross"
libraries='ld64.so.1 libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 libgcc_s.so.1 libstdc++.so.6'
