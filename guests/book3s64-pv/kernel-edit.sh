# In the kernel's source: what keeps a kernel of this age from using KVM's magic page.
#
# Once the page is mapped, kvm_use_magic_page() tests it with fault_in_readable(), which is for user addresses: it refuses
# the page's address (-4096) without a look at it, and the kernel goes on unpatched and says nothing, on every host. A read
# of a kernel address that may fault tests what was meant.
file=arch/powerpc/kernel/kvm.c
sed -i '/if (fault_in_readable(.*KVM_MAGIC_PAGE/ {
	N
	s/fault_in_readable(.*))) *{/({ u32 word; get_kernel_nofault(word, (u32 *)KVM_MAGIC_PAGE); })) {/
}' "$file"
sed -i 's|^#include <linux/pagemap.h>|&\n#include <linux/uaccess.h>|' "$file"
grep -q 'get_kernel_nofault(word' "$file"
