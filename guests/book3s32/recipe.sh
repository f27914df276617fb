# 32-bit big-endian Power Macs: G3 and G4; disks, shared folders, frame buffer, keyboard and mouse, and programs of Debian's C library.
cross=powerpc-linux-gnu-
packages='gcc-powerpc-linux-gnu libc6-dev-powerpc-cross linux-libc-dev-powerpc-cross libstdc++6-powerpc-cross'
with=devices
image=vmlinux
userland=glibc
libraries='ld.so.1 libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 libgcc_s.so.1 libstdc++.so.6'
off='poweroff -f'
