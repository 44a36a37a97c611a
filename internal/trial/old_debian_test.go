package trial

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone/internal/makeimage"
)

// bulletin is a record of Debian's: one DSA, and the CVEs that it is about.
type bulletin struct {
	ID       string
	Upstream []string
	Affected []struct {
		Package struct{ Ecosystem, Name string }
		Ranges  []struct{ Events []struct{ Fixed string } }
	}
}

// holes are what the bulletin is about; itself, where it names no CVE.
func (b bulletin) holes() []string {
	if len(b.Upstream) == 0 {
		return []string{b.ID}
	}
	return b.Upstream
}

// bulletins reads the records of a zip, by their ids.
func bulletins(t *testing.T, path string) map[string]bulletin {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	all := map[string]bulletin{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bulletin
		if err := json.NewDecoder(r).Decode(&b); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		_ = r.Close()
		all[b.ID] = b
	}
	return all
}

// halfMended is the database of dpkg on a system that has every package of a
// release that was ever mended, each in one of the mended versions: some of its
// holes are closed then, and some are not.
func halfMended(all map[string]bulletin, release string) []byte {
	fixed := map[string][]string{}
	for _, b := range all {
		for _, a := range b.Affected {
			for _, r := range a.Ranges {
				for _, e := range r.Events {
					if a.Package.Ecosystem == "Debian:"+release && e.Fixed != "" {
						fixed[a.Package.Name] = append(fixed[a.Package.Name], e.Fixed)
					}
				}
			}
		}
	}
	var status strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fixed)) {
		versions := fixed[name]
		slices.Sort(versions)
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nMaintainer: nobody\nVersion: %s\nDescription: none\n\n",
			name, versions[len(versions)/2])
	}
	return []byte(status.String())
}

// Given the same advisories, osv-scanner finds the same holes in Debian's
// packages, hundreds in each release. One difference has a reason: osv-scanner
// leaves whatever is called "linux" out, because Debian's kernels are built from
// it, and Touchstone has been told that the kernel itself is installed.
func TestOldDebian(t *testing.T) {
	t.Parallel()
	advisories := shared(t, "osv", "Debian", "all.zip")
	all := bulletins(t, advisories)
	for _, release := range []string{"9", "10", "11"} {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			system, err := makeimage.Files("RUN apt-get install",
				makeimage.File{Path: "etc/os-release", Data: fmt.Appendf(nil, "ID=debian\nVERSION_ID=%q\n", release)},
				makeimage.File{Path: "var/lib/dpkg/status", Data: halfMended(all, release)})
			if err != nil {
				t.Fatal(err)
			}
			file := archive(t, image(t, makeimage.Image{Layers: []makeimage.Layer{system}}))
			ours, theirs := map[string]bool{}, map[string]bool{}
			doc := newMachine(t, advisories).check(1, file)
			for i := range doc.Matches {
				if m := &doc.Matches[i]; m.Package.Name != "linux" {
					ours[m.Package.Name+" "+m.Package.Version+": "+m.ID] = true
				}
			}
			for _, h := range vulnerabilities(t, scanner(t, file, "Debian", advisories)) {
				for _, id := range all[h.ids[0]].holes() {
					theirs[h.name+" "+h.version+": "+id] = true
				}
			}
			if len(theirs) < 300 {
				t.Errorf("osv-scanner finds %d holes", len(theirs))
			}
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("holes (- osv-scanner, + touchstone):\n%s", diff)
			}
		})
	}
}
