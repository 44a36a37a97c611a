package drift

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

const (
	maxPath  = 1 << 16 // bytes; a manifest holds no longer one
	maxDepth = 4096    // folders within each other
	keptOpen = 64      // of the folders on the way down, how many stay open
	heldMost = 16 << 20
)

// walk is one scan under way: it goes through the tree, the manifest and what was
// remembered, all in the same order.
type walk struct {
	*Scanner
	ctx   context.Context
	yield func(Finding) error

	want   wanted
	past   *recall
	next   memoryWriter
	reader reader
	marks  marks

	path    []byte         // being looked at, in the tree
	single  bool           // the tree is a volume of one file, whose name where it lies says nothing
	stack   []*folder      // the folders above it
	seen    map[inode]bool // other file systems that were entered
	held    int            // bytes of names
	dirents []byte         // for reading folders
	from    []byte         // paths before this one are not looked at
	only    []byte         // neither are those that are not at or under this one; nil means all are
	until   time.Time

	summary Summary
	resume  []byte // where the scan was stopped
	left    int    // files that there was no room to read
	first   []byte // of those
	err     error  // what stopped the scan, if it was not one of its bounds
}

// errBound stops a scan at one of its bounds.
var errBound = errors.New("the scan has come to one of its bounds")

// stop notes where the scan ended, and why.
func (w *walk) stop(path []byte, err error) error {
	if w.resume == nil {
		w.resume = append([]byte{}, path...)
	}
	if !errors.Is(err, errBound) {
		w.err = err
	}
	return fatalError{err}
}

// leave notes a file that there was no room to read.
func (w *walk) leave(path []byte) {
	if w.left == 0 {
		w.first = bytes.Clone(path)
	}
	w.left++
}

// above reports whether the path lies above the only one that is looked at, or
// above the one that the scan begins with: it is passed through.
func (w *walk) above() bool {
	return len(w.path) < len(w.only) && covers(w.path, w.only) || len(w.path) < len(w.from) && covers(w.path, w.from)
}

// outside reports whether the path is none that is looked at.
func (w *walk) outside() bool {
	return manifest.Compare(w.path, w.from) < 0 || w.only != nil && !covers(w.only, w.path)
}

// run walks the tree.
func (w *walk) run() error {
	fd, err := openRoot(&w.tree)
	alone := ""
	if w.tree.Form == Volume && errors.Is(err, unix.ENOTDIR) {
		fd, alone, err = w.openAlone()
	}
	if err != nil {
		return fatalError{err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		closeFD(fd)
		return fatalError{err}
	}
	root := &folder{fd: fd, dev: st.Dev, ino: st.Ino, alone: alone}
	if w.tree.Form == Upper {
		root.lower.form = aligned
	}
	err = w.want.seek(w.from)
	if err == nil && w.only == nil && w.from != nil {
		err = w.carry(w.from) // what lies before was looked at by the scan before
	}
	if err != nil {
		closeFD(fd)
		return err
	}
	return w.enter(root)
}

// enter looks at all that lies in a folder, and closes it.
func (w *walk) enter(f *folder) error {
	w.stack = append(w.stack, f)
	if far := len(w.stack) - keptOpen; far > 1 {
		closeFD(w.stack[far-1].fd)
		w.stack[far-1].fd = -1
	}
	err := w.folder(f)
	w.path = w.path[:f.length]
	w.held -= f.held
	w.stack = w.stack[:len(w.stack)-1]
	if err == nil && len(w.stack) > 0 {
		w.reopen(w.stack[len(w.stack)-1], f)
	}
	closeFD(f.fd)
	return err
}

// folder looks at what lies in a folder, and at what shows through.
func (w *walk) folder(f *folder) error {
	if err := w.begin(f); err != nil {
		return err
	}
	for {
		name, ok, err := w.name(f)
		if err != nil {
			return w.unlisted(f, err)
		}
		through, shows := f.shown.name()
		if !ok && (!shows || w.beyond(f, through)) {
			break
		}
		if shows && (!ok || through < name) {
			if err := w.showThrough(f, through); err != nil {
				return err
			}
			continue
		}
		if shows && through == name {
			if err := f.shown.skip(name); err != nil {
				return fatalError{err}
			}
		}
		f.names = f.names[1:]
		w.path = appendName(w.path[:f.length], name)
		if err := w.entry(f, name); err != nil {
			return err
		}
	}
	w.path = w.path[:f.length]
	if f.lower.form == aligned {
		return nil
	}
	return w.missing(w.end(w.path))
}

// begin finds the first name that is looked at.
func (w *walk) begin(f *folder) (err error) {
	w.path = w.path[:f.length]
	f.more = true
	if w.above() {
		f.from = component(w.from, f.length)
		if len(w.path) < len(w.only) {
			f.more = false
			f.names = []string{component(w.only, f.length)}
		}
	}
	if f.alone != "" {
		f.more, f.names = false, []string{f.alone}
	}
	if f.lower.form == moved {
		if f.shown, err = show(w.config.Manifest, f.lower.at, f.from); err != nil {
			return fatalError{err}
		}
	}
	return nil
}

// beyond reports whether nothing of this name or behind it is looked at.
func (w *walk) beyond(f *folder, name string) bool {
	return w.only != nil && f.length < len(w.only) && name > component(w.only, f.length)
}

// bounds says whether the scan must end.
func (w *walk) bounds() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.config.Now().After(w.until) {
		return errBound
	}
	return nil
}

// unlisted tells that a folder could not be read to its end.
func (w *walk) unlisted(f *folder, err error) error {
	if errors.Is(err, errBound) || w.ctx.Err() != nil {
		return w.stop(appendName(w.path[:f.length], f.from), err)
	}
	w.path = w.path[:f.length]
	if err := w.tellGap(gap(touchstone.GapFailed, fmt.Sprintf("listing the folder: %v", err)), w.path); err != nil {
		return err
	}
	return w.unseen()
}

// unseen leaves all at and under the path as it was.
func (w *walk) unseen() error {
	if _, err := w.old(w.path); err != nil {
		return err
	}
	end := w.end(w.path)
	if err := w.carry(end); err != nil {
		return err
	}
	if end == nil {
		w.want.ok = false
		return nil
	}
	if err := w.want.seek(end); err != nil {
		return fatalError{err}
	}
	return nil
}

// end returns where the paths end that are looked at among those at and under
// path; nil means never.
func (w *walk) end(path []byte) []byte {
	if w.only != nil && covers(path, w.only) {
		path = w.only
	}
	if len(path) == 0 {
		return nil
	}
	return after(bytes.Clone(path))
}
