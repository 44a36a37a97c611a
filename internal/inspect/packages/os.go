package packages

import "touchstone.dev/touchstone"

// ReadOS returns what distribution a root file system is, from os-release(5):
// etc/os-release, else usr/lib/os-release, else etc/alpine-release,
// etc/debian_version or etc/redhat-release. open returns the bytes of a path without a leading
// slash; any error means that there is no such file. Links must be followed by
// open.
func ReadOS(open func(path string) ([]byte, error)) touchstone.OS { return touchstone.OS{} }

// KernelByproduct reports whether the package was built from the kernel's source
// and is not the kernel: headers, documentation, tools. An advisory about the
// kernel is filed under the source ("linux"), so it names these packages too, but
// none of its holes is in them.
func KernelByproduct(p touchstone.Package) bool { return false }
