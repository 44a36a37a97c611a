package gate

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone/internal/artifact"
)

// chosen are those of an index's images that a node of one of the platforms may
// choose; all, where none is for any of them.
//
// Runtimes are lenient (containerd/platforms, "Only"): a node takes
// what is made for less where there is nothing of its own, and names that are
// written otherwise than everybody does for its own.
func chosen(sources []artifact.Source, platforms []string) []artifact.Source {
	all := make([]string, len(sources))
	for i, src := range sources {
		all[i] = src.Artifact().Platform
	}
	var out []artifact.Source
	for i, src := range sources {
		if slices.ContainsFunc(platforms, func(node string) bool { return mayChoose(node, all[i], all) }) {
			out = append(out, src)
		}
	}
	if len(out) == 0 {
		return sources
	}
	return out
}

// mayChoose reports whether a node may run the image of a platform where it has the
// choice of all. A platform without a variant stands for all variants.
func mayChoose(node, image string, all []string) bool {
	if image == node || strings.HasPrefix(image, node+"/") || strings.HasPrefix(node, image+"/") {
		return true
	}
	system, machine := machineOf(image)
	if !plain(system, machine) {
		return true
	}
	own := func(p string) bool { return unvaried(p) == unvaried(node) }
	nodeSystem, nodeMachine := machineOf(node)
	return system == nodeSystem && machine != "" && machine == lesser(nodeMachine) && !slices.ContainsFunc(all, own)
}

// machineOf parts "linux/arm/v7" into operating system and architecture.
func machineOf(platform string) (system, machine string) {
	system, machine, _ = strings.Cut(platform, "/")
	machine, _, _ = strings.Cut(machine, "/")
	return system, machine
}

// unvaried is the platform without the variant that every node of it has.
func unvaried(platform string) string {
	for _, p := range []string{"linux/amd64/v1", "linux/arm64/v8"} {
		if platform == p {
			return p[:strings.LastIndexByte(p, '/')]
		}
	}
	return platform
}

// lesser is the architecture whose programs the processors of another run too.
func lesser(machine string) string {
	switch machine {
	case "amd64":
		return "386"
	case "arm64":
		return "arm"
	}
	return ""
}

// plain reports whether the names are such as Go calls them (OCI image-spec,
// image-index.md, "platform"): no runtime makes anything else of these.
func plain(system, machine string) bool {
	switch system {
	case "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "aix", "wasip1", "wasi":
	default:
		return false
	}
	switch machine {
	case "amd64", "386", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x", "wasm":
		return true
	}
	return false
}
