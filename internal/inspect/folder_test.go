package inspect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/unprivileged"
)

func inPlace(path string) *source {
	return &source{
		artifact: touchstone.Artifact{Source: path, Kind: touchstone.KindFilesystem},
		layers:   []artifact.Layer{{Root: path, Size: -1}},
	}
}

func TestFolder(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	outside := filepath.Join(filepath.Dir(root), "outside")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "d", "e"), 0o755),
		os.MkdirAll(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600),
		os.WriteFile(filepath.Join(root, "d", "x"), []byte("a"), 0o644),
		os.WriteFile(filepath.Join(root, "d-"), []byte("b"), 0o644),
		os.WriteFile(filepath.Join(root, "run"), []byte("#!/bin/sh\n"), 0o755),
		os.Link(filepath.Join(root, "d", "x"), filepath.Join(root, "hard")),
		os.Symlink(outside, filepath.Join(root, "out")),
		os.Symlink("/etc/passwd", filepath.Join(root, "passwd")),
		os.Symlink(".", filepath.Join(root, "d", "e", "cycle")),
		unix.Mkfifo(filepath.Join(root, "pipe"), 0o600),
		os.WriteFile(filepath.Join(root, ".wh.d"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	in := newInspector(t, Config{Store: newStore(t)})
	e, a, err := in.Inspect(t.Context(), inPlace(root))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"file .wh.d " + short(""), "dir d", "dir d/e", "symlink d/e/cycle -> .", "file d/x " + short("a"), "file d- " + short("b"),
		"file hard " + short("a"), "symlink out -> " + outside, "symlink passwd -> /etc/passwd", "fifo pipe", "file run " + short("#!/bin/sh\n"),
	}
	if diff := cmp.Diff(want, listing(t, in, e)); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	if len(e.Gaps) > 0 || a.Digest != "" || e.Manifest.Executables != 1 {
		t.Errorf("gaps %v, digest %q, %d executables", e.Gaps, a.Digest, e.Manifest.Executables)
	}

	if err := os.WriteFile(filepath.Join(root, "d", "x"), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if changed := inspect(t, in, inPlace(root)); changed.ID == e.ID {
		t.Error("a folder that changed has the evidence of before")
	}
}

func TestFolderUnreadable(t *testing.T) {
	if unprivileged.Rerun(t) {
		return
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x"), []byte("a"), 0); err != nil {
		t.Fatal(err)
	}
	e := inspect(t, newInspector(t, Config{}), inPlace(root))
	if len(e.Gaps) != 1 || e.Gaps[0].Kind != touchstone.GapFailed || e.Gaps[0].Path != "x" || e.Manifest.Files != 1 {
		t.Errorf("gaps %v, %d files; want one of kind failed at x, and its entry", e.Gaps, e.Manifest.Files)
	}
}

// Whoever makes folders from within each other gets paths that no call takes
// whole. They are a gap, and hide nothing else.
func TestFolderWithEndlessPaths(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", maxName)
	at, err := os.OpenRoot(root)
	for range 300 { // as many as pass what a manifest can hold
		if err != nil {
			t.Fatal(err)
		}
		if err := at.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		within, failed := at.OpenRoot(name)
		_ = at.Close() // it was only read
		at, err = within, failed
	}
	_ = at.Close() // it was only made
	e := inspect(t, newInspector(t, Config{}), inPlace(root))
	if len(e.Gaps) != 1 || e.Gaps[0].Kind != touchstone.GapLimit {
		t.Errorf("gaps %v, want one of kind limit", e.Gaps)
	}
	if want := 1 + maxNamePath/(maxName+1); e.Manifest.Files != want {
		t.Errorf("%d files, want %d: all that have a path", e.Manifest.Files, want)
	}
}
