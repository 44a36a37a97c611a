package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/mounts"
	"touchstone.dev/touchstone/internal/manifest"
)

// maxDepth bounds how deep folders are followed; a path of Linux holds at most
// half of PATH_MAX.
const maxDepth = 2048

// readFolder reads a root file system in place. It stays below the root: every
// name is opened in its folder, by a handle, and links are not followed.
//
// Other disks that are mounted below the root are read as well, because a
// machine may have its /var or /usr there. What the kernel makes up (proc,
// sysfs, devices, tmpfs and the like) holds nothing that is installed and is
// left out without a word, and so are overlays: the machine's containers are
// artifacts of their own. Network file systems and what is not known are gaps.
func (run *inspection) readFolder(ctx context.Context, l *layer) error {
	root, err := os.OpenRoot(l.Root)
	if err != nil {
		return outside(fmt.Errorf("opening the root: %w", err))
	}
	defer func() { _ = root.Close() }() // it was only read
	var stat unix.Stat_t
	if err := unix.Stat(l.Root, &stat); err != nil {
		return outside(fmt.Errorf("opening the root: %w", err))
	}
	c := run.newCollector(ctx)
	defer c.abandon()
	group, inGroup := errgroup.WithContext(ctx)
	w := &folderWalk{collector: c, ctx: inGroup, device: stat.Dev, files: make(chan folderFile, run.config.Parallel), seen: map[inode]bool{{stat.Dev, stat.Ino}: true}}
	for range run.config.Parallel {
		s := c.scanner()
		group.Go(func() error { return w.scan(s) })
	}
	group.Go(func() error {
		defer close(w.files)
		return w.walk(root, "", stat.Dev, 0)
	})
	if err := group.Wait(); err != nil {
		kind, reason := blame(err)
		if kind != touchstone.GapLimit {
			return outside(err)
		}
		c.addf(kind, "", "dir", "%s", reason)
	}
	l.unstable = true // files in place may change at any time
	c.unstable = true
	return run.conclude(ctx, l, c)
}

// folderWalk walks a root file system in place.
type folderWalk struct {
	*collector
	ctx    context.Context
	device uint64
	files  chan folderFile
	seen   map[inode]bool // where other file systems were entered
}

type inode struct{ device, number uint64 }

// folderFile is an open regular file on its way to be read.
type folderFile struct {
	path   string
	number int
	file   *os.File
	info   fs.FileInfo
}

// walk takes in all that lies in a folder.
func (w *folderWalk) walk(dir *os.Root, at string, device uint64, depth int) error {
	if depth > maxDepth {
		w.addf(touchstone.GapLimit, at, "dir", "folders lie more than %d deep", maxDepth)
		return nil
	}
	list, err := dir.Open(".")
	if err != nil {
		return w.unreadable(at, err)
	}
	defer list.Close()
	for {
		entries, err := list.ReadDir(1024)
		for _, e := range entries {
			if err := w.entry(dir, path.Join(at, e.Name()), e.Name(), device, depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return w.unreadable(at, err)
		}
	}
}

// unreadable makes a gap of what cannot be read here. The machine's own faults
// are told like the permissions that are missing: nobody can say what is there.
func (w *folderWalk) unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is gone since its folder was listed
	}
	w.addf(touchstone.GapFailed, path, "dir", "%v", err)
	return nil
}

func (w *folderWalk) entry(dir *os.Root, full, name string, device uint64, depth int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	info, err := dir.Lstat(name)
	if err != nil {
		return w.unreadable(full, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode()&fs.ModeSocket != 0 {
		return nil // a socket holds nothing and cannot be part of an artifact
	}
	if reason := badName(full); reason != "" { // folders that were made from within each other may lie as deep as they like
		w.addf(touchstone.GapLimit, printable(full), "dir", "%s", reason)
		return nil
	}
	number, err := w.begin(full)
	if err != nil {
		return err
	}
	e := manifest.Entry{Path: []byte(full), Mode: stat.Mode & 0o7777, UID: int(stat.Uid), GID: int(stat.Gid)}
	switch {
	case info.IsDir():
		e.Kind = manifest.Dir
		if err := w.put(&e); err != nil {
			return err
		}
		return w.enter(dir, full, name, device, stat, depth)
	case info.Mode().IsRegular():
		return w.open(dir, full, name, number, info)
	case info.Mode()&fs.ModeSymlink != 0:
		e.Kind = manifest.Symlink
		target, err := dir.Readlink(name)
		if err != nil {
			return w.unreadable(full, err)
		}
		e.Link = []byte(target)
	case info.Mode()&fs.ModeNamedPipe != 0:
		e.Kind = manifest.Fifo
	default:
		e.Kind = manifest.Device
	}
	return w.put(&e)
}

// enter goes into a folder, if it is not where something else is mounted that
// does not count.
func (w *folderWalk) enter(dir *os.Root, full, name string, device uint64, stat *syscall.Stat_t, depth int) error {
	sub, err := dir.OpenRoot(name)
	if err != nil {
		return w.unreadable(full, err)
	}
	defer func() { _ = sub.Close() }() // it was only read
	// What was opened must be what was looked at, and no link that took its
	// place meanwhile.
	f, err := sub.Open(".")
	if err != nil {
		return w.unreadable(full, err)
	}
	defer f.Close()
	var opened unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &opened); err != nil {
		return w.unreadable(full, err)
	}
	if opened.Dev != stat.Dev || opened.Ino != stat.Ino {
		w.addf(touchstone.GapFailed, full, "dir", "the folder was replaced while it was read")
		return nil
	}
	if stat.Dev != device {
		at := inode{stat.Dev, stat.Ino}
		if w.seen[at] {
			return nil // mounted here once more
		}
		w.seen[at] = true
		var system unix.Statfs_t
		if err := unix.Fstatfs(int(f.Fd()), &system); err != nil {
			return w.unreadable(full, err)
		}
		switch mounts.Judge(system.Type) {
		case mounts.Virtual:
			return nil
		case mounts.Foreign:
			w.addf(touchstone.GapUnsupported, full, "dir", "a file system of type %#x is mounted here", system.Type)
			return nil
		}
	}
	return w.walk(sub, full, stat.Dev, depth+1)
}

// open opens a regular file and passes it on to be read.
func (w *folderWalk) open(dir *os.Root, full, name string, number int, info fs.FileInfo) error {
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOATIME, 0)
	if errors.Is(err, fs.ErrPermission) { // only the owner may leave the time of access as it is
		f, err = dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		if err := w.unhashed(full, info); err != nil {
			return err
		}
		return w.unreadable(full, err)
	}
	select {
	case w.files <- folderFile{full, number, f, info}:
		return nil
	case <-w.ctx.Done():
		_ = f.Close()
		return w.ctx.Err()
	}
}

// unhashed puts a file into the manifest that could not be read.
func (w *folderWalk) unhashed(full string, info fs.FileInfo) error {
	stat := info.Sys().(*syscall.Stat_t)
	return w.put(&manifest.Entry{Path: []byte(full), Kind: manifest.Regular, Size: info.Size(),
		Mode: stat.Mode & 0o7777, UID: int(stat.Uid), GID: int(stat.Gid)})
}

// scan reads files until there are no more.
func (w *folderWalk) scan(s *scanner) error {
	for f := range w.files {
		err := w.file(s, f)
		_ = f.file.Close() // it was only read
		if err != nil {
			return err
		}
	}
	return nil
}

// file reads one file. What changes while it is read is a gap.
func (w *folderWalk) file(s *scanner, f folderFile) error {
	before, err := f.file.Stat()
	if err != nil {
		return w.unreadable(f.path, err)
	}
	if !before.Mode().IsRegular() || !os.SameFile(before, f.info) {
		w.addf(touchstone.GapFailed, f.path, "dir", "the file was replaced while its folder was read")
		return w.unhashed(f.path, f.info)
	}
	stat := before.Sys().(*syscall.Stat_t)
	e := manifest.Entry{Path: []byte(f.path), Size: before.Size(), Mode: stat.Mode & 0o7777, UID: int(stat.Uid), GID: int(stat.Gid)}
	if e.Size > 0 && e.Mode&0o111 != 0 {
		w.fileCapability(f)
	}
	if err := s.regular(f.number, &e, before, f.file); err != nil {
		if fatal(err) || w.ctx.Err() != nil {
			return err
		}
		w.addf(touchstone.GapFailed, f.path, "dir", "reading stopped: %v", err)
		return w.unhashed(f.path, f.info)
	}
	after, err := f.file.Stat()
	if err != nil {
		return w.unreadable(f.path, err)
	}
	if now := after.Sys().(*syscall.Stat_t); now.Size != stat.Size || now.Mtim != stat.Mtim || now.Ctim != stat.Ctim {
		w.addf(touchstone.GapFailed, f.path, "dir", "the file changed while it was read")
	}
	return nil
}

// fileCapability keeps the capabilities of an executable (capabilities(7), "File
// capabilities").
func (w *folderWalk) fileCapability(f folderFile) {
	value := make([]byte, maxCapability)
	n, err := unix.Fgetxattr(int(f.file.Fd()), "security.capability", value)
	switch {
	case err == nil:
		w.capability(f.path, value[:n])
	case !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP):
		w.addf(touchstone.GapFailed, f.path, "dir", "reading its capabilities: %v", err)
	}
}
