package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/guard/bpf"
	"touchstone.dev/touchstone/internal/guard/fanotify"
)

// The names of the layers, as people and events call them.
const (
	layerFanotify = "fanotify"
	layerBPF      = "bpf"
)

// layers are the two ways in which the kernel stops what is unknown. Each works
// where the other is not to be had.
type layers struct {
	guard    *Guard
	fanotify *fanotify.Layer // nil where it is not to be had
	bpf      *bpf.Layer      // nil where it is not to be had

	// adopted are the subjects of a guard before this one, which the kernel still
	// watches: their ids are taken over with the containers.
	adopted  map[uint64]bpf.Mode
	identity map[adoptedBy]uint64
	room     room

	mu       sync.Mutex
	problems map[string]string // by layer: why it is not there
	proven   map[string]time.Time
}

// openLayers puts into the kernel what it allows. A guard without any layer still
// sees changes; that is told, never guessed.
func (g *Guard) openLayers() error {
	l := &g.layers
	l.guard, l.problems, l.proven = g, map[string]string{}, map[string]time.Time{}
	without := func(name string) bool { return slices.Contains(g.c.Without, name) }
	if without(layerFanotify) {
		l.problems[layerFanotify] = "it is switched off"
	} else if layer, err := fanotify.Start(g.fanotifyConfig()); err != nil {
		l.problems[layerFanotify] = err.Error()
	} else {
		l.fanotify = layer
	}
	if without(layerBPF) {
		l.problems[layerBPF] = "it is switched off"
	} else if layer, err := bpf.Open(g.bpfConfig()); err != nil {
		l.problems[layerBPF] = err.Error()
	} else {
		l.bpf = layer
		g.adopt()
		g.working.Go(g.makeRoom)
	}
	for name, problem := range l.problems {
		if !without(name) {
			g.trouble("the layer " + name + " is not to be had here: " + problem)
		}
	}
	return nil
}

func (g *Guard) fanotifyConfig() fanotify.Config {
	var writer func(uint64, int, fanotify.Stamp)
	if g.c.Host != nil {
		writer = g.writtenBy
	}
	return fanotify.Config{
		Writer: writer,
		Judge:  (*contentJudge)(g), Written: g.written, After: g.lookAgain, Bound: g.c.AnswerWithin, Now: g.c.Now, Log: g.c.Log,
		Trouble: func(subject uint64, sentence string) {
			if s := g.subject(subject); s != nil {
				sentence = s.name() + ": " + sentence
			}
			g.working.Go(func() { g.trouble(sentence) })
		},
	}
}

func (g *Guard) bpfConfig() bpf.Config {
	return bpf.Config{Folder: g.c.Pins, Mappings: true, Host: g.hostID}
}

// runLayers handles what the layers tell, until the context ends.
func (g *Guard) runLayers(ctx context.Context) error {
	var parts sync.WaitGroup
	if g.layers.bpf != nil {
		parts.Go(func() { g.followKernel(ctx) })
		parts.Go(func() { g.beat(ctx) })
	}
	parts.Wait()
	<-ctx.Done()
	return nil
}

// beat tells the kernel that somebody is there to judge what it holds.
func (g *Guard) beat(ctx context.Context) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		if err := g.layers.bpf.Beat(); err != nil {
			g.trouble("the kernel's layer does not hear the guard: " + err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// watch has both layers see the subject; nothing is stopped until know and apply.
func (l *layers) watch(s *subject) error {
	var problems []error
	if l.bpf != nil {
		if err := l.watchBPF(s); err != nil {
			problems = append(problems, err)
		}
	}
	if l.fanotify != nil {
		if err := l.ask(s, false, true); err != nil {
			problems = append(problems, err)
		}
	}
	// The number of a process that has ended is given again: what was watched just now
	// may be somebody else's.
	if !s.lives() {
		l.unwatch(s)
		problems = append(problems, errEnded)
	}
	return errors.Join(problems...)
}

var errEnded = errors.New("its first process has ended")

// lives reports whether the subject's first process is still the one that it was.
func (s *subject) lives() bool {
	if s.host {
		return true
	}
	start, ok := startTicks(s.pid())
	return ok && uint64(start) == s.container.Init.Start
}

// ask has the permission layer ask about the subject. The node's own mounts are never
// asked about for a container.
func (l *layers) ask(s *subject, failClosed, opens bool) error {
	if !s.lives() {
		return errEnded
	}
	if !s.host && sameNamespace(s.pid(), hostProcess, "mnt") {
		return errors.New("it is in the node's own mount namespace, so that fanotify cannot tell it from the node")
	}
	return l.fanotify.Watch(fanotify.Subject{ID: s.id, PID: s.pid(), FailClosed: failClosed, Opens: opens})
}

func (l *layers) watchBPF(s *subject) error {
	if s.host {
		return nil // it is every task that is in no other subject
	}
	identity, err := l.bpf.Identify(s.pid())
	if err != nil {
		return err
	}
	mode := watchOnly()
	if old, ok := l.adopted[s.id]; ok {
		mode = old // a guard before this one has set it, and it holds until this one knows better
	}
	return l.bpf.Watch(s.id, identity, mode)
}

// watchOnly sees what is executed, and does nothing about it.
func watchOnly() bpf.Mode { return bpf.Mode{Execs: true, Forks: true, Exits: true} }

func (l *layers) unwatch(s *subject) {
	if l.fanotify != nil {
		l.fanotify.Unwatch(s.id)
	}
	if l.bpf != nil {
		if err := l.bpf.Unwatch(s.id); err != nil {
			l.guard.c.Log.Warn("a container that has ended is still watched in the kernel", "error", err)
		}
	}
}

// verify tells the kernel's layer of a file whose content is known, or whose
// execution is let be.
func (l *layers) verify(s *subject, stamp bpf.Stamp) {
	if l.bpf == nil {
		return
	}
	if err := l.bpf.Verify(s.id, stamp); err != nil {
		l.guard.c.Log.Warn("a file could not be told to the kernel's layer", "subject", s.name(), "error", err)
	}
}

func (l *layers) verified(s *subject, stamp bpf.Stamp) bool {
	if l.bpf == nil {
		return false
	}
	ok, err := l.bpf.Verified(s.id, stamp)
	return ok && err == nil
}

func stampOf(st *unix.Stat_t) bpf.Stamp { return bpf.StampOfStat(st) }

// judgeAnew has the kernel's layer forget what was let be, and what else it was told.
func (l *layers) judgeAnew(s *subject) {
	if l.bpf == nil {
		return
	}
	if err := l.bpf.Forget(s.id); err != nil && !s.gone.Load() {
		l.guard.c.Log.Warn("the kernel's layer still knows what was let be", "subject", s.name(), "error", err)
	}
	if im := s.image.Load(); im != nil {
		l.know(s, im)
	}
}

// know hands every executable of the image to the kernel's layer, so that it knows
// them while no guard runs.
func (l *layers) know(s *subject, im *image) {
	if l.bpf == nil {
		return
	}
	stamps, err := l.guard.executables(s, im)
	if err == nil {
		err = l.bpf.VerifyAll(s.id, stamps)
	}
	if err != nil {
		s.complain(err)
		l.guard.trouble(fmt.Sprintf("%s: its executables are judged one by one: %v", s.name(), err))
	}
}

// apply has the layers do what the policy says.
func (l *layers) apply(s *subject, p *policy) error {
	var problems []error
	run := p.run.action
	if l.fanotify != nil {
		if err := l.ask(s, p.unjudged.stops(), run != touchstone.EffectNone); !errors.Is(err, errEnded) {
			problems = append(problems, err)
		}
	}
	if l.bpf != nil {
		problems = append(problems, l.bpf.Watch(s.id, bpf.Identity{}, modeFor(p)))
	}
	return errors.Join(problems...)
}

// modeFor is the policy in the kernel's words. What is unknown there is held until it
// has been looked at, so that a known file that somebody has touched is not killed.
func modeFor(p *policy) bpf.Mode {
	m := watchOnly()
	m.Closed = p.unjudged.stops()
	switch {
	case p.run.action == touchstone.EffectNone:
	case !p.ready && p.run.stops(), p.run.action == touchstone.EffectAlert:
		m.Unverified, m.Nameless, m.Mapping = bpf.Report, bpf.Report, bpf.Report
	default:
		m.Unverified, m.Nameless, m.Mapping, m.Unjudged = bpf.Hold, bpf.Kill, bpf.Hold, bpf.Report
	}
	return m
}

// states are the layers as the kernel and the last canaries say.
func (l *layers) states() []LayerStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []LayerStatus
	for _, name := range []string{layerFanotify, layerBPF} {
		st := LayerStatus{Name: name, Attached: l.has(name), Problem: l.problems[name], Proven: l.proven[name]}
		out = append(out, st)
	}
	return out
}
