package drift

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/manifest"
)

// Scanner compares one tree with one manifest, again and again. It is safe for
// concurrent use; one scan or check runs at a time. What it remembers is not kept
// across restarts: the first scan reads everything.
type Scanner struct {
	tree    Tree
	config  Config
	mount   string          // what Drift.Volume says
	mounts  map[string]bool // mount points, and (false) the folders above them
	stamper stamper
	room    int // bytes of a folder's names that are held at a time

	mu     sync.Mutex
	memory memory
	begin  []byte // where the next scan begins; nil means with the first name
	lacks  bool   // a scan before, of which the next is the rest, had no room to read some files
}

// NewScanner prepares scans of a tree. It opens nothing.
func NewScanner(tree Tree, config Config) (*Scanner, error) {
	if config.Manifest == nil && tree.Form != Volume {
		return nil, errors.New("comparing a tree: there is no manifest to compare it with")
	}
	tree.Mount = strings.Trim(tree.Mount, "/")
	s := &Scanner{tree: tree, config: config.withDefaults(), mounts: map[string]bool{}, stamper: newStamper(), room: nameBytes}
	if tree.Form == Volume {
		s.mount = tree.Mount
	}
	for _, p := range config.MountPoints {
		p = strings.Trim(p, "/")
		s.mounts[p] = true
		for i := strings.LastIndexByte(p, '/'); i > 0; i = strings.LastIndexByte(p[:i], '/') {
			if !s.mounts[p[:i]] {
				s.mounts[p[:i]] = false
			}
		}
	}
	return s, nil
}

// Scan compares the whole tree and calls yield for everything that differs, and
// for what could not be told, in order of path: what is New, what is Known, and
// what is Gone. A scan that comes to one of its bounds says so by a gap of kind
// limit, which is its last; the next one goes on from there, and what was told of
// the rest before is Known. An error of yield or of ctx ends the scan in the same
// way and is returned. After any other, such as a damaged manifest or a tree that
// is not there, it is as if there had been no scan.
func (s *Scanner) Scan(ctx context.Context, yield func(Finding) error) (Summary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.memory.fold(s.config.Temporary); err != nil {
		return Summary{}, s.failed(err)
	}
	w := s.walk(ctx, yield, s.begin)
	w.next.temporary = s.config.Temporary
	w.past = s.memory.start(nil)
	err := w.run()
	if err = w.finish(err); err != nil && !w.told() {
		return w.summary, s.failed(errors.Join(err, w.next.abandon()))
	}
	remembered, err := w.next.close()
	if err != nil {
		return w.summary, s.failed(err)
	}
	s.memory.close()
	s.memory, s.begin, s.lacks = remembered, w.resume, w.told() && !w.read()
	return w.summary, s.failed(w.err)
}

// Check compares single paths, and what lies under them, at once. They are paths
// in the root of what runs, without a leading slash. It tells of them as Scan
// does, and what it tells is Known to the next scan.
func (s *Scanner) Check(ctx context.Context, yield func(Finding) error, paths ...string) (Summary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sum Summary
	sum.Complete = true
	for _, p := range s.inner(paths) {
		one, err := s.check(ctx, yield, p)
		sum.add(&one)
		if err != nil {
			return sum, s.failed(err)
		}
	}
	return sum, nil
}

// check compares what lies at and under one path of the tree.
func (s *Scanner) check(ctx context.Context, yield func(Finding) error, path []byte) (Summary, error) {
	if s.memory.covered(path) {
		if err := s.memory.fold(s.config.Temporary); err != nil {
			return Summary{}, err
		}
	}
	w := s.walk(ctx, yield, path)
	w.only = path
	w.past = s.memory.start(path)
	err := w.run()
	if err = w.finish(err); err != nil && !w.told() {
		return w.summary, err
	}
	if !s.memory.patch(path, w.next.buf) {
		if err := s.memory.fold(s.config.Temporary); err != nil {
			return w.summary, err
		}
		s.memory.patch(path, w.next.buf)
	}
	return w.summary, w.err
}

// inner returns the paths that lie in the tree, as they are there, in order and
// none under another.
func (s *Scanner) inner(paths []string) [][]byte {
	var out [][]byte
	for _, p := range paths {
		p = strings.TrimPrefix(path.Clean("/"+p), "/")
		if s.tree.Form == Volume && s.tree.Mount != "" {
			if !covers([]byte(s.tree.Mount), []byte(p)) {
				continue
			}
			p = strings.TrimPrefix(p[len(s.tree.Mount):], "/")
		}
		out = append(out, []byte(p))
	}
	slices.SortFunc(out, manifest.Compare)
	apart := out[:0]
	for _, p := range out {
		if len(apart) == 0 || !covers(apart[len(apart)-1], p) {
			apart = append(apart, p)
		}
	}
	return apart
}

// Forget makes the next scan read everything again. What was told stays told.
func (s *Scanner) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stamper = newStamper()
}

// Size is how many bytes are remembered.
func (s *Scanner) Size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.memory.size()
}

// Close gives up what is remembered. Closing twice is harmless.
func (s *Scanner) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.close()
	s.begin = nil
}

func (s *Scanner) walk(ctx context.Context, yield func(Finding) error, from []byte) *walk {
	return &walk{
		Scanner: s, ctx: ctx, yield: yield, from: from, want: wanted{reader: s.wanted()}, reader: newReader(s.config.Bytes), marks: marksOf(&s.tree),
		seen: map[inode]bool{}, until: s.config.Now().Add(s.config.Time),
	}
}

// wanted returns the manifest that the tree is compared with, nil for none.
func (s *Scanner) wanted() *manifest.Reader {
	if s.tree.Form == Volume {
		return nil
	}
	return s.config.Manifest
}

func (s *Scanner) failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("comparing %q with the manifest: %w", s.tree.Path, err)
}

// told reports whether the walk ended in a way after which what it told is
// remembered.
func (w *walk) told() bool { return w.resume != nil }

// read reports whether all was read that had to be, the scans before included of
// which this one is the rest.
func (w *walk) read() bool { return w.left == 0 && !(w.only == nil && w.from != nil && w.lacks) }

// finish ends a walk: what it did not come to stays as it was.
func (w *walk) finish(err error) error {
	var end []byte
	if w.only != nil {
		end = w.end(w.only)
	}
	if err == nil {
		err = w.vanish(end)
	}
	if err != nil && !w.told() {
		return err
	}
	for w.told() {
		if err := w.carry(end); err == nil {
			break
		} else if w.err == nil {
			return err
		}
	}
	w.summary.Complete = !w.told() && w.read()
	w.summary.Read, w.summary.Bytes = w.reader.files, w.reader.bytes
	if w.err != nil {
		return w.err
	}
	return w.bound()
}

// bound tells what the scan had no room for.
func (w *walk) bound() error {
	if w.left > 0 {
		reason := fmt.Sprintf("%d files from here on were not read: %v; the next scan goes on with them", w.left, errBudget)
		if err := w.tellGap(gap(touchstone.GapLimit, reason), w.first); err != nil {
			return err
		}
	}
	if w.told() {
		reason := fmt.Sprintf("what lies from here on was not looked at: a scan takes %d names and %s at most; the next one goes on here", w.config.Files, w.config.Time)
		return w.tellGap(gap(touchstone.GapLimit, reason), w.resume)
	}
	return nil
}
