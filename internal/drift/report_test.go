package drift

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone"
)

func sample() []Finding {
	ls := touchstone.File{Path: "usr/bin/ls", Kind: touchstone.FileRegular, Mode: 0o755, Size: 1_234_567, SHA256: touchstone.DigestOf([]byte("a")), Exec: touchstone.ExecELF}
	other := ls
	other.Mode, other.UID, other.SHA256 = 0o4755, 1000, touchstone.DigestOf([]byte("b"))
	script := touchstone.File{Path: "data/\x1b[2J\n\xff", Kind: touchstone.FileRegular, Mode: 0o755, Size: 1, Exec: touchstone.ExecScript}
	link := touchstone.File{Path: "l", Kind: touchstone.FileSymlink, Mode: 0o777, Link: "a\u202eb"}
	elsewhere := link
	elsewhere.Link = "c"
	return []Finding{
		{Drift: touchstone.Drift{Change: touchstone.Changed, Path: ls.Path, Want: &ls, Have: &other}},
		{Drift: touchstone.Drift{Change: touchstone.Added, Path: script.Path, Volume: "data", Have: &script}},
		{News: Gone, Drift: touchstone.Drift{Change: touchstone.Added, Path: "gone", Have: &script}},
		{Drift: touchstone.Drift{Change: touchstone.Changed, Path: link.Path, Want: &link, Have: &elsewhere}},
		{Drift: touchstone.Drift{Change: touchstone.Removed, Path: "etc", Want: &touchstone.File{Path: "etc", Kind: touchstone.FileDir, Mode: 0o755}}},
		{Gap: &touchstone.Gap{Kind: touchstone.GapFailed, Path: "x\r", Layer: -1, Reader: "drift", Reason: "reading it: input/output error"}},
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	r := NewText(&out)
	for _, f := range sample() {
		must(t, r.Take(f))
	}
	must(t, r.Close(Summary{Complete: true}))
	want := strings.Join([]string{
		"changed  usr/bin/ls  sha256:ca978112ca1b… → sha256:3e23e8160039…, 0755 → 4755, owner 0:0 → 1000:0",
		`added    data/\x1b[2J\n\xff  script, 1 byte, 0755, owner 0:0, in the volume data`,
		`changed  l  to a\u202eb → c`,
		"removed  etc  folder, 0755, owner 0:0",
		`unknown  x\x0d  reading it: input/output error`,
		"",
	}, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestJSON(t *testing.T) {
	head := touchstone.DriftReport{Tool: "touchstone test", At: time.Unix(0, 0).UTC(), What: "dir:/x", Artifact: touchstone.Artifact{Name: "shop"}}
	for _, findings := range [][]Finding{nil, sample()} {
		var out bytes.Buffer
		r := NewJSON(&out, head)
		want := head
		want.Schema, want.Complete, want.Drift, want.Gaps = touchstone.SchemaDrift, true, []touchstone.Drift{}, []touchstone.Gap{}
		for _, f := range findings {
			must(t, r.Take(f))
			switch {
			case f.Gap != nil:
				want.Gaps = append(want.Gaps, *f.Gap)
			case f.News != Gone:
				want.Drift = append(want.Drift, f.Drift)
			}
		}
		must(t, r.Close(Summary{Complete: true}))
		var got touchstone.DriftReport
		must(t, json.Unmarshal(out.Bytes(), &got))
		whole, err := json.Marshal(&want)
		must(t, err)
		var again touchstone.DriftReport
		must(t, json.Unmarshal(whole, &again))
		if diff := cmp.Diff(again, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

// TestOldReport reads a report as it was first written.
func TestOldReport(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("testdata", "drift-v1.json"))
	must(t, err)
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	var r touchstone.DriftReport
	must(t, d.Decode(&r))
	if r.Schema != touchstone.SchemaDrift || len(r.Drift) != 2 || r.Drift[0].Have.Mode != 0o4755 || len(r.Gaps) != 1 || !r.Complete {
		t.Errorf("%+v", r)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b[31m", "\u202e", "b\n")
	f.Fuzz(func(t *testing.T, path, link, volume string) {
		file := &touchstone.File{Path: path, Kind: touchstone.FileSymlink, Link: link, SHA256: touchstone.Digest(link)}
		d := touchstone.Drift{Change: touchstone.Added, Path: path, Volume: volume, Have: file}
		for _, line := range []string{Line(&d), GapLine(&touchstone.Gap{Path: path, Reason: link})} {
			if i := strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }); i >= 0 {
				t.Errorf("%q holds what a terminal obeys", line)
			}
		}
	})
}
