package advisory

import "strings"

// kernelHeaders reports whether a package of a distribution holds only headers
// or build files of the kernel. Such packages are built from the kernel's source
// and get all of its advisories, though nothing of them ever runs: thousands of
// false matches in every image with a compiler.
func kernelHeaders(name string) bool {
	switch name {
	case "linux-libc-dev", "linux-compiler", "kernel-headers", "kernel-devel", "linux-glibc-devel", "linux-headers", "kernel-srpm-macros", "kernel-rpm-macros", "kernel-macros":
		return true
	}
	for _, prefix := range []string{
		"linux-headers-", "linux-libc-dev-", "linux-kbuild-", "linux-compiler-gcc-", "linux-source", "linux-doc",
		"kernel-headers-", "kernel-devel-", "kernel-rt-devel", "kernel-doc", "kernel-source",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	// Ubuntu: linux-aws-headers-5.15.0-1019, linux-azure-5.15-headers-…
	return strings.HasPrefix(name, "linux-") && strings.Contains(name, "-headers")
}
