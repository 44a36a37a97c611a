package guard

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/manifest"
)

// ImageID names an image by what it is made of.
type ImageID struct {
	Config  touchstone.Digest
	DiffIDs []touchstone.Digest // bottom first
	// Name is what the container calls it, for a server that is to scan it.
	Name string
}

// key names the image's files in the guard's own folder. An image that does not
// tell its config is named by the folders that it was unpacked to.
func (id *ImageID) key(layers []string) touchstone.Digest {
	if id.Config.Valid() && len(id.DiffIDs) > 0 {
		return touchstone.DigestOf(fmt.Appendf(nil, "image %s %q", id.Config, id.DiffIDs))
	}
	return touchstone.DigestOf(fmt.Appendf(nil, "layers %q", layers))
}

// Where an image's manifest came from.
const (
	fromServer   = "server"
	fromEvidence = "evidence" // of this machine
	fromLayers   = "layers"   // read from the unpacked layers, because nobody had inspected it
	fromGolden   = "golden"   // a host's own image
)

// image is what one image holds: mapped from files, shared by all containers of
// it, and never changed.
type image struct {
	key      touchstone.Digest
	from     string
	manifest *manifest.Reader
	contents *manifest.Contents

	mappings []*blob.Mapping
	users    int // guarded by images.mu
}

// images keeps the manifests of images in a folder of the guard's own, for the next
// start.
//
//	DIR/ab12…/manifest
//	DIR/ab12…/contents
//	DIR/ab12…/from
type images struct {
	dir string

	mu   sync.Mutex
	open map[touchstone.Digest]*opening
}

// opening is an image that is open, or is just being opened by the first who asks.
type opening struct {
	done  chan struct{}
	image *image
	err   error
}

// maker is one way to get the manifest of an image; fs.ErrNotExist says that the
// next one may know it.
type maker struct {
	from  string
	write func(ctx context.Context, to io.Writer) error
}

// mostImages is how many images' files are kept that no container uses.
const mostImages = 256

func openImages(dir string) (*images, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the folder of manifests: %w", err)
	}
	return &images{dir: dir, open: map[touchstone.Digest]*opening{}}, nil
}

// acquire opens the image, or makes its files first by the first of the makers that
// knows it. Several who ask for one image wait for the same. What is acquired is
// released.
func (m *images) acquire(ctx context.Context, key touchstone.Digest, makers []maker) (*image, error) {
	for {
		m.mu.Lock()
		o := m.open[key]
		if o == nil {
			o = &opening{done: make(chan struct{})}
			m.open[key] = o
			m.mu.Unlock()
			o.image, o.err = m.make(ctx, key, makers)
			m.mu.Lock()
			if o.err != nil {
				delete(m.open, key)
			} else {
				o.image.users = 1
			}
			m.mu.Unlock()
			close(o.done)
			return o.image, o.err
		}
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-o.done:
		}
		m.mu.Lock()
		if o.err == nil && m.open[key] == o {
			o.image.users++
			m.mu.Unlock()
			return o.image, nil
		}
		m.mu.Unlock()
		if o.err != nil && !errors.Is(o.err, context.Canceled) {
			return nil, o.err
		}
	}
}

// hold keeps an image open that may be released at any moment, until it is released
// once more. It returns nil where it is closed already, or was nil.
func (m *images) hold(im *image) *image {
	if im == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if im.users == 0 {
		return nil
	}
	im.users++
	return im
}

// release closes the image when nobody uses it any more.
func (m *images) release(im *image) {
	if im == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if im.users--; im.users > 0 {
		return
	}
	delete(m.open, im.key)
	im.close()
}

func (im *image) close() {
	for _, mapping := range im.mappings {
		mapping.Close()
	}
}

// make finds the files of the image, or makes them.
func (m *images) make(ctx context.Context, key touchstone.Digest, makers []maker) (*image, error) {
	im, err := m.load(key)
	if err == nil {
		now := time.Now() // of use for what is removed first, and for nothing else
		_ = os.Chtimes(m.folder(key), now, now)
		return im, nil
	}
	err = fmt.Errorf("finding the manifest of image %s: nobody knows it", key.Short())
	for _, mk := range makers {
		err = m.write(ctx, key, mk)
		if err == nil {
			m.prune()
			return m.load(key)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, err
}

func (m *images) folder(key touchstone.Digest) string {
	return filepath.Join(m.dir, string(key)[len("sha256:"):])
}

// load opens files that were made before. Damaged ones are removed.
func (m *images) load(key touchstone.Digest) (*image, error) {
	folder := m.folder(key)
	im := &image{key: key}
	bytes := func(name string) ([]byte, error) {
		f, err := os.Open(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		mapping, err := blob.MapFile(f)
		if err != nil {
			return nil, err
		}
		im.mappings = append(im.mappings, mapping)
		return mapping.Bytes(), nil
	}
	err := func() error {
		from, err := os.ReadFile(filepath.Join(folder, "from"))
		if err != nil {
			return err
		}
		im.from = string(from)
		data, err := bytes("manifest")
		if err != nil {
			return err
		}
		if im.manifest, err = manifest.Open(data); err != nil {
			return err
		}
		if data, err = bytes("contents"); err != nil {
			return err
		}
		im.contents, err = manifest.OpenContents(data)
		return err
	}()
	if err == nil {
		return im, nil
	}
	im.close()
	if !errors.Is(err, fs.ErrNotExist) {
		_ = os.RemoveAll(folder)
	}
	return nil, err
}

// write makes the files of an image, whole or not at all.
func (m *images) write(ctx context.Context, key touchstone.Digest, mk maker) error {
	temporary, err := os.MkdirTemp(m.dir, ".new-*")
	if err != nil {
		return fmt.Errorf("keeping the manifest of an image: %w", err)
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	if err := writeFile(filepath.Join(temporary, "manifest"), func(w io.Writer) error { return mk.write(ctx, w) }); err != nil {
		return err
	}
	if err := writeContents(temporary); err != nil {
		return fmt.Errorf("keeping the contents of an image: %w", err)
	}
	if err := os.WriteFile(filepath.Join(temporary, "from"), []byte(mk.from), 0o600); err != nil {
		return fmt.Errorf("keeping the manifest of an image: %w", err)
	}
	to := m.folder(key)
	err = os.Rename(temporary, to)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		_ = os.RemoveAll(to) // it was there and could not be read
		err = os.Rename(temporary, to)
	}
	if err != nil {
		return fmt.Errorf("keeping the manifest of an image: %w", err)
	}
	return nil
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 64<<10)
	if err := errors.Join(write(w), w.Flush()); err != nil {
		return err
	}
	return f.Close()
}

func writeContents(folder string) error {
	f, err := os.Open(filepath.Join(folder, "manifest"))
	if err != nil {
		return err
	}
	defer f.Close()
	mapping, err := blob.MapFile(f)
	if err != nil {
		return err
	}
	defer mapping.Close()
	r, err := manifest.Open(mapping.Bytes())
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(folder, "contents"), func(w io.Writer) error { return manifest.WriteContents(r, w) })
}

// prune removes the files of images that were used longest ago, and what a killed
// guard has left.
func (m *images) prune() {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return
	}
	type old struct {
		path string
		used time.Time
	}
	var all []old
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		path := filepath.Join(m.dir, e.Name())
		if e.Name()[0] == '.' {
			if time.Since(info.ModTime()) > time.Hour {
				_ = os.RemoveAll(path)
			}
			continue
		}
		m.mu.Lock()
		used := m.open[touchstone.Digest("sha256:"+e.Name())] != nil
		m.mu.Unlock()
		if _, err := hex.DecodeString(e.Name()); err == nil && !used {
			all = append(all, old{path, info.ModTime()})
		}
	}
	for len(all) > mostImages {
		oldest := 0
		for i := range all {
			if all[i].used.Before(all[oldest].used) {
				oldest = i
			}
		}
		_ = os.RemoveAll(all[oldest].path)
		all = append(all[:oldest], all[oldest+1:]...)
	}
}
