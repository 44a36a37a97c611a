package advisory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"touchstone.dev/touchstone/internal/advisory/fetch"
)

// mirror serves files that a test may change.
type mirror struct {
	files map[string][]byte
	asked []string
	url   string
}

func newMirror(t *testing.T) *mirror {
	m := &mirror{files: map[string][]byte{}}
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	m.url = s.URL
	return m
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, ok := m.files[r.URL.Path]
	if !ok {
		m.asked = append(m.asked, r.URL.Path+" 404")
		http.NotFound(w, r)
		return
	}
	tag := fmt.Sprintf(`"%d-%x"`, len(b), b[len(b)/2])
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		m.asked = append(m.asked, r.URL.Path+" 304")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	m.asked = append(m.asked, r.URL.Path+" 200")
	_, _ = w.Write(b)
}

func (m *mirror) options(at time.Time, ecosystems ...string) UpdateOptions {
	return UpdateOptions{
		Ecosystems: ecosystems, From: m.url, ImportOptions: ImportOptions{Now: at, Workers: 2},
		Client: &fetch.Client{Attempts: 2, Wait: func(context.Context, time.Duration) error { return nil }},
	}
}

// actions writes what became of each source.
func actions(r Report) map[string]Action {
	m := map[string]Action{}
	for _, c := range r.Changed {
		m[c.Name] = c.Action
	}
	return m
}

func TestUpdate(t *testing.T) {
	m := newMirror(t)
	rocky := record("RLSA-1", `"upstream":["CVE-2026-0001"]`, affects("Rocky Linux:9", "x", "introduced 0"))
	m.files["/Debian/all.zip"] = zipped(t, debian("A-1"))
	m.files["/Rocky Linux/all.zip"] = zipped(t, rocky)
	m.files["/known_exploited_vulnerabilities.json"] = []byte(`{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-2026-0001"}]}`)
	f := OpenFolder(t.TempDir())
	first, err := f.Update(context.Background(), m.options(day(2026, 11, 1), "Debian:12", "Rocky Linux", "Debian"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]Action{"osv/Debian": Added, "osv/Rocky Linux": Added, "kev": Added}, actions(first)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(first.Ignored) != 1 || !strings.HasSuffix(first.Ignored[0], "epss_scores-current.csv.gz") {
		t.Errorf("what the mirror lacks: %q", first.Ignored)
	}
	if st := mustOpen(t, f).State(); !st.KEV.Equal(day(2026, 11, 1)) || !st.EPSS.IsZero() {
		t.Errorf("%+v", st)
	}

	// Nothing has changed: all is confirmed, and the index stays.
	m.asked = nil
	second, err := f.Update(context.Background(), m.options(day(2026, 11, 2)))
	if err != nil || second.Revision != first.Revision || second.Records != 2 {
		t.Errorf("%+v %v", second, err)
	}
	if diff := cmp.Diff(map[string]Action{"osv/Debian": Confirmed, "osv/Rocky Linux": Confirmed, "kev": Confirmed}, actions(second)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/Debian/all.zip 304", "/Rocky Linux/all.zip 304", "/known_exploited_vulnerabilities.json 304", "/epss_scores-current.csv.gz 404"}, m.asked); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at, _ := mustOpen(t, f).confirmed("Debian"); !at.Equal(day(2026, 11, 2)) {
		t.Errorf("confirmed %v", at)
	}

	// One has changed, one is gone: the rest goes on.
	m.files["/Debian/all.zip"] = zipped(t, debian("A-1"), debian("A-2"))
	delete(m.files, "/Rocky Linux/all.zip")
	third, err := f.Update(context.Background(), m.options(day(2026, 11, 3)))
	var status *fetch.Status
	if !errors.As(err, &status) || status.Code != 404 || !strings.Contains(err.Error(), "hint: ecosystems are written as") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(map[string]Action{"osv/Debian": Replaced, "kev": Confirmed}, actions(third)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ix := mustOpen(t, f)
	if at, _ := ix.confirmed("Rocky Linux"); !at.Equal(day(2026, 11, 2)) || third.Records != 3 {
		t.Errorf("Rocky Linux confirmed %v, %d records", at, third.Records)
	}
}

// TestBadAnswers has servers whose answers must not be taken.
func TestBadAnswers(t *testing.T) {
	good := zipped(t, debian("A-1"))
	m := newMirror(t)
	m.files["/Debian/all.zip"] = good
	f := OpenFolder(t.TempDir())
	first, err := f.Update(context.Background(), m.options(now(), "Debian"))
	if err != nil {
		t.Fatal(err)
	}
	altered := append([]byte{}, zipped(t, debian("A-1"), debian("A-2"))...)
	altered[60] ^= 0xff
	for name, b := range map[string][]byte{
		"a web page":        []byte("<!DOCTYPE html><p>sign in"),
		"cut short":         good[:len(good)-30],
		"altered":           altered,
		"another ecosystem": zipped(t, record("N-1", "", affects("npm", "x", "introduced 0"))),
		"without records":   archiveOf(t, "README", []byte("moved")),
	} {
		m.files["/Debian/all.zip"] = b
		if report, err := f.Update(context.Background(), m.options(now())); err == nil {
			t.Errorf("%s: taken: %+v", name, report)
		}
		if st, err := f.Status(); err != nil || st.Index.Revision != first.Revision || st.Index.Problem != "" {
			t.Errorf("%s: the index has changed: %+v %v", name, st.Index, err)
		}
	}
	// And the next good one is.
	m.files["/Debian/all.zip"] = zipped(t, debian("A-1"), debian("A-3"))
	if report, err := f.Update(context.Background(), m.options(now())); err != nil || report.Records != 2 {
		t.Errorf("%+v %v", report, err)
	}
}

func TestUpdateFromFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Debian"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Debian", "all.zip"), zipped(t, debian("A-1")), 0o644); err != nil {
		t.Fatal(err)
	}
	f := OpenFolder(t.TempDir())
	opt := UpdateOptions{Ecosystems: []string{"Debian"}, From: dir, ImportOptions: ImportOptions{Now: now()}}
	report, err := f.Update(context.Background(), opt)
	if err != nil || report.Records != 1 || len(report.Ignored) != 2 {
		t.Fatalf("%+v %v", report, err)
	}
	if at, _ := mustOpen(t, f).confirmed("Debian"); !at.Equal(day(2026, 5, 1)) {
		t.Errorf("a mirror on disk is as old as its records say, not %v", at)
	}
	for _, bad := range []string{"../x", "", ".x", `a\b`} {
		opt.Ecosystems = []string{bad}
		if _, err := f.Update(context.Background(), opt); err == nil {
			t.Errorf("%q is taken for an ecosystem", bad)
		}
	}
}

// TestUpdateMends makes a damaged index again although nothing has changed.
func TestUpdateMends(t *testing.T) {
	m := newMirror(t)
	m.files["/Debian/all.zip"] = zipped(t, debian("A-1"))
	f := OpenFolder(t.TempDir())
	first, err := f.Update(context.Background(), m.options(now(), "Debian"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.indexPath(first.Revision)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Update(context.Background(), m.options(now())); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, f)
}

func TestDefaults(t *testing.T) {
	feeds, err := (&UpdateOptions{}).feeds(&state{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range feeds {
		got = append(got, f.url)
	}
	for _, want := range []string{OSV + "/Debian/all.zip", OSV + "/Red%20Hat/all.zip", KEV, EPSS} {
		if !strings.Contains(strings.Join(got, " "), want) {
			t.Errorf("%s is not fetched", want)
		}
	}
	feeds, err = (&UpdateOptions{Ecosystems: []string{"Go"}, KEV: "-", EPSS: "-"}).feeds(&state{})
	if err != nil || len(feeds) != 1 {
		t.Errorf("%v %v", feeds, err)
	}
}
