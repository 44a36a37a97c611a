package guard

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

func needRoot(t testing.TB, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("%s takes root", what)
	}
}

func write(t testing.TB, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// The upper layer hides one file of the lower, replaces another and adds a third.
func TestManifestOfLayers(t *testing.T) {
	needRoot(t, "mounting layers")
	low, high := t.TempDir(), t.TempDir()
	write(t, low+"/bin/tool", "#!/bin/sh\n", 0o755)
	write(t, low+"/etc/gone", "gone", 0o644)
	write(t, low+"/etc/config", "old", 0o644)
	write(t, high+"/etc/config", "new", 0o600)
	write(t, high+"/added", "", 0o644)
	if err := unix.Mknod(high+"/etc/gone", unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../bin/tool", high+"/link"); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	temporary := func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "") }
	if err := manifestOfLayers(t.Context(), []string{high, low}, temporary, &out); err != nil {
		t.Fatal(err)
	}
	r, err := manifest.Open(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"bin/tool": "#!/bin/sh\n", "etc/config": "new", "added": ""} {
		f, ok, err := r.Lookup(path)
		sum := sha256.Sum256([]byte(want))
		if err != nil || !ok || f.SHA256 != touchstone.NewDigest(sum[:]) {
			t.Errorf("%s: %+v, %v, %v", path, f, ok, err)
		}
	}
	if _, ok, _ := r.Lookup("etc/gone"); ok {
		t.Error("a file that is hidden is in the manifest")
	}
	if f, _, _ := r.Lookup("link"); f.Link != "../bin/tool" {
		t.Errorf("link: %+v", f)
	}
	if f, _, _ := r.Lookup("bin/tool"); f.Exec != "script" {
		t.Errorf("tool: %+v", f)
	}
}
