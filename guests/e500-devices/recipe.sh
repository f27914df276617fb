# The e500 machine with what guests/devices has: disks, shared folders, and programs of Debian's C library, whose
# floating point the kernel emulates.
. "$here/e500/recipe.sh"
base=e500
with=devices
packages="$packages libc6-dev-powerpc-cross libstdc++6-powerpc-cross"
userland=glibc
libraries='ld.so.1 libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 libgcc_s.so.1 libstdc++.so.6'
