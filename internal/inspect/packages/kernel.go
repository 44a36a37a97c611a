package packages

import (
	"strings"

	"touchstone.dev/touchstone"
)

// KernelByproduct reports whether the package was built from the kernel's source
// and is not the kernel: headers, documentation, tools. Distributions file an
// advisory about the kernel under its source ("linux"), so it names these packages
// too, but the holes are in code that they do not hold. Source stays as it is: the
// package was built from it. Whoever matches advisories leaves out those that name
// the source of such a package and keeps those that name the package itself.
func KernelByproduct(p touchstone.Package) bool {
	source := p.Source
	if source == "" {
		source = p.Name
	}
	if !isKernelSource(source) {
		return false
	}
	name := p.Name
	switch purlKind(p.PURL) {
	case "deb":
		// Images, modules and drivers built for them are the kernel.
		return !strings.HasPrefix(name, "linux-image") && !strings.HasPrefix(name, "linux-modules") &&
			!strings.HasPrefix(name, "linux-signed-image") && !strings.HasPrefix(name, "linux-buildinfo-image")
	case "apk":
		return strings.HasSuffix(name, "-headers") || strings.HasSuffix(name, "-dev") || strings.HasSuffix(name, "-doc")
	case "rpm":
		for _, part := range [...]string{"headers", "devel", "doc", "tools", "source", "abi", "macros", "srpm", "syms"} {
			if strings.Contains(name, part) {
				return true
			}
		}
		switch name {
		case "bpftool", "perf", "python-perf", "python3-perf", "libperf", "rtla", "rv":
			return true
		}
	}
	return false
}

// isKernelSource reports whether the source package is the kernel's, in any of
// its flavours: "linux", "linux-signed-amd64", "linux-aws-6.8", "kernel-rt".
func isKernelSource(source string) bool {
	switch source {
	case "linux", "kernel", "linux-headers", "linux-lts", "linux-virt":
		return true
	}
	for _, prefix := range [...]string{
		"linux-signed", "linux-meta", "linux-restricted", "linux-aws", "linux-azure", "linux-gcp", "linux-gke", "linux-hwe", "linux-ibm", "linux-kvm",
		"linux-lowlatency", "linux-nvidia", "linux-oem", "linux-oracle", "linux-raspi", "linux-realtime", "linux-riscv", "linux-xilinx", "linux-bluefield",
		"linux-fips", "linux-intel", "linux-5.", "linux-6.", "linux-latest", "kernel-",
	} {
		if strings.HasPrefix(source, prefix) {
			return true
		}
	}
	return false
}
