package packages

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/gosym"
)

// TestLanguages reads one installed tree of each language, with lures beside it
// that prove nothing.
func TestLanguages(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  []touchstone.Package
	}{
		{
			"npm",
			map[string]string{
				"app/node_modules/express/package.json":                `{"name":"express","version":"4.19.2","license":"MIT"}`,
				"app/node_modules/@babel/core/package.json":            "\xef\xbb\xbf" + `{"name":"@babel/core","version":"v7.24.0","licenses":[{"type":"MIT"},"BSD"],"contributors":"me"}`,
				"app/node_modules/old/package.json":                    `{"name":"old","version":"1.0.0","dependencies":[],"engines":["node"],"license":{"type":"ISC"}}`,
				"app/node_modules/express/lib/package.json":            `{"type":"module"}`,
				"app/node_modules/resolve/test/malformed/package.json": `{"name":`,
				"app/package-lock.json":                                `{"packages":{"node_modules/left-pad":{"version":"1.3.0"}}}`,
				"app/yarn.lock":                                        "left-pad@^1.0.0:\n  version \"1.3.0\"\n",
				"ext/package.json":                                     `{"name":"ext","version":"1.0.0","engines":{"vscode":"^1"}}`,
			},
			[]touchstone.Package{
				{Name: "@babel/core", Version: "7.24.0", PURL: "pkg:npm/%40babel/core@7.24.0", Ecosystem: "npm", Path: "app/node_modules/@babel/core/package.json", Licences: []string{"MIT", "BSD"}},
				{Name: "express", Version: "4.19.2", PURL: "pkg:npm/express@4.19.2", Ecosystem: "npm", Path: "app/node_modules/express/package.json", Licences: []string{"MIT"}},
				{Name: "old", Version: "1.0.0", PURL: "pkg:npm/old@1.0.0", Ecosystem: "npm", Path: "app/node_modules/old/package.json", Licences: []string{"ISC"}},
			},
		},
		{
			"python",
			map[string]string{
				"opt/lib/Flask_Login-0.6.3.dist-info/METADATA":     "Metadata-Version: 2.4\nName: Flask_Login\nVersion: 0.6.3\nLicense-Expression: MIT\nLicense: a long\n  text\n\nName: not this\n",
				"opt/lib/zope.interface-5.egg-info":                "Name: zope.interface\nVersion: 5.0\nLicense: UNKNOWN\n",
				"opt/lib/six-1.16.egg-info/PKG-INFO":               "Name: six\nVersion: 1.16\nLicense: MIT\nName: again\n",
				"opt/lib/pkg.egg/EGG-INFO/PKG-INFO":                "Name: inegg\nVersion: 1.0\n",
				"opt/lib/packed-1.0-py3.egg":                       zipOf(t, "EGG-INFO/PKG-INFO", "Name: packed\nVersion: 1.0\n"),
				"usr/lib/ensurepip/_bundled/pip-23.0-py3.whl":      zipOf(t, "pip-23.0.dist-info/METADATA", "Name: pip\nVersion: 23.0\n"),
				"app/requirements.txt":                             "django==1.0\n",
				"opt/lib/Flask_Login-0.6.3.dist-info/top.METADATA": "Name: x\nVersion: 1\n",
			},
			[]touchstone.Package{
				{Name: "flask-login", Version: "0.6.3", PURL: "pkg:pypi/flask-login@0.6.3", Ecosystem: "PyPI", Path: "opt/lib/Flask_Login-0.6.3.dist-info/METADATA", Licences: []string{"MIT"}},
				{Name: "packed", Version: "1.0", PURL: "pkg:pypi/packed@1.0", Ecosystem: "PyPI", Path: "opt/lib/packed-1.0-py3.egg"},
				{Name: "inegg", Version: "1.0", PURL: "pkg:pypi/inegg@1.0", Ecosystem: "PyPI", Path: "opt/lib/pkg.egg/EGG-INFO/PKG-INFO"},
				{Name: "six", Version: "1.16", PURL: "pkg:pypi/six@1.16", Ecosystem: "PyPI", Path: "opt/lib/six-1.16.egg-info/PKG-INFO", Licences: []string{"MIT"}},
				{Name: "zope-interface", Version: "5.0", PURL: "pkg:pypi/zope-interface@5.0", Ecosystem: "PyPI", Path: "opt/lib/zope.interface-5.egg-info"},
			},
		},
		{
			"conda",
			map[string]string{"opt/conda/conda-meta/openssl-3.0.8-h7f98852_0.json": `{"name":"openssl","version":"3.0.8","build":"h7f98852_0","license":"Apache-2.0","files":["lib/libssl.so"]}`},
			[]touchstone.Package{{Name: "openssl", Version: "3.0.8", PURL: "pkg:conda/openssl@3.0.8?build=h7f98852_0", Path: "opt/conda/conda-meta/openssl-3.0.8-h7f98852_0.json", Licences: []string{"Apache-2.0"}}},
		},
		{
			"ruby",
			map[string]string{
				"usr/local/bundle/specifications/rack-2.2.8.gemspec": "# -*- encoding: utf-8 -*-\nGem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.2.8\"\nend\n",
				"usr/local/bundle/gems/rack-2.2.8/rack.gemspec":      "require_relative 'lib/rack/version'\nGem::Specification.new do |s|\n  s.name = \"rack\"\n  s.version = Rack::RELEASE\nend\n",
				"app/Gemfile.lock": "GEM\n  specs:\n    rails (1.0)\n",
			},
			[]touchstone.Package{{Name: "rack", Version: "2.2.8", PURL: "pkg:gem/rack@2.2.8", Ecosystem: "RubyGems", Path: "usr/local/bundle/specifications/rack-2.2.8.gemspec"}},
		},
		{
			"gem from a repository, whose version lies beside it",
			map[string]string{
				"b/bundler/gems/thing-0123abc/thing.gemspec":        "require_relative 'lib/thing/version'\nGem::Specification.new do |s|\n  s.name = \"thing\"\n  s.version = Thing::VERSION\nend\n",
				"b/bundler/gems/thing-0123abc/lib/thing/version.rb": "module Thing\n  VERSION = \"3.1.4\"\nend\n",
			},
			[]touchstone.Package{{Name: "thing", Version: "3.1.4", PURL: "pkg:gem/thing@3.1.4", Ecosystem: "RubyGems", Path: "b/bundler/gems/thing-0123abc/thing.gemspec"}},
		},
		{
			"php",
			map[string]string{
				"app/vendor/composer/installed.json": `{"packages":[{"name":"monolog/monolog","version":"2.9.1","license":["MIT"]}],"dev":false}`,
				"old/vendor/composer/installed.json": `[{"name":"twig/twig","version":"v1.0.0"}]`,
				"app/composer.lock":                  `{"packages":[{"name":"a/b","version":"1.0"}]}`,
			},
			[]touchstone.Package{
				{Name: "monolog/monolog", Version: "2.9.1", PURL: "pkg:composer/monolog/monolog@2.9.1", Ecosystem: "Packagist", Path: "app/vendor/composer/installed.json", Licences: []string{"MIT"}},
				{Name: "twig/twig", Version: "v1.0.0", PURL: "pkg:composer/twig/twig@v1.0.0", Ecosystem: "Packagist", Path: "old/vendor/composer/installed.json"},
			},
		},
		{
			".NET",
			map[string]string{
				"app/shop.deps.json":      `{"runtimeTarget":{},"libraries":{"shop/1.0.0":{"type":"project"},"Newtonsoft.Json/13.0.1":{"type":"package"}}}`,
				"app/Newtonsoft.Json.dll": string(assembly("Newtonsoft.Json.dll", "13.0.3+0a2e291c0d9c0c7675d445703e51750363a549ef")),
				"app/native.exe":          string(assembly("", "")),
				"web/editor.deps.json":    `["wp-element"]`,
				"app/notes":               "MZ is not a program",
			},
			[]touchstone.Package{
				{Name: "Newtonsoft.Json", Version: "13.0.3", PURL: "pkg:nuget/Newtonsoft.Json@13.0.3", Ecosystem: "NuGet", Path: "app/Newtonsoft.Json.dll"},
				{Name: "Newtonsoft.Json", Version: "13.0.1", PURL: "pkg:nuget/Newtonsoft.Json@13.0.1", Ecosystem: "NuGet", Path: "app/shop.deps.json"},
			},
		},
		{
			"R",
			map[string]string{
				"usr/local/lib/R/site-library/jsonlite/DESCRIPTION": "Package: jsonlite\nVersion: 1.8.8\nLicense: MIT + file LICENSE\nBuilt: R 4.3.2\n",
				"usr/local/lib/R/library/limma/DESCRIPTION":         "Package: limma\nbiocViews: ExonArray\nVersion: 3.58.1\nBuilt: R 4.3.2\n",
				"src/library/mine/DESCRIPTION":                      "Package: mine\nVersion: 0.1\n",
			},
			[]touchstone.Package{
				{Name: "limma", Version: "3.58.1", PURL: "pkg:bioconductor/limma@3.58.1", Ecosystem: "Bioconductor", Path: "usr/local/lib/R/library/limma/DESCRIPTION"},
				{Name: "jsonlite", Version: "1.8.8", PURL: "pkg:cran/jsonlite@1.8.8", Ecosystem: "CRAN", Path: "usr/local/lib/R/site-library/jsonlite/DESCRIPTION", Licences: []string{"MIT + file LICENSE"}},
			},
		},
		{
			"Rust",
			map[string]string{"usr/bin/tool": string(auditable(t, `{"packages":[{"name":"cc","version":"1.0.83","kind":"build"},{"name":"serde","version":"1.0.190"},{"name":"tool","version":"0.1.0","root":true}]}`))},
			[]touchstone.Package{
				{Name: "serde", Version: "1.0.190", PURL: "pkg:cargo/serde@1.0.190", Ecosystem: "crates.io", Path: "usr/bin/tool"},
				{Name: "tool", Version: "0.1.0", PURL: "pkg:cargo/tool@0.1.0", Ecosystem: "crates.io", Path: "usr/bin/tool"},
			},
		},
		{
			"WordPress",
			map[string]string{"var/www/wp-content/plugins/akismet/akismet.php": "<?php\n/*\nPlugin Name: Akismet\nVersion: 5.3\n*/\n", "var/www/wp-content/plugins/akismet/class.php": "<?php\n"},
			[]touchstone.Package{{Name: "Akismet", Version: "5.3", PURL: "pkg:wordpress/Akismet@5.3", Path: "var/www/wp-content/plugins/akismet/akismet.php"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := readTree(t, treeOf(test.files))
			if diff := cmp.Diff(test.want, got.Packages); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if len(got.Gaps) > 0 {
				t.Errorf("%+v", got.Gaps)
			}
		})
	}
}

// TestWhatCannotBeReadIsAGap gives each reader something that it must not pass
// over in silence.
func TestWhatCannotBeReadIsAGap(t *testing.T) {
	for path, content := range map[string]string{
		"a/node_modules/x/package.json":    `{"name":`,
		"a/node_modules/@s/x/package.json": `]`,
		"var/lib/dpkg/status":              "Package: a\nStatus: install ok installed\n\n",
		"var/lib/dpkg/status.d/x":          "no field here\n",
		"lib/apk/db/installed":             "P:a\n\n",
		"usr/lib/apk/db/installed":         "garbage\n",
		"var/lib/rpm/Packages":             "garbage",
		"p/x.dist-info/METADATA":           "Name: a\n\n",
		"p/x.egg-info":                     "garbage\n",
		"p/x.egg":                          "PK\x03\x04",
		"c/conda-meta/x.json":              `{}`,
		"v/composer/installed.json":        `{"packages":[{"name":"a"}]}`,
		"v/vendor/composer/installed.json": `nonsense`,
		"g/specifications/x.gemspec":       "\x04\x08marshalled",
		"opt/app.jar":                      "not an archive",
		"var/lib/chisel/manifest.wall":     "not zstd",
		"var/lib/pacman/local/x-1/desc":    "%NAME%\n",
		"var/db/pkg/cat/x-1/PF":            "",
		"lib/x.dll":                        "MZ\x00\x00\x00\x00\x00\x00 no more",
		"lib/R/library/x/DESCRIPTION":      "Package: x\nBuilt: R 4\n",
		"usr/bin/rusty":                    string(auditable(t, `{"packages":3}`)),
	} {
		got := readOne(t, path, []byte(content))
		if len(got.Gaps) == 0 || len(got.Packages) > 0 {
			t.Errorf("%s: packages %v, gaps %v", path, got.Packages, got.Gaps)
		}
		for _, g := range got.Gaps {
			if g.Path != path || g.Reader == "" || g.Reason == "" || g.Kind == "" {
				t.Errorf("%+v", g)
			}
		}
	}
}

// TestGo builds a program with modules, reads it and looks into its symbols.
func TestGo(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"main/go.mod":  "module example.com/shop\n\ngo 1.21\n\nrequire example.com/lib v1.2.3\n\nreplace example.com/lib v1.2.3 => ../lib\n",
		"main/main.go": "package main\n\nimport \"example.com/lib\"\n\nfunc main() { lib.Used() }\n",
		"lib/go.mod":   "module example.com/lib\n\ngo 1.21\n",
		"lib/lib.go":   "package lib\n\n//go:noinline\nfunc Used() { println(1) }\n\nfunc Unused() { println(2) }\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-trimpath=false", "-buildvcs=false", "-ldflags=-s -w", "-o", "shop", ".")
	cmd.Dir = filepath.Join(dir, "main")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "main", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	got := readOne(t, "usr/bin/shop", content)
	var names []string
	for _, p := range got.Packages {
		names = append(names, p.Name)
		if p.Name == "stdlib" && (p.Version == "" || p.PURL != "pkg:golang/stdlib@"+p.Version) {
			t.Errorf("%+v", p)
		}
	}
	if diff := cmp.Diff([]string{"example.com/lib", "example.com/shop", "stdlib"}, names); diff != "" {
		t.Error(diff)
	}
	if p := got.Packages[0]; p.Version != "1.2.3" || p.PURL != "pkg:golang/example.com/lib@v1.2.3" || p.Ecosystem != "Go" {
		t.Errorf("%+v", p)
	}
	if p := got.Packages[1]; p.Version != "(devel)" || p.PURL != "pkg:golang/example.com/shop" {
		t.Errorf("%+v", p)
	}
	set, err := gosym.Decode(got.Symbols)
	if err != nil {
		t.Fatal(err)
	}
	if !set.Has("example.com/lib", "Used") || set.Has("example.com/lib", "Unused") {
		t.Error("the symbols are not those of the program")
	}
	if len(got.Gaps) > 0 {
		t.Error(got.Gaps)
	}

	// Without its build information the program is still recognised.
	blind := bytes.ReplaceAll(content, []byte("\xff Go buildinf:"), []byte("\xff No buildinf:"))
	got = readOne(t, "usr/bin/shop", blind)
	if len(got.Packages) != 0 || len(got.Gaps) != 1 || got.Gaps[0].Kind != touchstone.GapUnsupported {
		t.Errorf("%v %v", got.Packages, got.Gaps)
	}
}

func TestGoVersion(t *testing.T) {
	for in, want := range map[string]string{
		"go1.21":                    "1.21.0",
		"go1.21.3":                  "1.21.3",
		"go1.21rc2":                 "1.21.0-rc.2",
		"go1.19beta1":               "1.19.0-beta.1",
		"go1.22.1 X:boringcrypto":   "1.22.1",
		"go1.22.1-fips":             "1.22.1",
		"go1.25.0+auto":             "1.25.0",
		"devel go1.27-abc":          "",
		"devel +abc Mon Jan 2 2006": "",
		"go1":                       "",
		"go1.x":                     "",
		"":                          "",
		"unknown":                   "",
		"go1.21.3.4":                "",
	} {
		got, ok := goVersion(in)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v; want %q", in, got, ok, want)
		}
	}
}

func TestJava(t *testing.T) {
	inner := zipOf(t, "META-INF/maven/org.slf4j/slf4j-api/pom.properties", "groupId=org.slf4j\nartifactId=slf4j-api\nversion=1.7.36\n")
	named := zipOf(t, "x/Y.class", "\xca\xfe\xba\xbe")
	war := zipOf(t,
		"WEB-INF/lib/slf4j.jar", inner,
		"WEB-INF/lib/commons-io-2.11.0.jar", named,
		"WEB-INF/lib/broken.jar", "not an archive",
		"WEB-INF/lib/app.jar", zipOf(t, "a/B.class", ""),
	)
	got := readTree(t, treeOf(map[string]string{"srv/shop.war": war, "srv/Executable.jar": "#!/bin/sh\nexit\n" + inner, "srv/Empty.jar": ""}))
	if diff := cmp.Diff([]string{"commons-io:commons-io 2.11.0", "org.slf4j:slf4j-api 1.7.36", "org.slf4j:slf4j-api 1.7.36"}, got.names()); diff != "" {
		t.Error(diff)
	}
	for _, p := range got.Packages {
		if p.Ecosystem != "Maven" || !strings.HasPrefix(p.PURL, "pkg:maven/") || p.Path != "srv/shop.war" && p.Path != "srv/Executable.jar" {
			t.Errorf("%+v", p)
		}
	}
	if len(got.Gaps) != 1 || got.Gaps[0].Path != "srv/shop.war" || !strings.Contains(got.Gaps[0].Reason, "WEB-INF/lib/broken.jar") {
		t.Errorf("%+v", got.Gaps)
	}
}

func TestJavaBombs(t *testing.T) {
	deep := zipOf(t, "a", "b")
	for range 20 {
		deep = zipOf(t, "in.jar", deep)
	}
	zeros := strings.Repeat("\x00", 20<<20)
	for name, test := range map[string]struct {
		content string
		config  Config
	}{
		"a jar in a jar forever":    {deep, Config{}},
		"one that unpacks to a lot": {zipOf(t, "a.jar", zeros, "b.jar", zeros), Config{MaxArchive: 30 << 20}},
	} {
		before, _ := filepath.Glob(filepath.Join(os.TempDir(), "archive-*"))
		r := New(test.config)
		got := r.Read(t.Context(), Input{Path: "x.jar", Content: bytes.NewReader([]byte(test.content)), Size: int64(len(test.content))})
		limits := 0
		for _, g := range got.Gaps {
			if g.Kind == touchstone.GapLimit {
				limits++
			}
		}
		if limits != 1 {
			t.Errorf("%s: %+v", name, got.Gaps)
		}
		after, _ := filepath.Glob(filepath.Join(os.TempDir(), "archive-*"))
		if len(after) > len(before) {
			t.Errorf("%s: left %q behind", name, after)
		}
	}
}

func TestArchiveWithAnAbsurdDirectory(t *testing.T) {
	// The record at the end claims no entries, yet the directory is long.
	content := append(bytes.Repeat([]byte("PK\x01\x02"+strings.Repeat("\x00", 42)), maxDirectory/46+1), "PK\x05\x06"+strings.Repeat("\x00", 18)...)
	got := readOne(t, "x.jar", content)
	if len(got.Gaps) != 1 || got.Gaps[0].Kind != touchstone.GapLimit {
		t.Errorf("%+v", got.Gaps)
	}
}

func TestCratesBomb(t *testing.T) {
	got := readOne(t, "usr/bin/x", auditable(t, strings.Repeat(" ", maxCrates+2)))
	if len(got.Gaps) != 1 || got.Gaps[0].Kind != touchstone.GapLimit {
		t.Errorf("%+v", got.Gaps)
	}
}

// zipOf makes an archive of names and texts in turn.
func zipOf(t testing.TB, files ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// auditable makes an ELF file with a list of crates.
func auditable(t testing.TB, list string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = io.WriteString(z, list)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	names := "\x00.dep-v0\x00.shstrtab\x00"
	const header, section = 64, 64
	le := binary.LittleEndian
	file := make([]byte, header)
	copy(file, "\x7fELF\x02\x01\x01")
	le.PutUint16(file[16:], 2)  // a program
	le.PutUint16(file[18:], 62) // for x86-64
	le.PutUint32(file[20:], 1)
	le.PutUint64(file[40:], uint64(header+packed.Len()+len(names)))
	le.PutUint16(file[52:], header)
	le.PutUint16(file[58:], section)
	le.PutUint16(file[60:], 3)
	le.PutUint16(file[62:], 2) // which section holds the names
	file = append(append(file, packed.Bytes()...), names...)
	for _, s := range []struct{ name, kind, from, size int }{{}, {1, 1, header, packed.Len()}, {9, 3, header + packed.Len(), len(names)}} {
		h := make([]byte, section)
		le.PutUint32(h, uint32(s.name))
		le.PutUint32(h[4:], uint32(s.kind))
		le.PutUint64(h[24:], uint64(s.from))
		le.PutUint64(h[32:], uint64(s.size))
		file = append(file, h...)
	}
	return file
}

// assembly makes a PE file; with a name, one of .NET with a version resource.
func assembly(name, version string) []byte {
	le := binary.LittleEndian
	var resources []byte
	for _, s := range []string{"OriginalFilename", name, "ProductVersion", version} {
		for _, c := range utf16.Encode([]rune(s + "\x00")) {
			resources = le.AppendUint16(resources, c)
		}
		for len(resources)%4 != 0 {
			resources = append(resources, 0)
		}
	}
	const at = 64 + 4 + 20 + 240 + 40
	file := make([]byte, at)
	copy(file, "MZ")
	le.PutUint32(file[0x3c:], 64)
	copy(file[64:], "PE\x00\x00")
	le.PutUint16(file[68:], 0x8664)
	le.PutUint16(file[70:], 1)      // sections
	le.PutUint16(file[84:], 240)    // size of the optional header
	le.PutUint16(file[88:], 0x20b)  // 64 bits
	le.PutUint32(file[88+108:], 16) // directories
	if name != "" {
		le.PutUint32(file[88+112+14*8:], 0x2000) // the common language runtime's
		le.PutUint32(file[88+112+14*8+4:], 72)
	}
	copy(file[88+240:], ".rsrc")
	le.PutUint32(file[88+240+8:], uint32(len(resources)))
	le.PutUint32(file[88+240+16:], uint32(len(resources)))
	le.PutUint32(file[88+240+20:], at)
	return append(file, resources...)
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
