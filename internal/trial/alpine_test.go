package trial

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/makeimage"
)

// The root file systems that lie beside the project.
const (
	alpine38  = "alpine-minirootfs-3.8.5-x86_64.tar.gz"
	alpine312 = "alpine-minirootfs-3.12.12-x86_64.tar.gz"
	alpine320 = "alpine-minirootfs-3.20.3-x86_64.tar.gz"
)

// apkDatabase reads names and versions from apk's database as it is written: "P:"
// and "V:" lines (apk-tools, doc/apk-v2.5, installed database).
func apkDatabase(t *testing.T, rootfs string) []string {
	t.Helper()
	var list []string
	name := ""
	for line := range strings.Lines(output(t, exec.Command("tar", "-xzOf", rootfs, "./lib/apk/db/installed"))) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "P:"):
			name = line[2:]
		case strings.HasPrefix(line, "V:"):
			list = append(list, name+" "+line[2:])
		}
	}
	slices.Sort(list)
	return list
}

// 3.8.5 holds every fix that the advisories of 2020 know of, so that nothing is
// found there; the later releases are in none of them, which is never "no holes".
func TestAlpine(t *testing.T) {
	t.Parallel()
	need(t, "tar")
	m := newMachine(t, shared(t, "osv", "Alpine", "all.zip"), shared(t, "cve", "records.zip"), shared(t, "kev.json"))
	for _, test := range []struct {
		rootfs, release string
		packages        int
		covered         bool
		why             string
		outcome         touchstone.Outcome // of no-advisories
	}{
		{alpine38, "v3.8", 13, true, "out of support since 2020-05-01: no new advisories are written for it", touchstone.Unknown},
		{alpine312, "v3.12", 14, false, "the advisories for Alpine do not mention its release v3.12", touchstone.Unknown},
		{alpine320, "v3.20", 14, false, "the advisories for Alpine do not mention its release v3.20", touchstone.Unknown},
	} {
		file := shared(t, "images", test.rootfs)
		im := archive(t, image(t, makeimage.Image{Layers: []makeimage.Layer{tarred(t, "ADD alpine.tar.gz /", file)}}))
		for _, ref := range []string{file, im} {
			doc := m.check(0, ref)
			var got []string
			for _, p := range doc.Packages {
				got = append(got, p.Name+" "+p.Version)
				if p.Ecosystem != "Alpine:"+test.release {
					t.Errorf("%s: %s is of %s", ref, p.Name, p.Ecosystem)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(apkDatabase(t, file), got); diff != "" {
				t.Errorf("%s: packages (- apk's database, + touchstone):\n%s", ref, diff)
			}
			if len(got) != test.packages || len(doc.Gaps) > 0 || len(doc.Matches) > 0 {
				t.Errorf("%s: %d packages, gaps %+v, matches %+v", ref, len(got), doc.Gaps, doc.Matches)
			}
			if c := doc.Coverage[0]; len(doc.Coverage) != 1 || c.Covered != test.covered || c.Why != test.why {
				t.Errorf("%s: coverage %+v", ref, doc.Coverage)
			}
			if got := reason(t, doc, "no-advisories"); got.Outcome != test.outcome {
				t.Errorf("%s: no-advisories %+v", ref, got)
			}
		}
	}
}

// With versions from before every fix, Alpine has exactly the holes that
// osv-scanner finds with the same advisories.
func TestOldAlpine(t *testing.T) {
	t.Parallel()
	need(t, "tar")
	advisories := shared(t, "osv", "Alpine", "all.zip")
	rootfs := shared(t, "images", alpine38)
	var database strings.Builder
	for line := range strings.Lines(output(t, exec.Command("tar", "-xzOf", rootfs, "./lib/apk/db/installed"))) {
		if strings.HasPrefix(line, "V:") {
			line = "V:0.0.1-r0\n"
		}
		database.WriteString(line)
	}
	old, err := makeimage.Files("RUN apk add", makeimage.File{Path: "lib/apk/db/installed", Data: []byte(database.String())})
	if err != nil {
		t.Fatal(err)
	}
	file := archive(t, image(t, makeimage.Image{Layers: []makeimage.Layer{tarred(t, "ADD alpine.tar.gz /", rootfs), old}}))
	doc := newMachine(t, advisories).check(1, file)
	ours := matches(doc)
	if len(ours) == 0 {
		t.Error("no hole is found in versions that hold no fix")
	}
	sameHoles(t, ours, groups(t, scanner(t, file, "Alpine", advisories)))
	for i := range doc.Matches {
		if m := &doc.Matches[i]; !m.Fixable() {
			t.Errorf("%s in %s has no fix, and every record of Alpine's names one", m.ID, m.Package.Name)
		}
	}
}
