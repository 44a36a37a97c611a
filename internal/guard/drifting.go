package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"touchstone.dev/touchstone"
	"touchstone.dev/touchstone/internal/drift"
	"touchstone.dev/touchstone/internal/guard/containerd"
	"touchstone.dev/touchstone/internal/guard/fanotify"
	"touchstone.dev/touchstone/internal/manifest"
)

// drifting is how a subject is compared with its image.
type drifting struct {
	mu       sync.Mutex
	scanners []*drift.Scanner // of the root first, then of its volumes; nil until the first scan
	waiting  bool             // in the line
	all      bool             // everything is to be compared
	paths    map[string]bool  // else these
	last     time.Time        // of the last whole scan
	found    int              // differences of the last scans
}

// mostPaths is how many written files are looked at one by one; more than that are
// found by a whole scan.
const mostPaths = 256

// contentSet is what drift asks of the contents of an image.
type contentSet struct{ *manifest.Contents }

// Has implements drift.Contents.
func (c contentSet) Has(size int64, sum [32]byte) bool {
	_, ok := c.Contents.Has(size, sum)
	return ok
}

// scanSoon has the whole subject compared.
func (g *Guard) scanSoon(s *subject) { g.compareSoon(s, true) }

func (g *Guard) compareSoon(s *subject, all bool, paths ...string) {
	d := &s.drift
	d.mu.Lock()
	if d.paths == nil {
		d.paths = map[string]bool{}
	}
	for _, p := range paths {
		if len(d.paths) >= mostPaths {
			all = true
			break
		}
		d.paths[p] = true
	}
	d.all = d.all || all
	queue := !d.waiting && (d.all || len(d.paths) > 0)
	d.waiting = d.waiting || queue
	d.mu.Unlock()
	if queue {
		g.compares.push(s)
	}
}

// written takes in what the permission layer has seen to be written.
func (g *Guard) written(w fanotify.Written) {
	if s := g.subject(w.Subject); s != nil {
		g.compareSoon(s, w.Any, w.Paths...)
	}
}

// line is a queue without an end, of subjects that are in it once.
type line struct {
	mu   sync.Mutex
	wait []*subject
	more chan struct{}
}

func newLine() *line { return &line{more: make(chan struct{}, 1)} }

func (l *line) push(s *subject) {
	l.mu.Lock()
	l.wait = append(l.wait, s)
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *line) pop() *subject {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wait) == 0 {
		return nil
	}
	s := l.wait[0]
	l.wait = l.wait[1:]
	return s
}

// runDrift compares one subject after the other, so that it costs no more than one
// processor, and none twice before another's turn.
func (g *Guard) runDrift(ctx context.Context) (err error) {
	// Only now, for enforcement waits for nothing: before anything is compared, no
	// difference is told.
	if g.before, err = readBefore(g.journal); err != nil {
		return err
	}
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		for s := g.compares.pop(); s != nil && ctx.Err() == nil; s = g.compares.pop() {
			g.compare(ctx, s)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-g.compares.more:
		case <-every.C:
			g.compareDue()
		}
	}
}

// compareDue has those compared whose time it is although nothing was seen.
func (g *Guard) compareDue() {
	for _, s := range g.all() {
		s.drift.mu.Lock()
		due := s.image.Load() != nil && time.Since(s.drift.last) > g.c.DriftEvery
		s.drift.mu.Unlock()
		if due {
			g.scanSoon(s)
		}
		if s.unswept.Swap(false) {
			g.sweep(s)
		}
	}
}

// compare does what a subject waits for.
func (g *Guard) compare(ctx context.Context, s *subject) {
	d := &s.drift
	d.mu.Lock()
	all, paths := d.all, d.paths
	d.waiting, d.all, d.paths = false, false, nil
	if all {
		d.last = time.Now()
	}
	d.mu.Unlock()
	im := g.images.hold(s.image.Load())
	defer g.images.release(im)
	if s.gone.Load() || im == nil || s.current().change.action == touchstone.EffectNone {
		return
	}
	scanners, err := g.scanners(s)
	found, gaps := 0, 0
	for _, sc := range scanners {
		yield := func(f drift.Finding) error { return g.differs(s, &f) }
		var sum drift.Summary
		if all {
			sum, err = sc.Scan(ctx, yield)
		} else {
			list := make([]string, 0, len(paths))
			for p := range paths {
				list = append(list, strings.TrimPrefix(p, "/"))
			}
			sum, err = sc.Check(ctx, yield, list...)
		}
		found, gaps = found+sum.New+sum.Known, gaps+sum.Gaps
		if err != nil {
			break
		}
	}
	if s.gone.Load() || !s.host && ended(s.pid()) || ctx.Err() != nil || errors.Is(err, errStopped) {
		return
	}
	if err != nil {
		g.trouble(fmt.Sprintf("%s could not be compared with its image: %v", s.name(), err))
	}
	if gaps > 0 {
		g.figures.lost.WithLabelValues("drift").Add(float64(gaps))
	}
	if all {
		d.mu.Lock()
		d.found = found
		d.mu.Unlock()
	}
}

// differs judges one difference that is new.
func (g *Guard) differs(s *subject, f *drift.Finding) error {
	if s.gone.Load() || s.stopping.Load() {
		return errStopped
	}
	if f.Gap != nil || f.News != drift.New {
		return nil
	}
	d := f.Drift
	at := d.Path
	if s.host {
		d.Managed = g.managed.of(filepath.Join(g.c.Host.root(), at))
	}
	a := act{
		subject: s, kind: touchstone.EventChange, thing: string(d.Change) + "\n" + at, at: g.c.Now(),
		question: touchstone.Question{Occasion: touchstone.OccasionChange, Drift: &d},
	}
	if d.Have != nil && (d.Have.Exec != touchstone.ExecNone || g.ground.Load().Rules.Guard.KeepData) {
		a.copy = at
	}
	j := g.judge(s, a.question)
	if j.action != touchstone.EffectKill && g.before.has(s, &d) {
		return nil
	}
	if j.action == touchstone.EffectBlock {
		// What is written is written: only taking it away would undo it.
		a.steps = []touchstone.Step{{At: a.at, Do: touchstone.DeedTold, Problem: "a change can only be undone by replacing the container"}}
	}
	g.happened(a, j)
	return nil
}

// errStopped ends a scan of what does not run any more.
var errStopped = errors.New("it has ended")

// scanners makes what compares the subject, once.
func (g *Guard) scanners(s *subject) ([]*drift.Scanner, error) {
	d := &s.drift
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.scanners != nil {
		return d.scanners, nil
	}
	var err error
	d.scanners, err = g.newScanners(s)
	return d.scanners, err
}

func (g *Guard) newScanners(s *subject) ([]*drift.Scanner, error) {
	im := s.image.Load()
	if im == nil {
		return nil, errors.New("what its image holds is not known")
	}
	config := g.driftConfig(s, im)
	if s.host {
		return g.hostScanners(s, config)
	}
	c := s.container
	config.UIDs, config.GIDs = idRanges(c.Init.PID, "uid_map"), idRanges(c.Init.PID, "gid_map")
	for _, m := range c.Spec.Mounts {
		config.MountPoints = append(config.MountPoints, m.Destination)
	}
	// The runtime makes these for itself (runc, libcontainer/rootfs_linux.go).
	config.MountPoints = append(config.MountPoints, "dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf")
	var tree drift.Tree
	switch c.Rootfs.Kind {
	case containerd.RootfsOverlay:
		tree = drift.Tree{Form: drift.Upper, Path: c.Rootfs.Upper}
	case containerd.RootfsFolder:
		tree = drift.Tree{Form: drift.Folder, Path: c.Rootfs.Folder}
	default:
		tree = drift.Tree{Form: drift.Folder, Path: s.root()}
	}
	root, err := drift.NewScanner(tree, config)
	if err != nil {
		return nil, err
	}
	out := []*drift.Scanner{root}
	for _, at := range volumesOf(c) {
		v, err := drift.NewScanner(drift.Tree{Form: drift.Volume, Path: s.root(), Inside: at, Mount: at}, config)
		if err != nil {
			return out, err
		}
		out = append(out, v)
	}
	return out, nil
}

// idRanges reads how a process's user namespace maps the owners of files
// (user_namespaces(7)); none where it is the machine's own.
func idRanges(pid int, name string) []drift.IDRange {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		return nil
	}
	var out []drift.IDRange
	for line := range strings.Lines(string(data)) {
		var r drift.IDRange
		if _, err := fmt.Sscan(line, &r.Inside, &r.Outside, &r.Length); err == nil && r.Inside != r.Outside {
			out = append(out, r)
		}
	}
	return out
}

func (g *Guard) driftConfig(s *subject, im *image) drift.Config {
	return drift.Config{
		Manifest: im.manifest, Contents: contentSet{im.contents}, Temporary: g.temporary, Now: g.c.Now, Time: 30 * time.Second,
		Writable: func(p string) bool {
			artifact, place := s.about()
			patterns := g.ground.Load().Rules.WritableIn(&place, artifact.Name)
			return slices.ContainsFunc(patterns, func(pattern string) bool { return touchstone.MatchPath(pattern, p) })
		},
	}
}

// volumesOf are the folders of a container that are written to and are not of its
// image: its pod's volumes, its own memory file systems, and paths of the node but
// those that hold the whole of it.
func volumesOf(c *containerd.Container) []string {
	var out []string
	for _, m := range c.Spec.Mounts {
		switch {
		case m.ReadOnly:
		case m.Kind == containerd.MountVolume, m.Kind == containerd.MountMemory, m.Kind == containerd.MountHost && !holdsNode(m.Source):
			at := strings.Trim(path.Clean("/"+m.Destination), "/")
			if at != "" && at != "dev" && !slices.Contains(out, at) {
				out = append(out, at)
			}
		}
	}
	return out
}

// holdsNode reports whether a path of the node is so much of it that a container's
// share cannot be told from the rest.
func holdsNode(source string) bool {
	switch path.Clean(source) {
	case "/", "/var", "/var/lib", "/var/run", "/run", "/usr", "/etc", "/dev", "/sys", "/proc", "/home", "/opt":
		return true
	}
	return false
}

// close gives up what is remembered of a subject that has ended.
func (d *drifting) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, sc := range d.scanners {
		sc.Close()
	}
	d.scanners = nil
}

// driftOf compares a container now, and writes all that differs.
func (g *Guard) driftOf(ctx context.Context, name string, out io.Writer, people bool) error {
	s, err := g.named(name)
	if err != nil {
		return err
	}
	defer g.images.release(g.images.hold(s.image.Load()))
	scanners, err := g.newScanners(s)
	if err != nil {
		return fmt.Errorf("comparing %s: %w", s.name(), err)
	}
	artifact, _ := s.about()
	report := drift.NewText(out)
	if !people {
		report = drift.NewJSON(out, touchstone.DriftReport{Tool: g.c.Tool, At: g.c.Now(), What: s.name(), Artifact: artifact})
	}
	all := drift.Summary{Complete: true}
	for _, sc := range scanners {
		sum, err := sc.Scan(ctx, report.Take)
		sc.Close()
		if err != nil {
			return fmt.Errorf("comparing %s: %w", s.name(), err)
		}
		all.Complete = all.Complete && sum.Complete
		all.Files, all.New, all.Known, all.Gaps = all.Files+sum.Files, all.New+sum.New, all.Known+sum.Known, all.Gaps+sum.Gaps
	}
	return report.Close(all)
}

// named finds the subject that people name: by its id, the beginning of it, or
// "namespace/pod/container"; "host" for the host.
func (g *Guard) named(name string) (*subject, error) {
	var found []*subject
	for _, s := range g.all() {
		if s.name() == name || s.who().ID == name || s.host && name == "host" {
			return s, nil
		}
		if len(name) >= 4 && strings.HasPrefix(s.who().ID, name) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("no container %q is watched here\nhint: touchstone guard status lists them", name)
	default:
		return nil, fmt.Errorf("%d containers begin with %q\nhint: name more of the id", len(found), name)
	}
}
