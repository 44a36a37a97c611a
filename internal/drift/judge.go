package drift

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// entryOf returns what stat(2) says of a file in the words of the manifest, and
// false for a socket, which is in none: it holds nothing.
func (w *walk) entryOf(st *unix.Stat_t) (manifest.Entry, bool) {
	e := manifest.Entry{Mode: st.Mode & 0o7777, UID: mapID(w.config.UIDs, st.Uid), GID: mapID(w.config.GIDs, st.Gid)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind, e.Size = manifest.Regular, st.Size
	case unix.S_IFDIR:
		e.Kind = manifest.Dir
	case unix.S_IFLNK:
		e.Kind = manifest.Symlink
	case unix.S_IFCHR, unix.S_IFBLK:
		e.Kind = manifest.Device
	case unix.S_IFIFO:
		e.Kind = manifest.Fifo
	default:
		return e, false
	}
	return e, true
}

// regular compares a regular file. hidden is true when it turns out to be the
// mark that the path is removed.
func (w *walk) regular(f *folder, name string, st *unix.Stat_t) (hidden bool, err error) {
	old, err := w.old(w.path)
	if err != nil {
		return false, err
	}
	same := old != nil && old.stamp == w.stamper.of(st)
	if same && (old.settled || !w.reader.again(st.Size)) {
		want, _ := w.want.at(w.path)
		return false, w.settle(old, want)
	}
	w.reader.repeats = same
	fd, err := w.open(f, name, st)
	if err != nil {
		return false, w.unopened(st, err)
	}
	defer closeFD(fd)
	began := w.config.Now()
	have, _ := w.entryOf(st)
	r := &record{path: w.path, stamp: w.stamper.of(st), settled: changed(st).Add(w.config.Settle).Before(began)}
	if w.tree.Form == Upper {
		if err := w.linked(fd, r, st); err != nil {
			return false, err
		}
		content, hidden, err := w.marked(f, name, fd, st)
		switch {
		case hidden || fatal(err):
			return hidden, err
		case err != nil:
			return false, w.unsure(unread(err))
		case content != nil:
			have.Size, have.Hashed, have.SHA256, have.Exec = content.Size, content.Hashed, content.SHA256, content.Exec
			return false, w.compare(r, &have, nil)
		}
	}
	untold, unsure := w.content(fd, st, &have)
	if fatal(unsure) {
		return false, unsure
	}
	if untold {
		r.stamp = stamp{}
		w.leave(w.path)
	}
	return false, w.compare(r, &have, unsure)
}

// open opens a regular file and makes sure that it is the one that was looked at,
// of which st then says the newest.
func (w *walk) open(f *folder, name string, st *unix.Stat_t) (int, error) {
	fd, err := openQuietly(f.fd, name, 0, beneath)
	if err != nil {
		return -1, err
	}
	var opened unix.Stat_t
	if err := unix.Fstat(fd, &opened); err != nil {
		closeFD(fd)
		return -1, err
	}
	if opened.Ino != st.Ino || opened.Dev != st.Dev || opened.Mode&unix.S_IFMT != unix.S_IFREG {
		closeFD(fd)
		return -1, errReplaced
	}
	*st = opened
	return fd, nil
}

// unopened judges a file that could not be opened by what stat(2) says.
func (w *walk) unopened(st *unix.Stat_t, err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ELOOP) || errors.Is(err, errReplaced) {
		return errReplaced
	}
	have, _ := w.entryOf(st)
	return w.compare(&record{path: w.path}, &have, err)
}

// linked tells of a file that other names of the artifact show as well although
// the upper directory has nothing there: overlays that are mounted with
// "index=on" keep hard links together.
func (w *walk) linked(fd int, r *record, st *unix.Stat_t) error {
	if st.Nlink < 2 {
		return nil
	}
	if _, there, err := w.marks.get(fd, markLinks); !there || err != nil {
		return nil // what cannot be read is told by marked
	}
	r.stamp = stamp{} // this is told by each scan
	reason := "names of the artifact that were hard links to it show it as well, and only the overlay's index knows which"
	return w.tellGap(gap(touchstone.GapUnsupported, reason), w.path)
}

// marked reads the marks of a file in an upper directory: that it hides what is
// below, or that its content is that of a lower file, which is returned.
func (w *walk) marked(f *folder, name string, fd int, st *unix.Stat_t) (content *manifest.Entry, hidden bool, err error) {
	if st.Size == 0 {
		if _, hidden, err = w.marks.get(fd, markWhiteout); hidden || err != nil {
			return nil, hidden, err
		}
	}
	if _, there, err := w.marks.get(fd, markMetacopy); !there || err != nil {
		return nil, false, err
	}
	parent := f.lower.path(w.path[:f.length])
	at := parent
	if parent != nil {
		at = join(parent, name)
	}
	value, there, err := w.marks.get(fd, markRedirect)
	if err != nil {
		return nil, false, err
	}
	if there {
		if at, _, err = redirect(value, parent); err != nil {
			return nil, false, err
		}
	}
	if at == nil {
		return nil, false, errors.New("its content should be in the artifact, which has none of it")
	}
	content, err = lookup(w.config.Manifest, at)
	if err != nil {
		return nil, false, fatalError{err}
	}
	if content == nil || content.Kind != manifest.Regular {
		return nil, false, fmt.Errorf("its content should be that of %q in the artifact, which is no file", at)
	}
	return content, false, nil
}

// content reads as much of a file as is needed. unsure says why that is not known
// which matters. untold is true where the file differs for certain, and the next
// scan is to tell what it is.
func (w *walk) content(fd int, st *unix.Stat_t, have *manifest.Entry) (untold bool, unsure error) {
	want, _ := w.want.at(w.path)
	if w.expected() {
		if err := w.reader.head(fd, have); err != nil || !executable(have) {
			return false, err
		}
		if c := w.config.Contents; c != nil && c.HasSize(have.Size) || want != nil && want.Size == have.Size {
			return false, w.sum(fd, st, have)
		}
	} else if want != nil && want.Kind == manifest.Regular && want.Size == have.Size {
		if !want.Hashed {
			return false, w.reader.head(fd, have)
		}
		err := w.sum(fd, st, have)
		differs, _ := difference(want, have)
		return differs && errors.Is(err, errBudget), err
	}
	if have.Size > w.config.FileBytes {
		return false, w.reader.head(fd, have)
	}
	err := w.sum(fd, st, have)
	if fatal(err) {
		return false, err
	}
	return errors.Is(err, errBudget), nil
}

// sum hashes a file, once more if it changed meanwhile.
func (w *walk) sum(fd int, st *unix.Stat_t, have *manifest.Entry) error {
	want, _ := w.want.at(w.path)
	err := w.reader.sum(w.ctx, fd, st, want, have)
	if w.ctx.Err() != nil {
		return fatalError{w.ctx.Err()}
	}
	if !errors.Is(err, errUnstable) {
		return err
	}
	var now unix.Stat_t
	if unix.Fstat(fd, &now) != nil || now.Size != st.Size {
		return err
	}
	return w.reader.sum(w.ctx, fd, &now, want, have)
}

// compare notes what is there against what is wanted. unsure says why its content
// is not known; nil where it is, or does not matter.
func (w *walk) compare(r *record, have *manifest.Entry, unsure error) error {
	want, parent := w.want.at(w.path)
	r.have = *have
	if w.expected() {
		switch {
		case have.Kind != manifest.Regular:
			return w.settle(r, want)
		case unsure != nil:
			return w.unsure(unread(unsure))
		case executable(have) && !w.known(want, have):
			r.verdict = there
		}
		return w.settle(r, want)
	}
	switch {
	case want == nil && (parent && have.Kind == manifest.Dir || w.mountPoint(have)):
	case want == nil:
		r.verdict = there
	default:
		differs, why := difference(want, have)
		switch {
		case differs:
			r.verdict = there
		case why != nil && unsure != nil:
			return w.unsure(unread(unsure))
		case why != nil:
			// The manifest does not say it. What it does say is as it should be.
			if err := w.tellGap(why, w.path); err != nil {
				return err
			}
			r.stamp = stamp{}
		}
	}
	return w.settle(r, want)
}

// expected reports whether changes are expected at the path.
func (w *walk) expected() bool {
	return w.tree.Form == Volume || w.config.Writable(string(w.path))
}

// known reports whether the artifact has the content, here or anywhere.
func (w *walk) known(want, have *manifest.Entry) bool {
	if !have.Hashed {
		return false
	}
	if want != nil && want.Hashed && want.Size == have.Size && want.SHA256 == have.SHA256 {
		return true
	}
	return w.config.Contents != nil && w.config.Contents.Has(have.Size, have.SHA256)
}

// mountPoint reports whether the path is what a runtime makes to mount something
// over it, or a folder on the way to one.
func (w *walk) mountPoint(have *manifest.Entry) bool {
	exact, known := w.mounts[string(w.path)]
	return known && (have.Kind == manifest.Dir || exact && have.Kind == manifest.Regular && have.Size == 0)
}

// fatalError ends a scan.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

func fatal(err error) bool {
	var f fatalError
	return errors.As(err, &f)
}
