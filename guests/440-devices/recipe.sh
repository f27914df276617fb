# The 440's board with what guests/devices has: disks, shared folders, and programs of Debian's C library, whose
# floating point the kernel emulates.
. "$here/440/recipe.sh"
base=440
with=devices
packages="$packages libc6-dev-powerpc-cross libstdc++6-powerpc-cross"
userland=glibc
libraries='ld.so.1 libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 libgcc_s.so.1 libstdc++.so.6'
