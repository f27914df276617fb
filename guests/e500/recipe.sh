# Generic e500 machine ("ppce500"): 32-bit big-endian, e500v2, SPE in place of a floating-point unit.
cross=powerpc-linux-gnu-
packages='gcc-powerpc-linux-gnu linux-libc-dev-powerpc-cross u-boot-tools'
image=arch/powerpc/boot/uImage
userland=soft_float
off='poweroff -f'
