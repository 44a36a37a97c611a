package surface

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"touchstone.dev/touchstone"
)

// memory is a tree made in a test.
type memory map[string]Entry

func (m memory) Entries() iter.Seq[*Entry] {
	return func(yield func(*Entry) bool) {
		names := make([]string, 0, len(m))
		for n := range m {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			e := m[n]
			if !yield(&e) {
				return
			}
		}
	}
}

func (m memory) Find(path string) (touchstone.File, bool) {
	e, ok := m[path]
	return e.File, ok
}

func (m memory) put(path string, mode uint32, f Facts) {
	m[path] = Entry{File: touchstone.File{
		Path: path, Kind: touchstone.FileRegular, Mode: mode, Exec: f.Exec,
		SHA256: touchstone.Digest("sha256:" + path),
	}, Facts: &f}
}

func (m memory) link(path, target string) {
	m[path] = Entry{File: touchstone.File{Path: path, Kind: touchstone.FileSymlink, Mode: 0o777, Link: target}}
}

func (m memory) dir(path string, mode uint32) {
	m[path] = Entry{File: touchstone.File{Path: path, Kind: touchstone.FileDir, Mode: mode}}
}

// folder reads a root file system in place into a tree, as the pipeline does.
func folder(t testing.TB, root string) memory {
	t.Helper()
	m := memory{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(root, name)
		if err != nil || rel == "." {
			return nil
		}
		if d.IsDir() && (rel == "proc" || rel == "sys" || rel == "dev") {
			return filepath.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		e := Entry{File: touchstone.File{Path: rel, Mode: uint32(info.Mode().Perm()), Size: info.Size()}}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			e.Mode = st.Mode & 0o7777
		}
		switch info.Mode().Type() {
		case 0:
			e.Kind = touchstone.FileRegular
			lookAt(&e, name)
		case fs.ModeDir:
			e.Kind = touchstone.FileDir
		case fs.ModeSymlink:
			e.Kind = touchstone.FileSymlink
			e.Link, _ = os.Readlink(name)
		default:
			e.Kind = touchstone.FileDevice
		}
		m[rel] = e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func lookAt(e *Entry, name string) {
	file, err := os.Open(name)
	if err != nil {
		return
	}
	defer file.Close()
	head := make([]byte, HeadSize)
	n, _ := io.ReadFull(file, head)
	var facts Facts
	if Wants(e.Path, e.Size, head[:n]) {
		facts = Look(e.Path, e.Size, head[:n], file)
	} else {
		facts = Look(e.Path, e.Size, head[:n], nil)
	}
	if !facts.IsZero() {
		e.Facts, e.Exec = &facts, facts.Exec
		sum := sha256.New()
		file.Seek(0, io.SeekStart)
		io.Copy(sum, file)
		e.SHA256 = touchstone.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
	}
	buf := make([]byte, 64)
	if n, err := syscall.Getxattr(name, "security.capability", buf); err == nil {
		e.Capability = buf[:n]
	}
}

// A real folder is measured as it is. With TOUCHSTONE_TEST_ROOT=/some/root
// TOUCHSTONE_TEST_RUN="command" go test -run Folder -v, any root file system is,
// and the answer is printed.
func TestFolder(t *testing.T) {
	root := os.Getenv("TOUCHSTONE_TEST_ROOT")
	if root == "" {
		root = "."
	}
	s, gaps := Measure(folder(t, root), touchstone.Configuration{Entrypoint: strings.Fields(os.Getenv("TOUCHSTONE_TEST_RUN"))})
	t.Logf("known %v size %d", s.EntrypointKnown, s.Size)
	for name, list := range map[string][]string{"setuid": s.Setuid, "caps": s.Capabilities, "shells": s.Shells, "managers": s.PackageManagers,
		"interpreters": s.Interpreters, "network": s.NetworkTools, "debug": s.DebugTools, "logins": s.LoginDaemons,
		"writable": s.WorldWritable, "needed": s.Needed, "unneeded": s.Unneeded} {
		t.Logf("%s (%d):\n  %s", name, len(list), strings.Join(list, "\n  "))
	}
	for _, g := range gaps {
		t.Logf("%+v", g)
	}
}
