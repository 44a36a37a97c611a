package inspect

import (
	"archive/tar"
	"fmt"
	"strings"
	"testing"

	"touchstone.dev/touchstone"
)

// TestHiddenDatabases hides the package database in the ways that images have:
// either its packages are found all the same, or that they are not is a gap.
func TestHiddenDatabases(t *testing.T) {
	const status = "var/lib/dpkg/status"
	release := file{name: "etc/os-release", content: osRelease}
	db := file{name: status, content: statusA}
	other := file{name: "var/lib/dpkg/status.d/b", content: statusB}
	tests := []struct {
		name   string
		layers [][]file
		found  bool // the package itself
	}{
		{"as it should be", [][]file{{release, db}}, true},
		{"removed", [][]file{{release, db}, {{name: "var/lib/dpkg/.wh.status"}}}, false},
		{"removed with its folder", [][]file{{release, db}, {{name: "var/lib/.wh.dpkg"}}}, false},
		{"hidden by an opaque folder", [][]file{{release, db}, {{name: "var/lib/dpkg/.wh..wh..opq"}}}, false},
		{"removed, os-release too", [][]file{{release, db}, {{name: "var/lib/dpkg/.wh.status"}, {name: "etc/.wh.os-release"}}}, false},
		{"removed beside another kind", [][]file{{release, db}, {{name: "var/lib/dpkg/.wh.status"}, {name: "lib/apk/db/installed", content: "P:a\nV:1\n\n"}}}, false},
		{"never there", [][]file{{release}}, false},
		{"only its folder is there", [][]file{{{name: "var/lib/dpkg/"}, {name: "bin/sh", content: "x"}}}, false},
		{"emptied", [][]file{{release, db}, {{name: status}}}, false},
		{"blank", [][]file{{release, {name: status, content: "\n\n\n"}}}, false},
		{"garbage", [][]file{{release, db}, {{name: status, content: "garbage"}}}, false},
		{"a folder", [][]file{{release, db}, {{name: status + "/"}}}, false},
		{"a folder, with another database", [][]file{{release, db, other}, {{name: status + "/"}}}, false},
		{"a pipe", [][]file{{release, db, other}, {{name: status, kind: tar.TypeFifo}}}, false},
		{"a device, as overlayfs removes", [][]file{{release, db, other}, {{name: status, kind: tar.TypeChar}}}, false},
		{"behind a link", [][]file{{release, other, {name: status, link: "/opt/s"}, {name: "opt/s", content: statusA}}}, false},
		{"behind a link with ..", [][]file{{release, other, {name: status, link: "../../../etc/../opt/s"}, {name: "opt/s", content: statusA}}}, false},
		{"its folder behind a link", [][]file{{release, {name: "var/lib/dpkg", link: "/opt/dpkg"}, {name: "opt/dpkg/status", content: statusA}}}, false},
		{"a folder above behind a link", [][]file{{release, {name: "var", link: "private"}, {name: "private/lib/dpkg/status", content: statusA}}}, false},
		{"behind a link to what a reader wants otherwise", [][]file{{release, other, {name: status, link: "/app/package.json"}, {name: "app/package.json", content: statusA}}}, false},
		{"status.d behind a link", [][]file{{release, db, {name: "var/lib/dpkg/status.d", link: "/opt/d"}, {name: "opt/d/b", content: statusB}}}, true},
		{"a hard link", [][]file{{release, {name: "opt/s", content: statusA}, {name: status, link: "opt/s", hard: true}}}, true},
		{"a name that goes round", [][]file{{release, {name: "./etc/..//var/lib/./dpkg/status", content: statusA}}}, true},
		{"two Status fields", [][]file{{release, other, {name: status, content: strings.Replace(statusA, "Status:", "Status: deinstall ok config-files\nStatus:", 1)}}}, false},
		{"in other letters", [][]file{{release, {name: "VAR/lib/dpkg/status", content: statusA}}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var layers [][]byte
			for _, files := range test.layers {
				layers = append(layers, makeTar(t, files...))
			}
			e := inspect(t, newInspector(t, Config{}), makeImage(t, layers...))
			found := false
			for _, p := range e.Packages {
				found = found || p.Name == "a" && strings.HasPrefix(p.PURL, "pkg:deb")
			}
			if found != test.found || !found && len(e.Gaps) == 0 {
				t.Errorf("found %v, want %v; gaps %v", found, test.found, e.Gaps)
			}
			if test.name == "as it should be" && len(e.Gaps) > 0 {
				t.Errorf("gaps %v", e.Gaps)
			}
		})
	}
}

// TestLinkedDatabases has links to where the database is read anyway.
func TestLinkedDatabases(t *testing.T) {
	for _, files := range [][]file{
		{{name: "lib", link: "usr/lib"}, {name: "usr/lib/apk/db/installed", content: "P:a\nV:1\n\n"}},
		{{name: "var/lib/rpm", link: "../../usr/lib/sysimage/rpm"}, {name: "var/lib/dpkg/status", content: statusA}},
		{{name: "bin/app", content: "#!/bin/sh\n", mode: 0o755}},
	} {
		if e := inspect(t, newInspector(t, Config{}), makeImage(t, makeTar(t, files...))); len(e.Gaps) > 0 {
			t.Errorf("%v: gaps %v", files[0], e.Gaps)
		}
	}
}

func TestUnnamedDistributions(t *testing.T) {
	files := []file{
		{name: "site/a-1.dist-info/METADATA", content: pip}, {name: "site/a-1.dist-info/RECORD", content: "a"},
		{name: "site/b-1.dist-info/INSTALLER", content: "pip"}, {name: "site/b-1.dist-info/RECORD", content: "b"}, {name: "site/b-1.dist-info/WHEEL", content: "b"},
		{name: "site/c-1.dist-info/RECORD", content: "c"}, {name: "site/c-1.dist-info/METADATA/"},
		{name: "site/d-1.dist-info/"},
	}
	e := inspect(t, newInspector(t, Config{}), makeImage(t, makeTar(t, files...)))
	var paths []string
	for _, g := range e.Gaps {
		paths = append(paths, g.Path)
	}
	if got := strings.Join(paths, " "); got != "site/b-1.dist-info site/c-1.dist-info" {
		t.Errorf("gaps at %s", got)
	}
}

func TestUserID(t *testing.T) {
	const long = 70_000 // more than is kept
	tests := []struct{ user, passwd, want string }{
		{"", "root:x:0:0::/:\n", ""},
		{"1000:5", "", "1000"},
		{"+0", "", "0"},
		{"app", "root:x:0:0::/:\napp:x:1000:0::/:\n", "1000"},
		{"app:0", "app:x:1000:0::/:", "1000"},
		{"toor", "root:x:0:0::/:\ntoor:x:0:0::/:\n", "0"},
		{"toor", "toor:x:00:0::/:\n", "0"},
		{"toor", "toor:x:-0:0::/:\n", "0"},
		{"toor", "toor:x:zero:0::/:\n", "0"}, // as runtimes read it
		{"toor", "toor:x::0::/:\n", "0"},
		{"toor", "toor\n", "0"},
		{"toor", "toor:x:5:0::/:\ntoor:x:0:0::/:\n", "0"},
		{"1000", "1000:x:0:0::/:\n", "0"},
		{"1000", "app:x:1000:0::/:\n", "1000"},
		{"ghost", "root:x:0:0::/:\n", ""},
		{"ghost", strings.Repeat("#", long) + "\nghost:x:0:0::/:\n", ""},
		{"Root", "root:x:0:0::/:\n", ""},
	}
	for _, test := range tests {
		t.Run(fmt.Sprintf("%s %.20q", test.user, test.passwd), func(t *testing.T) {
			src := makeImage(t, makeTar(t, file{name: "etc/passwd", content: test.passwd}))
			src.config = []byte(strings.Replace(string(src.config), `"User":"app"`, fmt.Sprintf(`"User":%q`, test.user), 1))
			e := inspect(t, newInspector(t, Config{}), src)
			if e.Configuration.User != test.user || e.Configuration.UserID != test.want {
				t.Errorf("user %q is %q, want %q", e.Configuration.User, e.Configuration.UserID, test.want)
			}
		})
	}
}

// TestNoHashIsKept keeps no hash of a password that an old etc/passwd holds.
func TestNoHashIsKept(t *testing.T) {
	if got := string(usersAlone([]byte("# c\nroot:$6$salt$hash:0:0:r:/root:/bin/sh\r\nx:y\n\n"))); got != "root::0\nx::\n" {
		t.Errorf("%q", got)
	}
}

func TestKindsOfDatabases(t *testing.T) {
	for purl, want := range map[string]bool{"pkg:deb/debian/a@1": true, "pkg:rpm/a@1": true, "pkg:snap/a@1": false, "pkg:npm/a@1": false} {
		if got := ofDistribution(&touchstone.Package{PURL: purl}); got != want {
			t.Errorf("%s: %v", purl, got)
		}
	}
}
