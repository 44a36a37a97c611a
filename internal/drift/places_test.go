package drift

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/manifest"
)

// must stops the test at the first error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// told scans and returns what is so, shortly: "added a", "gap failed b".
func told(t testing.TB, s *Scanner) []string {
	t.Helper()
	out, _ := toldBy(t, s)
	return out
}

func toldBy(t testing.TB, s *Scanner) ([]string, Summary) {
	t.Helper()
	out := []string{}
	sum, err := s.Scan(context.Background(), func(f Finding) error {
		switch {
		case f.Gap != nil:
			out = append(out, fmt.Sprintf("gap %s %s", f.Gap.Kind, f.Gap.Path))
		case f.News == Gone:
			out = append(out, fmt.Sprintf("gone %s", f.Drift.Path))
		default:
			out = append(out, fmt.Sprintf("%s %s", f.Drift.Change, f.Drift.Path))
		}
		return nil
	})
	must(t, err)
	return out, sum
}

func wantTold(t testing.TB, s *Scanner, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, told(t, s)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// contents is a set of content.
type contents map[string]bool

func (c contents) Has(size int64, sum [32]byte) bool { return c[fmt.Sprintf("%d %x", size, sum)] }

func (c contents) HasSize(size int64) bool {
	for k := range c {
		if strings.HasPrefix(k, fmt.Sprintf("%d ", size)) {
			return true
		}
	}
	return false
}

func (c contents) add(content string) contents {
	c[fmt.Sprintf("%d %x", len(content), sha256.Sum256([]byte(content)))] = true
	return c
}

func TestVolume(t *testing.T) {
	dir := t.TempDir()
	known, other := "#!/bin/sh\necho a\n", "#!/bin/sh\necho b\n"
	for name, content := range map[string]string{
		"data": "some data", "known": known, "other": other, "empty": "", "marked": "x", "rust": "#![no_std]\n",
	} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	must(t, os.Chmod(filepath.Join(dir, "marked"), 0o755), os.Chmod(filepath.Join(dir, "empty"), 0o755), os.Mkdir(filepath.Join(dir, "lib"), 0o755),
		os.Symlink("/etc/passwd", filepath.Join(dir, "link")), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o755),
		os.WriteFile(filepath.Join(dir, "lib", "new"), []byte("#! /usr/bin/python\n"), 0o600))
	s := newScanner(t, Tree{Form: Volume, Path: dir, Mount: "srv/data"}, Config{Contents: contents{}.add(known)})
	wantTold(t, s, "added srv/data/lib/new", "added srv/data/marked", "added srv/data/other")
	var volume string
	_, err := s.Check(t.Context(), func(f Finding) error { volume = f.Drift.Volume; return nil }, "srv/data/other", "srv/database/x", "etc")
	must(t, err)
	if volume != "srv/data" {
		t.Errorf("the volume is %q", volume)
	}
	must(t, os.WriteFile(filepath.Join(dir, "other"), []byte(known), 0o644))
	wantTold(t, s, "added srv/data/lib/new", "added srv/data/marked", "gone srv/data/other")
}

func TestVolumeOfOneFile(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "in"), 0o755), os.WriteFile(filepath.Join(dir, "in", "source"), []byte("#!/bin/sh\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "in", "beside"), []byte("#!/bin/sh\n"), 0o644))
	for _, tree := range []Tree{
		{Form: Volume, Path: filepath.Join(dir, "in", "source"), Mount: "etc/start"},
		{Form: Volume, Path: dir, Inside: "/in/source", Mount: "/etc/start"},
	} {
		wantTold(t, newScanner(t, tree, Config{}), "added etc/start")
	}
}

func TestInsideStaysInside(t *testing.T) {
	dir := t.TempDir()
	root, outside := filepath.Join(dir, "root"), filepath.Join(dir, "outside")
	must(t, os.MkdirAll(filepath.Join(root, "real"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("#!x"), 0o755), os.WriteFile(filepath.Join(root, "real", "x"), []byte("#!x"), 0o755),
		os.Symlink("../outside", filepath.Join(root, "up")), os.Symlink("/real", filepath.Join(root, "across")))
	_, err := newScanner(t, Tree{Form: Volume, Path: root, Inside: "up", Mount: "up"}, Config{}).Scan(t.Context(), func(Finding) error { return nil })
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("a link out of the root: %v", err)
	}
	wantTold(t, newScanner(t, Tree{Form: Volume, Path: root, Inside: "across", Mount: "across"}, Config{}), "added across/x")
}

func TestWritablePlaces(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "var", "log"), 0o755), os.WriteFile(filepath.Join(dir, "var", "log", "kept"), []byte("a"), 0o644),
		os.WriteFile(filepath.Join(dir, "var", "log", "tool"), []byte("#!/bin/a"), 0o755), os.WriteFile(filepath.Join(dir, "var", "x"), nil, 0o644))
	m := manifestOf(t, list(t, dir))
	s := newScanner(t, Tree{Form: Folder, Path: dir}, Config{Manifest: m, Writable: Patterns([]string{"/var/log"})})
	wantTold(t, s)
	must(t, os.Remove(filepath.Join(dir, "var", "log", "kept")), os.WriteFile(filepath.Join(dir, "var", "log", "new"), []byte("b"), 0o644),
		os.WriteFile(filepath.Join(dir, "var", "log", "tool"), []byte("#!/bin/b"), 0o755), os.Chmod(filepath.Join(dir, "var", "log"), 0o700),
		os.Remove(filepath.Join(dir, "var", "x")))
	wantTold(t, s, "changed var/log/tool", "removed var/x")
}

func TestMountPoints(t *testing.T) {
	upper := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(upper, "var", "run", "secrets"), 0o755), os.Mkdir(filepath.Join(upper, "etc"), 0o755),
		os.WriteFile(filepath.Join(upper, "etc", "hosts"), nil, 0o755), os.WriteFile(filepath.Join(upper, "etc", "hostname"), []byte("x"), 0o755),
		os.Mkdir(filepath.Join(upper, "proc"), 0o555))
	m := manifestOf(t, listed{"etc": {Kind: manifest.Dir, Mode: 0o755}})
	s := newScanner(t, Tree{Path: upper}, Config{Manifest: m, MountPoints: []string{"/proc", "etc/hosts", "etc/hostname", "/var/run/secrets/"}})
	wantTold(t, s, "added etc/hostname")
}
