package drift

import (
	"strings"

	"touchstone.dev/touchstone/internal/manifest"
)

// lower says what shows through where a folder of the upper directory has
// nothing. In other trees nothing does.
type lower struct {
	form lowerForm
	at   []byte // for moved: where the folder lies in the manifest
}

type lowerForm int

const (
	nothing lowerForm = iota // all that the manifest has and the folder has not is missing
	aligned                  // the manifest's folder of the same path: nothing else need be compared
	moved                    // that of another path, since the folder was renamed
)

// path returns where the lower folder of this one, at path, lies in the manifest;
// nil where there is none.
func (l *lower) path(path []byte) []byte {
	switch l.form {
	case aligned:
		return append([]byte{}, path...)
	case moved:
		return l.at
	default:
		return nil
	}
}

// below returns what shows through in a folder within, at path, of this name.
func (l *lower) below(name string, path []byte) lower {
	if l.form != moved {
		return lower{form: l.form}
	}
	return lowerAt(join(l.at, name), path)
}

// lowerAt is the lower of a folder at path whose lower folder lies at at.
func lowerAt(at, path []byte) lower {
	if string(at) == string(path) {
		return lower{form: aligned}
	}
	return lower{form: moved, at: at}
}

// shown walks what the manifest has in and under one folder.
type shown struct {
	cursor *manifest.Cursor
	folder []byte
	ok     bool // the cursor stands at an entry under the folder
}

// show begins a walk with the first name in the folder that is not before first.
func show(r *manifest.Reader, folder []byte, first string) (*shown, error) {
	s := &shown{cursor: r.Seek(join(folder, first)), folder: folder}
	s.next()
	for s.ok && len(s.cursor.Entry().Path) == len(folder) {
		s.next() // the folder itself
	}
	return s, s.cursor.Err()
}

func (s *shown) next() {
	for {
		if s.ok = s.cursor.Next() && covers(s.folder, s.cursor.Entry().Path); !s.ok || !s.cursor.Entry().Kind.Mark() {
			return
		}
	}
}

// rest returns the path of the entry within the folder.
func (s *shown) rest() []byte {
	p := s.cursor.Entry().Path
	if len(s.folder) == 0 {
		return p
	}
	return p[len(s.folder)+1:]
}

// name returns the name in the folder that the walk stands at or under; ok is
// false at the end.
func (s *shown) name() (name string, ok bool) {
	if s == nil || !s.ok {
		return "", false
	}
	name, _, _ = strings.Cut(string(s.rest()), "/")
	return name, true
}

// skip passes all at and under a name.
func (s *shown) skip(name string) error {
	for s.ok && covers([]byte(name), s.rest()) {
		s.next()
	}
	return s.cursor.Err()
}
