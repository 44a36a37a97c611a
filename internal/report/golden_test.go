package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

var update = flag.Bool("update", false, "write the golden files and the tables of docs/schema.md")

// golden compares what was written with the file, or writes the file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestGolden(t *testing.T) {
	extension := map[string]string{
		"table": "txt", "json": "json", "sarif": "sarif", "junit": "xml", "markdown": "md", "github": "log",
		"cyclonedx": "cdx.json", "spdx": "spdx.json", "openvex": "vex.json",
	}
	for name, check := range map[string]*touchstone.Check{"refused": refused(), "allowed": allowed(), "road": road()} {
		for _, format := range Formats() {
			if name == "road" && (format == "cyclonedx" || format == "spdx" || format == "openvex") {
				continue // the same but for a property
			}
			t.Run(name+"/"+format, func(t *testing.T) {
				var b bytes.Buffer
				if err := Write(&b, format, check, Options{Now: now, Dockerfile: "build/Dockerfile"}); err != nil {
					t.Fatal(err)
				}
				golden(t, name+"."+extension[format], b.Bytes())
			})
		}
	}
}

func TestGoldenTable(t *testing.T) {
	for name, c := range map[string]struct {
		check   *touchstone.Check
		options Options
	}{
		"refused-60":      {refused(), Options{Width: 60}},
		"refused-200":     {refused(), Options{Width: 200}},
		"refused-color":   {refused(), Options{Color: true}},
		"refused-ascii":   {refused(), Options{ASCII: true}},
		"refused-verbose": {refused(), Options{Verbose: true}},
		"road-60":         {road(), Options{Width: 60}},
		"crowded":         {crowded(100, 200), Options{}},
		"unread":          {unread(), Options{}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			c.options.Now = now
			if err := Write(&b, "table", c.check, c.options); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", b.Bytes())
		})
	}
}

func TestGoldenEvidence(t *testing.T) {
	c := inspected()
	e := &touchstone.Evidence{
		Schema: touchstone.SchemaEvidence, ID: digest("1"), Inspector: 1, Kind: touchstone.KindImage, Platform: "linux/amd64",
		Layers: c.Layers, OS: c.OS, Packages: c.Packages, Manifest: c.Manifest, Configuration: c.Configuration,
		Surface: c.Surface, Secrets: c.Secrets, Pins: c.Pins, Gaps: c.Gaps,
	}
	for format, file := range map[string]string{"table": "evidence.txt", "json": "evidence.json"} {
		var b bytes.Buffer
		if err := WriteEvidence(&b, format, c.Artifact, e, "touchstone 1.0", Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, file, b.Bytes())
	}
	for _, format := range EvidenceFormats() {
		if err := WriteEvidence(new(bytes.Buffer), format, c.Artifact, e, "touchstone 1.0", Options{}); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestGoldenDiff(t *testing.T) {
	d := changed()
	for format, file := range map[string]string{"table": "diff.txt", "json": "diff.json", "markdown": "diff.md"} {
		var b bytes.Buffer
		if err := WriteDiff(&b, format, d, Options{}); err != nil {
			t.Fatal(err)
		}
		golden(t, file, b.Bytes())
	}
}

// changed is a diff with everything in it.
func changed() *touchstone.Diff {
	from, to := inspected(), inspected()
	to.Packages = append(to.Packages[1:2:2], to.Packages[2:]...)
	to.Packages[1].Version = "1.1.1l-r0"
	a := &touchstone.Evidence{
		Packages: from.Packages, Layers: from.Layers, Surface: from.Surface,
		Configuration: touchstone.Configuration{User: "1000", Environment: []string{"A=1", "B=2"}, Labels: map[string]string{"x": "1"}},
		Secrets:       from.Secrets[:1],
	}
	b := &touchstone.Evidence{
		Packages: to.Packages, Layers: append(to.Layers[:1:1], touchstone.Layer{DiffID: digest("f"), Size: 9000000}),
		Surface:       touchstone.Surface{Shells: []string{"bin/busybox", "bin/" + hostile}, Setuid: from.Surface.Setuid, Needed: []string{"lib/libc.so"}},
		Configuration: touchstone.Configuration{User: "", Environment: []string{"A=2", hostile + "=3"}, Labels: map[string]string{"x": hostile}},
		Secrets:       from.Secrets[1:],
	}
	d := touchstone.Compare(a, b, func(_, x, y string) (int, bool) { return bytes.Compare([]byte(x), []byte(y)), true })
	d.Tool, d.From, d.To = from.Tool, from.Artifact, to.Artifact
	d.To.Name = "registry.example/shop/cart:1.5"
	d.Files.Known = true
	d.Files.Note(nil, &touchstone.File{Path: "usr/bin/" + hostile, Exec: touchstone.ExecELF, SHA256: digest("1"), Mode: 0o755})
	d.Files.Note(&touchstone.File{Path: "usr/bin/cart", Exec: touchstone.ExecELF, SHA256: digest("1"), Mode: 0o755}, &touchstone.File{Path: "usr/bin/cart", Exec: touchstone.ExecELF, SHA256: digest("2"), Mode: 0o4755})
	d.Files.Note(&touchstone.File{Path: "etc/motd"}, &touchstone.File{Path: "etc/motd"})
	d.Matches = touchstone.CompareMatches(from.Matches[2:], to.Matches[:5])
	return &d
}
