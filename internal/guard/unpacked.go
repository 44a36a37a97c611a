package guard

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone/internal/inspect/surface"
	"touchstone.dev/touchstone/internal/manifest"
)

// manifestOfLayers writes the manifest of an image out of its unpacked layers, the
// topmost first, as the runtime hands them to the overlay file system. It is for
// images that nobody has inspected: every file is read and hashed. The layers are
// mounted together read-only, and the mount is part of no mount namespace.
func manifestOfLayers(ctx context.Context, layers []string, temporary func() (*os.File, error), to io.Writer) error {
	root, unmount, err := mountLayers(layers)
	if err != nil {
		return err
	}
	defer unmount()
	w := layerWalk{ctx: ctx, hash: sha256.New(), buffer: make([]byte, 256<<10), sorter: manifest.Sorter{Temporary: temporary, ChunkBytes: 2 << 20}}
	defer w.sorter.Close()
	if err := w.folder(root, "", 0); err != nil {
		return fmt.Errorf("reading the layers of an image: %w", err)
	}
	out := manifest.NewWriter(to)
	if err := w.sorter.WriteTo(out); err != nil {
		return fmt.Errorf("writing the manifest of an image: %w", err)
	}
	if _, err := out.Close(); err != nil {
		return fmt.Errorf("writing the manifest of an image: %w", err)
	}
	return nil
}

// mountLayers mounts layers together and returns the root. One layer alone needs
// no mount.
func mountLayers(layers []string) (*os.Root, func(), error) {
	if len(layers) == 0 {
		return nil, nil, errors.New("reading the layers of an image: it has none")
	}
	if len(layers) == 1 {
		root, err := os.OpenRoot(layers[0])
		if err != nil {
			return nil, nil, fmt.Errorf("reading the layers of an image: %w", err)
		}
		return root, func() { _ = root.Close() }, nil
	}
	fd, err := overlay(layers)
	if err != nil {
		return nil, nil, fmt.Errorf("mounting the layers of an image: %w", err)
	}
	root, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		_ = unix.Close(fd)
		return nil, nil, fmt.Errorf("reading the layers of an image: %w", err)
	}
	return root, func() { _ = root.Close(); _ = unix.Close(fd) }, nil
}

// overlay makes a mount of the layers that nothing is attached to: it is gone when
// its descriptor is closed.
func overlay(layers []string) (int, error) {
	system, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(system) }()
	for _, l := range layers {
		if err = unix.FsconfigSetString(system, "lowerdir+", l); err != nil { // since Linux 6.5
			break
		}
	}
	if err != nil {
		// The old spelling of all at once takes 256 bytes at most.
		escape := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
		all := make([]string, len(layers))
		for i, l := range layers {
			all[i] = escape.Replace(l)
		}
		if err := unix.FsconfigSetString(system, "lowerdir", strings.Join(all, ":")); err != nil {
			return -1, fmt.Errorf("%d layers: %w", len(layers), err)
		}
	}
	if err := unix.FsconfigCreate(system); err != nil {
		return -1, err
	}
	return unix.Fsmount(system, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID)
}

// layerWalk reads one tree that nobody changes.
type layerWalk struct {
	ctx    context.Context
	sorter manifest.Sorter
	hash   hash.Hash
	buffer []byte
}

// maxDepth bounds how deep folders are followed; a path of Linux holds at most
// half of PATH_MAX.
const maxDepth = 2048

func (w *layerWalk) folder(dir *os.Root, at string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%.200q lies more than %d folders deep", at, maxDepth)
	}
	list, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer list.Close()
	for {
		entries, err := list.ReadDir(512)
		for _, e := range entries {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if err := w.entry(dir, path.Join(at, e.Name()), e.Name(), depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *layerWalk) entry(dir *os.Root, full, name string, depth int) error {
	info, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode()&fs.ModeSocket != 0 {
		return nil
	}
	e := manifest.Entry{Path: []byte(full), Mode: stat.Mode & 0o7777, UID: int(stat.Uid), GID: int(stat.Gid)}
	switch {
	case info.IsDir():
		e.Kind = manifest.Dir
		if err := w.sorter.Add(&e); err != nil {
			return err
		}
		sub, err := dir.OpenRoot(name)
		if err != nil {
			return err
		}
		defer func() { _ = sub.Close() }()
		return w.folder(sub, full, depth+1)
	case info.Mode().IsRegular():
		if err := w.file(dir, name, info.Size(), &e); err != nil {
			return err
		}
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := dir.Readlink(name)
		if err != nil {
			return err
		}
		e.Kind, e.Link = manifest.Symlink, []byte(target)
	case info.Mode()&fs.ModeNamedPipe != 0:
		e.Kind = manifest.Fifo
	default:
		e.Kind = manifest.Device
	}
	return w.sorter.Add(&e)
}

func (w *layerWalk) file(dir *os.Root, name string, size int64, e *manifest.Entry) error {
	f, err := dir.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOATIME, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, min(size, surface.HeadSize))
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	e.Exec = manifest.ExecOf(surface.Look(string(e.Path), size, head[:n], f).Exec)
	w.hash.Reset()
	if e.Size, err = io.CopyBuffer(w.hash, onlyReader{f}, w.buffer); err != nil {
		return err
	}
	w.hash.Sum(e.SHA256[:0])
	e.Hashed = true
	return nil
}

// onlyReader hides what io.Copy would use in place of the buffer.
type onlyReader struct{ io.Reader }
