package index

import "strings"

// Key returns the name under which a package is filed: the one form of names
// that the ecosystem takes for the same.
func Key(family, name string) string {
	switch family {
	case "PyPI": // PEP 503: runs of - _ . are one -
		var b strings.Builder
		gap := false
		for _, c := range []byte(strings.ToLower(name)) {
			if c == '-' || c == '_' || c == '.' {
				gap = true
				continue
			}
			if gap {
				b.WriteByte('-')
				gap = false
			}
			b.WriteByte(c)
		}
		if gap {
			b.WriteByte('-')
		}
		return b.String()
	case "NuGet", "Packagist", "Hex", "GitHub Actions", "VSCode":
		return strings.ToLower(name)
	case "crates.io":
		return strings.ReplaceAll(strings.ToLower(name), "_", "-")
	case "SwiftURL":
		name = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(name), "https://"), "http://")
		return strings.TrimSuffix(strings.TrimSuffix(name, "/"), ".git")
	}
	return name
}
