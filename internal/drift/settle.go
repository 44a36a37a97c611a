package drift

import (
	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// old returns what the last scan remembered of a path, nil where that is nothing.
// What it remembered of paths on the way there is no more.
func (w *walk) old(path []byte) (*record, error) {
	if err := w.vanish(path); err != nil {
		return nil, err
	}
	if w.past.ok && string(w.past.cur().path) == string(path) {
		return w.past.cur(), nil
	}
	return nil, nil
}

// vanish tells that the differences before end, all where it is nil, are gone.
func (w *walk) vanish(end []byte) error {
	for w.past.ok {
		r := w.past.cur()
		if end != nil && manifest.Compare(r.path, end) >= 0 {
			return nil
		}
		if r.differs() {
			want, err := w.lookup(r.path)
			if err != nil {
				return err
			}
			if err := w.tell(Gone, r, want); err != nil {
				return err
			}
		}
		w.past.next()
	}
	return nil
}

// settle notes the verdict on one path, tells of a difference, and remembers
// both. want is what the manifest has there. r may be the old record itself.
func (w *walk) settle(r *record, want *manifest.Entry) error {
	verdict := r.verdict // r is no more once the past goes on
	old, err := w.old(r.path)
	if err != nil {
		return err
	}
	switch {
	case r.differs() && old.differs() && r.same(old):
		err = w.tell(Known, r, want)
	case r.differs():
		err = w.tell(New, r, want)
	case old.differs():
		err = w.tell(Gone, old, want)
	}
	if err != nil {
		return err
	}
	if r.differs() || r.stamp != (stamp{}) {
		if err := w.next.add(r); err != nil {
			return fatalError{err}
		}
	}
	if old != nil {
		w.past.next()
	}
	return w.pass(verdict)
}

// pass goes beyond the manifest's entry of the path, which has been compared.
func (w *walk) pass(v verdict) error {
	if e, _ := w.want.at(w.path); e == nil || v == missing {
		return nil
	}
	w.want.next()
	if err := w.want.cursor.Err(); err != nil {
		return fatalError{err}
	}
	return nil
}

// unsure tells that what is at the path could not be judged. What was said of it
// before stands, unless that is that nothing is there.
func (w *walk) unsure(g *touchstone.Gap) error {
	if g.Kind == touchstone.GapLimit {
		w.leave(w.path) // all of them are told at the end, in one
	} else if err := w.tellGap(g, w.path); err != nil {
		return err
	}
	old, err := w.old(w.path)
	if err != nil {
		return err
	}
	if old != nil && old.verdict != missing {
		if err := w.keep(old); err != nil {
			return err
		}
	}
	return w.pass(fine) // and what was missing vanishes with the next path
}

// carry keeps what was said of all paths before end: they were not looked at.
func (w *walk) carry(end []byte) error {
	for w.past.ok && (end == nil || manifest.Compare(w.past.cur().path, end) < 0) {
		if err := w.keep(w.past.cur()); err != nil {
			return err
		}
	}
	return nil
}

// keep repeats the record that the past stands at.
func (w *walk) keep(r *record) error {
	if r.differs() && w.err == nil {
		want, err := w.lookup(r.path)
		if err != nil {
			return err
		}
		if err := w.tell(Known, r, want); err != nil {
			return err
		}
	}
	if err := w.next.add(r); err != nil {
		return fatalError{err}
	}
	w.past.next()
	return nil
}

// lookup finds what the manifest has at a path that the walk is not at.
func (w *walk) lookup(path []byte) (*manifest.Entry, error) {
	e, err := lookup(w.want.reader, path)
	if err != nil {
		return nil, fatalError{err}
	}
	return e, nil
}

func (w *walk) tell(news News, r *record, want *manifest.Entry) error {
	d := touchstone.Drift{Change: touchstone.Changed, Path: w.outer(r.path), Volume: w.mount}
	if want != nil {
		f := want.File()
		f.Path = d.Path
		d.Want = &f
	} else {
		d.Change = touchstone.Added
	}
	if r.verdict == missing {
		d.Change = touchstone.Removed
	} else {
		f := r.have.File()
		f.Path = d.Path
		d.Have = &f
	}
	if err := w.yield(Finding{News: news, Drift: d}); err != nil {
		return w.stop(r.path, err)
	}
	switch news {
	case New:
		w.summary.New++
	case Known:
		w.summary.Known++
	case Gone:
		w.summary.Gone++
	}
	return nil
}

func (w *walk) tellGap(g *touchstone.Gap, path []byte) error {
	g.Path = w.outer(path)
	if err := w.yield(Finding{Gap: g}); err != nil {
		return w.stop(path, err)
	}
	w.summary.Gaps++
	return nil
}

// outer returns a path of the tree as one in the root of what runs.
func (w *walk) outer(path []byte) string {
	switch {
	case w.tree.Form != Volume:
		return string(path)
	case w.single:
		return w.tree.Mount
	}
	return string(join([]byte(w.tree.Mount), string(path)))
}
