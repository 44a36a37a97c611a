package drift

import (
	"context"
	"os"
	"time"

	"touchstone.dev/touchstone/internal/manifest"
)

// Form is what kind of tree is compared.
type Form int

// The forms.
const (
	// Upper is the upper directory of an overlay, whose lower directories are the
	// artifact that the manifest lists. What is not in it is as the manifest says.
	Upper Form = iota
	// Volume is a file system, folder or file mounted into a container: nothing in
	// it is expected, and only what can be executed counts.
	Volume
	// Folder is a whole tree, such as the root of a machine: what is not in it is
	// missing. Other disks below it belong to it, as package mounts says.
	Folder
)

// Tree is where the files are.
type Tree struct {
	Form Form
	// Path names the tree's root in this process. Links in it are followed, so
	// that nobody but the node's owner may have chosen it.
	Path string
	// Inside, where it is not empty, is where the tree lies below Path, as
	// somebody inside wrote it: "data" in "/proc/812/root". Links in it are
	// followed as if Path were the root (RESOLVE_IN_ROOT of openat2(2)).
	Inside string
	// Mount is where a Volume is mounted in the container, without a leading slash.
	Mount string
	// UserXattr says that the overlay is mounted with "userxattr", as those of
	// ordinary users are: its marks are attributes of the namespace user instead of
	// trusted. It must be right. What a container writes there is its own otherwise,
	// and would be believed.
	UserXattr bool
}

// Contents is what content the artifact has, at whatever path.
type Contents interface {
	// Has reports whether a file of this size and SHA-256 is in the artifact.
	Has(size int64, sum [32]byte) bool
	// HasSize reports whether any file of this size is.
	HasSize(size int64) bool
}

// IDRange maps a range of user or group IDs, as a line of /proc/PID/uid_map does
// (user_namespaces(7)).
type IDRange struct {
	Inside, Outside, Length uint32
}

// Config says what a tree is compared with, and how much that may cost. Only
// Manifest must be set, and not even that for a Volume.
type Config struct {
	// Manifest lists what should be there. It must stay open while the scanner is
	// used.
	Manifest *manifest.Reader
	// Contents knows what may lie in volumes and writable places; nil means that
	// nothing executable may.
	Contents Contents
	// Writable reports whether changes are expected at a path, which has no leading
	// slash: only what can be executed and is not in Contents counts there. It is
	// not asked about volumes. Nil means nowhere. It must answer the same each
	// time. See Patterns.
	Writable func(path string) bool
	// Skip reports whether a path and all below it are left out. Nil means none.
	Skip func(path string) bool
	// MountPoints are the paths at which a runtime mounts something else: the empty
	// files and folders that it makes there, and folders on the way to them, are no
	// differences. In a Folder, what is mounted there is left out.
	MountPoints []string
	// UIDs and GIDs map the owners on disk to those inside, where a container has a
	// user namespace. Empty means that they are the same.
	UIDs, GIDs []IDRange

	// Files is how many names one scan may look at; 2,000,000 when zero.
	Files int
	// Bytes is how many bytes one scan may read; 8 GiB when zero.
	Bytes int64
	// Time is how long one scan may take; 5 minutes when zero.
	Time time.Duration
	// FileBytes is the largest file of which the SHA-256 is told although the size
	// alone shows the difference; 256 MiB when zero.
	FileBytes int64
	// Settle is for how long after its last change a file is read again by each
	// scan; 40 seconds when zero. Less misses writes through mappings that were
	// made before (see the package).
	Settle time.Duration
	// Pause is called before each name, with the context of the scan; it may wait,
	// and its error ends the scan. Nil means that only the context is asked.
	Pause func(context.Context) error
	// Now tells the time; time.Now when nil.
	Now func() time.Time
	// Temporary makes an empty file that is gone when it is closed, for what is
	// remembered beyond 4 MiB. Nil means an unlinked one in the folder for
	// temporary files.
	Temporary func() (*os.File, error)
}

func (c Config) withDefaults() Config {
	if c.Writable == nil {
		c.Writable = func(string) bool { return false }
	}
	if c.Skip == nil {
		c.Skip = func(string) bool { return false }
	}
	if c.Files == 0 {
		c.Files = 2_000_000
	}
	if c.Bytes == 0 {
		c.Bytes = 8 << 30
	}
	if c.Time == 0 {
		c.Time = 5 * time.Minute
	}
	if c.FileBytes == 0 {
		c.FileBytes = 256 << 20
	}
	if c.Settle == 0 {
		c.Settle = 40 * time.Second
	}
	if c.Pause == nil {
		c.Pause = context.Context.Err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Temporary == nil {
		c.Temporary = unlinked
	}
	return c
}

// unlinked makes a temporary file without a name.
func unlinked() (*os.File, error) {
	f, err := os.CreateTemp("", "touchstone-drift-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close() // the other error is the one to tell
		return nil, err
	}
	return f, nil
}

// mapID returns the ID inside that an ID on disk stands for; the overflow ID
// where none does (user_namespaces(7)).
func mapID(ranges []IDRange, id uint32) int {
	if len(ranges) == 0 {
		return int(id)
	}
	for _, r := range ranges {
		if id >= r.Outside && id-r.Outside < r.Length {
			return int(r.Inside + (id - r.Outside))
		}
	}
	return overflowID
}

const overflowID = 65534
