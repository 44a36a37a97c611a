package advisory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/advisory/index"
)

// ErrNoIndex means that no advisories were ever imported.
var ErrNoIndex = errors.New("there are no advisories")

// ErrDamaged marks an index that cannot be used; it is made again from the
// sources at hand by an Import of nothing ("touchstone db import").
var ErrDamaged = index.ErrDamaged

// Folder is where advisories are kept. Several processes may use one folder.
type Folder struct{ dir string }

// OpenFolder uses the folder at dir, which is made when something is imported.
func OpenFolder(dir string) *Folder { return &Folder{dir: dir} }

// Dir returns the folder's path.
func (f *Folder) Dir() string { return f.dir }

// Index opens the current index. The error is ErrNoIndex when there is none, and
// wraps ErrDamaged when it cannot be used; both carry the command that mends it.
func (f *Folder) Index() (*Index, error) {
	for attempt := 0; ; attempt++ {
		s, err := f.readState()
		if err != nil {
			return nil, err
		}
		if s.Index == "" {
			return nil, fmt.Errorf("%w in %s\nhint: touchstone db update", ErrNoIndex, f.dir)
		}
		ix, err := f.revision(s.Index)
		switch {
		case errors.Is(err, fs.ErrNotExist) && attempt < 3:
			continue // replaced since its name was read
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%w: its file is gone\nhint: touchstone db import", ErrDamaged)
		case err != nil:
			return nil, fmt.Errorf("%w\nhint: touchstone db import", err)
		}
		ix.sources = s.Sources
		return ix, nil
	}
}

// Revision opens an index by its revision, for comparing: it does not know what it
// was made from. The one before the current is kept; of any other the error is
// ErrNoIndex.
func (f *Folder) Revision(d touchstone.Digest) (*Index, error) {
	ix, err := f.revision(d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w of revision %s any more", ErrNoIndex, d.Short())
	}
	return ix, err
}

func (f *Folder) revision(d touchstone.Digest) (*Index, error) {
	r, err := index.Open(f.indexPath(d))
	if err != nil {
		return nil, err
	}
	if r.Revision() != d {
		_ = r.Close()
		return nil, fmt.Errorf("%w: it is not the revision that its name says", ErrDamaged)
	}
	ix := &Index{reader: r}
	for _, e := range r.Meta().Ecosystems {
		ix.ecosystems = append(ix.ecosystems, e.Name)
	}
	return ix, nil
}

// Current is the revision of the current index, without opening it; empty when
// there is none.
func (f *Folder) Current() (touchstone.Digest, error) {
	s, err := f.readState()
	if err != nil {
		return "", err
	}
	return s.Index, nil
}

// Status is what the folder holds.
type Status struct {
	Index   touchstone.IndexState `json:"index"`
	Size    int64                 `json:"size"` // of the index file, in bytes
	Records int                   `json:"records"`
	Holes   int                   `json:"holes"`
	Sources []Source              `json:"sources"`
}

// Status says what the folder holds. That the index cannot be used is not an
// error here but Status.Index.Problem.
func (f *Folder) Status() (Status, error) {
	s, err := f.readState()
	if err != nil {
		return Status{}, err
	}
	st := Status{Sources: s.Sources}
	ix, err := f.Index()
	if err != nil {
		st.Index = Unknown(err, nil).Index
		return st, nil
	}
	defer ix.Close() //nolint:errcheck // it was only asked
	meta := ix.reader.Meta()
	st.Index, st.Size, st.Records, st.Holes = ix.State(), ix.reader.Size(), meta.Records, meta.Holes
	return st, nil
}

func (f *Folder) indexPath(revision touchstone.Digest) string {
	return filepath.Join(f.dir, "index-"+strings.TrimPrefix(string(revision), "sha256:"))
}

func (f *Folder) sourcePath(file string) string { return filepath.Join(f.dir, "sources", file) }

// open makes the folder, takes its lock and removes what a killed process left
// behind. Call the returned function when done.
func (f *Folder) open(ctx context.Context, waiting func()) (*state, func(), error) {
	if err := os.MkdirAll(filepath.Join(f.dir, "sources"), 0o755); err != nil {
		return nil, nil, fmt.Errorf("make the folder of the advisories: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(f.dir, "lock"), waiting)
	if err != nil {
		return nil, nil, fmt.Errorf("lock the advisories: %w", err)
	}
	s, err := f.readState()
	if err != nil {
		unlock()
		return nil, nil, err
	}
	f.sweep(s)
	return s, unlock, nil
}

// sweep removes every file that the state does not name. What cannot be removed
// stays until the next time. Downloads that were cut off stay, to be resumed.
func (f *Folder) sweep(s *state) {
	keep := map[string]bool{f.indexPath(s.Index): s.Index != "", f.indexPath(s.Previous): s.Previous != ""}
	for i := range s.Sources {
		keep[f.sourcePath(s.Sources[i].File)] = true
	}
	for _, pattern := range []string{".state.json-*", "tmp-*", "index-*", "sources/*"} {
		paths, _ := filepath.Glob(filepath.Join(f.dir, pattern))
		for _, path := range paths {
			if !keep[path] && !strings.HasPrefix(filepath.Base(path), partPrefix) {
				_ = os.RemoveAll(path)
			}
		}
	}
}

// partPrefix begins the names of downloads that are not complete.
const partPrefix = "part-"
