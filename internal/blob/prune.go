package blob

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Prune removes what was longest not asked for (to the day) until the store
// holds at most maxBytes, and returns how many bytes it removed. What another
// process removes meanwhile is no error. A record may outlive a blob that it
// names: whoever follows such a name finds it absent and reads again.
func (s *Store) Prune(maxBytes int64) (int64, error) {
	type item struct {
		path string
		size int64
		used time.Time
	}
	var items []item
	var total int64
	for _, sub := range []string{"blobs", "records"} {
		err := filepath.WalkDir(filepath.Join(s.dir, sub), func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return ignoreAbsent(err)
			}
			info, err := e.Info()
			if err != nil {
				return ignoreAbsent(err)
			}
			items = append(items, item{path, info.Size(), info.ModTime()})
			total += info.Size()
			return nil
		})
		if err != nil {
			return 0, failure("listing the store", s.dir, err)
		}
	}
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.path, b.path))
	})
	var removed int64
	for _, it := range items {
		if total-removed <= maxBytes {
			break
		}
		if err := ignoreAbsent(os.Remove(it.path)); err != nil {
			return removed, failure("pruning", it.path, err)
		}
		removed += it.size
	}
	return removed, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
