// Package inspect reads artifacts: it turns the layers of an opened artifact
// into Evidence, and remembers what it has read.
//
//	layer ─ stream ─► tar ─ walk ─► collector ─► record (packages, facts, secrets, gaps)
//	        verify          hash        │         + manifest of the layer
//	                                    └─ packages, surface, secrets: one file each
//	records ─ squash ─► manifest of the artifact ─ assemble ─► Evidence
//
// Each layer is read once, as a stream: stored bytes are hashed and
// decompressed, the tar is hashed (its diff ID) and walked, every regular file
// is hashed for the manifest, and the files that a reader wants are handed to
// it. What a layer yields is kept under its diff ID, so that a layer is read
// once per machine.
//
// Everything read here was written by a stranger. What the artifact's own bytes
// cause (truncation, bombs, lies, a reader that fails on them) is a Gap in the
// Evidence; an error is returned only for a cause outside the artifact, and then
// wraps artifact.ErrOutside or is that of the context.
//
// The package judges nothing and knows no vulnerability.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/artifact"
	"touchstone.dev/touchstone/internal/blob"
	"touchstone.dev/touchstone/internal/inspect/packages"
)

// Version is the inspector's version. It is raised by hand whenever what a layer
// yields changes; a golden test reminds of it. Evidence of another version is
// not found again and the artifact is read anew.
const Version = 2

// Config says how to inspect. The zero value works: it remembers nothing and
// finds the same secret again only within one Inspector.
type Config struct {
	// Store is where layers and evidence are remembered; nil for nowhere, and
	// then the blobs that the evidence names (manifest, symbols) are gone after
	// Close.
	Store *blob.Store
	// Scratch is the folder for temporary files; the system's when empty.
	Scratch string
	// Parallel is how many layers and how many readers run at once; the
	// number of processors when zero.
	Parallel int
	// MemoryBudget is about how many bytes of content are held at once, over
	// all layers; 64 MiB when zero. The process needs some 40 MiB besides.
	MemoryBudget int64
	// Limits bound what a stranger's bytes may cost.
	Limits Limits
	// Key keys the fingerprints of secrets; one per installation. What was
	// remembered under another key is not found again.
	Key []byte
	// Now is the clock; time.Now when nil. It is used for the age of temporary
	// files alone.
	Now func() time.Time
	// Progress is told how reading goes on, from several goroutines; may be nil.
	Progress func(Event)
}

// Limits bound what reading one artifact may cost. What lies beyond is a gap of
// kind limit. Zero values stand for the defaults named.
type Limits struct {
	LayerBytes  int64         // uncompressed bytes of a layer, holes of sparse files included; 64 GiB
	Ratio       int64         // uncompressed to stored bytes, once a layer has passed 1 GiB; 250
	Entries     int           // entries of a layer; 20 million
	FileBytes   int64         // size of a file that is handed to a reader; 2 GiB
	Findings    int64         // about the bytes of memory for what all layers yield beside the lists of their files; 128 MiB
	ReadingTime time.Duration // for one reader with one file; 1 minute
}

// Event tells how reading goes on.
type Event struct {
	Layer  int    // index of the layer, bottom first
	Layers int    // how many there are
	Done   int64  // stored bytes of this layer that were read
	Size   int64  // stored bytes of this layer; -1 where unknown
	Known  bool   // the layer was read before and is not read now
	Notice string // something that the user should know, such as a cache that cannot be written
}

// Inspector reads artifacts. It may be used from many goroutines. Close removes
// its temporary files.
type Inspector struct {
	config  Config
	store   *blob.Store
	lasting bool // whether store outlives the Inspector
	scratch *scratch
	readers *packages.Readers
	layers  *semaphore.Weighted // layers being read
	running *semaphore.Weighted // readers running
	held    *semaphore.Weighted // bytes of content held for readers
	buffers buffers
	workers workers

	lastingForm lastingForm
}

// New returns an Inspector. It points TMPDIR at its own scratch folder until
// Close, because some readers of package databases copy them there; so one
// process should have one Inspector at a time.
func New(c Config) (*Inspector, error) {
	c = c.withDefaults()
	s, err := newScratch(c.Scratch, c.Now())
	if err != nil {
		return nil, err
	}
	in := &Inspector{
		config:  c,
		store:   c.Store,
		lasting: c.Store != nil,
		scratch: s,
		readers: packages.New(packages.Config{MaxFile: c.Limits.FileBytes}),
		layers:  semaphore.NewWeighted(int64(c.parallelLayers())),
		running: semaphore.NewWeighted(int64(c.Parallel)),
		held:    semaphore.NewWeighted(c.heldBytes()),
		buffers: buffers{limit: c.heldBytes() / 2},
		workers: workers{idle: make(chan *worker, c.Parallel)},
	}
	if in.lastingForm, err = newLastingForm(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if in.store == nil {
		if in.store, err = blob.Open(blob.Config{Dir: s.path("store"), Now: c.Now}); err != nil {
			return nil, errors.Join(outside(err), s.close())
		}
	}
	return in, nil
}

// Close removes the temporary files and gives TMPDIR back.
func (in *Inspector) Close() error {
	in.workers.close()
	in.lastingForm.inflate.Close()
	return in.scratch.close()
}

func (c Config) withDefaults() Config {
	if c.Parallel <= 0 {
		c.Parallel = runtime.GOMAXPROCS(0)
	}
	if c.MemoryBudget <= 0 {
		c.MemoryBudget = 64 << 20
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Progress == nil {
		c.Progress = func(Event) {}
	}
	l := &c.Limits
	if l.LayerBytes <= 0 {
		l.LayerBytes = 64 << 30
	}
	if l.Ratio <= 0 {
		l.Ratio = 250
	}
	if l.Entries <= 0 {
		l.Entries = 20_000_000
	}
	if l.FileBytes <= 0 {
		l.FileBytes = 2 << 30
	}
	if l.Findings <= 0 {
		l.Findings = 128 << 20
	}
	if l.ReadingTime <= 0 {
		l.ReadingTime = time.Minute
	}
	return c
}

// heldBytes is the part of the budget for files held for readers; half as much
// again is kept for the next ones. The rest is for the layers themselves: stages
// of the stream and entries being sorted.
func (c Config) heldBytes() int64 { return max(c.MemoryBudget*3/8, 2*maxInMemory) }

// parallelLayers is how many layers fit beside the held files.
func (c Config) parallelLayers() int {
	return max(1, min(c.Parallel, int(c.MemoryBudget*7/16/layerBytes)))
}

// layerBytes is about what reading one layer holds at once.
const layerBytes = 2*aheadBytes + sortBytes + 1<<20

// Inspect reads the artifact and returns its evidence, and the artifact with
// its digest where only reading tells it (root file systems in a tar).
//
// No layer is read when the artifact is known, which means: this Store holds
// evidence for its config digest and diff IDs, and each layer was once read and
// found to have the diff ID that the config claims. A layer is taken for one
// that was read by its stamp (see artifact.Layer) or, when it comes from a
// registry, by its digest, which whoever pulls it verifies. The digest of a
// layer in a local file is not trusted: its bytes are hashed again.
func (in *Inspector) Inspect(ctx context.Context, src artifact.Source) (*touchstone.Evidence, touchstone.Artifact, error) {
	run := &inspection{Inspector: in, artifact: src.Artifact(), image: readImage(src.Config())}
	layers := src.Layers()
	run.image.compare(layers)
	for i, l := range layers {
		run.layers = append(run.layers, &layer{Layer: l, index: i, layers: len(layers)})
	}
	defer run.close()
	if e := run.known(); e != nil {
		return e, run.artifact, nil
	}
	e, err := run.evidence(ctx)
	if err != nil {
		return nil, run.artifact, fmt.Errorf("inspecting %s: %w", run.artifact.Label(), err)
	}
	return e, run.artifact, nil
}

// Manifest opens the list of every file that the evidence names. Close the
// mapping after use. The error wraps blob.ErrAbsent when the store has lost it.
func (in *Inspector) Manifest(e *touchstone.Evidence) (*blob.Mapping, error) {
	return in.store.Map(e.Manifest.Blob)
}

// Symbols returns the functions of a Go binary, as package gosym encodes them,
// by touchstone.Package.Symbols. The error wraps blob.ErrAbsent when the store
// has lost them.
func (in *Inspector) Symbols(d touchstone.Digest) ([]byte, error) { return in.store.Get(d) }

// outside marks an error as no fault of the artifact. That of a context stays
// what it is.
func outside(err error) error {
	if err == nil || fatal(err) {
		return err
	}
	return artifact.Outsidef("%w", err)
}
