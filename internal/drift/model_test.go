package drift

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone/internal/inspect/surface"
	"touchstone.dev/touchstone/internal/manifest"
)

// listed is what the model knows of one path: a line that says all of it.
type listed map[string]manifest.Entry

// list reads a tree as plainly as can be.
func list(t fataler, root string) listed {
	out := listed{}
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		e := manifest.Entry{Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid)}
		switch st.Mode & syscall.S_IFMT {
		case syscall.S_IFREG:
			content, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			e.Kind, e.Size, e.Hashed, e.SHA256 = manifest.Regular, int64(len(content)), true, sha256.Sum256(content)
			e.Exec = manifest.ExecOf(surface.Exec(content[:min(len(content), surface.HeadSize)], bytes.NewReader(content)))
		case syscall.S_IFDIR:
			e.Kind = manifest.Dir
		case syscall.S_IFLNK:
			e.Kind = manifest.Symlink
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			e.Link = []byte(target)
		case syscall.S_IFIFO:
			e.Kind = manifest.Fifo
		case syscall.S_IFSOCK:
			return nil
		default:
			e.Kind = manifest.Device
		}
		out[strings.TrimPrefix(p, root+"/")] = e
		return nil
	})
	if err != nil {
		t.Fatalf("listing %s: %v", root, err)
	}
	return out
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// manifestOf makes a manifest of what was listed.
func manifestOf(t fataler, l listed) *manifest.Reader {
	t.Helper()
	var buf bytes.Buffer
	w := manifest.NewWriter(&buf)
	for _, p := range l.sorted() {
		e := l[p]
		e.Path = []byte(p)
		if err := w.Add(&e); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	r, err := manifest.Open(buf.Bytes())
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

func (l listed) sorted() []string {
	var paths []string
	for p := range l {
		paths = append(paths, p)
	}
	slices.SortFunc(paths, func(a, b string) int { return manifest.Compare([]byte(a), []byte(b)) })
	return paths
}

// describe writes an entry as one line.
func describe(e manifest.Entry) string {
	if e.Kind == manifest.Symlink {
		e.Mode = 0
	}
	line := fmt.Sprintf("kind %d %o %d:%d %q", e.Kind, e.Mode, e.UID, e.GID, e.Link)
	if e.Kind == manifest.Regular {
		line += fmt.Sprintf(" size %d sha %x exec %d", e.Size, e.SHA256[:4], e.Exec)
	}
	return line
}

// differences says what differs between two lists, one line each, and which paths
// cannot be told.
func differences(want, have listed) (lines, gaps []string) {
	for p, w := range want {
		h, ok := have[p]
		switch {
		case !ok:
			lines = append(lines, fmt.Sprintf("removed %q was %s", p, describe(w)))
		case describe(w) != describe(h):
			lines = append(lines, fmt.Sprintf("changed %q was %s is %s", p, describe(w), describe(h)))
		case w.Kind == manifest.Device:
			gaps = append(gaps, p)
		}
	}
	for p, h := range have {
		if _, ok := want[p]; !ok {
			lines = append(lines, fmt.Sprintf("added %q is %s", p, describe(h)))
		}
	}
	slices.Sort(lines)
	slices.Sort(gaps)
	return lines, gaps
}

// heard collects what a scan tells.
type heard struct {
	t         fataler
	standing  []string // what is so now
	news      []string // New
	gone      []string
	gaps      []string
	order     []string
	unordered bool
}

func (h *heard) take(f Finding) error {
	if f.Gap != nil {
		h.gaps = append(h.gaps, f.Gap.Path)
		return nil
	}
	line := lineOf(&f)
	switch f.News {
	case New:
		h.news = append(h.news, line)
		h.standing = append(h.standing, line)
	case Known:
		h.standing = append(h.standing, line)
	case Gone:
		h.gone = append(h.gone, line)
	}
	if n := len(h.order); n > 0 && manifest.Compare([]byte(h.order[n-1]), []byte(f.Drift.Path)) > 0 {
		h.unordered = true
	}
	h.order = append(h.order, f.Drift.Path)
	return nil
}

func lineOf(f *Finding) string {
	d := &f.Drift
	line := fmt.Sprintf("%s %q", d.Change, d.Path)
	if d.Want != nil {
		line += " was " + describe(entryOfFile(d.Want))
	}
	if d.Have != nil {
		line += " is " + describe(entryOfFile(d.Have))
	}
	return line
}

func scanAll(t fataler, s *Scanner) *heard {
	t.Helper()
	h := &heard{t: t}
	if _, err := s.Scan(context.Background(), h.take); err != nil {
		t.Fatalf("%v", err)
	}
	if h.unordered {
		t.Fatalf("not in order of path: %q", h.order)
	}
	h.sort()
	return h
}

func (h *heard) sort() {
	slices.Sort(h.standing)
	slices.Sort(h.news)
	slices.Sort(h.gone)
	slices.Sort(h.gaps)
}

// overlay is a mounted overlay.
type overlay struct {
	lowers        []string // the lowest first
	upper, merged string
	options       string
}

func (o *overlay) mount(t fataler, dir string) {
	t.Helper()
	o.upper, o.merged = filepath.Join(dir, "upper"), filepath.Join(dir, merged)
	work := filepath.Join(dir, "work")
	for _, d := range []string{o.upper, o.merged, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatalf("%v", err)
		}
	}
	var lowers []string
	for _, l := range slices.Backward(o.lowers) {
		lowers = append(lowers, l)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s%s", strings.Join(lowers, ":"), o.upper, work, o.options)
	if err := unix.Mount("overlay", o.merged, "overlay", 0, options); err != nil {
		t.Fatalf("mounting an overlay with %s: %v", options, err)
	}
}

func (o *overlay) unmount() { _ = unix.Unmount(o.merged, unix.MNT_DETACH) }

func needOverlay(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting an overlay needs root")
	}
}

// overlayOptions are the ways in which an overlay marks what has changed.
func overlayOptions() []string {
	return []string{
		"", ",redirect_dir=on", ",metacopy=on,redirect_dir=on", ",index=on", ",redirect_dir=on,index=on,metacopy=on", ",userxattr",
	}
}

// TestReportsAreExact applies random operations to a mounted overlay: what the
// upper directory says beside the manifest, what the merged tree says as a folder,
// and what changed since the last scan all equal what a plain comparison of the
// merged tree with the manifest says.
func TestReportsAreExact(t *testing.T) {
	needOverlay(t)
	base := t.TempDir()
	count := 0
	rapid.Check(t, func(t *rapid.T) {
		count++
		dir := filepath.Join(base, fmt.Sprint(count))
		defer os.RemoveAll(dir)
		o := &overlay{options: rapid.SampledFrom(overlayOptions()).Draw(t, "options")}
		for i := range rapid.IntRange(1, 2).Draw(t, "layers") {
			stackLayer(t, o, filepath.Join(dir, fmt.Sprint("layer", i)))
		}
		o.mount(t, filepath.Join(dir, "top"))
		defer o.unmount()
		want := list(t, o.merged)
		m := manifestOf(t, want)
		config := Config{Manifest: m, Settle: time.Nanosecond}
		kept := newScanner(t, Tree{Path: o.upper, UserXattr: o.userXattr()}, config)
		var before []string
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			for range rapid.IntRange(0, 12).Draw(t, "operations") {
				operate(t, o.merged, false)
			}
			lines, gaps := differences(want, list(t, o.merged))
			if rapid.Bool().Draw(t, "check") {
				before = checkSome(t, kept, o, before, lines)
			}
			for name, s := range map[string]*Scanner{
				"upper":  newScanner(t, Tree{Path: o.upper, UserXattr: o.userXattr()}, config),
				"folder": newScanner(t, Tree{Form: Folder, Path: o.merged}, config),
				"kept":   kept,
			} {
				h := scanAll(t, s)
				if diff := cmp.Diff(lines, h.standing); diff != "" {
					t.Fatalf("%s (-model +scan):\n%s", name, diff)
				}
				// An upper directory is silent about devices that nobody touched.
				if name == "folder" {
					if diff := cmp.Diff(gaps, h.gaps); diff != "" {
						t.Fatalf("%s: gaps (-model +scan):\n%s", name, diff)
					}
				} else if name == "kept" {
					sameNews(t, before, lines, h)
				}
			}
			inSteps(t, o, config, lines)
			before = lines
		}
	})
}

// checkSome checks a few paths at once, and returns what has been told by then.
func checkSome(t *rapid.T, s *Scanner, o *overlay, before, now []string) []string {
	files, _ := inhabitants(o.merged)
	paths := rapid.SliceOfN(rapid.SampledFrom(append(files, "a", "b", "a/a", "a-/b/a", "")), 1, 4).Draw(t, "paths")
	under := func(line string) bool {
		return slices.ContainsFunc(paths, func(p string) bool { return covers([]byte(p), []byte(pathOf(line))) })
	}
	is := func(line string) bool { return !under(line) }
	h := &heard{t: t}
	if _, err := s.Check(t.Context(), h.take, paths...); err != nil {
		t.Fatalf("%v", err)
	}
	h.sort()
	there := slices.DeleteFunc(slices.Clone(now), is)
	if diff := cmp.Diff(there, h.standing); diff != "" && len(there)+len(h.standing) > 0 {
		t.Fatalf("checking %q (-model +check):\n%s", paths, diff)
	}
	sameNews(t, slices.DeleteFunc(slices.Clone(before), is), there, h)
	told := append(slices.DeleteFunc(slices.Clone(before), under), there...)
	slices.Sort(told)
	return told
}

// inSteps scans with narrow bounds until all has been looked at.
func inSteps(t *rapid.T, o *overlay, c Config, lines []string) {
	c.Files = rapid.IntRange(1, 4).Draw(t, "bound of names")
	c.Bytes = rapid.Int64Range(1, 8).Draw(t, "bound of bytes")
	c.Settle = rapid.SampledFrom([]time.Duration{1, time.Hour}).Draw(t, "settle")
	s := newScanner(t, Tree{Path: o.upper, UserXattr: o.userXattr()}, c)
	s.room = rapid.SampledFrom([]int{1, 40, 10000}).Draw(t, "room for names")
	var news []string
	for range 1000 {
		h := &heard{t: t}
		sum, err := s.Scan(t.Context(), h.take)
		if err != nil {
			t.Fatalf("%v", err)
		}
		h.sort()
		// What differs for certain is told before it was read, and once more after.
		news = append(news, slices.DeleteFunc(h.news, func(line string) bool { return strings.Contains(line, unread0) })...)
		if len(h.gone) > 0 {
			t.Fatalf("gone although nothing changed: %q", h.gone)
		}
		if !sum.Complete {
			continue
		}
		if diff := cmp.Diff(lines, h.standing); diff != "" {
			t.Fatalf("in steps (-model +scan):\n%s", diff)
		}
		slices.Sort(news)
		if diff := cmp.Diff(lines, news); diff != "" {
			t.Fatalf("told in steps (-model +scan):\n%s", diff)
		}
		return
	}
	t.Fatalf("never complete")
}

// unread0 is how the SHA-256 is described of a regular file that was not read.
const unread0 = "sha 00000000"

// stackLayer makes a layer by random operations over those below.
func stackLayer(t *rapid.T, o *overlay, dir string) {
	if len(o.lowers) == 0 {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatalf("%v", err)
		}
		for range rapid.IntRange(0, 25).Draw(t, "files") {
			operate(t, dir, o.tied())
		}
		o.lowers = append(o.lowers, dir)
		return
	}
	o.mount(t, dir)
	defer o.unmount()
	for range rapid.IntRange(0, 10).Draw(t, "files") {
		operate(t, o.merged, o.tied())
	}
	o.lowers = append(o.lowers, o.upper)
}

// tied reports whether hard links of lower layers stay one file when it changes:
// the upper directory alone does not show that (TestIndexedLinks).
func (o *overlay) tied() bool { return strings.Contains(o.options, "index") }

func (o *overlay) userXattr() bool { return strings.Contains(o.options, "userxattr") }

// sameNews checks what is told to be new and gone.
func sameNews(t fataler, before, now []string, h *heard) {
	t.Helper()
	only := func(a, b []string) []string {
		return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
	}
	if diff := cmp.Diff(only(now, before), h.news); diff != "" && len(only(now, before))+len(h.news) > 0 {
		t.Fatalf("news (-model +scan):\n%s", diff)
	}
	// A path that differs in another way than before is new, and not gone.
	gone := slices.DeleteFunc(only(before, now), func(s string) bool {
		return slices.ContainsFunc(now, func(n string) bool { return pathOf(n) == pathOf(s) })
	})
	if diff := cmp.Diff(gone, h.gone); diff != "" && len(gone)+len(h.gone) > 0 {
		t.Fatalf("gone (-model +scan):\n%s", diff)
	}
}

func pathOf(line string) string {
	_, rest, _ := strings.Cut(line, " ")
	var p string
	if _, err := fmt.Sscanf(rest, "%q", &p); err != nil {
		return line
	}
	return p
}

func newScanner(t fataler, tree Tree, c Config) *Scanner {
	t.Helper()
	s, err := NewScanner(tree, c)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}
