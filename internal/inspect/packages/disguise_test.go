package packages

import (
	"strings"
	"testing"

	"touchstone.dev/touchstone"
)

// TestDisguises reads software under names that do not tell what it is.
func TestDisguises(t *testing.T) {
	jar := zipOf(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n", "META-INF/maven/g/a/pom.properties", "groupId=g\nartifactId=a\nversion=1\n")
	elf := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x3e\x00" + strings.Repeat("\x00", 100)
	tests := map[string]struct {
		path, content string
		packages      int
		gap           touchstone.GapKind
	}{
		"a jar by another name":        {"app/data.bin", jar, 1, ""},
		"a jar without extension":      {"app/run", jar, 1, ""},
		"an archive of other things":   {"app/data.bin", zipOf(t, "a", "b"), 0, ""},
		"packed by UPX":                {"bin/app", elf + "UPX!" + elf, 0, touchstone.GapUnsupported},
		"UPX as a word far within":     {"bin/app", elf + strings.Repeat("\x00", 2000) + "UPX!", 0, ""},
		"two versions in one stanza":   {"var/lib/dpkg/status", "Package: a\nVersion: 9\nVersion: 1\n\n", 1, touchstone.GapCorrupt},
		"two statuses in one stanza":   {"var/lib/dpkg/status", "Package: a\nStatus: deinstall ok config-files\nStatus: install ok installed\nVersion: 1\n\n", 0, touchstone.GapCorrupt},
		"the same field twice":         {"var/lib/dpkg/status", "Package: a\nVersion: 1\nVersion: 1\n\n", 1, ""},
		"fields in other letters":      {"var/lib/dpkg/status", "PACKAGE: a\nvErSiOn: 1\n\n", 1, ""},
		"lines that end as on DOS":     {"var/lib/dpkg/status", "Package: a\r\nStatus: install ok installed\r\nVersion: 1\r\n\r\n", 1, ""},
		"a byte order mark":            {"var/lib/dpkg/status", "\ufeffPackage: a\nVersion: 1\n\n", 0, touchstone.GapCorrupt},
		"a value on the next line":     {"var/lib/dpkg/status", "Package: a\nVersion:\n 1\n\n", 0, touchstone.GapCorrupt},
		"a space before the colon":     {"var/lib/dpkg/status", "Package : a\nVersion: 1\n\n", 0, touchstone.GapCorrupt},
		"a line longer than is kept":   {"var/lib/dpkg/status", "Description: " + strings.Repeat("x", 200_000) + "\n\nPackage: a\nVersion: 1\n\n", 1, ""},
		"an end without an empty line": {"lib/apk/db/installed", "P:a\nV:1", 1, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := New(Config{}).Read(t.Context(), Input{Path: test.path, Info: sized{nil, int64(len(test.content))}, Content: strings.NewReader(test.content), Size: int64(len(test.content))})
			if !New(Config{}).Wants(test.path, sized{nil, int64(len(test.content))}, []byte(test.content)[:min(len(test.content), 4096)]) && (test.packages > 0 || test.gap != "") {
				t.Error("nobody wants it")
			}
			kinds := map[touchstone.GapKind]bool{}
			for _, g := range got.Gaps {
				kinds[g.Kind] = true
			}
			if len(got.Packages) != test.packages || (test.gap != "") != kinds[test.gap] {
				t.Errorf("%d packages, gaps %+v", len(got.Packages), got.Gaps)
			}
		})
	}
}
