package drift

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// TestMarksByHand makes the marks of an overlay as the kernel and other programs
// write them, in both namespaces.
func TestMarksByHand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("attributes of the namespace trusted need root")
	}
	file := manifest.Entry{Kind: manifest.Regular, Mode: 0o644, Size: 1, Hashed: true, SHA256: sha256.Sum256([]byte("a")), UID: os.Getuid(), GID: os.Getgid()}
	folder := manifest.Entry{Kind: manifest.Dir, Mode: 0o755}
	m := manifestOf(t, listed{"d": folder, "d/x": file, "e": folder, "e/y": file, "f": file, "g": file, "h": folder, "h/z": file})
	for _, prefix := range []string{"trusted.", "user."} {
		t.Run(prefix, func(t *testing.T) {
			upper := t.TempDir()
			names := marksOf(&Tree{UserXattr: prefix == "user."})
			mark := func(name string, mark mark, value string) {
				must(t, unix.Setxattr(filepath.Join(upper, name), names[mark], []byte(value), 0))
			}
			must(t, unix.Mknod(filepath.Join(upper, "f"), unix.S_IFCHR, 0), os.WriteFile(filepath.Join(upper, "g"), nil, 0o644),
				os.Mkdir(filepath.Join(upper, "d"), 0o755), os.Mkdir(filepath.Join(upper, "e"), 0o755), os.Mkdir(filepath.Join(upper, "i"), 0o755),
				unix.Mknod(filepath.Join(upper, "h"), unix.S_IFCHR, 0), os.WriteFile(filepath.Join(upper, "j"), []byte{0}, 0o600))
			mark("g", markWhiteout, "y")
			mark("d", markOpaque, "y")
			mark("e", markOpaque, "x") // holds whiteouts that are files: not opaque
			mark("i", markRedirect, "/h")
			mark("j", markMetacopy, "")
			mark("j", markRedirect, "/d/x")
			s := newScanner(t, Tree{Path: upper, UserXattr: prefix == "user."}, Config{Manifest: m})
			wantTold(t, s, "removed d/x", "removed f", "removed g", "removed h", "removed h/z", "added i", "added i/z", "added j")
			_, err := s.Check(t.Context(), func(f Finding) error {
				if f.Drift.Have.SHA256 != touchstone.NewDigest(file.SHA256[:]) || f.Drift.Have.Size != 1 {
					t.Errorf("the content is %s, %d bytes", f.Drift.Have.SHA256, f.Drift.Have.Size)
				}
				return nil
			}, "j")
			must(t, err)

			// In the other namespace they are a container's own, and mean nothing.
			s = newScanner(t, Tree{Path: upper, UserXattr: prefix != "user."}, Config{Manifest: m})
			wantTold(t, s, "removed f", "changed g", "removed h", "removed h/z", "added i", "added j")
		})
	}
}

func TestMarksThatLie(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("attributes of the namespace trusted need root")
	}
	upper := t.TempDir()
	m := manifestOf(t, listed{"d": {Kind: manifest.Dir, Mode: 0o755}})
	for name, value := range map[string]string{"a": "", "b": "/", "c": "/../x", "e": "..", "f": "x/y", "g": "/d//x"} {
		must(t, os.Mkdir(filepath.Join(upper, name), 0o755), unix.Setxattr(filepath.Join(upper, name), marksOf(&Tree{})[markRedirect], []byte(value), 0))
	}
	must(t, os.WriteFile(filepath.Join(upper, "m"), []byte("x"), 0o644), unix.Setxattr(filepath.Join(upper, "m"), marksOf(&Tree{})[markMetacopy], nil, 0))
	s := newScanner(t, Tree{Path: upper}, Config{Manifest: m})
	wantTold(t, s, "added a", "gap failed a", "added b", "gap failed b", "added c", "gap failed c", "added e", "gap failed e",
		"added f", "gap failed f", "added g", "gap failed g", "gap failed m")
}

// TestIndexedLinks has an overlay that keeps hard links of lower layers together:
// a write to one shows under the other, and the upper directory has only one.
func TestIndexedLinks(t *testing.T) {
	needOverlay(t)
	dir := t.TempDir()
	lower := filepath.Join(dir, "lower")
	must(t, os.Mkdir(lower, 0o755), os.WriteFile(filepath.Join(lower, "a"), []byte("x"), 0o644), os.Link(filepath.Join(lower, "a"), filepath.Join(lower, "b")))
	o := &overlay{lowers: []string{lower}, options: ",index=on"}
	o.mount(t, dir)
	defer o.unmount()
	m := manifestOf(t, list(t, o.merged))
	must(t, os.WriteFile(filepath.Join(o.merged, "a"), []byte("y"), 0o644))
	if content, _ := os.ReadFile(filepath.Join(o.merged, "b")); string(content) != "y" {
		t.Skip("this kernel does not keep them together")
	}
	s := newScanner(t, Tree{Path: o.upper}, Config{Manifest: m})
	for range 2 {
		wantTold(t, s, "gap unsupported a", "changed a")
	}
}
