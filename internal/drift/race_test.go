package drift

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// meanwhile does something again and again until the test has done its part.
func meanwhile(t *testing.T, do func()) (end func()) {
	t.Helper()
	stop, done := make(chan struct{}), sync.WaitGroup{}
	done.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				do()
			}
		}
	})
	return func() { close(stop); done.Wait() }
}

// TestNothingLeadsOut exchanges a folder and a link that leads out of the tree
// while it is scanned.
func TestNothingLeadsOut(t *testing.T) {
	dir := t.TempDir()
	tree, outside := filepath.Join(dir, "tree"), filepath.Join(dir, "outside")
	must(t, os.MkdirAll(filepath.Join(tree, "d"), 0o755), os.Mkdir(outside, 0o755), os.WriteFile(filepath.Join(outside, "secret"), []byte("#!x"), 0o755),
		os.WriteFile(filepath.Join(tree, "d", "own"), []byte("#!x"), 0o755), os.Symlink(outside, filepath.Join(tree, "l")),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(tree, "m")), os.WriteFile(filepath.Join(tree, "n"), []byte("data"), 0o644))
	end := meanwhile(t, func() {
		_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(tree, "d"), unix.AT_FDCWD, filepath.Join(tree, "l"), unix.RENAME_EXCHANGE)
		_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(tree, "m"), unix.AT_FDCWD, filepath.Join(tree, "n"), unix.RENAME_EXCHANGE)
	})
	defer end()
	seen := 0
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
		s := newScanner(t, Tree{Form: Volume, Path: tree, Mount: "v"}, Config{})
		for _, line := range told(t, s) {
			if strings.HasSuffix(line, "secret") || line == "added v/m" || line == "added v/n" {
				t.Fatalf("told of what lies outside: %s", line)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("nothing was seen at all")
	}
}

// TestFoldersThatMove moves a deep folder away while it is scanned: no more than
// a gap comes of it.
func TestFoldersThatMove(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	deep := strings.TrimSuffix(strings.Repeat("d/", keptOpen*2), "/")
	must(t, os.MkdirAll(filepath.Join(tree, "a", deep), 0o755), os.MkdirAll(filepath.Join(tree, "b"), 0o755))
	end := meanwhile(t, func() {
		_ = os.Rename(filepath.Join(tree, "a", "d", "d"), filepath.Join(tree, "b", "x"))
		_ = os.Rename(filepath.Join(tree, "b", "x"), filepath.Join(tree, "a", "d", "d"))
	})
	defer end()
	s := newScanner(t, Tree{Path: tree}, Config{Manifest: manifestOf(t, listed{})})
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		told(t, s)
	}
}

// TestFilesThatChange is about a file that is written while it is read: that is
// never taken for the file of the image.
func TestFilesThatChange(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	content := bytes.Repeat([]byte("a"), 1<<20)
	must(t, os.WriteFile(name, content, 0o644))
	m := manifestOf(t, list(t, dir))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	n := byte(0)
	_, err = f.WriteAt([]byte{'b', n}, 1<<19) // before the first scan, whoever is quicker
	must(t, err)
	end := meanwhile(t, func() {
		n++
		_, _ = f.WriteAt([]byte{'b', n}, 1<<19)
	})
	defer end()
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: m})
	for range 50 {
		got := told(t, s)
		if len(got) == 0 {
			t.Fatal("a file that changes all the time passed")
		}
	}
}

// TestWritesThroughMappings writes through a mapping that was made before. The
// kernel gives no sign of it until the page was written back; a fresh file is
// read again for that reason.
func TestWritesThroughMappings(t *testing.T) {
	dir := t.TempDir()
	var system unix.Statfs_t
	must(t, unix.Statfs(dir, &system))
	if system.Type == unix.TMPFS_MAGIC {
		t.Skip("tmpfs never writes back")
	}
	name := filepath.Join(dir, "f")
	must(t, os.WriteFile(name, []byte("aaaa"), 0o644))
	m := manifestOf(t, list(t, dir))
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	defer unix.Munmap(page)
	page[0] = 'a' // the page is dirty, and what is written now shows no sign
	s := newScanner(t, Tree{Path: dir}, Config{Manifest: m})
	wantTold(t, s)
	page[0] = 'b'
	wantTold(t, s, "changed f")
	page[0] = 'a'
	wantTold(t, s, "gone f")

	// Once it was written back, each first write shows, however long ago it is.
	must(t, unix.Msync(page, unix.MS_SYNC))
	settled := newScanner(t, Tree{Path: dir}, Config{Manifest: m, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	wantTold(t, settled)
	page[0] = 'b'
	wantTold(t, settled, "changed f")
}
