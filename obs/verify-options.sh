# Sourced by obs-build in its own shell beside emulator.sh: names of devices as the guest has them, and what emulator.sh has to know.
# Without a swap image results would be fetched by mounting the guest's disk on the host.
: "${VM_SWAP:=$BUILD_ROOT.swap}"
VM_ROOTDEV=/dev/vda
VM_SWAPDEV=/dev/vdb
export POWERVISOR_OBS_MEMORY=${VM_MEMSIZE:-1024}
[ -z "${vm_kernel:-}" ] || export POWERVISOR_OBS_KERNEL=$vm_kernel
[ -z "${vm_initrd:-}" ] || export POWERVISOR_OBS_INITRD=$vm_initrd
