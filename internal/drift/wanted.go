package drift

import (
	"touchstone.dev/touchstone/internal/manifest"
)

// wanted walks the manifest forward, beside the tree.
type wanted struct {
	reader *manifest.Reader // nil where nothing is expected
	cursor *manifest.Cursor
	ok     bool // the cursor stands at an entry
}

// steps is how many entries are passed one by one before a search is cheaper.
const steps = 48

// seek goes to the first entry that is not before path. It never goes back.
func (w *wanted) seek(path []byte) error {
	if w.reader == nil {
		return nil
	}
	if w.cursor != nil {
		for range steps {
			if !w.ok || manifest.Compare(w.cursor.Entry().Path, path) >= 0 {
				return w.cursor.Err()
			}
			w.next()
		}
		if !w.ok || manifest.Compare(w.cursor.Entry().Path, path) >= 0 {
			return w.cursor.Err()
		}
	}
	w.cursor = w.reader.Seek(path)
	w.next()
	return w.cursor.Err()
}

func (w *wanted) next() {
	for {
		if w.ok = w.cursor.Next(); !w.ok || !w.cursor.Entry().Kind.Mark() {
			return
		}
	}
}

// at returns the entry of exactly this path, and whether there are entries under
// it, when the walk has come to path by seek. The entry holds until the walk goes
// on.
func (w *wanted) at(path []byte) (e *manifest.Entry, parent bool) {
	if !w.ok || !covers(path, w.cursor.Entry().Path) {
		return nil, false
	}
	if e = w.cursor.Entry(); len(e.Path) != len(path) {
		return nil, true
	}
	return e, false
}

// lookup finds an entry without moving the walk.
func lookup(r *manifest.Reader, path []byte) (*manifest.Entry, error) {
	if r == nil {
		return nil, nil
	}
	c := r.Seek(path)
	for c.Next() && string(c.Entry().Path) == string(path) {
		if !c.Entry().Kind.Mark() {
			return c.Entry(), nil
		}
	}
	return nil, c.Err()
}

// after returns the first path that lies neither at path nor under it, written
// over the room behind path. "/" sorts before every other byte, NUL included,
// which is in no name.
func after(path []byte) []byte { return append(path, 0) }
