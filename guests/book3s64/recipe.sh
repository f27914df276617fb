# 64-bit big-endian servers: PAPR (pseries) and PowerMac G5; POWER4 to POWER9.
cross=powerpc64-linux-gnu-
packages='gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross linux-libc-dev-ppc64-cross'
image=vmlinux
userland=glibc
off='poweroff -f'
