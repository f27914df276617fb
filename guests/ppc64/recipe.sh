# The image of `powervisor run` for big-endian programs: 64-bit ones, and 32-bit ones beside them. A kernel for pseries with all
# that the machine of a run has built in, a full busybox for each word size, and Debian's shared libraries for both.
cross=powerpc64-linux-gnu-
packages='gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross linux-libc-dev-ppc64-cross libstdc++6-ppc64-cross libatomic1-ppc64-cross libgomp1-ppc64-cross'
packages="$packages gcc-powerpc-linux-gnu libc6-dev-powerpc-cross linux-libc-dev-powerpc-cross libstdc++6-powerpc-cross libatomic1-powerpc-cross libgomp1-powerpc-cross"
image=vmlinux
userland=run
off='poweroff -f'
with=devices
libraries='libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1 libresolv.so.2 libnss_files.so.2 libnss_dns.so.2 libanl.so.1 libgcc_s.so.1 libstdc++.so.6 libatomic.so.1 libgomp.so.1'
