//go:build linux

package fanotify

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// subject is one Subject with what is known about it.
type subject struct {
	Subject
	host       bool // its mount namespace is that of the machine
	failClosed atomic.Bool
	opens      atomic.Bool
	gone       atomic.Bool
	root       atomic.Uint64 // the device of its root, as mountinfo has it
	pending    atomic.Int32  // events that wait for a worker
	hung       atomic.Int32  // workers that do not come back from reading its files
	told       atomic.Bool   // that it has too many events, mounts or namespaces: once
	judged     atomic.Uint64
	unjudged   atomic.Uint64

	verdicts cache[verdict]
	programs cache[string]
	data     cache[struct{}] // files that are no libraries

	// Of the queue, under its lock.
	line   []*job
	queued bool
}

// verdict is what was found out about one content.
type verdict struct {
	known  bool
	hashed bool
	sum    [32]byte
}

// filesystem is what matters of where a file lies.
type filesystem struct {
	subject *subject
	// since is when the writable layer above image layers was made, in nanoseconds
	// since 1970: what was last changed before lies in an image layer. 0: it has no
	// such layers.
	since int64
	// steady: writing through a mapping changes the times of a file, so that a stamp
	// tells contents apart. It does not on tmpfs.
	steady bool
	// opens: FAN_OPEN_PERM is asked for.
	opens bool
	// upper is the writable layer as this process sees it, empty where that is not
	// known; root and point say which part of the file system is mounted where.
	upper, root, point string
}

// inUpper returns where the writable layer has a file of the file system.
func (f *filesystem) inUpper(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(f.point, "/"))
	return f.root + rest, ok && f.upper != "" && strings.HasPrefix(rest, "/")
}

// layered reports whether the file has not been changed since its image layer was
// unpacked.
func (f *filesystem) layered(s *Stamp) bool { return s.Ctime < f.since }

// lasting reports whether a stamp will tell this content from any other. Two changes
// within one tick of the kernel's clock have one time.
func (f *filesystem) lasting(s *Stamp, now time.Time) bool {
	const settled = 50 * time.Millisecond
	return f.layered(s) || f.steady && now.UnixNano()-max(s.Ctime, s.Mtime) > int64(settled)
}

// mount is one mount of a subject.
type mount struct {
	filesystem
	id, unique uint64 // as mountinfo has it; as statx has it
	dev, super uint64 // st_dev of its root; of the file system, which btrfs tells apart
	scope      scope
	execOnly   bool   // opens are never asked about
	problem    string // why there is no mark on it
}

// scope is what a mark lies on.
type scope uint8

const (
	scopeNone scope = iota
	scopeMount
	scopeFilesystem
)

// table says whose an event is. Its lock is never held across a call of the kernel,
// because the loop takes it.
type table struct {
	mu       sync.RWMutex
	subjects map[uint64]*subject
	mounts   map[uint64]*mount      // by unique id
	systems  map[uint64]*filesystem // by st_dev: where it is one subject's alone
	shared   map[uint64]bool        // st_dev that was more than one's
	strange  map[uint64]*filesystem // mounts that are in no namespace of a subject; nil: nobody's
}

func (t *table) init() {
	t.subjects = make(map[uint64]*subject)
	t.mounts = make(map[uint64]*mount)
	t.systems = make(map[uint64]*filesystem)
	t.shared = make(map[uint64]bool)
	t.strange = make(map[uint64]*filesystem)
}

// add returns the subject of the id, and whether it is new.
func (t *table) add(s Subject) (*subject, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.subjects[s.ID]; old != nil {
		return old, false
	}
	n := &subject{Subject: s}
	n.failClosed.Store(s.FailClosed)
	n.opens.Store(s.Opens)
	n.verdicts.half, n.programs.half, n.data.half = 1024, 256, 512
	t.subjects[s.ID] = n
	return n, true
}

func (t *table) subject(id uint64) *subject {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.subjects[id]
}

func (t *table) all() []*subject {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.subjects))
}

func (t *table) remove(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.subjects, id)
	maps.DeleteFunc(t.strange, func(_ uint64, f *filesystem) bool { return f != nil && f.subject.ID == id })
}

// place is where an event comes from.
type place struct {
	*filesystem
	// strange: the file system is the subject's, the mount is not known.
	strange bool
}

// find looks a file up by its mount, else by its file system.
func (t *table) find(key, dev uint64) (place, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.look(key, dev)
}

// look is find for who has the lock.
func (t *table) look(key, dev uint64) (place, bool) {
	if m := t.mounts[key]; m != nil {
		return place{filesystem: &m.filesystem}, true
	}
	if f, ok := t.strange[key]; ok {
		return place{filesystem: f}, f != nil
	}
	if f := t.systems[dev]; f != nil {
		return place{filesystem: f, strange: true}, true
	}
	return place{}, false
}

func (t *table) put(m *mount) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mounts[m.unique] = m
	delete(t.strange, m.unique)
	if m.scope != scopeFilesystem || t.shared[m.dev] {
		return
	}
	if f := t.systems[m.dev]; f != nil && f.subject != m.subject {
		delete(t.systems, m.dev)
		t.shared[m.dev] = true
		return
	}
	t.systems[m.dev] = &m.filesystem
}

// system returns a file system that is a subject's alone.
func (t *table) system(dev uint64, s *subject) *filesystem {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if f := t.systems[dev]; f != nil && f.subject == s {
		return f
	}
	return nil
}

// drop forgets mounts that are gone. A file system is forgotten with its last mount,
// because its st_dev may become another's.
func (t *table) drop(mounts map[uint64]*mount) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lost := make(map[uint64]*subject)
	for key, m := range mounts {
		if t.mounts[key] == m {
			delete(t.mounts, key)
		}
		if f := t.systems[m.dev]; f != nil && f.subject == m.subject {
			delete(t.systems, m.dev)
			lost[m.dev] = m.subject
		}
	}
	if len(lost) == 0 {
		return
	}
	for _, other := range t.mounts { // once for all: the loop waits
		if s := lost[other.dev]; s != nil && other.scope == scopeFilesystem && other.subject == s {
			t.systems[other.dev] = &other.filesystem
			delete(lost, other.dev)
		}
	}
}

// remember keeps whose a mount is that is in no known namespace.
func (t *table) remember(key uint64, f *filesystem) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const many = 4096
	if len(t.strange) >= many {
		clear(t.strange)
	}
	if t.mounts[key] == nil {
		t.strange[key] = f
	}
}

// find returns where the file of an event lies, and its state.
func (l *Layer) find(st *unix.Statx_t) (place, bool) {
	return l.table.find(st.Mnt_id, unix.Mkdev(st.Dev_major, st.Dev_minor))
}

func (l *Layer) mask() uint32 {
	if l.unique {
		return unix.STATX_BASIC_STATS | mountUnique
	}
	return unix.STATX_BASIC_STATS | unix.STATX_MNT_ID
}

// hasUniqueMounts reports whether statx gives mount ids that are never used again.
func hasUniqueMounts() bool {
	var st unix.Statx_t
	err := statAt(unix.AT_FDCWD, []byte("/\x00"), atNoSync, unix.STATX_BASIC_STATS|mountUnique, &st)
	return err == nil && st.Mask&mountUnique != 0
}
