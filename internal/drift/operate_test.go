package drift

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// operate does one random thing to a tree. Whatever the kernel refuses is left
// undone, and so are hard links where unlinked says so.
func operate(t *rapid.T, root string, unlinked bool) {
	files, folders := inhabitants(root)
	pick := func(label string, of []string) string {
		if len(of) == 0 {
			return filepath.Join(root, "a")
		}
		return filepath.Join(root, rapid.SampledFrom(of).Draw(t, label))
	}
	name := rapid.SampledFrom([]string{"a", "a-", "ab", "b", "\xff\n", ".wh.a"}).Draw(t, "name")
	place := filepath.Join(pick("folder", folders), name)
	file := pick("file", files)
	content := []byte(rapid.SampledFrom([]string{"", "x", "y", "xy", "#!/bin/sh\n"}).Draw(t, "content"))
	mode := rapid.SampledFrom([]uint32{0o644, 0o755, 0o4755, 0o600}).Draw(t, "mode")
	switch what := rapid.SampledFrom(operations()).Draw(t, "operation"); what {
	case "create", "create again":
		write(place, content, fs.FileMode(mode&0o777))
	case "append":
		if f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0); err == nil {
			_, _ = f.Write(content)
			f.Close()
		}
	case "truncate":
		if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
			_ = os.Truncate(file, int64(len(content)))
		}
	case "write back":
		if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
			if same, err := os.ReadFile(file); err == nil {
				write(file, same, 0o644)
			}
		}
	case "chmod":
		// A link leads anywhere, and must not be followed out of the test.
		if info, err := os.Lstat(file); err == nil && info.Mode()&fs.ModeSymlink == 0 {
			_ = unix.Fchmodat(unix.AT_FDCWD, file, mode, 0)
		}
	case "chown":
		_ = os.Lchown(file, int(mode&1)*1000+len(content), 0)
	case "chown back":
		_ = os.Lchown(file, 1000, 1000)
		_ = os.Lchown(file, 0, 0)
	case "touch":
		_ = unix.UtimesNanoAt(unix.AT_FDCWD, file, []unix.Timespec{{Sec: 1}, {Sec: 1}}, unix.AT_SYMLINK_NOFOLLOW)
	case "rename", "rename folder":
		if what == "rename folder" {
			file = pick("moved folder", folders)
		}
		if file != root {
			_ = unix.Rename(file, place)
		}
	case "there and back":
		if file != root && unix.Rename(file, place) == nil {
			_ = unix.Rename(place, file)
		}
	case "remove":
		_ = os.Remove(file)
	case "remove all", "remove all and mkdir":
		folder := pick("removed folder", folders)
		if folder != root {
			_ = os.RemoveAll(folder)
			if what != "remove all" {
				_ = os.Mkdir(folder, 0o755)
			}
		}
	case "mkdir", "mkdir again":
		_ = os.Mkdir(place, fs.FileMode(mode&0o777))
	case "symlink":
		_ = os.Symlink("nowhere/"+string(content), place)
	case "link":
		if unlinked {
			return
		}
		_ = unix.Linkat(unix.AT_FDCWD, file, unix.AT_FDCWD, place, 0)
	case "mknod":
		_ = unix.Mknod(place, unix.S_IFCHR|0o666, int(unix.Mkdev(1, uint32(3+len(content)%2))))
	case "mkfifo":
		_ = unix.Mkfifo(place, 0o600)
	case "socket":
		_ = unix.Mknod(place, unix.S_IFSOCK|0o600, 0)
	case "file for folder":
		folder := pick("replaced folder", folders)
		if folder != root {
			_ = os.RemoveAll(folder)
			write(folder, content, 0o644)
		}
	case "folder for file":
		if os.Remove(file) == nil {
			_ = os.Mkdir(file, 0o755)
		}
	case "attribute":
		if filepath.Base(root) != merged {
			return // in a layer itself it would be a mark
		}
		// What a container may write must not be taken for a mark of the overlay.
		for _, name := range marksOf(&Tree{UserXattr: true}) {
			_ = unix.Lsetxattr(file, name, []byte("y"), 0)
			_ = unix.Lsetxattr(filepath.Dir(file), name, []byte("y"), 0)
		}
	}
}

// write is os.WriteFile that waits for no other end of a pipe and follows no link.
func write(path string, content []byte, mode fs.FileMode) {
	if f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NONBLOCK|unix.O_NOFOLLOW, mode); err == nil {
		_, _ = f.Write(content)
		f.Close()
	}
}

// merged is the name of every folder on which an overlay is mounted.
const merged = "merged"

func operations() []string {
	return []string{
		"create", "create again", "append", "truncate", "write back", "chmod", "chown", "chown back", "touch", "rename", "rename folder", "there and back",
		"remove", "remove all", "remove all and mkdir", "mkdir", "mkdir again", "symlink", "link", "mknod", "mkfifo", "socket", "file for folder", "folder for file", "attribute",
	}
}

// inhabitants lists what is in a tree: all of it but the root, and the folders
// with it, in order.
func inhabitants(root string) (files, folders []string) {
	folders = []string{"."}
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return nil
		}
		inside := strings.TrimPrefix(p, root+"/")
		files = append(files, inside)
		if d.IsDir() && strings.Count(inside, "/") < 4 {
			folders = append(folders, inside)
		}
		return nil
	})
	return files, folders
}

// entryOfFile is the entry that a file of the domain stands for.
func entryOfFile(f *touchstone.File) manifest.Entry {
	e := manifest.Entry{Mode: f.Mode, UID: f.UID, GID: f.GID, Size: f.Size, Link: []byte(f.Link), Exec: manifest.ExecOf(f.Exec)}
	switch f.Kind {
	case touchstone.FileDir:
		e.Kind = manifest.Dir
	case touchstone.FileSymlink:
		e.Kind = manifest.Symlink
	case touchstone.FileDevice:
		e.Kind = manifest.Device
	case touchstone.FileFifo:
		e.Kind = manifest.Fifo
	}
	if _, sum, ok := strings.Cut(string(f.SHA256), ":"); ok {
		for i := range e.SHA256 {
			b, _ := strconv.ParseUint(sum[2*i:2*i+2], 16, 8)
			e.SHA256[i] = byte(b)
		}
	}
	return e
}
