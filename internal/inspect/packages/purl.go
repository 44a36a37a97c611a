package packages

import (
	"strings"

	"github.com/package-url/packageurl-go"
)

// purlOf returns the package URL (purl-spec). qualifiers are pairs of key and
// value; empty values are left out.
func purlOf(kind, namespace, name, version string, qualifiers ...string) string {
	var q packageurl.Qualifiers
	for i := 0; i+1 < len(qualifiers); i += 2 {
		if qualifiers[i+1] != "" {
			q = append(q, packageurl.Qualifier{Key: qualifiers[i], Value: qualifiers[i+1]})
		}
	}
	return packageurl.NewPackageURL(kind, namespace, name, version, q, "").ToString()
}

// purlOfPath is purlOf for names whose namespace is all but the last element.
func purlOfPath(kind, name, version string) string {
	namespace := ""
	if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
		namespace, name = name[:slash], name[slash+1:]
	}
	return purlOf(kind, namespace, name, version)
}

// licences returns the licences that are worth naming.
func licences(found ...string) []string {
	var l []string
	for _, s := range found {
		s = strings.TrimSpace(s)
		// Whole texts and references to files are no names of a licence.
		if s == "" || len(s) > 200 || strings.ContainsAny(s, "\r\n") || strings.EqualFold(s, "unknown") {
			continue
		}
		l = append(l, s)
	}
	return l
}
