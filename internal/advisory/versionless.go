package advisory

import (
	"slices"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/release"
)

// Versionless is the name under which Coverage lists packages that advisories
// are written for and that do not tell their version. Every hole ever found may
// be in them, or none: that is one thing unknown, and not as many matches.
const Versionless = "packages that do not tell their version"

// versionless reports whether the package does not tell its version: the main
// module of a Go program built outside version control ("(devel)"), or a module
// replaced by a folder beside it, whose "v0.0.0" is a placeholder.
func versionless(p *touchstone.Package) bool {
	switch p.Version {
	case "", "(devel)":
		return true
	case "0.0.0", "v0.0.0":
		return release.Family(p.Ecosystem) == "Go"
	default:
		return false
	}
}

// coverVersionless is the coverage of such packages, by name.
func coverVersionless(names []string) touchstone.Coverage {
	slices.Sort(names)
	return touchstone.Coverage{
		Ecosystem: Versionless, Packages: len(names),
		Why:    "advisories are written for " + strings.Join(slices.Compact(names), ", ") + ", and which of them fit cannot be told",
		Remedy: "build with a version: Go 1.24 and later takes it from version control (-buildvcs=true)",
	}
}
