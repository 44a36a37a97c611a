package guard

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Guard guards one node. Run works until its context ends; a guard runs once.
type Guard struct {
	c     Config
	ctx   context.Context // of Run
	since time.Time

	ground        atomic.Pointer[Ground]
	groundProblem atomic.Pointer[string]

	images    *images
	journal   *journal
	repeats   *repeats
	probation *probation
	evidence  *evidence
	replaced  *replacements
	disarmer  disarmer
	managed   managed
	before    before
	figures   *figures
	layers    layers
	logins    logins
	hostID    uint64 // the subject that is the host; 0 where it is not guarded
	canary    canary
	compares  *line
	rechecks  chan recheck
	judging   sync.Map // PIDs of which the kernel has told that it holds them, until they are judged
	endings   endings
	beginning chan struct{}  // how many subjects are begun at once
	synced    atomic.Bool    // whether everything that runs is known
	working   sync.WaitGroup // what goes on by itself

	telling sync.Mutex // events are told one after the other
	nextID  atomic.Uint64

	mu       sync.RWMutex
	subjects map[uint64]*subject
	byLife   map[life]*subject
	byGroup  map[string]*subject // by control group
}

// life names one life of a container.
type life struct {
	namespace, id string
	pid           int
	start         uint64
}

// ErrAlone is returned where another guard keeps its data in the same folder.
var ErrAlone = errors.New("another guard runs with this data folder")

// Run guards until the context ends. What it enforces in the kernel stays in force
// after that, and after a crash.
func Run(ctx context.Context, c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	g := &Guard{
		c: c, ctx: ctx, since: c.Now(), repeats: newRepeats(), replaced: newReplacements(), figures: newFigures(),
		subjects: map[uint64]*subject{}, byLife: map[life]*subject{}, byGroup: map[string]*subject{}, compares: newLine(), rechecks: make(chan recheck, 1024), beginning: make(chan struct{}, 8),
	}
	g.canary.id = g.nextID.Add(1)
	if c.Host != nil {
		g.hostID = g.nextID.Add(1)
	}
	lock, err := alone(c.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := g.open(ctx); err != nil {
		return err
	}
	defer g.close()
	return g.run(ctx)
}

// alone makes the data folder, and sure that no other guard uses it.
func alone(data string) (*os.File, error) {
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("making the guard's data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(data, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the guard's data folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("%w: %s\nhint: touchstone guard status asks the one that runs", ErrAlone, data)
	}
	return lock, nil
}

// open finds what to judge by, and puts the layers into the kernel.
func (g *Guard) open(ctx context.Context) error {
	ground, err := g.firstGround(ctx)
	if err != nil {
		return err
	}
	g.ground.Store(ground)
	if g.images, err = openImages(filepath.Join(g.c.Data, "images")); err != nil {
		return err
	}
	if g.journal, err = openJournal(filepath.Join(g.c.Data, "events")); err != nil {
		return err
	}
	if g.probation, err = openProbation(filepath.Join(g.c.Data, "probation.json"), ground.Rules.Guard.DryRun); err != nil {
		return err
	}
	limits := func() (int64, bool) {
		r := g.ground.Load().Rules
		return r.Guard.KeepFiles, r.Guard.KeepData
	}
	if g.evidence, err = openEvidence(filepath.Join(g.c.Data, "evidence"), limits); err != nil {
		return err
	}
	g.openLogins()
	return g.openLayers()
}

// firstGroundWithin is how long a server may take to say what to judge by before
// what was judged by last is taken.
const firstGroundWithin = 10 * time.Second

// firstGround asks the source, and falls back on what was in force last.
func (g *Guard) firstGround(ctx context.Context) (*Ground, error) {
	limited, cancel := context.WithTimeout(ctx, firstGroundWithin)
	defer cancel()
	ground, err := g.c.Source.Ground(limited, nil)
	if err == nil {
		return ground, nil
	}
	keeper, ok := g.c.Source.(interface{ Kept() (*Ground, error) })
	if !ok {
		return nil, err
	}
	kept, why := keeper.Kept()
	if errors.Is(why, fs.ErrNotExist) {
		return nil, err
	}
	if why != nil {
		return nil, errors.Join(err, why)
	}
	g.c.Log.Warn("judging by the rules that were in force last", "since", kept.Confirmed, "error", err)
	return kept, nil
}

func (g *Guard) close() {
	// First nothing new comes in, then what has come is finished, then it is told.
	if g.layers.fanotify != nil {
		g.layers.fanotify.Close()
	}
	g.working.Wait()
	g.flushRepeats(true)
	if g.layers.bpf != nil {
		_ = g.layers.bpf.Close() // what is pinned stays in force
	}
	if err := g.journal.close(); err != nil {
		g.c.Log.Warn("the journal could not be ended", "error", err)
	}
}

// run does everything at once; the first that fails ends the others.
func (g *Guard) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	parts := []func(context.Context) error{
		g.followGround, g.runLayers, g.runDrift, g.runLogins, g.runRechecks, g.runCanary, g.runRepeats, g.runPolicies, g.send, g.serveStatus,
	}
	if g.c.Metrics != "" {
		parts = append(parts, g.serveMetrics)
	}
	if g.c.Runtime != nil {
		parts = append(parts, func(ctx context.Context) error { return g.c.Runtime.Watch(ctx, g.observed) })
	}
	if g.c.Host != nil {
		parts = append(parts, g.guardHost)
	}
	for _, part := range parts {
		group.Go(func() error { return part(ctx) })
	}
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (g *Guard) serveMetrics(ctx context.Context) error {
	l, err := net.Listen("tcp", g.c.Metrics)
	if err != nil {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return g.serve(ctx, l, g.metrics())
}

func (g *Guard) all() []*subject {
	g.mu.RLock()
	defer g.mu.RUnlock()
	out := make([]*subject, 0, len(g.subjects))
	for _, s := range g.subjects {
		out = append(out, s)
	}
	return out
}

func (g *Guard) subject(id uint64) *subject {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.subjects[id]
}
