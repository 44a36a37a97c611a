package drift

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/eintr"
	"touchstone.dev/touchstone/internal/inspect/mounts"
	"touchstone.dev/touchstone/internal/manifest"
)

// tries is how often a name is looked at that turns out to be another file than a
// moment before.
const tries = 3

// entry looks at one name in a folder; its path is w.path.
func (w *walk) entry(f *folder, name string) error {
	if w.outside() && !w.above() {
		return nil
	}
	if err := w.config.Pause(w.ctx); err != nil {
		return w.stop(w.path, err)
	}
	if w.config.Skip(string(w.path)) || w.tree.Form == Folder && w.mounts[string(w.path)] {
		return w.unseen()
	}
	if err := w.reach(f); err != nil {
		return err
	}
	if !w.above() {
		w.summary.Files++
		if w.summary.Files > w.config.Files {
			return w.stop(w.path, errBound)
		}
	}
	if err := w.bounds(); err != nil && (w.summary.Files > 1 || w.ctx.Err() != nil) { // one name at least, to get on
		return w.stop(w.path, err)
	}
	if len(w.path) > maxPath {
		return w.unsureTree(gap(touchstone.GapLimit, fmt.Sprintf("its path is longer than %d bytes", maxPath)))
	}
	for range tries {
		err := w.look(f, name)
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
	return w.unsureTree(gap(touchstone.GapFailed, errReplaced.Error()))
}

// look looks at a name once. It returns errReplaced where the name is another
// file's by now.
func (w *walk) look(f *folder, name string) error {
	var st unix.Stat_t
	if _, err := eintr.Retry(func() (int, error) { return 0, unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return w.absent(f)
		}
		return w.unsureTree(gap(touchstone.GapFailed, fmt.Sprintf("looking at it: %v", err)))
	}
	have, ok := w.entryOf(&st)
	switch {
	case !ok:
		return w.hidden() // a socket
	case w.tree.Form == Upper && have.Kind == manifest.Device && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0:
		return w.hidden()
	case have.Kind == manifest.Dir:
		return w.directory(f, name)
	case w.above():
		return w.hidden()
	case have.Kind == manifest.Regular:
		hidden, err := w.regular(f, name, &st)
		if err != nil || hidden {
			if hidden && err == nil {
				err = w.hidden()
			}
			return err
		}
		return w.missing(w.end(w.path))
	case have.Kind == manifest.Symlink:
		target, err := readlink(f.fd, name)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			return errReplaced
		}
		if err != nil {
			return w.unsureTree(gap(touchstone.GapFailed, fmt.Sprintf("reading the link: %v", err)))
		}
		have.Link = target
	}
	if err := w.compare(&record{path: w.path}, &have, nil); err != nil {
		return err
	}
	return w.missing(w.end(w.path))
}

// hidden tells that nothing is at the path, nor under it.
func (w *walk) hidden() error { return w.missing(w.end(w.path)) }

// absent tells that a folder has nothing of this name: it is what shows through.
func (w *walk) absent(f *folder) error {
	switch f.lower.form {
	case nothing:
		return w.hidden()
	case aligned:
		return nil
	}
	s, err := show(w.config.Manifest, f.lower.at, component(w.path, f.length))
	if err != nil {
		return fatalError{err}
	}
	again := *f
	again.shown = s
	name := component(w.path, f.length)
	if through, ok := s.name(); ok && through == name {
		if err := w.showThrough(&again, name); err != nil {
			return err
		}
	}
	w.path = appendName(w.path[:f.length], name)
	return w.hidden()
}

// unsureTree tells that neither the path nor what lies under it could be judged.
func (w *walk) unsureTree(g *touchstone.Gap) error {
	if err := w.tellGap(g, w.path); err != nil {
		return err
	}
	return w.unseen()
}

// directory looks at a folder and all in it.
func (w *walk) directory(f *folder, name string) error {
	resolve := uint64(beneath)
	if w.tree.Form != Folder {
		resolve |= unix.RESOLVE_NO_XDEV
	}
	fd, err := openQuietly(f.fd, name, unix.O_DIRECTORY, resolve)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return errReplaced
	case errors.Is(err, unix.EXDEV):
		return w.mounted()
	case err != nil:
		return w.unsureTree(gap(touchstone.GapFailed, fmt.Sprintf("opening the folder: %v", err)))
	}
	child := &folder{fd: fd, length: len(w.path)}
	if err := w.judgeFolder(f, name, child); err != nil {
		closeFD(fd)
		if err == errLeftOut { //nolint:errorlint // it is never wrapped
			return w.unseen()
		}
		return err
	}
	w.drop(f, name)
	return w.enter(child)
}

// errLeftOut says that a folder is not entered, and that this has been told where
// it should be.
var errLeftOut = errors.New("the folder is not entered")

// leaveOut tells why a folder is not entered.
func (w *walk) leaveOut(kind touchstone.GapKind, reason string, err error) error {
	if err != nil {
		reason = fmt.Sprintf("%s: %v", reason, err)
	}
	if err := w.tellGap(gap(kind, reason), w.path); err != nil {
		return err
	}
	return errLeftOut
}

// judgeFolder compares a folder itself, and finds out what shows through in it.
func (w *walk) judgeFolder(f *folder, name string, child *folder) error {
	var st unix.Stat_t
	if err := unix.Fstat(child.fd, &st); err != nil {
		return w.leaveOut(touchstone.GapFailed, "looking at the folder", err)
	}
	child.dev, child.ino = st.Dev, st.Ino
	have, _ := w.entryOf(&st)
	if !w.above() {
		if err := w.compare(&record{path: w.path}, &have, nil); err != nil {
			return err
		}
	}
	if len(w.stack) >= maxDepth {
		return w.leaveOut(touchstone.GapLimit, fmt.Sprintf("folders lie more than %d deep", maxDepth), nil)
	}
	if w.tree.Form == Folder && st.Dev != f.dev {
		return w.crossed(child)
	}
	if w.tree.Form != Upper {
		return nil
	}
	below, err := w.below(f, name, child.fd)
	if err != nil {
		return w.leaveOut(touchstone.GapFailed, "reading how the folder is merged", err)
	}
	child.lower = below
	return nil
}

// below reads what shows through in the folder at the path.
func (w *walk) below(f *folder, name string, fd int) (lower, error) {
	value, there, err := w.marks.get(fd, markOpaque)
	if err != nil {
		return lower{}, err
	}
	if there && string(value) == "y" {
		return lower{}, nil
	}
	value, there, err = w.marks.get(fd, markRedirect)
	if err != nil {
		return lower{}, err
	}
	if !there {
		return f.lower.below(name, w.path), nil
	}
	at, ok, err := redirect(value, f.lower.path(w.path[:f.length]))
	if err != nil || !ok {
		return lower{}, err
	}
	return lowerAt(at, w.path), nil
}

// mounted tells of something that is mounted in an upper directory or a volume:
// it belongs to neither.
func (w *walk) mounted() error {
	if _, known := w.mounts[w.outer(w.path)]; known {
		return w.unseen()
	}
	return w.unsureTree(gap(touchstone.GapUnsupported, "another file system is mounted here"))
}

// crossed judges another file system that is mounted in a machine's tree: other
// disks belong to it, and so does memory in places where files come and go.
func (w *walk) crossed(child *folder) error {
	at := inode{child.dev, child.ino}
	if w.seen[at] {
		return errLeftOut // mounted here once more
	}
	w.seen[at] = true
	var system unix.Statfs_t
	if err := unix.Fstatfs(child.fd, &system); err != nil {
		return w.leaveOut(touchstone.GapFailed, "looking at what is mounted", err)
	}
	switch memory := system.Type == unix.TMPFS_MAGIC || system.Type == unix.RAMFS_MAGIC; {
	case memory && w.expected(), mounts.Judge(system.Type) == mounts.Disk:
		return nil
	case mounts.Judge(system.Type) == mounts.Virtual:
		return errLeftOut
	}
	return w.leaveOut(touchstone.GapUnsupported, fmt.Sprintf("a file system of type %#x is mounted here", system.Type), nil)
}

type inode struct{ device, number uint64 }
