package inspect

import (
	"path"
	"strings"
)

// Names inside a layer are bytes that a stranger chose.
const (
	maxName      = 255  // of one component, in bytes (limits.h, NAME_MAX)
	maxNamePath  = 4096 // of a path (limits.h, PATH_MAX)
	whiteout     = ".wh."
	opaque       = ".wh..wh..opq"
	whiteoutMeta = ".wh..wh." // other marks of AUFS, which say nothing of files
)

// cleanName makes a tar's name into a path as the manifest has it: relative to
// the root, without ".", ".." and double slashes. The root itself is "". leaves
// says that ".." led out of the root on the way; unpackers stay inside it, and so
// does the path.
func cleanName(name string) (clean string, leaves bool) {
	clean = strings.TrimPrefix(path.Clean("/"+name), "/")
	if strings.Contains(name, "..") {
		relative := path.Clean(strings.TrimLeft(name, "/"))
		leaves = relative == ".." || strings.HasPrefix(relative, "../")
	}
	return clean, leaves
}

// badName says why no file system could hold the path; "" where one could.
func badName(p string) string {
	if len(p) > maxNamePath {
		return "its path is longer than 4,096 bytes"
	}
	if strings.IndexByte(p, 0) >= 0 {
		return "its path holds a NUL byte"
	}
	for len(p) > 0 {
		component, rest, _ := strings.Cut(p, "/")
		if len(component) > maxName {
			return "a name is longer than 255 bytes"
		}
		p = rest
	}
	return ""
}

// printable shortens a name for a message.
func printable(name string) string {
	if len(name) > 200 {
		return name[:200] + "…"
	}
	return name
}
