package drift

import (
	"bytes"

	"touchstone.dev/touchstone/internal/manifest"
)

// reach goes on with the manifest to the path. Where nothing shows through, what
// it has on the way is missing.
func (w *walk) reach(f *folder) error {
	if f.lower.form != aligned {
		return w.missing(w.path)
	}
	if err := w.want.seek(w.path); err != nil {
		return fatalError{err}
	}
	return nil
}

// missing tells that all is missing which the manifest has before end, or at all
// where that is nil.
func (w *walk) missing(end []byte) error {
	for n := 1; w.want.ok; n++ {
		e := w.want.cursor.Entry()
		if end != nil && manifest.Compare(e.Path, end) >= 0 {
			return nil
		}
		if n%1024 == 0 {
			if err := w.bounds(); err != nil {
				return w.stop(e.Path, err)
			}
		}
		p := string(e.Path)
		if w.config.Skip(p) {
			if err := w.want.seek(after(bytes.Clone(e.Path))); err != nil {
				return fatalError{err}
			}
			continue
		}
		if !w.config.Writable(p) {
			if err := w.settle(&record{path: e.Path, verdict: missing}, e); err != nil {
				return err
			}
		}
		w.want.next()
	}
	if w.want.cursor == nil {
		return nil
	}
	if err := w.want.cursor.Err(); err != nil {
		return fatalError{err}
	}
	return nil
}

// showThrough compares what a renamed folder has from below under one name: the
// manifest's entries of another path.
func (w *walk) showThrough(f *folder, name string) error {
	s := f.shown
	for n := 1; s.ok && covers([]byte(name), s.rest()); n++ {
		w.path = appendName(w.path[:f.length], string(s.rest()))
		if n%1024 == 0 {
			if err := w.bounds(); err != nil {
				return w.stop(w.path, err)
			}
		}
		if !w.outside() && !w.config.Skip(string(w.path)) {
			if err := w.reach(f); err != nil {
				return err
			}
			have := *s.cursor.Entry()
			have.Path = nil
			if err := w.compare(&record{path: w.path}, &have, nil); err != nil {
				return err
			}
		}
		s.next()
	}
	if err := s.cursor.Err(); err != nil {
		return fatalError{err}
	}
	return nil
}
