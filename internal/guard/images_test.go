package guard

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// oneFile makes the manifest of an image that holds one file.
func oneFile(from, content string, made *atomic.Int32) maker {
	return maker{from, func(_ context.Context, to io.Writer) error {
		made.Add(1)
		w := manifest.NewWriter(to)
		e := manifest.Entry{Path: []byte("bin/tool"), Exec: manifest.ExecELF, Hashed: true, Mode: 0o755, Size: int64(len(content)), SHA256: sha256.Sum256([]byte(content))}
		if err := w.Add(&e); err != nil {
			return err
		}
		_, err := w.Close()
		return err
	}}
}

func TestImagesAreMadeOnceAndFoundAgain(t *testing.T) {
	dir := t.TempDir()
	m, err := openImages(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := touchstone.DigestOf([]byte("image"))
	var made atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			im, err := m.acquire(t.Context(), key, []maker{oneFile("layers", "tool", &made)})
			if err != nil {
				t.Error(err)
				return
			}
			if _, known := im.contents.Has(4, sha256.Sum256([]byte("tool"))); !known {
				t.Error("the content of the image is not known")
			}
			m.release(im)
		})
	}
	all.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("it was made %d times", n)
	}
	if len(m.open) != 0 {
		t.Error("an image is open that nobody uses")
	}
	again, err := openImages(dir)
	if err != nil {
		t.Fatal(err)
	}
	im, err := again.acquire(t.Context(), key, nil)
	if err != nil || im.from != "layers" {
		t.Fatalf("after a restart: %v, %v", im, err)
	}
	again.release(im)
}

// What does not know the image is asked no further; what fails is told, and nothing
// half made is left.
func TestImagesAskOneMakerAfterTheOther(t *testing.T) {
	m, err := openImages(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var made atomic.Int32
	unknown := maker{"server", func(context.Context, io.Writer) error { return fs.ErrNotExist }}
	broken := maker{"layers", func(_ context.Context, to io.Writer) error {
		_, _ = to.Write([]byte("half"))
		return errors.New("the disk is broken")
	}}
	key := touchstone.DigestOf([]byte("one"))
	if _, err := m.acquire(t.Context(), key, []maker{unknown, broken}); err == nil {
		t.Error("a broken image was opened")
	}
	im, err := m.acquire(t.Context(), key, []maker{unknown, oneFile("layers", "x", &made)})
	if err != nil || im.from != "layers" {
		t.Fatalf("%v, %v", im, err)
	}
	m.release(im)
	if left, _ := filepath.Glob(filepath.Join(m.dir, ".new-*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDamagedImagesAreMadeAgain(t *testing.T) {
	m, err := openImages(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var made atomic.Int32
	key := touchstone.DigestOf([]byte("one"))
	for round, damage := range []string{"", "manifest", "contents", "from"} {
		if damage != "" {
			if err := os.WriteFile(filepath.Join(m.folder(key), damage), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if damage == "from" {
				if err := os.Remove(filepath.Join(m.folder(key), damage)); err != nil {
					t.Fatal(err)
				}
			}
		}
		im, err := m.acquire(t.Context(), key, []maker{oneFile("layers", "x", &made)})
		if err != nil {
			t.Fatalf("with a damaged %s: %v", damage, err)
		}
		m.release(im)
		if int(made.Load()) != round+1 {
			t.Errorf("with a damaged %s it was made %d times", damage, made.Load())
		}
	}
}
