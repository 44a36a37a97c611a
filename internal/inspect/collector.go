package inspect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/inspect/packages"
	"touchstone.dev/touchstone/internal/inspect/secrets"
	"touchstone.dev/touchstone/internal/inspect/surface"
	"touchstone.dev/touchstone/internal/manifest"
)

const (
	sortBytes = 4 << 20
	// headBytes of each file are shown to those who may want it.
	headBytes = max(surface.HeadSize, 4096)
	// maxFacts bounds how many executables of a layer are remembered in memory.
	maxFacts = 200_000
	// maxLinks bounds the hard links of a layer, which are remembered until its
	// end.
	maxLinks = 2_000_000
	// maxKept bounds the small files of a layer that are kept in memory.
	maxKept = 8 << 20
)

// collector gathers what one layer yields. Files are added from one goroutine
// or several; readers run beside them.
type collector struct {
	in  *Inspector
	ctx context.Context
	gaps

	mu      sync.Mutex
	sorter  manifest.Sorter
	entries int
	links   []link
	// latest is the number of the entry that a path of interest stands for now:
	// in a tar, the last entry of a name is the one that counts, and what
	// was found in earlier ones is dropped.
	latest     map[string]int
	found      []finding
	weight     int64 // of found
	kept       keptFiles
	caps       map[string][]byte
	opaqueRoot bool
	execs      map[string]surface.Facts // of the files that count, once all are known
	facts      int
	unstable   bool // something depended on the machine (a time limit): not to be remembered
	deferred   []*job
	waiting    int64 // bytes of content in deferred
	jobs       sync.WaitGroup
	fault      error // the first error that ends the inspection
}

// link is a hard link whose name might be wanted where that of its target was
// not.
type link struct{ path, target string }

// finding is what readers found in one entry.
type finding struct {
	path    string
	number  int
	result  packages.Result
	secrets []touchstone.Secret
	facts   surface.Facts
}

func (in *Inspector) newCollector(ctx context.Context) *collector {
	c := &collector{in: in, ctx: ctx, latest: map[string]int{}, caps: map[string][]byte{}}
	c.kept.files = map[string]keptFile{}
	c.sorter = manifest.Sorter{Temporary: in.scratch.file, ChunkBytes: sortBytes, Duplicate: c.duplicate}
	return c
}

// duplicate is told of an entry that a later one of the same layer replaces.
// Archives repeat folders, and identical files; whoever hides one file behind
// another of the same name wants readers to see different things.
func (c *collector) duplicate(replaced, by *manifest.Entry) {
	if replaced.Kind == manifest.Dir && by.Kind == manifest.Dir || replaced.Kind.Mark() {
		return
	}
	if replaced.Kind == by.Kind && replaced.SHA256 == by.SHA256 && bytes.Equal(replaced.Link, by.Link) {
		return
	}
	c.addf(touchstone.GapCorrupt, string(by.Path), "tar", "the layer holds two different files of this name; the last was taken")
}

// begin gives an entry its number. What was found under the same path before
// does not count any more.
func (c *collector) begin(path string) (number int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries++
	if c.entries > c.in.config.Limits.Entries {
		return 0, limitError("the layer has too many entries")
	}
	if _, ok := c.latest[path]; ok {
		c.latest[path] = c.entries
		c.kept.remove(path)
		delete(c.caps, path)
	}
	return c.entries, c.fault
}

// put puts an entry that is not a regular file into the manifest.
func (c *collector) put(e *manifest.Entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Kind == manifest.HardLink {
		if len(c.links) == maxLinks {
			return limitError(fmt.Sprintf("the layer has more than %d hard links", maxLinks))
		}
		c.links = append(c.links, link{string(e.Path), string(e.Link)})
	}
	return outside(c.sorter.Add(e))
}

// scanner is what one goroutine needs to take regular files in.
type scanner struct {
	*collector
	hash hash.Hash
	head [headBytes]byte
	copy []byte
}

func (c *collector) scanner() *scanner {
	return &scanner{collector: c, hash: sha256.New(), copy: make([]byte, 128<<10)}
}

// regular takes in a regular file of e.Size bytes: hashes it, adds it to the
// manifest, and hands it to whoever wants it. The error is that of content, or
// one that ends the inspection.
func (s *scanner) regular(number int, e *manifest.Entry, info fs.FileInfo, content io.Reader) error {
	path := string(e.Path)
	head := s.head[:min(e.Size, headBytes)]
	if _, err := io.ReadFull(content, head); err != nil {
		return err
	}
	wants := s.in.wants(path, info, head)
	facts := surface.Facts{}
	if !wants.surface {
		facts = surface.Look(path, e.Size, surfaceHead(head), nil)
	}
	s.hash.Reset()
	s.hash.Write(head)
	var err error
	if wants.any() || !facts.IsZero() {
		err = s.take(&job{path: path, number: number, info: info, size: e.Size, wants: wants, facts: facts}, head, content)
	} else {
		err = s.skim(content, e.Size-int64(len(head)))
	}
	if err != nil {
		return err
	}
	e.Kind, e.Hashed = manifest.Regular, true
	e.Exec = manifest.ExecOf(facts.Exec)
	s.hash.Sum(e.SHA256[:0])
	s.mu.Lock()
	defer s.mu.Unlock()
	return outside(s.sorter.Add(e))
}

// surfaceHead is the part of the head that package surface asks for.
func surfaceHead(head []byte) []byte { return head[:min(len(head), surface.HeadSize)] }

// skim hashes n more bytes.
func (s *scanner) skim(content io.Reader, n int64) error {
	for n > 0 {
		p := s.copy[:min(n, int64(len(s.copy)))]
		got, err := io.ReadFull(content, p)
		s.hash.Write(p[:got])
		n -= int64(got)
		if err != nil {
			return err
		}
	}
	return nil
}

// wants says who asks for the content of a file.
type wants struct{ packages, secrets, surface, keep bool }

func (w wants) any() bool { return w.packages || w.secrets || w.surface || w.keep }

func (in *Inspector) wants(path string, info fs.FileInfo, head []byte) wants {
	size := info.Size()
	return wants{
		packages: in.readers.Wants(path, info, head),
		secrets:  secrets.Wants(path, size, surfaceHead(head)),
		surface:  surface.Wants(path, size, surfaceHead(head)),
		keep:     in.keeps(path, size),
	}
}

// keeps reports whether a small file is needed beside others, or at the merge.
func (in *Inspector) keeps(path string, size int64) bool {
	return size <= maxKeptFile && (keptForMerge(path) || in.readers.Keeps(path, size))
}

const maxKeptFile = 64 << 10

// keptForMerge reports whether the content of a small file is needed once the
// layers are merged, to say what the distribution is and who the users. Besides the places that
// os-release(5) names, any os-release counts, because the former may be links.
func keptForMerge(path string) bool {
	switch path {
	case "etc/os-release", "usr/lib/os-release", "etc/alpine-release", "etc/debian_version", "etc/redhat-release", passwd:
		return true
	}
	base := path[lastSlash(path)+1:]
	return base == "os-release" || len(base) > len("os-release") && base[:len("os-release")] == "os-release"
}

func lastSlash(p string) int {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == '/' {
			return i
		}
	}
	return -1
}
