package inspect

import (
	"archive/tar"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

const (
	osRelease = "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\nVERSION_CODENAME=bookworm\n"
	statusA   = "Package: a\nStatus: install ok installed\nMaintainer: Debian <d@debian.org>\nArchitecture: amd64\nVersion: 1.0-1\n\n"
	statusB   = "Package: b\nStatus: install ok installed\nMaintainer: Debian <d@debian.org>\nArchitecture: amd64\nVersion: 2.0-1\n\n"
	npmX      = `{"name": "x", "version": "1.2.3", "license": "MIT"}`
	pip       = "Metadata-Version: 2.1\nName: req\nVersion: 2.0.0\n\n"
	pipPath   = "usr/lib/python3/dist-packages/req-2.0.0.dist-info/METADATA"
)

// lines describes packages as "name version layer path".
func lines(pkgs []touchstone.Package) []string {
	var out []string
	for _, p := range pkgs {
		out = append(out, fmt.Sprintf("%s %s %d %s", p.Name, p.Version, p.Layer, p.Path))
	}
	return out
}

func TestPackagesOfLayers(t *testing.T) {
	npm := "app/node_modules/x/package.json"
	tests := []struct {
		name   string
		layers [][]file
		want   []string
	}{
		{"a database that grows", [][]file{
			{{name: "var/lib/dpkg/status", content: statusA}},
			{{name: "var/lib/dpkg/status", content: statusA + statusB}}},
			[]string{"a 1.0-1 0 var/lib/dpkg/status", "b 2.0-1 1 var/lib/dpkg/status"}},
		{"a package that was removed", [][]file{
			{{name: "var/lib/dpkg/status", content: statusA + statusB}},
			{{name: "var/lib/dpkg/status", content: statusB}}},
			[]string{"b 2.0-1 0 var/lib/dpkg/status"}},
		{"a file that was hidden", [][]file{{{name: npm, content: npmX}}, {{name: "app/.wh.node_modules"}}}, nil},
		{"a file that was replaced by the same", [][]file{{{name: npm, content: npmX}}, {{name: npm, content: npmX}}},
			[]string{"x 1.2.3 1 " + npm}},
		{"a hard link is left", [][]file{
			{{name: npm, content: npmX}, {name: "other/node_modules/x/package.json", link: npm, hard: true}},
			{{name: "app/.wh.node_modules"}}},
			[]string{"x 1.2.3 0 other/node_modules/x/package.json"}},
		{"the content comes under a name that says nothing", [][]file{
			{{name: "objects/ab/cd.file", content: npmX}, {name: npm, link: "objects/ab/cd.file", hard: true}}},
			[]string{"x 1.2.3 0 " + npm}},
		{"below a folder that is a link", [][]file{
			{{name: "lib", link: "usr/lib"}, {name: "usr/lib/node_modules/x/package.json", content: npmX}},
			{{name: "lib/node_modules/x/package.json", content: strings.Replace(npmX, "1.2.3", "4.5.6", 1)}}},
			[]string{"x 4.5.6 1 usr/lib/node_modules/x/package.json"}},
		{"the last of two files", [][]file{{{name: npm, content: npmX}, {name: npm, content: strings.Replace(npmX, "1.2.3", "4.5.6", 1)}}},
			[]string{"x 4.5.6 0 " + npm}},
		{"a link in its place, in the same layer", [][]file{{{name: npm, content: npmX}, {name: npm, link: "/dev/null"}}}, nil},
		{"what the distribution owns", [][]file{{
			{name: pipPath, content: pip}, {name: "var/lib/dpkg/status", content: statusA},
			{name: "var/lib/dpkg/info/a.list", content: "/.\n/" + pipPath + "\n"}}},
			[]string{"a 1.0-1 0 var/lib/dpkg/status"}},
		{"and what a later layer put over it", [][]file{
			{{name: pipPath, content: pip}, {name: "var/lib/dpkg/status", content: statusA},
				{name: "var/lib/dpkg/info/a.list", content: "/.\n/" + pipPath + "\n"}},
			{{name: pipPath, content: pip}}},
			[]string{"a 1.0-1 0 var/lib/dpkg/status", "req 2.0.0 1 " + pipPath}},
		{"the list of what is owned is gone", [][]file{
			{{name: pipPath, content: pip}, {name: "var/lib/dpkg/info/a.list", content: "/.\n/" + pipPath + "\n"}},
			{{name: "var/lib/.wh.dpkg"}}},
			[]string{"req 2.0.0 0 " + pipPath}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var layers [][]byte
			for _, files := range test.layers {
				layers = append(layers, makeTar(t, files...))
			}
			in := newInspector(t, Config{Store: newStore(t)})
			e := inspect(t, in, makeImage(t, layers...))
			if diff := cmp.Diff(test.want, lines(e.Packages)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHardLinkIntoALowerLayer(t *testing.T) {
	e := inspect(t, newInspector(t, Config{}), makeImage(t,
		makeTar(t, file{name: "objects/x", content: npmX}),
		makeTar(t, file{name: "node_modules/x/package.json", link: "objects/x", hard: true})))
	if len(e.Gaps) != 1 || e.Gaps[0].Kind != touchstone.GapUnsupported {
		t.Errorf("gaps %v, want one that says the file was not read under this name", e.Gaps)
	}
}

func TestRelease(t *testing.T) {
	status := file{name: "var/lib/dpkg/status", content: statusA}
	tests := []struct {
		name   string
		layers [][]file
		want   string
	}{
		{"in usr/lib, behind a link", [][]file{{{name: "etc/os-release", link: "../usr/lib/os-release"}, {name: "usr/lib/os-release", content: osRelease}, status}}, "Debian:12"},
		{"behind a link that is absolute", [][]file{{{name: "etc/os-release", link: "/opt/os-release"}, status}, {{name: "opt/os-release", content: osRelease}}}, "Debian:12"},
		{"behind a folder that is a link", [][]file{{{name: "etc", link: "private/etc"}, {name: "private/etc/os-release", content: osRelease}, status}}, "Debian:12"},
		{"behind a cycle", [][]file{{{name: "etc/os-release", link: "os-release"}, status}}, ""},
		{"in a higher layer", [][]file{{status, {name: "etc/os-release", content: osRelease}}, {{name: "etc/os-release", content: strings.Replace(osRelease, "12", "13", 1)}}}, "Debian:13"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var layers [][]byte
			for _, files := range test.layers {
				layers = append(layers, makeTar(t, files...))
			}
			e := inspect(t, newInspector(t, Config{}), makeImage(t, layers...))
			if len(e.Packages) != 1 || e.Packages[0].Ecosystem != test.want {
				t.Errorf("packages %v, want one of %s", e.Packages, test.want)
			}
		})
	}
}

// keyFile is a private key that was made for this test and opens nothing.
func keyFile() string {
	return "-----BEGIN OPENSSH " + "PRIVATE KEY-----\n" + strings.Repeat("b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n", 5) + "-----END OPENSSH " + "PRIVATE KEY-----\n"
}

func TestBuriedSecret(t *testing.T) {
	e := inspect(t, newInspector(t, Config{}), makeImage(t,
		makeTar(t, file{name: "root/.ssh/id_rsa", content: keyFile()}, file{name: "app/id_rsa", content: keyFile()}),
		makeTar(t, file{name: "root/.wh..ssh"})))
	var got []string
	for _, s := range e.Secrets {
		got = append(got, fmt.Sprintf("%s %s %d %t", s.Kind, s.Path, s.Layer, s.Buried))
	}
	want := []string{"private-key app/id_rsa 0 false", "private-key root/.ssh/id_rsa 0 true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
}

var update = flag.Bool("update", false, "write the golden file anew")

// TestGolden holds what a made image yields against a file. When it fails
// because a layer yields something else than before, raise Version.
func TestGolden(t *testing.T) {
	base := makeTar(t,
		file{name: "etc/"}, file{name: "etc/os-release", content: osRelease},
		file{name: "etc/passwd", content: "root:x:0:0::/:/bin/sh\n"},
		file{name: "bin/sh", content: "\x7fELF\x02\x01\x01", mode: 0o755},
		file{name: "bin/su", content: "#!/bin/sh\n", mode: 0o4755},
		file{name: "var/lib/dpkg/status", content: statusA},
		file{name: "root/.ssh/id_rsa", content: keyFile()})
	app := makeTar(t,
		file{name: "app/node_modules/x/package.json", content: npmX},
		file{name: "app/start", content: "#!/bin/sh\nexec x\n", mode: 0o755, pax: map[string]string{capabilityRecord: "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"}},
		file{name: "app/odd", kind: 'Z'},
		file{name: "root/.wh..ssh"}, file{name: "dev/null", kind: tar.TypeChar})
	// Stored plain, so that no compressor's version shows.
	s := &source{}
	s.add(base, base)
	s.add(app, app)
	e := inspect(t, newInspector(t, Config{}), s.configured(t))
	got, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "evidence.json")
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("the evidence is another (-want +got); raise Version and run with -update:\n%s", diff)
	}
}

func TestAlpine(t *testing.T) {
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for version, packages := range map[string]int{"3.8.5": 13, "3.12.12": 14, "3.20.3": 14} {
		t.Run(version, func(t *testing.T) {
			path := filepath.Join(filepath.Dir(root), "shared", "data", "images", "alpine-minirootfs-"+version+"-x86_64.tar.gz")
			if _, err := os.Stat(path); err != nil {
				t.Skipf("the Alpine file systems of ../shared are missing: %v", err)
			}
			src := filesImage(t, path)
			e := inspect(t, newInspector(t, Config{}), src)
			release := "Alpine:v" + version[:strings.LastIndex(version, ".")]
			for _, p := range e.Packages {
				if p.Ecosystem != release {
					t.Errorf("%s is of %s, want %s", p.Name, p.Ecosystem, release)
				}
			}
			if len(e.Packages) != packages || len(e.Gaps) > 0 || e.OS.Version != version {
				t.Errorf("%d packages of %s, gaps %v; want %d packages", len(e.Packages), e.OS.Version, e.Gaps, packages)
			}
		})
	}
}

func TestReadersThatFail(t *testing.T) {
	in := newInspector(t, Config{Limits: Limits{ReadingTime: time.Millisecond}})
	c := in.newCollector(t.Context())
	defer c.abandon()
	forever := make(chan struct{})
	defer close(forever)
	r := &reading{job: &job{path: "panics"}, collector: c}
	r.attempt(bySecrets, func() { panic("at the disco\nwith a trace") })
	lose := func(path string) func(string) {
		return func(reason string) { c.lose(&job{path: path}, readerName(byPackages), reason) }
	}
	if gone := c.within(func(ctx context.Context) { <-ctx.Done() }, lose("heeds")); gone {
		t.Error("a reader that heeds its context was given up")
	}
	if gone := c.within(func(context.Context) { <-forever }, lose("hangs")); !gone {
		t.Error("a reader that hangs was not given up")
	}
	var got []string
	for _, g := range append(c.gaps.all(), r.found.result.Gaps...) {
		got = append(got, fmt.Sprintf("%s %s %s: %s", g.Kind, g.Reader, g.Path, g.Reason))
	}
	want := []string{
		"failed packages hangs: reading took longer than 1ms",
		"failed packages heeds: reading took longer than 1ms",
		"failed secrets panics: the reader panicked: at the disco",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	if !c.unstable {
		t.Error("what depends on the time it took may be remembered")
	}
}
