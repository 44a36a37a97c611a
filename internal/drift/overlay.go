package drift

import (
	"bytes"
	"errors"
	"path"

	"golang.org/x/sys/unix"
	"touchstone.dev/touchstone/internal/eintr"
)

// mark is a mark of overlayfs on a file in an upper directory, kept as an
// extended attribute (Linux, Documentation/filesystems/overlayfs.rst).
type mark int

const (
	markOpaque   mark = iota // "y": nothing shows through; "x" says only that whiteouts may be files
	markRedirect             // what shows through lies elsewhere
	markMetacopy             // the content is that of the lower file
	markLinks                // with "index=on": names of one lower file show one upper file
	markWhiteout             // an empty file that hides what is below
)

// maxRedirect is how long the kernel lets a redirect become (redirect_max).
const maxRedirect = 4096

// marks are the names of the attributes of one mount.
type marks [5]string

func marksOf(t *Tree) marks {
	prefix := "trusted.overlay."
	if t.UserXattr {
		prefix = "user.overlay."
	}
	return marks{
		markOpaque: prefix + "opaque", markRedirect: prefix + "redirect", markMetacopy: prefix + "metacopy",
		markLinks: prefix + "nlink", markWhiteout: prefix + "whiteout",
	}
}

// get returns the value of a mark; ok is false where there is none.
func (m *marks) get(fd int, k mark) (value []byte, ok bool, err error) {
	var buf [256]byte
	n, err := eintr.Retry(func() (int, error) { return unix.Fgetxattr(fd, m[k], buf[:]) })
	value = buf[:max(n, 0)]
	if errors.Is(err, unix.ERANGE) {
		value = make([]byte, 64<<10) // XATTR_SIZE_MAX
		n, err = eintr.Retry(func() (int, error) { return unix.Fgetxattr(fd, m[k], value) })
		value = value[:max(n, 0)]
	}
	switch {
	case err == nil:
		return value, true, nil
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
		return nil, false, nil
	default:
		return nil, false, err
	}
}

var errRedirect = errors.New("a redirect that the kernel would not follow")

// redirect returns where the lower file of a path lies, when the lower folder of
// its parent lies at parent (nil where there is none). A value with a slash in
// front counts from the root, and one without is another name in the parent's
// folder. ok is false where there is no lower file.
func redirect(value []byte, parent []byte) (at []byte, ok bool, err error) {
	value = bytes.TrimSuffix(value, []byte{0})
	if len(value) == 0 || len(value) > maxRedirect || bytes.IndexByte(value, 0) >= 0 {
		return nil, false, errRedirect
	}
	if value[0] == '/' {
		inside := string(value[1:])
		if inside == "" || path.Clean("/"+inside) != "/"+inside {
			return nil, false, errRedirect
		}
		return []byte(inside), true, nil
	}
	if bytes.IndexByte(value, '/') >= 0 || string(value) == "." || string(value) == ".." {
		return nil, false, errRedirect
	}
	if parent == nil {
		return nil, false, nil
	}
	return join(parent, string(value)), true, nil
}

// join returns the path of a name in a folder, in memory of its own.
func join(folder []byte, name string) []byte {
	out := make([]byte, 0, len(folder)+1+len(name))
	if name == "" {
		return append(out, folder...)
	}
	if len(folder) > 0 {
		out = append(append(out, folder...), '/')
	}
	return append(out, name...)
}

// covers reports whether p is path or lies under it. The empty path is the root.
func covers(path, p []byte) bool {
	return len(path) == 0 || len(p) >= len(path) && string(p[:len(path)]) == string(path) && (len(p) == len(path) || p[len(path)] == '/')
}
