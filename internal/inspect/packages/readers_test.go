package packages

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func TestBreakdownIsAGap(t *testing.T) {
	r := New(Config{})
	r.readers[formatNPM].read = func(context.Context, *file) error { panic("lost") }
	got := r.Read(t.Context(), Input{Path: "package.json", Content: strings.NewReader("{}"), Size: 2})
	want := []touchstone.Gap{{Kind: touchstone.GapFailed, Path: "package.json", Reader: "javascript/package", Reason: "the reader broke down: lost"}}
	if diff := cmp.Diff(want, got.Gaps); diff != "" {
		t.Error(diff)
	}
}

func TestLimits(t *testing.T) {
	database := "P:a\nV:1\nF:bin\nR:a\nR:b\nR:c\n\nP:b\nV:1\n\nP:c\nV:1\n\n"
	for name, config := range map[string]Config{
		"the size of a file":   {MaxFile: 10},
		"packages in one file": {MaxPackages: 2},
		"owned paths":          {MaxOwned: 3},
	} {
		got := New(config).Read(t.Context(), Input{Path: "lib/apk/db/installed", Content: strings.NewReader(database), Size: int64(len(database))})
		if len(got.Gaps) != 1 || got.Gaps[0].Kind != touchstone.GapLimit {
			t.Errorf("%s: %+v", name, got.Gaps)
		}
	}
}

func TestWants(t *testing.T) {
	tests := []struct {
		path, head string
		want       bool
	}{
		{"usr/bin/tool", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00", true},
		{"usr/lib/x.o", "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00", false},
		{"lib/s390x.ko", "\x7fELF\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", false},
		{"a/B.class", "\xca\xfe\xba\xbe\x00\x00\x00\x41", false},
		{"fat", "\xca\xfe\xba\xbe\x00\x00\x00\x02", true},
		{"mac", "\xcf\xfa\xed\xfe\x07\x00\x00\x01", true},
		{"app.exe", "MZ\x90\x00\x03\x00\x00\x00", true},
		{"x.JAR", "PK\x03\x04", true},
		{"x.nar", "something", false},
		{"x.jar", "#!/bin/sh", true},
		{"var/lib/dpkg/status", "Package", true},
		{"srv/var/lib/dpkg/status", "Package", false},
		{"package-lock.json", "{", false},
		{"go.mod", "module", false},
		{"usr/lib/python3/x.dist-info/RECORD", "x", false},
		{"var/lib/rpm/rpmdb.sqlite-wal", "", false},
	}
	r := New(Config{})
	for _, test := range tests {
		tree := fstest.MapFS{test.path: {Data: []byte(test.head)}}
		info, err := tree.Stat(test.path)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Wants(test.path, info, []byte(test.head)); got != test.want {
			t.Errorf("%s: %v", test.path, got)
		}
	}
	if !r.Keeps("b/bundler/gems/x-1/lib/x/version.rb", 100) || r.Keeps("b/bundler/gems/x-1/lib/x/version.rb", 1<<20) || r.Keeps("lib/version.rb", 1) {
		t.Error("the wrong files are kept")
	}
}

// FuzzRead gives every reader garbage. Each must end, and break down never.
func FuzzRead(f *testing.F) {
	paths := []string{
		"var/lib/dpkg/status", "var/lib/dpkg/info/x.list", "var/lib/dpkg/status.d/x.md5sums", "lib/apk/db/installed", "var/lib/rpm/Packages",
		"var/lib/pacman/local/x-1/desc", "var/lib/pacman/local/x-1/files", "var/db/pkg/c/x/PF", "var/db/pkg/c/x/CONTENTS", "var/lib/chisel/manifest.wall",
		"etc/cos-package-info.json", "snap/x/1/meta/snap.yaml", "a/node_modules/x/package.json", "x.dist-info/METADATA", "x.egg", "conda-meta/x.json",
		"x.jar", "g/specifications/x.gemspec", "v/composer/installed.json", "x.deps.json", "usr/bin/x", "lib/R/library/x/DESCRIPTION",
		"x/.cpan/x/META.json", "x/rocks-5/x/1/x.rockspec", "x/.opam-switch/install", "x/pkgs/x-1/x.nimble", "wp-content/plugins/x/x.php",
		"opt/Cellar/x/1/INSTALL_RECEIPT.json", "x/.spack/spec.json", "flatpak/app/x/export/share/metainfo/x.metainfo.xml",
	}
	for i := range paths {
		f.Add(i, []byte("Package: a\nVersion: 1\n"))
	}
	f.Add(3, []byte("P:a\nV:1\nF:bin\nR:a\n\n"))
	f.Add(14, []byte(zipOf(f, "EGG-INFO/PKG-INFO", "Name: a\nVersion: 1\n")))
	f.Add(16, []byte(zipOf(f, "a.jar", zipOf(f, "META-INF/MANIFEST.MF", "Implementation-Version: 1\n"))))
	f.Add(20, auditable(f, `{"packages":[{"name":"a","version":"1"}]}`))
	f.Add(20, assembly("a.dll", "1.0"))
	r := New(Config{MaxArchive: 1 << 20, MaxPackages: 1000, MaxOwned: 1000})
	f.Fuzz(func(t *testing.T, which int, content []byte) {
		path := paths[uint(which)%uint(len(paths))]
		got := r.Read(t.Context(), Input{Path: path, Info: nil, Content: bytes.NewReader(content), Size: int64(len(content)), FS: fstest.MapFS{}})
		for _, g := range got.Gaps {
			if strings.Contains(g.Reason, "broke down") {
				t.Errorf("%s: %s", path, g.Reason)
			}
		}
		for _, p := range got.Packages {
			if p.Name == "" || p.Path == "" {
				t.Errorf("%s: %+v", path, p)
			}
		}
	})
}

func BenchmarkWants(b *testing.B) {
	r := New(Config{})
	info := fstest.MapFS{"x": {Data: make([]byte, 5000)}}
	stat, err := info.Stat("x")
	if err != nil {
		b.Fatal(err)
	}
	text := []byte("'use strict'; module.exports = {}")
	var paths []string
	for i := range 100 {
		paths = append(paths,
			fmt.Sprintf("app/node_modules/some-package-%d/dist/lib/internal/index.js", i),
			fmt.Sprintf("usr/lib/python3/dist-packages/module%d/__init__.py", i),
			fmt.Sprintf("usr/share/locale/de/LC_MESSAGES/program%d.mo", i),
			fmt.Sprintf("app/node_modules/package-%d/package.json", i),
			fmt.Sprintf("usr/include/linux/header%d.h", i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Wants(paths[i%len(paths)], stat, text)
	}
}
