package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"touchstone.dev/touchstone/internal/guard/containerd"
)

// observed takes in what the runtime tells. It returns at once: what is slow goes on
// by itself.
func (g *Guard) observed(e containerd.Event) {
	switch e.Kind {
	case containerd.EventCreated, containerd.EventStarted, containerd.EventPaused, containerd.EventResumed:
		g.appeared(e.Container, e.Kind != containerd.EventCreated)
	case containerd.EventExited, containerd.EventRemoved:
		g.disappeared(&e.Container)
	case containerd.EventExec:
		if s := g.living(&e.Container); s != nil {
			g.runtimeExec(s, &e)
		}
	case containerd.EventSynced:
		if !g.synced.Swap(true) && g.layers.bpf != nil {
			g.working.Go(g.settleKernel)
		}
	case containerd.EventLost:
		g.figures.lost.WithLabelValues("runtime").Inc()
		g.c.Log.Warn("the runtime tells nothing: what runs is guarded on", "problem", e.Problem)
	case containerd.EventUnknown:
		g.trouble(fmt.Sprintf("container %.12s is not watched yet: %s", e.Container.ID, e.Problem))
	}
}

func lifeOf(c *containerd.Container) life {
	return life{c.Namespace, c.ID, c.Init.PID, c.Init.Start}
}

func (g *Guard) living(c *containerd.Container) *subject {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.byLife[lifeOf(c)]
}

// appeared begins to watch a container, once in each of its lives.
func (g *Guard) appeared(c containerd.Container, begun bool) {
	if c.Init.PID == 0 {
		return
	}
	key := lifeOf(&c)
	g.mu.Lock()
	if s := g.byLife[key]; s != nil {
		g.mu.Unlock()
		if begun && !s.begun.Swap(true) {
			g.working.Go(func() { g.sweep(s) })
		}
		return
	}
	s := newSubject(g.layers.idFor(c.Init.PID), c)
	s.begun.Store(begun)
	s.own = runsHere(c.Cgroup)
	g.subjects[s.id], g.byLife[key] = s, s
	if c.Cgroup != "" && c.Cgroup != "/" {
		g.byGroup[c.Cgroup] = s
	}
	g.mu.Unlock()
	s.settle(g.ground.Load(), g.c.Node)
	g.working.Go(func() {
		select {
		case g.beginning <- struct{}{}:
			defer func() { <-g.beginning }()
		case <-g.ctx.Done():
			return
		}
		g.begin(s)
	})
}

// runsHere reports whether this process is in the control group.
func runsHere(group string) bool {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil || group == "" || group == "/" {
		return false
	}
	for line := range strings.Lines(string(data)) {
		if _, path, ok := strings.Cut(strings.TrimSpace(line), ":/"); ok && ("/"+path == group || strings.HasPrefix("/"+path, group+"/")) {
			return true
		}
	}
	return false
}

// begin watches a subject with every layer, and finds what it holds.
func (g *Guard) begin(s *subject) {
	appeared := time.Now()
	defer func() {
		s.watched.Store(true)
		if s.gone.Load() {
			g.layers.unwatch(s) // it ended while it was being watched
		}
	}()
	if err := g.layers.watch(s); err != nil {
		if s.gone.Load() {
			return
		}
		s.complain(err)
		g.trouble(fmt.Sprintf("%s is watched less than it should be: %v", s.name(), err))
	}
	// Only now: what its first process becomes from here on is told by an event.
	g.watchLogins(s)
	im, err := g.imageOf(s)
	switch {
	case s.gone.Load():
		g.images.release(im)
		return
	case err != nil:
		// Everything that it executes is unjudged until then.
		s.complain(err)
		g.trouble(fmt.Sprintf("%s: what its image holds is not known: %v", s.name(), err))
		g.applyPolicy(s)
		return
	}
	defer g.images.release(g.images.hold(im)) // it may end meanwhile
	s.image.Store(im)
	g.layers.know(s, im)
	g.applyPolicy(s)
	g.sweep(s)
	g.figures.known.Observe(time.Since(appeared).Seconds())
	g.scanSoon(s)
	if e := g.replaced.came(s, g.c.Now()); e != nil {
		g.write(e)
	}
}

// imageOf finds the manifest of what the subject was made from.
func (g *Guard) imageOf(s *subject) (*image, error) {
	if s.host {
		return g.images.acquire(g.ctx, g.c.Host.key(), []maker{{fromGolden, g.c.Host.Manifest}})
	}
	c := s.container
	id := ImageID{Config: c.Image.Config, DiffIDs: c.Image.DiffIDs, Name: c.Image.Name}
	var makers []maker
	if id.Config.Valid() && len(id.DiffIDs) > 0 && c.Image.Proven {
		if g.c.Evidence != nil {
			makers = append(makers, maker{fromEvidence, func(ctx context.Context, to io.Writer) error { return g.c.Evidence(ctx, id, to) }})
		}
		if g.c.Server != nil {
			makers = append(makers, maker{fromServer, func(ctx context.Context, to io.Writer) error {
				ctx, cancel := context.WithTimeout(ctx, manifestWithin)
				defer cancel()
				if err := g.c.Server.Manifest(ctx, id, to); err != nil {
					// A server that is away, or does not know it, is no reason to know nothing.
					return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
				}
				return nil
			}})
		}
	}
	layers := c.Rootfs.Lower
	makers = append(makers, maker{fromLayers, func(ctx context.Context, to io.Writer) error {
		if len(layers) == 0 {
			return fmt.Errorf("its root is of kind %s: %s", c.Rootfs.Kind, c.Rootfs.Problem)
		}
		return manifestOfLayers(ctx, layers, g.temporary, to)
	}})
	return g.images.acquire(g.ctx, id.key(layers), makers)
}

// manifestWithin is how long a server may take to hand over a manifest before the
// layers are read instead.
const manifestWithin = 5 * time.Second

// temporary makes a file that nobody else sees.
func (g *Guard) temporary() (*os.File, error) {
	f, err := os.CreateTemp(g.images.dir, ".sort-*")
	if err != nil {
		return nil, err
	}
	return f, errors.Join(os.Remove(f.Name()))
}

// disappeared ends the watch.
func (g *Guard) disappeared(c *containerd.Container) {
	s := g.living(c)
	if s == nil {
		return
	}
	s.gone.Store(true)
	g.mu.Lock()
	delete(g.subjects, s.id)
	delete(g.byLife, lifeOf(c))
	if g.byGroup[s.container.Cgroup] == s {
		delete(g.byGroup, s.container.Cgroup)
	}
	g.mu.Unlock()
	g.working.Go(func() {
		g.layers.unwatch(s)
		g.endSessions(s)
		s.drift.close()
		g.images.release(s.image.Swap(nil))
	})
}

func (s *subject) complain(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.problem = err.Error()
}
