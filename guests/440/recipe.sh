# AMCC 440EP evaluation board ("bamboo"): 32-bit big-endian, no floating-point unit.
cross=powerpc-linux-gnu-
packages='gcc-powerpc-linux-gnu linux-libc-dev-powerpc-cross u-boot-tools'
image=arch/powerpc/boot/uImage
userland=soft_float
off='reboot -f'
