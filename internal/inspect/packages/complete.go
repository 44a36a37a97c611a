package packages

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"touchstone.dev/touchstone"
)

// Complete returns the packages with the release of the distribution filled in:
// Ecosystem as OSV names it, and namespace and distro in the package URL
// (purl-spec, types deb, apk, rpm and the like). Packages of a language stay as
// they are. Where OSV has no ecosystem for the distribution, or nothing says which
// distribution it is, Ecosystem stays empty.
func Complete(pkgs []touchstone.Package, os touchstone.OS) []touchstone.Package {
	completed := make([]touchstone.Package, len(pkgs))
	ecosystems := map[string]string{} // by type of package URL
	for i, p := range pkgs {
		completed[i] = p
		kind := purlKind(p.PURL)
		if !ofSystem(kind) {
			continue
		}
		ecosystem, known := ecosystems[kind]
		if !known {
			ecosystem = systemEcosystem(kind, os)
			ecosystems[kind] = ecosystem
		}
		completed[i].Ecosystem = ecosystem
		completed[i].PURL = purlIn(p.PURL, os)
	}
	return completed
}

// purlKind returns the type of a package URL.
func purlKind(purl string) string {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(rest, "/")
	return kind
}

// ofSystem reports whether packages of the type belong to a distribution.
func ofSystem(kind string) bool {
	switch kind {
	case "deb", "opkg", "apk", "rpm", "pacman", "alpm", "portage", "ebuild", "cos", "snap":
		return true
	}
	return false
}

// purlIn returns the package URL with the distribution in it.
func purlIn(purl string, os touchstone.OS) string {
	u, err := packageurl.FromString(purl)
	if err != nil || os.ID == "" {
		return purl
	}
	u.Namespace = purlNamespace(os.ID)
	distro := os.ID
	switch {
	case os.Version != "":
		distro += "-" + os.Version
	case os.Codename != "":
		distro += "-" + os.Codename
	}
	qualifiers := u.Qualifiers.Map()
	qualifiers["distro"] = distro
	u.Qualifiers = packageurl.QualifiersFromMap(qualifiers)
	return u.ToString()
}

// purlNamespace returns the vendor in package URLs (purl-spec, type rpm: "The
// namespace is the vendor such as Fedora or OpenSUSE").
func purlNamespace(id string) string {
	switch {
	case id == "sles" || id == "sled" || strings.HasPrefix(id, "sle-") || strings.HasPrefix(id, "sle_") || id == "sl-micro":
		return "suse"
	case strings.HasPrefix(id, "opensuse"):
		return "opensuse"
	case id == "rhel":
		return "redhat"
	case id == "mariner":
		return "azurelinux"
	}
	return id
}
